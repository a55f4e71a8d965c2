"""Programs in fresh processes, without the seconds in which each would import PyTorch.

A process that has imported PyTorch and rnnkit, and has computed nothing, forks one for each program. What is decided
once in a process is open there: the CPU family of the native core, the threads, the peak of its memory.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple, NoReturn

MOST_SECONDS = 600


class Finished(NamedTuple):
    """A program that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(program: str, **environment: str) -> Finished:
    """Run a program with these variables in its environment; it can import what stands in tests/."""
    if not hasattr(os, "fork") or sys.platform == "darwin":  # whose libraries do not survive a fork
        path = {"PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | path | environment, capture_output=True, text=True,
            timeout=MOST_SECONDS, check=False,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)
    server = _server()
    print(json.dumps({"program": program, "environment": environment}), file=server.stdin, flush=True)
    return Finished(**json.loads(server.stdout.readline()))


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)  # which ends its input, and so the server
    return server


def _serve() -> None:
    import contract  # noqa: F401  (with PyTorch)

    import rnnkit

    _ = rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU  # which imports their modules
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if not child:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                _execute(**request)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        print(json.dumps({"returncode": code, "stdout": texts[0], "stderr": texts[1]}), flush=True)


def _execute(program: str, environment: dict[str, str]) -> NoReturn:
    signal.alarm(MOST_SECONDS)  # which ends it
    os.environ.update(environment)
    code = 0
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
