"""The texts of shards, for all that reads texts: tokenizers, parts of a corpus, reports."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ConfigError, Place
from ..text.decoding import OnBytes
from ..text.texts import Piece, Texts, whole
from .shard_set import ShardSet


class ShardTexts(Texts):
    """The texts of shards of text, one after the other in constant memory.

    Args:
        shards: of text.

    Raises:
        ConfigError: shards of something else.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rnnkit.data import shards
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("one\\ntwo\\n")
        >>> _ = shards.make_shards(folder / "a.txt", folder / "out", unit="line")
        >>> [text for text, _ in ShardTexts(shards.ShardSet.open(folder / "out"))]
        ['one', 'two']
    """

    def __init__(self, shards: ShardSet) -> None:
        if shards.kind != "text":
            raise ConfigError(f"shards of {shards.kind} arrived; expected text")
        self.shards = shards
        self.source = shards.storage.address

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        """Yield the texts in pieces."""
        column = self.shards.manifest.column
        for number, row in enumerate(self.shards, 1):
            text = row[column]
            if text is None:
                continue
            if on_bytes is not None:
                on_bytes(len(text.encode()))
            *more, last = whole(text, Place(self.source, row=number))
            yield from more
            yield last._replace(ends=bool(row.get("ends", True)))

    def fingerprint(self) -> str:
        """Return a digest of the shards."""
        return self.shards.fingerprint()

    @property
    def size(self) -> int | None:
        """The number of bytes of the texts, where the manifest has it."""
        return self.shards.manifest.text_bytes
