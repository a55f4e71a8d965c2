"""Makes shards: source files to Parquet, by several processes; interrupted making resumes where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy, check_choice, check_path, check_whole
from ...serialization import remove_leftovers
from ..text.files import Paths, check_reading, check_use, format_of
from ..text.texts import UNITS, Piece
from ..text.tokenizer import Tokenizer
from .addresses import Storage, is_address
from .manifest import MAKING, TOKENIZER, Manifest
from .portions import Portion, Span, check_unchanged, divide, find_sources, format_of_sources, marks_of
from .rows import Reading
from .unfinished import alone_in, begin, made_of, note, nothing_left_where_refused, open_journal
from .writing import Layout, ShardWriter, no_rows, text_rows

TOKENIZERS = ("char", "byte", "word", "bpe", "unigram")
_SIZE = 64 << 20
_FORM = 1  # of what is made; another number where the same source gives other shards


@dataclass(frozen=True)
class Job:
    """What each process needs to know.

    Attributes:
        out: the folder of the shards.
        reading: how the source is read.
        layout: of the shards.
        portions: of the source.
        tokenizer: whether the folder of the making holds a tokenizer.
        separators: whether the token `end` follows each text.
        size: bytes of a shard's content.
    """

    out: Path
    reading: Reading
    layout: Layout
    portions: tuple[Portion, ...]
    tokenizer: bool
    separators: bool
    size: int

    def journal(self, portion: Portion) -> Path:
        """Return the file that says which shards of a portion are made."""
        return self.out / MAKING / f"{portion.number:05d}.jsonl"


def make_shards(
    source: Paths,
    out: str | os.PathLike[str],
    *,
    kind: Literal["text", "series", "audio"] | None = None,
    tokens: Literal["char", "byte", "word", "bpe", "unigram"] | None = None,
    vocabulary_size: int | None = None,
    minimum_count: int | None = None,
    lowercase: bool = False,
    tokenizer: Tokenizer | str | os.PathLike[str] | None = None,
    separators: bool = True,
    field: str | int | None = None,
    unit: Literal["file", "line", "paragraph"] | None = None,
    format: Literal["txt", "jsonl", "json", "csv", "tsv", "parquet", "tar"] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
    empty: Literal["error", "skip"] = "error",
    reading: Mapping[str, Any] | None = None,
    processes: int = 1,
    shard_bytes: int = _SIZE,
    level: int = 9,
    overwrite: bool = False,
) -> Manifest:
    """Make shards of texts, series or recordings: Parquet files compressed by zstd, and a manifest beside them.

    ==========================  =====================================================================================
    ``.txt .jsonl .json``       texts, also packed (``.gz``), and folders of them, as `rnnkit.data.read_texts` reads
    ``.csv .tsv``               them; with ``kind="series"`` a table of series, as `rnnkit.data.read_series` reads it
    ``.parquet``                a column of text
    ``.tar .tar.gz .tgz``       samples of webdataset: the member ``.txt``, or a field of ``.json``; with
                                ``kind="audio"`` the sound, with ``.cls`` as its label and ``.txt`` as its text
    ``.wav .flac`` …            recordings, of which the folder is the label
    ==========================  =====================================================================================

    The source is divided into portions of about `shard_bytes`: small files together, large files of plain lines and
    Parquet files in parts. Each process takes the next portion and writes its shards. The shards do not depend on the
    number of processes. Each shard gets its name once it is whole. A making that was interrupted resumes when it is
    called again with the same arguments: shards that are there already are kept.

    ========  ===========================================================
    text      `text` (string), `ends` (bool): whether the text ends with the row; a long text has several rows
    tokens    `tokens` (list of uint16 or uint32)
    series    `values` (list of [C] float32), `id`, `label` (string) or `target` (float64)
    audio     `samples` (list of int16, one channel), `rate`, `id`, `label`, `text`
    ========  ===========================================================

    Args:
        source: a file, a folder, or several of them, on this machine.
        out: the folder of the shards: new, empty, or that of an interrupted making.
        kind: what the rows are. None: recordings of sound files, else texts.
        tokens: makes a tokenizer of all texts, as `train_tokenizer` does, and writes tokens.
        vocabulary_size, minimum_count, lowercase: of that tokenizer, see `train_tokenizer`.
        tokenizer: one that is there already, or its file; writes tokens.
        separators: whether the token `end` follows each text.
        field, unit, format, encoding, delimiter, header, quotes, empty: of texts, see `read_texts`.
        reading: of series, the arguments of `read_series`.
        processes: their number. With more than one, a script has to guard its calls by ``if __name__ == "__main__":``.
        shard_bytes: the content of a shard, about.
        level: of zstd, 1 to 22: higher is smaller, and slower to make; the speed of reading stays.
        overwrite: whether shards that are in the folder already are removed first.

    Returns:
        The manifest.

    Raises:
        DataError: the source cannot be read; the folder holds other files, or shards of another source or settings.
        ConfigError: arguments that do not belong together.
        OSError: the disk is full. What was made stays, and the next call resumes.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.jsonl").write_text('{"text": "to be"}\\n{"text": "or not"}\\n')
        >>> manifest = make_shards(folder / "a.jsonl", folder / "shards", tokens="char")
        >>> manifest.rows, manifest.tokens, [one.name for one in manifest.shards]
        (2, 13, ['shard-00000.parquet'])
    """
    given = {
        "field": field, "unit": unit, "encoding": encoding, "delimiter": delimiter, "header": header,
        "quotes": quotes, "empty": None if empty == "error" else empty,
    }  # fmt: skip
    asked = {"vocabulary_size": vocabulary_size, "minimum_count": minimum_count, "lowercase": lowercase or None}
    vocabulary = {name: one for name, one in asked.items() if one is not None}
    _check(kind, tokens, vocabulary, tokenizer, processes, shard_bytes, level, unit, format, separators, given)
    check_path(out, "out")
    folder = Path(out)
    named = [str(source)] if isinstance(source, str | os.PathLike) else [str(one) for one in source]
    for one in named:
        check_path(one, "source")
    if not named:
        raise DataError("no source arrived; expected at least one path")
    if is_address(out):
        raise ConfigError.of("out", str(out), "expected a folder of this machine: copy the shards when they are made")
    if kind == "series":
        files, found = [Path(one) for one in named], "series"
        missing = next((one for one in files if not one.exists()), None)
        if missing is not None:
            raise DataError("there is no such file or folder", Place(str(missing)))
        portions = [_whole(number, one) for number, one in enumerate(files)]
    else:
        found, files = format_of_sources(find_sources(source, folder), format)
        if (kind == "text" and found == "audio") or (kind == "audio" and found not in ("audio", "tar")):
            raise ConfigError.of("kind", kind, f"the source holds files of {found}")
        kind = kind or ("audio" if found == "audio" else "text")
        kinds = {format or format_of(file) or "txt" for file in files} if found == "text" else set()
        if kinds and "txt" not in kinds:
            check_use(min(kinds), unit=unit)
        lines = bool(kinds) and kinds <= {"txt", "jsonl"} and unit != "paragraph"  # they can be cut at any line
        portions = divide(files, found, shard_bytes, lines=lines, encoding=encoding)
    if kind != "text":
        _refuse({**given, "tokens": tokens, "tokenizer": tokenizer}, f"shards of {kind}")
    options = dict(reading or {}) if kind == "series" else {name: one for name, one in given.items() if one is not None}
    how = Reading(kind, found, format if format not in ("parquet", "tar") else None, options, len(files) > 1)
    settings = {
        "kind": kind, "tokens": tokens, "vocabulary_size": None, **vocabulary, "separators": separators,
        "reading": {**options, **({"format": format} if format else {})}, "shard_bytes": shard_bytes, "level": level,
        "tokenizer": _named(tokenizer),
    }  # fmt: skip
    marks = marks_of(portions, folder)
    digest = _digest(portions, marks, settings)
    begun = time.monotonic()
    with alone_in(folder), nothing_left_where_refused(folder):
        if (done := begin(folder, digest, overwrite)) is not None:
            return done
        chosen = _tokenizer(folder, files, how, tokens, vocabulary, tokenizer, separators)
        layout = _layout(how, portions, chosen, level)
        job = Job(folder, how, layout, tuple(portions), chosen is not None, separators, 2 * shard_bytes)
        from .processes import run

        run(job, processes)
        check_unchanged(portions, folder, marks)
        shards = tuple(shard for portion in portions for shard in made_of(job.journal(portion)).shards)
        if not shards:
            shutil.rmtree(folder / MAKING)
            raise no_rows(", ".join(named))
        details: dict[str, Any] = {"channels": list(layout.channels)} if kind == "series" else {}
        made = {
            "by": f"rnnkit {version('rnnkit')}", "form": _FORM, "digest": digest, "source": named, "files": len(files),
            "settings": {name: one for name, one in settings.items() if one is not None},
            "processes": processes, "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        manifest = Manifest(
            layout.kind, layout.column, layout.fields(), shards, details,
            None if chosen is None else chosen.fingerprint(), made,
        )  # fmt: skip
        if chosen is not None:
            os.replace(folder / MAKING / TOKENIZER, folder / TOKENIZER)
        manifest.write(Storage(str(folder)))
        shutil.rmtree(folder / MAKING, ignore_errors=True)
        return manifest


def make_portion(job: Job, portion: Portion, tokenizer: Tokenizer | None) -> None:
    """Make the shards of one portion that are not there yet."""
    journal = job.journal(portion)
    with open_journal(journal) as file:
        made = made_of(journal)
        if made.ended:
            return
        stem = f"shard-{portion.number:05d}"
        remove_leftovers(job.out / f"{stem}.parquet")
        rows = islice(job.reading.rows(portion), made.taken, None)
        if job.reading.kind == "text":
            pieces: Iterator[Piece] = rows
            chunks = text_rows(pieces, tokenizer, separators=job.separators)
        else:
            chunks = (([_fitted(row, job.layout, portion)], 1) for row in rows)
        writer = ShardWriter(job.out, stem, job.layout, job.size, len(made.shards))
        for shard, count in writer.write(chunks):
            note(file, {"shard": asdict(shard), "rows": count})
        note(file, {"done": True})


def _fitted(row: dict[str, Any], layout: Layout, portion: Portion) -> dict[str, Any]:
    """Check that a row of series has the channels of the others."""
    if layout.kind == "series" and tuple(row["channels"]) != layout.channels:
        arrived, expected = (", ".join(one) for one in (row["channels"], layout.channels))
        problem = f"series {row['id']} has the channels {arrived}; expected {expected}"
        raise DataError(problem, Place(portion.spans[0].path))
    return row


def _check(
    kind: Any, tokens: Any, vocabulary: dict[str, Any], tokenizer: Any, processes: Any, shard_bytes: Any, level: Any,
    unit: Any, format: Any, separators: bool, given: dict[str, Any],
) -> None:  # fmt: skip
    check_choice(kind, "kind", ("text", "series", "audio", None))
    check_choice(tokens, "tokens", (*TOKENIZERS, None))
    check_choice(unit, "unit", (*UNITS, None))
    check_whole(processes, "processes")
    check_whole(shard_bytes, "shard_bytes", 1 << 10)
    check_whole(level, "level")
    if level > 22:
        raise ConfigError.of("level", level, "expected a whole number from 1 to 22")
    if tokens is not None and tokenizer is not None:
        raise ConfigError.of("tokens", tokens, "leave it out: a tokenizer is given")
    if tokens is None:
        for name, value in vocabulary.items():
            if tokenizer is not None:
                raise ConfigError.of(name, value, "leave it out: a tokenizer is given")
            usual = "bpe" if name == "vocabulary_size" else "word"
            raise ConfigError.of(name, value, "it is of a tokenizer that is made", Remedy("tokens", usual))
        if tokenizer is None and not separators:
            raise ConfigError.of("separators", separators, "leave it out: texts are written as they are, no tokens")
    check_choice(format, "format", ("txt", "jsonl", "json", "csv", "tsv", "parquet", "tar", None))
    reading = {name: one for name, one in given.items() if name not in ("field", "unit")}
    check_reading(**{**reading, "empty": reading["empty"] or "error"})


def _refuse(given: dict[str, Any], what: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigError.of(name, value, f"leave it out: {what} have no use for it")


def _whole(number: int, path: Path) -> Portion:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return Portion(number, (Span(str(path)),), sum(one.stat().st_size for one in files))


def _named(tokenizer: Any) -> str | None:
    if tokenizer is None:
        return None
    found = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer.open(tokenizer)
    return found.fingerprint()


def _digest(portions: list[Portion], marks: dict[str, Any], settings: dict[str, Any]) -> str:
    """What an interrupted making must share with the one that resumes it."""
    known = [_FORM, [asdict(one) for one in portions], marks, settings]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def _tokenizer(
    folder: Path, files: list[Path], reading: Reading, tokens: Any, vocabulary: Any, given: Any, separators: bool
) -> Tokenizer | None:
    """The tokenizer that was given, or that is made of the texts; it is stored with what is being made."""
    if tokens is None and given is None:
        return None
    file = folder / MAKING / TOKENIZER
    if file.is_file():
        return Tokenizer.open(file)
    if given is not None:
        found = given if isinstance(given, Tokenizer) else Tokenizer.open(given)
    else:
        from ..text.train import train_tokenizer

        known = {"size" if name == "vocabulary_size" else name: one for name, one in vocabulary.items()}
        found = train_tokenizer(tokens, _all_texts(files, reading), **known)
    if separators and found.end is None:
        problem = "the tokenizer has no token that ends a text"
        raise ConfigError(problem, remedy=Remedy("separators", False, "to put nothing between texts"))
    found.save(file)
    return found


def _all_texts(files: list[Path], reading: Reading) -> Iterator[tuple[str, Place]]:
    for number, file in enumerate(files):
        for piece in reading.rows(_whole(number, file)):
            yield piece.text, piece.place


def _layout(reading: Reading, portions: list[Portion], tokenizer: Tokenizer | None, level: int) -> Layout:
    if reading.kind == "series":
        first = next(reading.rows(portions[0]), None)
        if first is None:
            raise no_rows(portions[0].spans[0].path)
        target = next((name for name in ("label", "target") if name in first), None)
        return Layout("series", channels=tuple(first["channels"]), target=target, level=level)
    if tokenizer is not None:
        limit = np.iinfo(np.uint16).max
        return Layout("tokens", dtype="uint16" if len(tokenizer) <= limit + 1 else "uint32", level=level)
    return Layout(reading.kind, level=level)
