"""Rows to Parquet files, compressed by zstd: row groups of limited size, each file whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, Place
from ...serialization import replacing
from ...types import Field
from ..text.texts import Piece
from ..text.tokenizer import Tokenizer, as_ids
from .manifest import Shard
from .parquet_files import need_pyarrow

GROUP_TOKENS = 1 << 16  # of a row group, about; a stream holds one row group in memory
ROW_TOKENS = 1 << 14  # of a row; a longer document has several rows
_GROUP_CHARACTERS = 1 << 20
_GROUP_NUMBERS = 1 << 19  # of series and recordings
_AT_ONCE = 1 << 18  # characters that are tokenised at once


@dataclass(frozen=True)
class Layout:
    """The columns of shards.

    Attributes:
        kind: "text", "tokens", "series" or "audio".
        dtype: of tokens.
        channels: of series, their names.
        target: of series: "label", "target" or None.
        level: of zstd, 1 to 22.
    """

    kind: str
    dtype: str = "uint16"
    channels: tuple[str, ...] = ()
    target: str | None = None
    level: int = 9

    @property
    def column(self) -> str:
        """The column of the inputs."""
        return {"text": "text", "tokens": "tokens", "series": "values", "audio": "samples"}[self.kind]

    def fields(self) -> tuple[Field, ...]:
        """Return the entries of a row."""
        if self.kind == "tokens":
            return (Field("tokens", self.dtype, (None,), "input"),)
        if self.kind == "text":
            return Field("text", "string", (), "input"), Field("ends", "bool", (), "input")
        label = Field("label", "string", (), "target")
        if self.kind == "audio":
            return (
                Field("samples", "int16", (None,), "input"), Field("rate", "int32", (), "input"),
                Field("id", "string", (), "input"), label, Field("text", "string", (), "target"),
            )  # fmt: skip
        values = Field("values", "float32", (None, len(self.channels)), "input")
        more = {"label": (label,), "target": (Field("target", "float64", (), "target"),), None: ()}[self.target]
        return values, Field("id", "string", (), "input"), *more

    def schema(self) -> Any:
        """Return the schema of pyarrow."""
        pa, _ = need_pyarrow()
        entries = []
        for one in self.fields():
            kind = pa.string() if one.dtype == "string" else pa.from_numpy_dtype(np.dtype(one.dtype))
            if one.shape[1:]:
                kind = pa.list_(pa.field("element", kind, nullable=False), one.shape[1])
            if one.shape:
                kind = pa.list_(pa.field("element", kind, nullable=False))
            entries.append(pa.field(one.name, kind, nullable=one.role == "target"))
        return pa.schema(entries, metadata={b"rnnkit": json.dumps({"kind": self.kind}).encode()})

    def table(self, rows: list[dict[str, Any]]) -> Any:
        """Return rows as a table of pyarrow."""
        pa, _ = need_pyarrow()
        schema = self.schema()
        arrays = []
        for entry in schema:
            values: list[Any] = [row.get(entry.name) for row in rows]
            if not pa.types.is_list(entry.type):
                arrays.append(pa.array(values, entry.type))
                continue
            offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
            inner = np.concatenate(values) if values else np.zeros(0)
            element = entry.type.value_type
            if pa.types.is_fixed_size_list(element):
                flat = pa.array(np.ascontiguousarray(inner, np.float32).reshape(-1))
                inner_array = pa.FixedSizeListArray.from_arrays(flat, type=element)
            else:
                inner_array = pa.array(inner).cast(element)
            arrays.append(pa.ListArray.from_arrays(pa.array(offsets), inner_array, type=entry.type))
        return pa.Table.from_arrays(arrays, schema=schema)

    def writer(self, path: Path) -> Any:
        """Open a file for writing."""
        _, pq = need_pyarrow()
        # Bytes of one rank lie side by side: tokens of two bytes take less than half the space of plain numbers.
        split = {"tokens": "tokens.list.element", "audio": "samples.list.element"}.get(self.kind)
        return pq.ParquetWriter(
            path,
            self.schema(),
            compression="zstd",
            compression_level=self.level,
            use_dictionary=["label"] if self.target == "label" or self.kind == "audio" else False,
            column_encoding={split: "BYTE_STREAM_SPLIT"} if split else None,
            write_page_checksum=True,
            write_statistics=True,
        )


def text_rows(
    pieces: Iterator[Piece], tokenizer: Tokenizer | None, *, separators: bool
) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Yield rows of text, or of tokens, and how many pieces of the source they were made of."""
    held: list[Piece] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece.text)
        if size >= _AT_ONCE:
            yield _rows_of(held, tokenizer, separators), len(held)
            held, size = [], 0
    if held:
        yield _rows_of(held, tokenizer, separators), len(held)


