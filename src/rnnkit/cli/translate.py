"""``rnnkit translate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..runs.settings import override
from . import standard_input
from .answering import (
    BATCH,
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
from .arguments import Device, Encoding, RecipeFile, Run, shorthands, trained_recipe_of
from .misplaced import check_data, check_texts


def translate(
    run: Run,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts to translate; else --data, or standard input, a text a line."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A file of plain text, a text a line; or .csv, .tsv, .jsonl, .json.")
    ] = None,
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
    """Translate texts: an answer a line, printed as soon as it is there."""
    check_texts("translate", run, texts or (), "--data")
    check_data("translate", run, [data], "--data")
    how = Answering(width, max_tokens, length_penalty, coverage_penalty, out, attention)
    how.check()
    if texts and data is not None:
        raise ConfigError(f"{texts[0]!r} and --data {data} arrived; expected one of them")
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("translate", run)
    if not texts and data is None and not standard_input.is_piped():
        raise ConfigError(f'no text arrived; type `rnnkit translate {run} "TEXT"`, or name a file: --data FILE')
    if texts and texts != [str(standard_input.DASH)]:
        known: list[str] | None = texts
    elif data is not None and data != standard_input.DASH:
        known = file_texts(data, encoding, field, chosen)
    else:
        known = list(standard_input.lines(encoding)) if attention is not None else None
    if known is not None:
        how.run(chosen.translator(run), numbered(known), len(known))
    else:
        batch = BATCH if standard_input.is_file() else 1
        how.run(chosen.translator(run), numbered(standard_input.lines(encoding)), None, batch)
