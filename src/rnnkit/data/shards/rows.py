"""The rows of source files: texts in pieces, series, and recordings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy
from ..audio.sound_files import SUFFIXES as SOUNDS
from ..audio.sound_files import open_sound, read_sound
from ..text.decoding import decode_file
from ..text.files import find_files
from ..text.texts import FileTexts, Piece, whole
from ..text.tokenizer import check_text
from .addresses import Storage
from .parquet_files import ShardFile, find_column
from .portions import Portion, Span, webdataset_samples

_TEXTS = ("txt", "text")  # members of a webdataset sample


@dataclass(frozen=True)
class Reading:
    """How source files are read; see `make_shards`.

    Attributes:
        kind: "text", "series" or "audio": what the rows are.
        source: "text", "parquet", "tar", "audio" or "series": what the files are.
        format: of texts.
        options: of `read_texts`: field, unit, encoding, delimiter, header, quotes, empty; of series those of
            `read_series`.
        several: whether the source has several files.
    """

    kind: str
    source: str
    format: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    several: bool = False

    def rows(self, portion: Portion) -> Iterator[Any]:
        """Yield the rows of a portion: `Piece` of texts, dictionaries of series and recordings.

        Raises:
            DataError: a file cannot be read as such.
        """
        for span in portion.spans:
            if self.kind == "text":
                yield from self._texts(span)
            elif self.kind == "series":
                yield from _series(span.path, self.options)
            elif self.source == "tar":
                yield from _tar_recordings(span.path)
            else:
                yield _recording(span.path, Path(span.path))

    def _texts(self, span: Span) -> Iterator[Piece]:
        if self.source == "parquet":
            return self._parquet(span)
        if self.source == "tar":
            return self._tar(span.path)
        files, kind, source = find_files(span.path, self.format)
        given = {name: value for name, value in self.options.items() if value is not None}
        unit = str(given.pop("unit", "file"))
        part = None if span.begin is None else (span.begin, span.end or 0)
        texts = _SpanTexts(files, kind, source, unit=unit, **given, span=part, several=self.several)
        return texts.pieces() if span.last or unit != "file" or kind != "txt" else _unended(texts.pieces())

    def _parquet(self, span: Span) -> Iterator[Piece]:
        file = Path(span.path)
        opened = ShardFile(Storage(str(file.parent)), file.name, None, None)
        try:
            kind, column = find_column(opened.schema, span.path, self.options.get("field"))
        except ConfigError as error:
            raise error.renamed("field") from None
        if kind == "tokens":
            advice = f"train on it as it is: --set data.shards={span.path} --set data.field={column}"
            raise DataError(f"holds tokens already, in the column {column}", Place(span.path), advice)
        if kind != "text":
            listed = ", ".join(opened.schema.names)
            raise DataError(f"has no column of text; it has {listed}", Place(span.path), Remedy("field"))
        last = len(opened.before) - 1 if span.end is None else span.end
        for group in range(span.begin or 0, last):
            row = int(opened.before[group])
            for chunk in opened.read(group, [column]).column(0).chunks:
                for value in chunk.to_pylist():
                    row += 1
                    yield from self._filled(value, Place(span.path, row=row, column=column))
        opened.close()

    def _tar(self, path: str) -> Iterator[Piece]:
        wanted = self.options.get("field")
        for key, members in webdataset_samples(path):
            place = Place(path, part=f"sample {key}")
            name = next((one for one in _TEXTS if one in members), None)
            if wanted is not None and wanted in members:
                name = wanted
            if name is not None and (wanted is None or name == wanted):
                yield from self._filled(_decoded(members[name], place), place)
                continue
            if "json" in members:
                record = _json(members["json"], place)
                found = record.get(wanted or "text")
                if isinstance(found, str):
                    yield from self._filled(found, place)
                    continue
            listed = ", ".join(f".{one}" for one in members)
            raise DataError(f"holds no text; it has {listed}", place, Remedy("field", purpose="with one of them"))

    def _filled(self, text: Any, place: Place) -> Iterator[Piece]:
        empty = self.options.get("empty") or "error"
        if text is None or (isinstance(text, str) and not text.strip()):
            if empty == "error":
                raise DataError("holds no text", place, Remedy("empty", "skip", "to leave such rows out"))
            if empty == "skip":
                return
            text = text or ""
        yield from whole(check_text(text, place), place)


@dataclass(frozen=True, eq=False, repr=False)
class _SpanTexts(FileTexts):
    """The texts of one file, or of a part of it."""

    span: tuple[int, int] | None = None
    several: bool = False  # whether the source has other files, so that this one can be left out

    def pieces(self, on_bytes: Any = None) -> Iterator[Piece]:
        if self.span is None:
            yield from super().pieces(on_bytes)
            return
        file = self.files[0]
        yield from self._file(file, decode_file(file, self.encoding, on_bytes, self.span))

    def _is_empty(self, file: Path) -> DataError:
        error = super()._is_empty(file)
        remedy = Remedy("empty", "skip", "to leave such files out")
        return DataError(error.problem, error.place, remedy) if self.several else error


def _unended(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield pieces of a text that continues in another portion."""
    for piece in pieces:
        yield piece._replace(ends=False)


def _series(path: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from ..reading import read_series

    found = read_series(path, **options)
    for index, values in enumerate(found.values):
        row: dict[str, Any] = {"id": found.ids[index], "values": np.asarray(values, np.float32)}
        if found.targets is not None:
            target = found.targets[index]
            row["label" if isinstance(target, str) else "target"] = target if isinstance(target, str) else float(target)
        yield {**row, "channels": found.channels}


def _recording(source: Any, name: Path, label: str | None = None, text: str | None = None) -> dict[str, Any]:
    """A recording with one channel, its label the folder it lies in."""
    with open_sound(source) as (file, place):
        sound = read_sound(file, place)
        samples = sound.read(0, None)
        rate = sound.info.rate
    if not len(samples):
        raise DataError("the recording has no samples", Place(str(name)), "record it again, or leave it out")
    mono = samples.mean(1) if samples.shape[1] > 1 else samples[:, 0]
    coded = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return {
        "id": name.as_posix(), "samples": coded, "rate": rate,
        "label": name.parent.name if label is None else label, "text": text,
    }  # fmt: skip


def _tar_recordings(path: str) -> Iterator[dict[str, Any]]:
    for key, members in webdataset_samples(path):
        place = Place(path, part=f"sample {key}")
        name = next((one for one in members if f".{one}" in SOUNDS), None)
        if name is None:
            raise DataError(f"holds no sound; it has {', '.join(f'.{one}' for one in members)}", place)
        opened = io.BytesIO(members[name])
        opened.name = f"{path}: {key}.{name}"
        label = _decoded(members["cls"], place).strip() if "cls" in members else ""
        text = next((_decoded(members[one], place).strip() for one in _TEXTS if one in members), None)
        yield _recording(opened, Path(f"{key}.{name}"), label, text)


def _decoded(raw: bytes, place: Place) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"byte 0x{raw[error.start]:02x} is not UTF-8", place) from None


def _json(raw: bytes, place: Place) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DataError(f"its .json is damaged ({error})", place) from None
    if not isinstance(found, dict):
        raise DataError(f"its .json holds a {type(found).__name__}; expected an object", place)
    return found
