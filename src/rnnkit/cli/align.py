"""``rnnkit align``: when the words of a known text are said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, DataError
from ..recipes.interface import DataRequest
from ..runs.settings import override
from .arguments import Device, RecipeFile, Run, shorthands, trained_recipe_of
from .misplaced import check_data, check_run
from .output import complain, plain_warnings
from .predict import check_out, write_answers

_LABELS = {".txt": "labels for Audacity"}
_COLUMNS = ("file", "start", "end", "word", "confidence")


def align(
    run: Run,
    file: Annotated[str | None, typer.Argument(metavar="FILE", path_type=str, help="Same as --data FILE.")] = None,
    text: Annotated[
        str | None, typer.Argument(help="What is said in the file; else it stands in FILE.txt beside it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A sound file; or a folder or table of recordings with their texts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a recording.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="A table of the words (.csv, .json, .parquet), or labels for Audacity (.txt).")
    ] = None,
    device: Device = None,
    recipe: RecipeFile = None,
) -> None:
    """Print when each word of a known text is said: `rnnkit align RUN talk.wav "good morning"`.

    A line a word: start and end in seconds, the word, and the probability that the network gave it.
    """
    sound, text = _sound_and_text(run, file, text, data)
    check_run("align", run, [sound])
    check_data("align", run, [] if sound.is_dir() else [sound])
    if as_json and out is not None:
        raise ConfigError(f"--json and --out {out} arrived; expected one of them")
    check_out(out, run, [sound], _LABELS)
    given = _text_of(run, sound, text)
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("align", run)
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    failed = False
    with plain_warnings():
        for name, found in chosen.aligner(run)(DataRequest(sound), given):
            if isinstance(found, DataError):
                complain(found)
                failed = True
            elif as_json:
                typer.echo(json.dumps({"file": name, **found.to_json()}, ensure_ascii=False))
            else:
                for word in found.words:
                    values = (name, round(word.start, 3), round(word.end, 3), word.text, round(word.confidence, 4))
                    for column, value in zip(_COLUMNS, values, strict=True):
                        rows[column].append(value)
                    if out is None:
                        typer.echo("\t".join(map(str, values if given is None else values[1:])))
    if out is not None and rows["file"]:
        _write(rows, out)
    if failed:
        raise typer.Exit(1)


def _sound_and_text(run: Path, file: str | None, text: str | None, data: Path | None) -> tuple[Path, str | None]:
    """Return the recordings, which are named by position or by --data, and the text, which stands after them.

    Raises:
        ConfigError: none are named, or some in each way.
    """
    from ..data.audio.sound_files import SUFFIXES

    if data is None:
        if file is None:
            raise ConfigError(f'no file arrived; type `rnnkit align {run} FILE.wav "WHAT IS SAID"`')
        return Path(file), text
    if text is not None or (file is not None and file.lower().endswith(tuple(SUFFIXES))):
        raise ConfigError(f"{file} and --data {data} arrived; expected one of them, they mean the same")
    return data, file


def _text_of(run: Path, sound: Path, text: str | None) -> str | None:
    """Return the text of a sound file; None where recordings with their texts arrived.

    Raises:
        ConfigError: a sound file has none, or recordings have theirs and one arrived.
    """
    from ..data.audio.sound_files import SUFFIXES

    if sound.suffix.lower() not in SUFFIXES or sound.is_dir():
        if text is not None:
            raise ConfigError(
                f"the text {text!r} arrived for {sound}, which is no sound file; leave the text out: recordings have "
                "theirs beside them"
            )
        return None
    if text is not None:
        return text
    beside = sound.with_suffix(".txt")
    if not beside.is_file():
        raise ConfigError(
            f'no text arrived, and there is no {beside}; type `rnnkit align {run} {sound} "WHAT IS SAID"`'
        )
    return beside.read_text(encoding="utf-8-sig", errors="replace")


def _write(rows: dict[str, list[Any]], out: Path) -> None:
    """Write the words as a table, or those of one recording as labels."""
    if out.suffix.lower() not in _LABELS:
        write_answers(rows, out)
        return
    from ..data.audio.speech_segments import write_labels

    if len(set(rows["file"])) > 1:
        raise ConfigError(f"--out {out} holds the labels of one recording; name one, or a table such as words.csv")
    try:
        write_labels(out, zip(rows["start"], rows["end"], strict=True), rows["word"])
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error
    typer.echo(f"Wrote {out}")