def _rows_of(pieces: list[Piece], tokenizer: Tokenizer | None, separators: bool) -> list[dict[str, Any]]:
    """The rows of pieces; "_characters" and "_bytes" are what they were made of."""
    sizes = [(len(piece.text), len(piece.text.encode())) for piece in pieces]
    if tokenizer is None:
        return [
            {"text": piece.text, "ends": piece.ends, "_characters": characters, "_bytes": size}
            for piece, (characters, size) in zip(pieces, sizes, strict=True)
        ]
    end = as_ids([tokenizer.end] if separators else [])
    rows = []
    encoded = tokenizer.encode_many(piece.text for piece in pieces)
    for ids, piece, (characters, size) in zip(encoded, pieces, sizes, strict=True):
        if piece.ends and len(end):
            ids = np.concatenate([ids, end])
        for begin in range(0, max(1, len(ids)), ROW_TOKENS):
            part = ids[begin : begin + ROW_TOKENS]
            first = begin == 0
            rows.append({"tokens": part, "_characters": characters * first, "_bytes": size * first})
    return rows


class ShardWriter:
    """Writes the rows of a portion into one file, or into several where it is large.

    Args:
        folder: of the shards.
        stem: of the files' names.
        layout: of the rows.
        size: bytes of content, after which a row group ends the file.
        begun: how many files there are already.
    """

    def __init__(self, folder: Path, stem: str, layout: Layout, size: int, begun: int = 0) -> None:
        self._folder, self._stem, self._layout, self._size = folder, stem, layout, size
        self._files = begun
        self._rows: list[dict[str, Any]] = []
        self._group = 0

    def write(self, chunks: Iterator[tuple[list[dict[str, Any]], int]]) -> Iterator[tuple[Shard, int]]:
        """Write rows, and yield each file and how many rows of the source it was made of.

        Raises:
            DataError: the rows hold nothing.
            OSError: the disk is full.
        """
        first: tuple[list[dict[str, Any]], int] | None = next(chunks, None)
        while first is not None:
            name = f"{self._stem}.parquet" if not self._files else f"{self._stem}-{self._files}.parquet"
            with replacing(self._folder / name) as temporary:
                counts, taken, first = self._file(temporary, first, chunks)
                with temporary.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = temporary.stat().st_size
                if not counts["rows"]:
                    temporary.unlink()
                    temporary.touch()
            if counts["rows"]:
                yield _shard(name, size, digest, self._layout.kind, counts), taken
                self._files += 1
            else:
                (self._folder / name).unlink()

    def _file(
        self, path: Path, first: tuple[list[dict[str, Any]], int], chunks: Iterator[tuple[list[dict[str, Any]], int]]
    ) -> tuple[dict[str, Any], int, tuple[list[dict[str, Any]], int] | None]:
        """Write one file, and return its counts, and the first rows of the next."""
        counts: dict[str, Any] = {"rows": 0, "tokens": 0, "characters": 0, "text_bytes": 0, "labels": {}}
        content = taken = 0
        chunk: tuple[list[dict[str, Any]], int] | None = first
        with self._layout.writer(path) as writer:
            while chunk is not None and content < self._size:
                rows, of_source = chunk
                taken += of_source
                for row in rows:
                    content += self._add(row, counts, writer)
                chunk = next(chunks, None)
            self._flush(writer)
        return counts, taken, chunk

    def _add(self, row: dict[str, Any], counts: dict[str, Any], writer: Any) -> int:
        """Add a row, and return the bytes of its content."""
        characters, size = row.pop("_characters", 0), row.pop("_bytes", 0)
        counts["characters"] += characters
        counts["text_bytes"] += size
        main = row[self._layout.column]
        if self._layout.kind == "tokens":
            if not len(main):
                return 0  # an empty text has no tokens; an empty list could not be distinguished from a missing one
            counts["tokens"] += len(main)
            weight, room = len(main), GROUP_TOKENS
        elif self._layout.kind == "text":
            weight, room = characters, _GROUP_CHARACTERS
        else:
            weight, room = main.size, _GROUP_NUMBERS
            size = int(main.nbytes)
        counts["rows"] += 1
        label = row.get("label")
        if label is not None:
            counts["labels"][label] = counts["labels"].get(label, 0) + 1
        if self._rows and self._group + weight > room:
            self._flush(writer)
        self._rows.append(row)
        self._group += weight
        return int(size)

    def _flush(self, writer: Any) -> None:
        if self._rows:
            writer.write_table(self._layout.table(self._rows), row_group_size=len(self._rows))
        self._rows, self._group = [], 0


def _shard(name: str, size: int, digest: str, kind: str, counts: dict[str, Any]) -> Shard:
    text = kind in ("text", "tokens")
    return Shard(
        name,
        counts["rows"],
        size,
        digest,
        counts["tokens"] if kind == "tokens" else None,
        counts["characters"] if text else None,
        counts["text_bytes"] if text else None,
        dict(sorted(counts["labels"].items())),
    )


def no_rows(source: str) -> DataError:
    """Return the error about a source without content."""
    return DataError("the source holds no rows; expected at least one", Place(source))
