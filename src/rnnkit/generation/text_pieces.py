"""Text that is made token by token: no half characters, and no beginning of a stop string, is let out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

Decode = Callable[[list[int]], str]
_INCOMPLETE = "\ufffd"  # what decoders write for bytes that are no character (yet)
_MOST_HELD = 3  # a UTF-8 character has up to 4 bytes
_WINDOW = 8


class TextPlace(NamedTuple):
    """Where a text stands: what a decoder has to see again.

    Attributes:
        window: the last ids.
        held: the end of the text, with which a stop string may have begun.
        flushed: how many characters of it were let out.
    """

    window: Sequence[int] = ()
    held: str = ""
    flushed: int = 0


class TextPieces:
    """The text of one row, in pieces.

    A decoder may need the tokens before (a space in front of a word, the first bytes of a character). So a window of
    ids is decoded again, and what it adds is the piece.

    Args:
        decode: ids → text.
        stop_strings: the text ends in front of the first of these.
        place: where an earlier text stood; None: at a beginning.

    Example:
        >>> pieces = TextPieces(lambda ids: bytes(ids).decode(errors="replace"), ["END"])
        >>> [pieces.push(byte) for byte in "é: E!".encode()]
        ['', 'é', ':', ' ', '', 'E!']
        >>> [pieces.push(byte) for byte in b" END"], pieces.stopped
        ([' ', '', '', ''], True)
    """

    def __init__(self, decode: Decode, stop_strings: Sequence[str] = (), place: TextPlace | None = None) -> None:
        self._decode, self._stops = decode, tuple(stop_strings)
        place = TextPlace() if place is None else place
        self._window, self._held, self._flushed = list(place.window), place.held, place.flushed
        text = decode(self._window) if self._window else ""
        self._shown = len(_without_incomplete(text))
        # How many ids of the window have text that is shown, and end with a whole character.
        self._complete = len(self._window) if self._shown == len(text) else 0
        self.stopped = False

    @property
    def place(self) -> TextPlace:
        """Where this text stands; another object can continue from it."""
        return TextPlace(list(self._window), self._held, self._flushed)

    def push(self, token: int) -> str:
        """Add a token, and return the text that is certain now; at a stop string `stopped` becomes true."""
        self._window.append(token)
        text = self._decode(self._window)
        certain = _without_incomplete(text)
        new = certain[self._shown :]
        self._shown = max(self._shown, len(certain))
        if len(certain) == len(text) and (new or len(self._window) > 4 * _WINDOW):
            # The tokens whose text was just completed are the context of the next ones.
            self._window = self._window[self._complete :] or self._window[-1:]
            self._complete = len(self._window)
            self._shown = len(_without_incomplete(self._decode(self._window)))
        if not self._stops:
            return new
        self._held += new
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        self.stopped = bool(found)
        size = min(found) if found else len(self._held) - max(_overlap(self._held, stop) for stop in self._stops)
        out = self._held[self._flushed : size]
        self._held, self._flushed = ("", 0) if found else (self._held[size:], max(0, self._flushed - size))
        return out

    def flush(self) -> str:
        """Return the text that was held because a stop string may have begun; half characters stay inside."""
        out = self._held[self._flushed :]
        self._flushed = len(self._held)
        return out


def place_behind(ids: Sequence[int]) -> TextPlace:
    """Where text stands after these ids, of which a decoder sees the last ones."""
    return TextPlace(list(ids[-_WINDOW:]))


def _without_incomplete(text: str) -> str:
    """The text without a character at its end whose bytes are not all there."""
    held = len(text) - len(text.rstrip(_INCOMPLETE))
    return text[: len(text) - min(held, _MOST_HELD)]


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of the text that is a beginning of ``stop``, and not all of it."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)
