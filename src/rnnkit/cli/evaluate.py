"""``rnnkit evaluate``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..runs.settings import override
from . import standard_input
from .arguments import (
    DataAssignments,
    Device,
    Encoding,
    File,
    RecipeFile,
    Run,
    data_request,
    shorthands,
    trained_recipe_of,
    with_decoding,
    with_target_path_alone,
)
from .misplaced import check_data, check_run
from .output import plain_warnings, report


def evaluate(
    run: Run,
    file: File = None,
    data: Annotated[
        Path | None, typer.Option(help="A file of other rows, with the columns of the training data and the answers.")
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
    set_: DataAssignments = None,
    recipe: RecipeFile = None,
) -> None:
    """Evaluate a run's model on the test set again, or on other data.

    A run that reads text takes standard input as the file -, a text a line: `cat texts.txt | rnnkit evaluate RUN -`.
    """
    check_run("evaluate", run, (file, data))
    check_data("evaluate", run, (file, data))
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("evaluate", run)
    chosen, others = with_decoding(chosen, set_)
    request = with_target_path_alone(data_request(file, data, encoding), chosen, others)
    with ExitStack() as stack:
        if request is not None and request.path == standard_input.DASH:
            standard_input.check_reads_text(run, chosen)
            arrived = stack.enter_context(standard_input.as_file())
            request = replace(request, path=arrived, encoding=standard_input.encoding_of(arrived, encoding))
        stack.enter_context(plain_warnings())
        report(chosen.evaluate(run, request))
