"""``--processes N`` of train and finetune: several processes on this machine, by the launcher that torchrun has."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ..errors import ConfigError, ProcessError
from .member import FAILED, INTERRUPTED, is_member, signal_name

_ENDING_SECONDS = 5  # what processes have to end before they are killed


def check_launch(processes: int, restarts: int, device: str) -> None:
    """Raise ConfigError for numbers of processes and restarts that cannot be.

    Args:
        processes: of this machine.
        restarts: of all of them.
        device: the setting of the recipe.
    """
    from ..ops.machine import usable_cores

    if processes < 1:
        raise ConfigError(f"--processes {processes} arrived; expected a whole number of at least 1")
    if restarts < 0:
        raise ConfigError(f"--max-restarts {restarts} arrived; expected a whole number of at least 0")
    import torch

    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    most = torch.cuda.device_count() if cuda else usable_cores()
    if processes > most:
        what = "GPUs" if cuda else "cores"
        raise ConfigError(f"--processes {processes} arrived, but there are {most} {what}; expected {most} at most")


class Launch(NamedTuple):
    """Several processes of a verb.

    Attributes:
        verb: the verb.
        processes: how many; None: it was not said, and this one does the work.
        restarts: how often all are started again after one failed.
        again: returns the command that resumes the run in a folder.
    """

    verb: str
    processes: int | None
    restarts: int
    again: Callable[[Path], str]

    def starts(self, device: str) -> bool:
        """Return whether the work is that of processes to be started.

        Args:
            device: the setting of the recipe.

        Raises:
            ConfigError: numbers that cannot be; processes of torchrun shall start others.
        """
        if self.processes is None:
            if self.restarts:
                raise ConfigError(f"--max-restarts {self.restarts} arrived without --processes; add --processes N")
            return False
        if is_member():
            raise ConfigError(
                f"--processes {self.processes} arrived under torchrun, which has started them; leave it out"
            )
        check_launch(self.processes, self.restarts, device)
        return self.processes > 1 or self.restarts > 0

    def run(self, typed: Sequence[str], name: str, out: Path | None, resume: Path | None) -> None:
        """Start the processes, wait for them, and end as they do.

        Args:
            typed: the words behind the verb.
            name: of the recipe, as its runs are called.
            out: the folder of the new run; None: the next free one.
            resume: the folder of a run to go on with; None: a run begins.
        """
        from ..runs import folders

        assert self.processes is not None
        folder = out if resume is None else resume
        if self.restarts and folder is None:
            folder = folders.claim_next(Path("runs"), Path(name).stem)
        words = launched_words(self.verb, typed, folder if self.restarts and resume is None else None)
        launch(words, self.processes, self.restarts, lambda: self.going_on(folder or Path("RUN"), typed))

    def going_on(self, folder: Path, typed: Sequence[str]) -> str:
        """Return the command that resumes the run in a folder, in as many processes and with the exchange it has.

        Args:
            folder: of the run.
            typed: the words behind the verb.

        Example:
            >>> launch = Launch("train", 2, 0, "rnnkit train --resume {}".format)
            >>> launch.going_on(Path("a"), ["lm", "--exchange", "fp16"])
            'rnnkit train --resume a --processes 2 --exchange fp16'
        """
        command = self.again(folder)
        if "--resume" not in command:
            return command
        before = ["", *typed]
        exchange = [
            word for word, last in zip(typed, before, strict=False) if "--exchange" in (word.partition("=")[0], last)
        ]
        return shlex.join([*shlex.split(command), "--processes", str(self.processes), *exchange])


def launched_words(verb: str, typed: Sequence[str], restartable: Path | None) -> list[str]:
    """Return the words behind ``rnnkit`` for each of several processes: those that were typed, without the launch's.

    Args:
        verb: the verb.
        typed: the words behind it.
        restartable: the folder of a run that may be started again; None: it is not.

    Example:
        >>> launched_words("train", ["lm", "a.txt", "--processes=2", "--max-restarts", "1"], Path("runs/lm"))
        ['train', 'lm', 'a.txt', '--restartable', '--out', 'runs/lm']
    """
    found, skipped = [verb], False
    for word in typed:
        if skipped or word.partition("=")[0] in ("--processes", "--max-restarts"):
            skipped = not skipped and "=" not in word
        else:
            found.append(word)
    if restartable is not None:
        named = "--out" in found or any(word.startswith("--out=") for word in found)
        found += ["--restartable"] * ("--restartable" not in found) + ([] if named else ["--out", str(restartable)])
    return found


def launch(words: Sequence[str], processes: int, restarts: int, again: Callable[[], str]) -> None:
    """Run ``rnnkit`` with these words in several processes, wait for them, and end as they do.

    Args:
        words: what was typed behind ``rnnkit``, without what is about the launch.
        processes: how many.
        restarts: how often all are started again after one failed.
        again: returns the command that resumes the run.
    """
    import logging
    import uuid

    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from ..ops.machine import usable_cores

    if os.environ.get("RNNKIT_DEBUG", "0") in ("", "0"):
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    settings: dict[str, Any] = {
        "min_nodes": 1,
        "max_nodes": 1,
        "nproc_per_node": processes,
        "run_id": uuid.uuid4().hex,
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0",
        "local_addr": "127.0.0.1",
        "max_restarts": restarts,
        "monitor_interval": 0.1,
        "shutdown_timeout": _ENDING_SECONDS,
    }
    try:
        elastic_launch(LaunchConfig(**settings), sys.executable)("-u", "-m", "rnnkit", *words)
    except ChildFailedError as error:
        raise typer.Exit(_ended(error, again())) from None
    except (SignalException, KeyboardInterrupt):
        typer.echo(f"Interrupted; {_go_on(again())}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _ended(error: Any, again: str) -> int:
    """Say what the processes did not say themselves, and return the exit code."""
    rank, failure = error.get_first_failure()
    if failure.exitcode >= 0:  # which printed its error
        return int(failure.exitcode) or FAILED
    name = signal_name(failure.exitcode)
    why = ", as Linux does when memory runs out" if name == "SIGKILL" else ""
    raise ProcessError(f"process {rank} was ended by {name}{why}; the others were ended, too; {_go_on(again)}")


def _go_on(again: str) -> str:
    return f"`{again}` {'goes on from the last checkpoint' if '--resume' in again else 'begins anew'}"
