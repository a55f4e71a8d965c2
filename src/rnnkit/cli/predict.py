"""``rnnkit predict``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import recipes
from ..errors import ConfigError, DataError
from .evaluate import Encoding, RecipeFile, in_encoding
from .output import complain, plain_warnings
from .train import trained_recipe_of


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist, or a saved estimator.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Images (mnist), or files of series as the run was trained on."),
    ],
    recipe: RecipeFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A table to write the answers to: .csv, .json or .parquet; else they are printed."),
    ] = None,
    encoding: Encoding = None,
) -> None:
    """Name what images show (file, class and confidence), or answer for each series of a file (a table)."""
    if recipe is None and _is_saved_alone(run):
        from ..recipes import series

        _tables(partial(series.predict, "auto", run, encoding=encoding), run, files, out)
        return
    chosen = trained_recipe_of(run, recipe)
    if isinstance(chosen, recipes.PredictingTables):
        _tables(partial(chosen.predict, run, **in_encoding(chosen.predict, encoding)), run, files, out)
        return
    if not isinstance(chosen, recipes.Predicting):
        raise ConfigError(f"the recipe of {run} has no predictor(folder), so its model cannot be used on files")
    in_encoding(chosen.predictor, encoding)
    if out is not None:
        _check_out(out, run, files)
    classify = chosen.predictor(run)
    answers: dict[str, list[object]] = {"file": [], "prediction": [], "confidence": []}
    failed = False
    for file in files:
        try:
            label, confidence = classify(file)
        except DataError as error:
            complain(error)
            failed = True
        else:
            for column, value in zip(answers.values(), (str(file), label, confidence), strict=True):
                column.append(value)
            if out is None:
                typer.echo(f"{file}\t{label}\t{confidence:.1%}")
    if out is not None:
        _write(answers, out)
    if failed:
        raise typer.Exit(1)


def _is_saved_alone(run: Path) -> bool:
    """Whether a model lies there without a run's recipe, as the estimators save theirs."""
    from ..recipes.runs import RECIPE
    from ..serialization import model_file

    return not (run / RECIPE).exists() and model_file(run).is_file()


def _tables(predict: Callable[[Path], dict[str, list[Any]]], run: Path, files: list[Path], out: Path | None) -> None:
    from ..recipes.tables import as_text

    if out is not None:
        _check_out(out, run, files)
    with plain_warnings():
        found = [predict(file) for file in files]
    answers = {name: [value for table in found for value in table[name]] for name in found[0]}
    if len(files) > 1:
        names: list[object] = [str(file) for file, table in zip(files, found, strict=True) for _ in table["prediction"]]
        answers = {"file": names, **answers}
    if out is not None:
        _write(answers, out)
    for line in as_text(answers) if out is None else ():
        typer.echo(line)


def _check_out(out: Path, run: Path, files: list[Path]) -> None:
    """Refuses a name that no table can have, and those of files that the command reads."""
    from ..recipes.tables import check_suffix

    check_suffix(out)
    for file in files:
        if out.exists() and file.exists() and (out.samefile(file) or file.resolve() in out.resolve().parents):
            raise ConfigError(f"--out {out} is data to predict on; name another file")
    if run.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigError(f"--out {out} lies in the run's folder {run}; name a file elsewhere")


def _write(answers: dict[str, list[object]], out: Path) -> None:
    from ..recipes.tables import write_table

    try:
        write_table(answers, out)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error
    rows = len(next(iter(answers.values())))
    typer.echo(f"Wrote {rows:,} {'row' if rows == 1 else 'rows'} to {out}")
