"""A process of ``rnnkit train`` under torchrun: one prepares, writes and prints, and one error ends all.

All processes run the same recipe, so that what they exchange fits. The first one has the run folder. The others work in
a copy of its small files, which is removed at the end. Outside torchrun nothing here does anything.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import typer

from ..errors import ConfigError, ProcessError, RnnkitError
from ..serialization import STATE

Made = TypeVar("Made")
FAILED, MISTAKEN, INTERRUPTED = 1, 2, 130  # exit codes
PREPARING = timedelta(hours=12)  # how long others wait for the one that prepares
_PARENT_SECONDS = 0.5  # between two looks whether torchrun's agent still runs
# What a process sees when another one is gone or says nothing; the agent, which knows why, ends this one meanwhile.
_LOST = (
    "connection closed by peer", "connection reset by peer", "broken pipe", "timed out waiting", "connection refused",
    "connect timeout", "failed to connect", "timed out connecting", "socket timeout", "wait timeout", "nccl",
    "connection was likely closed", "read error", "failed to recv",
)  # fmt: skip
_AGENT_SECONDS = 8.0
_LARGEST = 1 << 25  # bytes of a file of the run folder that others get


def is_member() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def was_restarted() -> bool:
    """Return whether torchrun may start, or has started, the processes of this run again."""
    return is_member() and os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"


def check_restartable(out: Path | None, restartable: bool, *, resumed: bool) -> bool:
    """Return whether a run that has begun resumes: because it was asked to, or because torchrun may restart it.

    Args:
        out: the folder; None: none was named.
        restartable: whether --restartable was typed.
        resumed: whether a run to go on with was named, so that there is no other.

    Raises:
        ConfigError: no folder was named.
    """
    restartable = restartable or (was_restarted() and not resumed)
    if restartable and out is None:
        raise ConfigError("a run that may be started again needs a name; add --out FOLDER")
    return restartable


def exchange_of(how: str | None) -> AbstractContextManager[None]:
    """Check how processes shall exchange, and return the context in which learners do."""
    from ..training.distribution.exchange import Exchange, in_environment

    if how is None:
        return nullcontext()
    Exchange.parse(how)
    return in_environment(how)


def say_exchanges(how: str | None) -> None:
    """Say that an exchange changes nothing in a single process, which torchrun did not start."""
    if how is not None and not is_member():
        typer.echo(f"--exchange {how} changes nothing in one process; --processes 2 starts two", err=True)


def has_begun(file: Path) -> bool:
    """Return whether a run has written a file, as the first process sees it; all must call it."""
    from ..training.distribution.group import from_first_process

    return bool(from_first_process(file.is_file()))


@contextmanager
def member(device: str, again: str) -> Iterator[None]:
    """Join the processes that torchrun started for a block that trains, and always end this one after it.

    Args:
        device: the setting of the recipe.
        again: what to type to go on with the run, for the message about the loss of another process.
    """
    if not is_member():
        yield
        return
    printed, complained = sys.stdout, sys.stderr
    if os.environ["RANK"] != "0":
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the rest of the process)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    code = 0
    try:
        _join(device)
        yield
    except typer.Exit as ended:
        code = ended.exit_code
    except BaseException as error:
        code = _tell(error, complained, again)
    for stream in (printed, complained):
        stream.flush()
    # Not by the ordinary exit, at which threads of gloo can abort a process whose work is done.
    os._exit(code)


def in_turn(prepare: Callable[[], Made]) -> Made:
    """Call a function in the first process, then in the first of each other host, then in the others.

    What the first one downloads or computes lies in the caches then.
    """
    from ..training.distribution.group import several_processes

    if not several_processes():
        return prepare()
    import torch

    first, local = torch.distributed.get_rank() == 0, os.environ.get("LOCAL_RANK", "0") == "0"
    group = torch.distributed.new_group(timeout=PREPARING, backend="gloo")
    mine = 0 if first else 1 if local else 2
    found: Any = None
    for turn in range(3):
        if turn == mine:
            found = prepare()
        torch.distributed.barrier(group)
    torch.distributed.destroy_process_group(group)
    return found  # type: ignore[no-any-return]


@contextmanager
def run_folder(open_folder: Callable[[], AbstractContextManager[Path]]) -> Iterator[Path]:
    """Give the first process the run folder, and each other one a folder with copies of its small files.

    Args:
        open_folder: makes or opens it, in the first process.
    """
    from ..training.distribution.group import from_first_process, is_first_process, several_processes

    if not several_processes():
        with open_folder() as folder:
            yield folder
    elif is_first_process():
        with open_folder() as folder:
            from_first_process((folder.name, _small_files(folder)))
            yield folder
    else:
        name, files = from_first_process(None)
        with tempfile.TemporaryDirectory(prefix="rnnkit-") as parent:
            folder = Path(parent) / name
            folder.mkdir()
            for relative, content in files.items():
                (folder / relative).parent.mkdir(parents=True, exist_ok=True)
                (folder / relative).write_bytes(content)
            yield folder


def _small_files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != STATE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.stat().st_size <= _LARGEST}


def _join(device: str) -> None:
    from ..training.distribution.group import join_group
    from ..training.execution import find_device

    join_group(find_device(device))


def _end_with_parent(parent: int) -> None:
    """End this process when torchrun's agent is gone: the run may be begun again, and two would write to one folder."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    if os.environ.get("RANK") == "0":
        print("Error: torchrun's agent was ended, and its processes with it", file=sys.__stderr__, flush=True)
    os._exit(FAILED)


def _tell(error: BaseException, stream: Any, again: str) -> int:
    """Print an error unless another process did, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    shown: BaseException = error
    if is_loss(error):
        time.sleep(_AGENT_SECONDS)
        shown = ProcessError(
            "another process of the run was ended or stopped answering",
            remedy=f"its own message, or that of its host, says why; go on with `{again}`",
            note=f"here it showed as: {str(error).strip().splitlines()[0]}",
        )
    debug = os.environ.get("RNNKIT_DEBUG", "0") not in ("", "0")
    if _is_first_to_fail():
        known = isinstance(shown, RnnkitError) and not debug
        text = f"Error: {shown}" if known else "".join(traceback.format_exception(error))
        print(text, file=stream, flush=True)
    _leave_to_torchrun(error)
    return MISTAKEN if isinstance(shown, RnnkitError) and not isinstance(shown, ProcessError) else FAILED


def is_loss(error: BaseException) -> bool:
    """Return whether an error is how the loss of another process shows in this one.

    Example:
        >>> is_loss(RuntimeError("[/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:48021"))
        True
        >>> is_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False
    """
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(one in text for one in _LOST)


def _is_first_to_fail() -> bool:
    try:
        from torch.distributed import distributed_c10d

        return distributed_c10d._get_default_store().add("rnnkit.failed", 1) == 1
    except BaseException:  # the store is gone, or was never there
        return True


def _leave_to_torchrun(error: BaseException) -> None:
    """Write the error where torchrun's report looks for it."""
    if os.environ.get("TORCHELASTIC_ERROR_FILE") and isinstance(error, Exception):
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        get_error_handler().record_exception(error)


def signal_name(code: int) -> str:
    """Return the name of the signal that ended a process with a negative exit code.

    Example:
        >>> signal_name(-9)
        'SIGKILL'
    """
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
