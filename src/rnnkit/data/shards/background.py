"""A thread that reads ahead, so that decoding continues while the model computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_END = object()


class ReadAhead(Generic[T]):
    """Iterates over what an iterator yields in a thread of its own.

    The thread ends with the iterator, or when this object is closed or collected. An error of the iterator is raised
    where the item would have come.

    Args:
        items: the iterator; the thread alone uses it.
        depth: items that are held at most.

    Example:
        >>> list(ReadAhead(iter("abc")))
        ['a', 'b', 'c']
    """

    def __init__(self, items: Iterator[T], depth: int = 2) -> None:
        self._queue: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(depth)
        self._closed = threading.Event()
        # The thread holds no reference to this object: else it would never be collected.
        arguments = (items, self._queue, self._closed)
        self._thread = threading.Thread(target=_read, args=arguments, name="rnnkit shards", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed.is_set():
            raise StopIteration
        item, error = self._queue.get()
        if error is not None:
            self._closed.set()
            raise error
        if item is _END:
            self._closed.set()
            raise StopIteration
        found: T = item
        return found

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def __del__(self) -> None:
        self._closed.set()


def _read(items: Iterator[Any], found: queue.Queue[tuple[Any, BaseException | None]], closed: threading.Event) -> None:
    def put(item: Any, error: BaseException | None = None) -> bool:
        while not closed.is_set():
            try:
                found.put((item, error), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    try:
        for item in items:
            if not put(item):
                return
        put(_END)
    except BaseException as error:
        put(None, error)
