"""``rnnkit train --processes N``: several processes on this machine, by the elastic launcher that torchrun has."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from ..errors import ConfigError, ProcessError
from .member import FAILED, INTERRUPTED, signal_name

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
        raise ConfigError.of("--processes", processes, "expected a whole number of at least 1")
    if restarts < 0:
        raise ConfigError.of("--max-restarts", restarts, "expected a whole number of at least 0")
    import torch

    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    most = torch.cuda.device_count() if cuda else usable_cores()
    if processes > most:
        what = "GPUs" if cuda else "cores"
        raise ConfigError(f"--processes {processes} arrived, but there are {most} {what}; expected {most} at most")


def launch(words: Sequence[str], processes: int, restarts: int, folder: Path | None) -> None:
    """Run ``rnnkit`` with these words in several processes, wait for them, and end as they do.

    Args:
        words: what was typed behind ``rnnkit``, without what is about the launch.
        processes: how many.
        restarts: how often all are started again after one failed.
        folder: of the run, where it is known.
    """
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
        raise typer.Exit(_ended(error, folder)) from None
    except (SignalException, KeyboardInterrupt):
        typer.echo(f"Interrupted{_go_on(folder)}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _ended(error: Any, folder: Path | None) -> int:
    """Say what the processes did not say themselves, and return the exit code."""
    rank, failure = error.get_first_failure()
    if failure.exitcode >= 0:  # which printed its error
        return int(failure.exitcode) or FAILED
    name = signal_name(failure.exitcode)
    why = ", as Linux does when memory runs out" if name == "SIGKILL" else ""
    raise ProcessError(f"process {rank} was ended by {name}{why}; the others were ended, too{_go_on(folder)}")


def _go_on(folder: Path | None) -> str:
    from ..runs.folders import resume_again

    where = Path("RUN") if folder is None else folder
    return f"; `{resume_again(where)}` goes on from the last checkpoint"
