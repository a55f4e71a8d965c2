"""Writing files beside the training: what is written was copied, so the steps go on."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Writer:
    """Does one job after the other, at once or in a thread, and raises what went wrong.

    Args:
        background: whether jobs are done in a thread; then an error is raised by the next call, or by `wait`.

    Example:
        >>> done = []
        >>> writer = Writer(background=True)
        >>> writer(lambda: done.append("first"))
        >>> writer.wait()
        >>> done
        ['first']
    """

    def __init__(self, *, background: bool) -> None:
        self.background = background
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __call__(self, job: Callable[[], None]) -> None:
        """Do a job; in a thread once the one before is done."""
        self.wait()
        if not self.background:
            job()
            return
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint")
        self._thread.start()

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # it belongs to the thread that trains
            self._error = error

    def wait(self) -> None:
        """Wait for what is being done, and raise its error."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error
