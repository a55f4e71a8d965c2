"""``rnnkit summarize``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..recipes import Recipe
from ..runs.settings import override
from . import standard_input
from .answering import (
    AnswerFile,
    Answering,
    Attention,
    CoveragePenalty,
    LengthPenalty,
    MaxTokens,
    TextField,
    Width,
    file_texts,
    numbered,
)
from .arguments import Device, Encoding, Files, RecipeFile, Run, several_files, shorthands, trained_recipe_of
from .misplaced import check_data, check_run


def summarize(
    run: Run,
    files: Files = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Plain text is one text, .csv, .jsonl and the like have several; may be repeated. Else standard input."
        ),
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Each line is a text.")] = False,
    field: TextField = None,
    width: Width = None,
    max_tokens: MaxTokens = None,
    length_penalty: LengthPenalty = None,
    coverage_penalty: CoveragePenalty = None,
    out: AnswerFile = None,
    attention: Attention = None,
    encoding: Encoding = None,
    device: Device = None,
    recipe: RecipeFile = None,
) -> None:
    """Summarize texts: a summary a line; of several files each has the file's name in front."""
    given = several_files(files, data)
    check_run("summarize", run, given)
    check_data("summarize", run, given)
    how = Answering(width, max_tokens, length_penalty, coverage_penalty, out, attention, named=len(given) > 1)
    how.check()
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("summarize", run)
    if not given and not standard_input.is_piped():
        raise ConfigError(f"no file arrived; name what to summarize: `rnnkit summarize {run} FILE`")
    for path in given:
        if " " in str(path) and not path.exists():
            raise ConfigError(
                f"there is no file {str(path)!r}; to summarize a text type `echo TEXT | rnnkit summarize {run}`"
            )
    paths = given or [standard_input.DASH]
    if lines and paths == [standard_input.DASH] and attention is None:
        arriving = numbered(standard_input.lines(encoding))
        how.run(chosen.summarizer(run), arriving, None, batch=8 if standard_input.is_file() else 1)
        return
    texts = [one for path in paths for one in _texts(path, lines, encoding, field, chosen)]
    how.run(chosen.summarizer(run), texts, len(texts), batch=8)


def _texts(
    path: Path, lines: bool, encoding: str | None, field: str | None, recipe: Recipe
) -> Iterator[tuple[str, str]]:
    """Yield the name and each text of a file; of plain text its lines, or the whole."""
    from ..data.text.files import format_of
    from ..recipes.text_files import in_one_line

    if path == standard_input.DASH:
        found = list(standard_input.lines(encoding))
        if not any(map(str.strip, found)):
            raise standard_input.nothing()
    else:
        found = file_texts(path, encoding, field, recipe)
        lines = lines or format_of(path) not in ("txt", None)
    for text in found if lines else [in_one_line("\n".join(found))]:
        yield str(path), text
