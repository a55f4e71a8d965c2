"""Processes that make portions of shards; each takes the next one until none is left."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
from typing import Any

from ...errors import DataError, RnnkitError
from ..late_progress import LateProgress
from ..text.tokenizer import Tokenizer
from .making import Job, make_portion
from .manifest import MAKING, TOKENIZER
from .unfinished import made_of

_WAIT = 0.2  # seconds between two looks at the processes


def run(job: Job, processes: int) -> None:
    """Make all portions.

    Raises:
        RnnkitError, OSError: what a process raised.
        DataError: a process was killed.
    """
    left = [portion.number for portion in job.portions if not made_of(job.journal(portion)).ended]
    total = sum(one.size for one in job.portions)
    with LateProgress("making shards", "making shards", total) as progress:
        progress(total - sum(job.portions[number].size for number in left))
        if min(processes, len(left)) > 1:
            _run_processes(job, left, min(processes, len(left)), progress)
            return
        tokenizer = _open(job)
        for number in left:
            make_portion(job, job.portions[number], tokenizer)
            progress(job.portions[number].size)


def _run_processes(job: Job, left: list[int], count: int, advance: Any) -> None:
    # Not by fork: threads of pyarrow and of tokenizers do not live on in a forked process.
    context = multiprocessing.get_context("spawn")
    reports: Any = context.Queue()
    following = context.Value("q", 0)
    stop = context.Event()
    workers = [
        context.Process(target=_work, args=(job, left, following, stop, reports), daemon=True) for _ in range(count)
    ]
    try:
        for worker in workers:
            worker.start()
        finished = 0
        while finished < len(left):
            try:
                number, error = reports.get(timeout=_WAIT)
            except queue.Empty:
                dead = [one for one in workers if one.exitcode not in (None, 0)]
                if dead:
                    raise DataError(
                        f"a process that made shards ended with the exit code {dead[0].exitcode}",
                        remedy="call it again, it goes on where it was; with fewer processes if memory was short",
                    ) from None
                continue
            if error is not None:
                raise error
            finished += 1
            advance(job.portions[number].size)
    finally:
        stop.set()
        for worker in workers:
            if worker.pid is not None:
                worker.join(5)
                if worker.is_alive():
                    worker.terminate()


def _work(job: Job, left: list[int], following: Any, stop: Any, reports: Any) -> None:
    """Take portions until none is left, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops this process
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there are processes enough
    parent = os.getppid()
    try:
        tokenizer = _open(job)
        while not stop.is_set() and os.getppid() == parent:
            with following.get_lock():
                at = following.value
                following.value += 1
            if at >= len(left):
                return
            make_portion(job, job.portions[left[at]], tokenizer)
            reports.put((left[at], None))
    except (RnnkitError, OSError) as error:
        reports.put((-1, error))
    except Exception as error:
        import traceback

        traceback.print_exc(file=sys.stderr)
        reports.put((-1, RuntimeError(repr(error))))


def _open(job: Job) -> Tokenizer | None:
    return Tokenizer.open(job.out / MAKING / TOKENIZER) if job.tokenizer else None
