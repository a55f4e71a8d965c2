"""``rnnkit shards make | inspect | verify``."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, DataError
from .command import WORDS, Verb, Verbs
from .output import INTERRUPTED, Options, in_options, plain_warnings

app = typer.Typer(
    cls=Verbs,
    help="Data of any size as compressed Parquet files: make them, look at them, check them.",
    no_args_is_help=True,
)

_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
# Arguments of `make_shards` that are options here.
_OPTIONS = (
    "kind", "tokens", "vocabulary_size", "minimum_count", "lowercase", "tokenizer", "separators", "field", "unit",
    "format", "encoding", "delimiter", "header", "quotes", "empty", "processes", "shard_bytes", "level", "overwrite",
    "target_column", "targets",
)  # fmt: skip
_NAMES = {
    "vocabulary_size": "size",
    "minimum_count": "minimum-count",
    "shard_bytes": "shard-size",
    "target_column": "label",
}

Address = Annotated[str, typer.Argument(help="A folder of shards, a .parquet file, or an address such as s3://...")]


class _Words(Options):
    """How errors name the options of `shards make`."""

    def assignment(self, argument: str, value: Any) -> str:
        if argument in ("overwrite", "separators", "header", "quotes", "lowercase") and isinstance(value, bool):
            return f"--{'' if value else 'no-'}{argument}"
        if argument == "targets" and value is None:
            return "--unlabelled"
        if argument == "targets":
            return "--numbers"
        return super().assignment(_NAMES.get(argument, argument), value)


@app.command("make", cls=Verb)
def make(
    ctx: typer.Context,
    source: Annotated[list[Path], typer.Argument(help="Files or folders to make shards of.")],
    out: Annotated[Path, typer.Option(help="The folder of the shards: new, or that of an interrupted making.")],
    kind: Annotated[str | None, typer.Option(help="text, series or audio; else as the files' suffixes say.")] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="Make a tokenizer of the texts and write tokens: char, byte, word, bpe or unigram."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Of that tokenizer: the largest number of tokens.")] = None,
    minimum_count: Annotated[
        int | None, typer.Option(help="Of that tokenizer: how often a character or word must occur to be a token.")
    ] = None,
    lowercase: Annotated[
        bool, typer.Option("--lowercase", help="Of that tokenizer: write texts in small letters first.")
    ] = False,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Write tokens by this tokenizer, a .json of rnnkit or a .model of sentencepiece."),
    ] = None,
    separators: Annotated[bool, typer.Option(help="Whether a token ends each text.")] = True,
    field: Annotated[
        str | None, typer.Option(help="The column or field with the text; of tar files the member, such as txt.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="What is a text of .txt files: file, line or paragraph.")] = None,
    format: Annotated[
        str | None, typer.Option(help="txt, jsonl, json, csv, tsv, parquet or tar, where the suffix does not say it.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the texts, such as gb18030.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of tables: the character between cells.")] = None,
    header: Annotated[bool | None, typer.Option(help="Of tables: whether the first line names the columns.")] = None,
    quotes: Annotated[bool | None, typer.Option(help="Of tables: whether quotation marks enclose cells.")] = None,
    empty: Annotated[str, typer.Option(help="What becomes of empty files, fields and cells: error or skip.")] = "error",
    label: Annotated[str | None, typer.Option(help="Of series: the column with the label or target.")] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="Of series: the targets are numbers, no labels.")] = False,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Of series: there are no labels.")] = False,
    id: Annotated[str | None, typer.Option(help="Of series: the column that names the series.")] = None,
    time: Annotated[str | None, typer.Option(help="Of series: the column with the time.")] = None,
    processes: Annotated[int | None, typer.Option(help="Processes that work; else one for each core.")] = None,
    shard_size: Annotated[str, typer.Option(help="Content of a shard, such as 64MB.")] = "64MB",
    level: Annotated[int, typer.Option(help="Of the compression by zstd, 1 to 22.")] = 9,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove shards that are in the folder first.")] = False,
) -> None:
    """Make shards of texts, series or recordings; a making that was interrupted goes on where it was.

    Texts are .txt, .jsonl, .json, .csv, .tsv (also .gz), a column of .parquet, or webdataset's .tar. With --tokens or
    --tokenizer the shards hold tokens, for `rnnkit train lm --set data.shards=DIR`.
    """
    from ..data import shards
    from ..ops.machine import usable_cores

    if unlabelled and (numbers or label is not None):
        raise ConfigError("--unlabelled and a label arrived; expected one of them")
    reading: dict[str, Any] = {"target_column": label, "id_column": id, "time_column": time}
    reading = {name: value for name, value in reading.items() if value is not None}
    if numbers or unlabelled:
        reading["targets"] = "numbers" if numbers else None
    if reading and kind != "series":
        raise ConfigError("options of series arrived; add --kind series, or leave them out")
    try:
        with plain_warnings():
            manifest = shards.make_shards(
                source,
                out,
                kind=kind,  # type: ignore[arg-type]
                tokens=tokens,  # type: ignore[arg-type]
                vocabulary_size=size,
                minimum_count=minimum_count,
                lowercase=lowercase,
                tokenizer=tokenizer,
                separators=separators,
                field=int(field) if field is not None and field.isdecimal() else field,
                unit=unit,  # type: ignore[arg-type]
                format=format,  # type: ignore[arg-type]
                encoding=encoding,
                delimiter={"tab": "\t", "blank": " "}.get(delimiter or "", delimiter),
                header=header,
                quotes=quotes,
                empty=empty,  # type: ignore[arg-type]
                reading=reading,
                processes=usable_cores() if processes is None else processes,
                shard_bytes=_bytes(shard_size),
                level=level,
                overwrite=overwrite,
            )
    except (DataError, ConfigError) as error:
        raise error.in_words(_Words(*_OPTIONS)) from error
    except OSError as error:
        again = _again(ctx.meta.get(WORDS, ()))
        typer.secho(f"Error: {out}: {error.strerror or error}; make room and go on: {again}", fg="red", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        typer.echo(f"Stopped; what was made stays in {out}. To go on: {_again(ctx.meta.get(WORDS, ()))}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for line in _lines(manifest):
        typer.echo(line)
    typer.echo(f"Wrote {out}")


@app.command("inspect", cls=Verb)
def inspect(
    address: Address,
    rows: Annotated[int, typer.Option(help="Rows that are shown.")] = 3,
    column: Annotated[str | None, typer.Option(help="Of files of others: the column with the text or tokens.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Show what shards hold: schema, counts, how they were made, and the first rows."""
    from ..data import shards

    if rows < 0:
        raise ConfigError(f"--rows {rows} arrived; expected a number of at least 0")
    with plain_warnings(), in_options("column"):
        found = shards.ShardSet.open(address, column=column, damaged="skip")
        if as_json:
            typer.echo(json.dumps(found.manifest.to_json(), indent=2, ensure_ascii=False))
            return
        for line in _lines(found.manifest):
            typer.echo(line)
        tokenizer = found.tokenizer() if found.manifest.tokenizer is not None else None
        for number, row in zip(range(rows), found, strict=False):
            typer.echo(f"row {number + 1}: {_shown(row, found.manifest.column, tokenizer)}")


