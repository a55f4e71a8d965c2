"""The orchestrator's end of a worker."""

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class WorkerError(RuntimeError):
    """A worker could not do what it was asked."""


class Worker:
    """A process that times one system on request. Use as a context manager, which ends it."""

    def __init__(self, module: str, python: Path, environment: dict[str, str] | None = None) -> None:
        # These are figures of the CPU, on machines with a GPU too.
        quiet = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed in __exit__)
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.workers.{module}"],
            cwd=ROOT,
            env={**os.environ, **quiet, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        self.greeting: dict[str, Any] = {}

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._process.wait(timeout=1 if any(exception) else 30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._log.close()

    def greet(self) -> None:
        """Wait until it has started and has said its tunings, versions and notes."""
        self.greeting = self._read()

    def time(self, what: str, on: str, tuning: str, repeats: int) -> list[float]:
        """Milliseconds of each of `repeats` calls.

        Raises WorkerError when the system fails, or trains to a loss that is not finite.
        """
        ms: list[float] = self._ask({"what": what, "on": on, "tuning": tuning, "repeats": repeats})["ms"]
        return ms

    def values(self, what: str, on: str) -> list[float]:
        """Numbers that are no times of a call. Raises WorkerError when the system cannot say."""
        values: list[float] = self._ask({"values": what, "on": on})["values"]
        return values

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and reading says why
            print(json.dumps(request), file=self._requests, flush=True)
        answer = self._read()
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            self._log.seek(0)
            last = self._log.read().strip().rpartition("\n")[2]
            raise WorkerError(f"its worker ended: {last or 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        return answer
