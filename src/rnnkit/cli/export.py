"""``rnnkit export``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, MissingExtraError, RnnkitError
from ..recipes import DataRequest, Recipe, is_known
from .arguments import Encoding, File, RecipeFile, data_request, recipe_of
from .misplaced import check_data, check_run
from .output import plain_warnings, warn


def complete_format(incomplete: str) -> list[str]:
    """Return the formats whose names begin with what was typed."""
    from ..interop.formats import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist, or a saved model.")],
    to: Annotated[
        str, typer.Option(metavar="FORMAT", autocompletion=complete_format, help="The format: onnx or keras.")
    ],
    file: File = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; else model with its suffix in the folder.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare with rnnkit in ONNX Runtime: several lengths and batches, whole and in chunks."
        ),
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights in 8 bits: a quarter of the size; size, time and loss are told.")
    ] = False,
    portable: Annotated[
        bool, typer.Option("--portable", help="With --int8: ONNX's own operators alone, for other runtimes.")
    ] = False,
    bits: Annotated[
        int | None,
        typer.Option(help="With --int8: 8, or 7 for x86 processors without VNNI; else what this processor needs."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="With --int8: rows to compare the files on, if not the run's own; .npz for a saved model."),
    ] = None,
    encoding: Encoding = None,
    whole: Annotated[bool, typer.Option("--whole", help="Without states: each call reads whole sequences.")] = False,
    recipe: RecipeFile = None,
) -> None:
    """Write a trained model for other programs, with a description in JSON beside it."""
    from ..interop.formats import Request, find_format
    from ..recipes.quantizing import refuse_quantized_run
    from ..runs.folders import check_model

    chosen_format = find_format(to)
    verb = f"export --to {to}"
    check_run(verb, run, (file, data), models=True, options=("--int8", "--data"))
    check_data(verb, run, (file, data), "--data")
    if file is not None and file.suffix == chosen_format.suffix:
        raise ConfigError(f"{file} arrived, and a file behind the run is one of rows; to write there type --out {file}")
    rows = data_request(file, data, encoding)
    if rows is not None and not int8:
        raise ConfigError(f"--data {rows.path} arrived without --int8, which compares files on rows: add --int8")
    chosen = _recipe_of(run, recipe)
    check_model(run, *(() if chosen is None else (chosen.model_file,)))
    if chosen is not None and chosen.model_file != Recipe.model_file:
        raise ConfigError(
            f"{run} is a run of {type(chosen).__name__}, whose model {chosen.model_file} is no network; expected a run "
            "of a recurrent network"
        )
    options = {"check": check, "int8": int8, "portable": portable, "bits": bits, "whole": whole}
    path = (run if run.is_dir() else run.parent) / f"model{chosen_format.suffix}" if out is None else out

    chosen_format.check_place(path)

    import rnnkit

    with plain_warnings():
        model = rnnkit.load(run)
        refuse_quantized_run(run, model, "be exported", f"rnnkit export {{}} --to {to}")
        request = Request(_description(run, chosen), options, _rows(run, chosen, model, rows))
        report = chosen_format.write(model, path, request)
    for line in report.lines:
        typer.echo(line)
    for file in report.files:
        typer.echo(f"Written: {file} ({_size(file)})")


def _recipe_of(run: Path, recipe: str | None) -> Recipe | None:
    """The recipe of a run; None for a saved model, and for a run of a recipe that is not at hand."""
    from ..runs import read_recipe
    from ..runs.stored import is_run

    if recipe is None and (not is_run(run) or not is_known(read_recipe(run).name)):
        return None
    return recipe_of(run, recipe)


def _description(run: Path, recipe: Recipe | None) -> dict[str, Any]:
    """What is known of the run: recipe, settings, and what its model file stores of the preprocessing."""
    from ..runs import read_recipe
    from ..runs.stored import is_run
    from ..serialization import read_config

    found: dict[str, Any] = {}
    if is_run(run):
        stored = read_recipe(run)
        found |= {"recipe": stored.name, "settings": stored.settings}
    preprocessing = dict(read_config(run).get("extra") or {})
    if isinstance(tokenizer := preprocessing.get("tokenizer"), dict):
        from ..data.text.tokenizer import Tokenizer

        try:
            found["vocabulary"] = list(Tokenizer.from_dict(tokenizer).tokens)
        except MissingExtraError as error:  # the model is none the worse for it
            warn(f"the description has no vocabulary: {error}")
    if recipe is not None:
        preprocessing |= recipe.describe_input()
    return {**found, "preprocessing": preprocessing}


def _rows(run: Path, recipe: Recipe | None, model: Any, data: DataRequest | None) -> Any:
    """What returns rows to measure on: those of a file, or the run's own; None where there are none."""
    if recipe is None or "inspect" not in recipe.capabilities():
        return None if data is None else partial(_of_arrays, run, data)

    def rows() -> tuple[Any, Any, Any, str] | None:
        try:
            found = recipe.inspection_data(run, data)
        except RnnkitError as error:
            if data is not None:
                raise
            warn(f"the files are not compared on rows with known answers: {error}")
            return None
        same = type(found.model) is type(model) and found.targets is not None
        which = found.rows or "rows of the run's own" if data is None else str(data.path)
        return (found.inputs, found.targets, found.loss, which) if same else None

    return rows


def _of_arrays(run: Path, data: DataRequest) -> tuple[Any, Any, None, str]:
    """The rows of an .npz file, for a model without a recipe."""
    from ..recipes.inspection import read_npz

    if data.path.suffix != ".npz":
        raise ConfigError(f"{run} is a model without a recipe; pass --data rows.npz with x [N, T, I] and y")
    return (*read_npz(data.without_encoding()), None, str(data.path))


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
