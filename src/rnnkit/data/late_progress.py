"""A bar for work that may be short: it appears once the work has taken a second."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from .download import show_progress

_SECONDS = 1.0  # until progress is shown


class LateProgress:
    """A bar on stderr that appears once the work has taken a second; one plain line on no terminal.

    Args:
        line: the line.
        task: the name of the bar.
        total: bytes of the work; None: unknown.
    """

    def __init__(self, line: str, task: str, total: int | None) -> None:
        self._line, self._name, self._total, self._done = line, task, total, 0
        self._begin = time.monotonic()
        self._stack = ExitStack()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, count: int) -> None:
        """Count bytes that are done."""
        self._done += count
        if self._bar is None:
            if time.monotonic() - self._begin < _SECONDS:
                return
            self._bar = self._stack.enter_context(show_progress(self._line))
            self._task = self._bar.add_task(self._name, total=self._total)
        self._bar.update(self._task, completed=self._done)

    def __enter__(self) -> LateProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