@app.command("verify", cls=Verb)
def verify(
    address: Address,
    decode: Annotated[bool, typer.Option(help="Whether each row group is decoded, too.")] = True,
    threads: Annotated[int, typer.Option(help="Shards that are looked at at a time.")] = 2,
) -> None:
    """Compare all shards with their manifest: sizes, hashes, counts; exit code 1 if one differs."""
    from ..data import shards
    from ..data.late_progress import LateProgress
    from ..data.shards.manifest import TOKENIZER

    count = 0

    def seen(shard: Any) -> None:
        nonlocal count
        count += 1
        progress(shard.bytes or 0)

    with in_options("threads"), LateProgress("verifying the shards", "verifying", None) as progress:
        problems = shards.verify_shards(address, decode=decode, threads=threads, on_shard=seen)
    for one in problems:
        typer.secho(f"{one.address}: {one.problem}", fg=typer.colors.RED, err=True)
    if problems:
        damaged = sum(one.name != TOKENIZER for one in problems)
        what = f"{damaged} of {count} shards are damaged" if damaged else "The shards are whole, their tokenizer is not"
        typer.echo(f"{what}; copy them again, or make the shards again", err=True)
        raise typer.Exit(1)
    typer.echo(f"All {count} shards are whole." if count != 1 else "The shard is whole.")


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([KMG]?B?)", text.strip().upper())
    if found is None:
        raise ConfigError(f"--shard-size {text} arrived; expected a size such as 64MB")
    unit = found[2] if found[2].endswith("B") or not found[2] else f"{found[2]}B"
    return int(float(found[1]) * _UNITS[unit])


def _again(typed: Sequence[str]) -> str:
    """Return the command that resumes: what was typed, without what would start again."""
    return shlex.join(["rnnkit", "shards", "make", *(word for word in typed if word != "--overwrite")])


def _lines(manifest: Any) -> list[str]:
    """What a manifest says, for people."""
    count = len(manifest.shards)
    tokens = "" if manifest.tokens is None else f"{_counted(manifest.tokens, 'token')}, "
    size = "" if manifest.bytes is None else f", {_size(manifest.bytes)}"
    lines = [f"{manifest.kind}: {tokens}{_counted(manifest.rows, 'row')} in {_counted(count, 'shard')}{size}"]
    if manifest.text_bytes and manifest.bytes:
        lines.append(
            f"text: {_size(manifest.text_bytes)}; the shards take {manifest.bytes / manifest.text_bytes:.0%} of it"
        )
    shapes = (f"{one.name} {one.dtype}{list(one.shape) if one.shape else ''}" for one in manifest.schema)
    lines.append(f"columns: {', '.join(shapes).replace('None', 'any')}")
    if manifest.labels:
        shown = [f"{label} {number:,}" for label, number in list(manifest.labels.items())[:10]]
        more = len(manifest.labels) - len(shown)
        lines.append(f"labels: {', '.join(shown)}" + (f" and {more} more" if more else ""))
    for name, value in manifest.details.items():
        lines.append(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    if manifest.made.get("source"):
        lines.append(f"made of {', '.join(map(str, manifest.made['source']))} by {manifest.made.get('by')}")
    return lines


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count} bytes"


def _shown(row: dict[str, Any], column: str, tokenizer: Any) -> str:
    if tokenizer is not None:
        text = tokenizer.decode(row[column])
        return f"{len(row[column])} tokens: {text[:100]!r}{'…' if len(text) > 100 else ''}"
    parts = []
    for name, value in row.items():
        if hasattr(value, "shape"):
            parts.append(f"{name} {list(value.shape)} {value.dtype}")
        else:
            text = repr(value)
            parts.append(f"{name}={text[:100]}{'…' if len(text) > 100 else ''}")
    return ", ".join(parts)
