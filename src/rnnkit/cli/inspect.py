"""``rnnkit inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..recipes import DataRequest, InspectionData, is_known
from ..runs.files import REPORT_PAGE
from .arguments import (
    DataAssignments,
    Encoding,
    File,
    RecipeFile,
    data_request,
    recipe_of,
    with_target_path_alone,
)
from .misplaced import check_data, check_run, run_of
from .output import plain_warnings

INSPECTION = "inspection.html"  # where the run has a page of its own


def inspect(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist, or a saved model.")],
    file: File = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Rows to measure on, if not the run's own; for a saved model an .npz with x and y."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page to write; else report.html beside the model (inspection.html if the run has its own)."
        ),
    ] = None,
    recipe: RecipeFile = None,
    rows: Annotated[int, typer.Option(help="How many rows to look at.")] = 64,
    encoding: Encoding = None,
    set_: DataAssignments = None,
) -> None:
    """Look into a trained network: what is wrong, what usually helps, and a page of pictures."""
    from ..recipes.quantizing import refuse_quantized_run
    from ..runs.folders import check_model
    from ..runs.stored import read_history, read_training

    if out is not None and out.suffix not in (".html", ".htm"):
        raise ConfigError(f"--out {out} arrived; expected the name of a page, such as report.html")
    check_run("inspect", run, (file, data), models=True)
    check_data("inspect", run, (file, data))
    check_model(run)
    request = data_request(file, data, encoding)
    folder = run if run.is_dir() else run.parent
    with plain_warnings():
        measured = _inspection_data(run, request, recipe, set_)
        refuse_quantized_run(run, measured.model, "be inspected", "rnnkit inspect {}")

        from ..diagnostics import diagnose
        from ..diagnostics.page import write_page

        of_run = run.is_dir()
        found = diagnose(
            measured.model, measured.inputs, measured.targets, measured.loss, rows=rows,
            records=read_training(folder) if of_run else (),
            history=read_history(folder) if of_run else (),
        )  # fmt: skip
    typer.echo(str(found))
    try:
        with plain_warnings():
            page = write_page(found, _page(folder) if out is None else out, name=str(run))
    except OSError as error:
        raise ConfigError(f"the page cannot be written ({error}); name another place with --out") from error
    typer.echo(f"Page: {page}")


def _page(folder: Path) -> Path:
    """Return the page to write: not that of a run, which the run wrote itself."""
    from ..recipes.text_page import is_run_page

    return folder / (INSPECTION if is_run_page(folder / REPORT_PAGE) else REPORT_PAGE)


def _inspection_data(
    run: Path, data: DataRequest | None, recipe: str | None, assignments: list[str] | None
) -> InspectionData:
    """Return model, inputs, targets and loss: as the run's recipe has them, or the bare model and a file."""
    from ..recipes.inspection import read_npz
    from ..runs.stored import is_run

    chosen = None
    if recipe is not None or is_run(run):
        # A run that was trained from a file needs no recipe, if data comes with it: nothing is executed then.
        bare = recipe is None and data is not None and data.path.suffix == ".npz" and not _known(run)
        chosen = None if bare else recipe_of(run, recipe)
    data = with_target_path_alone(data, chosen, assignments)
    if chosen is not None and "inspect" in chosen.capabilities():
        return chosen.inspection_data(run, data)
    if data is None:
        why = "is a model without a recipe"
        if chosen is not None:
            why = "was trained by a recipe without inspection_data(folder, data)"
        raise ConfigError(f"{run} {why}; add rows to measure on: --data rows.npz with x [N, T, I] and y")
    if data.path.suffix != ".npz":
        folder = run_of(run)
        named = f"name its run: `rnnkit inspect {folder} {data.path}`, or " if folder is not None else ""
        raise ConfigError(
            f"{run} is a model without a recipe, which cannot read {data.path}; {named}pass an .npz file with "
            "x [N, T, I] and y"
        )

    import rnnkit

    return InspectionData(rnnkit.load(run), *read_npz(data.without_encoding()), None)


def _known(run: Path) -> bool:
    from ..runs import read_recipe

    return is_known(read_recipe(run).name)
