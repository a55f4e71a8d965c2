"""``rnnkit predict``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, DataError, RnnkitError
from ..recipes import DataRequest, Recipe
from ..recipes.file_run import FileRecipe
from ..recipes.interface import Columns, Predictor
from ..runs.settings import override
from . import standard_input
from .arguments import (
    Decodings,
    Device,
    Encoding,
    Files,
    RecipeFile,
    several_files,
    shorthands,
    trained_recipe_of,
    with_decoding_alone,
)
from .misplaced import check_data, check_no_texts, check_run
from .output import check_overwrites, complain, plain_warnings

Write = Callable[[Columns, Path], None]
_NAMED = 5  # files, at most


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist, or a saved estimator.")],
    files: Files = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Images (mnist), or files of series as the run was trained on; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A table to write the answers to: .csv, .json or .parquet, of vad also .txt; else they are printed. "
            "Of a run that reads pictures or clips also a folder, for answers as JSON and drawn, or the next frames."
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A text, of runs that read text; may be repeated.")
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
    set_: Decodings = None,
    recipe: RecipeFile = None,
) -> None:
    """Name what images show (file, class and confidence), or answer for each series or text of a file (a table).

    A run that reads text takes --text, and standard input, a text a line: `cat texts.txt | rnnkit predict RUN`.
    """
    paths = several_files(files, data)
    check_run("predict", run, paths, models=True)
    check_data("predict", run, paths)
    if paths and text:
        raise ConfigError(f"{paths[0]} and --text {text[0]!r} arrived; expected one of them")
    if not paths and not text and not standard_input.is_piped():
        raise ConfigError(f"no file arrived; name what to predict on: `rnnkit predict {run} FILE`")
    predictor: Predictor
    if recipe is None and _is_saved_alone(run):
        from ..recipes.series import predictor_of

        if set_:
            raise ConfigError(f"--set {set_[0]} arrived, but {run} is no run of a recogniser; leave it out")
        chosen = None
        predictor = predictor_of(run, "auto" if device is None else device)
    else:
        chosen = trained_recipe_of(run, recipe)
        chosen = override(chosen, shorthands(chosen, {"--device": device})).require("predict", run)
        chosen = with_decoding_alone(chosen, set_)
    reads_text = chosen is not None and chosen.reads_text
    if not paths and not text and not reads_text:
        raise ConfigError(f"no file arrived; name what to predict on: `rnnkit predict {run} FILE`")
    if text and not reads_text:
        raise ConfigError(f"--text {text[0]!r} arrived, but {run} reads no plain text; name a file")
    if standard_input.DASH in paths:
        standard_input.check_reads_text(run, chosen)
    if reads_text:
        check_no_texts("predict", run, paths)
    paths = _listed(paths, chosen) or [standard_input.DASH]
    drawn = out is not None and _draws(chosen) and (out.is_dir() or not out.suffix)
    if out is not None and _draws(chosen) and not drawn:
        check_table_or_folder(out)
    if not drawn:
        check_out(out, run, paths, {} if chosen is None else chosen.other_files)
    elif out is not None:
        check_folder(out, run, paths, chosen.noun if isinstance(chosen, FileRecipe) else "file")
    with ExitStack() as stack:
        requests = [DataRequest(path, encoding) for path in paths]
        if standard_input.DASH in paths:
            file = stack.enter_context(standard_input.as_file(text))
            used = standard_input.encoding_of(file, None if text else encoding)
            requests = [DataRequest(file, used) if one.path == standard_input.DASH else one for one in requests]
        if chosen is not None:
            predictor = _predictor(chosen, run, out, drawn)
        each = chosen is not None and chosen.one_answer_a_file
        write: Write = write_answers
        if out is not None and chosen is not None and out.suffix.lower() in chosen.other_files:
            write = _told(chosen.write_answers)
        (_answer_each if each else _answer_all)(predictor, requests, paths, None if drawn else out, write)
    if drawn:
        typer.echo(f"Wrote answers and pictures to {out}")


def _listed(paths: list[Path], recipe: Recipe | None) -> list[Path]:
    """Return files, and in place of each folder the files that it stands for."""
    found: list[Path] = []
    for path in paths:
        inside = recipe.files_in(path) if recipe is not None and path.is_dir() else None
        if inside is not None and not inside:
            raise DataError(f"{path} holds no file that {type(recipe).__name__} reads; name files, or another folder")
        found += [path] if inside is None else inside
    return found


def _predictor(recipe: Recipe, run: Path, out: Path | None, drawn: bool) -> Predictor:
    """Return what answers for a file: printed, as a row of a table, or drawn into a folder."""
    if out is None:
        return recipe.predictor(run)
    return _into_folder(recipe.drawing_predictor(run, out), out) if drawn else recipe.table_predictor(run)


def _into_folder(predictor: Predictor, out: Path) -> Predictor:
    """Return the same function, which says that the folder cannot be written where that is so."""

    def answer(data: DataRequest) -> Columns:
        try:
            return predictor(data)
        except OSError as error:
            if isinstance(error, RnnkitError) or not _belongs_to(out, error.filename):
                raise
            why = error.strerror or error
            raise ConfigError(f"--out {out} cannot be written ({why}); name another folder") from error

    return answer


def _belongs_to(folder: Path, file: str | None) -> bool:
    """Return whether an error that names this file may be of writing into the folder; one that names none may be."""
    if file is None:
        return True
    path = Path(file)
    return path == folder or folder in path.parents or path in folder.parents


def _answer_each(
    predictor: Predictor, requests: list[DataRequest], paths: list[Path], out: Path | None, write: Write
) -> None:
    """Print a line a file as soon as its answer is there, and continue after a file that cannot be read.

    A file without a row in the table, such as a picture in which nothing was found, is named.
    """
    answers: Columns = {}
    failed, without = False, []
    for request, path in zip(requests, paths, strict=True):
        try:
            with plain_warnings():
                answer = {"file": [str(path)], **predictor(request)}
        except DataError as error:
            complain(error)
            failed = True
            continue
        for name, values in answer.items():
            answers.setdefault(name, []).extend(values)
        without += [] if any(answer.values()) else [str(path)]
        if out is None:
            typer.echo("\t".join(_cell(values[0]) for values in answer.values()))
    if out is not None:
        write(answers or {"file": []}, out)
    if without:
        more = f" and {len(without) - _NAMED:,} more" if len(without) > _NAMED else ""
        typer.echo(f"Nothing was found in {len(without):,} of {len(paths):,}: {', '.join(without[:_NAMED])}{more}")
    if failed:
        raise typer.Exit(1)


def _cell(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _answer_all(
    predictor: Predictor, requests: list[DataRequest], paths: list[Path], out: Path | None, write: Write
) -> None:
    """Print or write one table of all files; a file that cannot be read ends the command."""
    from ..runs.tables import as_text

    with plain_warnings():
        found = [predictor(request) for request in requests]
    answers = {name: [value for table in found for value in table[name]] for name in found[0]}
    if len(requests) > 1:
        names: list[object] = [
            str(path) for path, table in zip(paths, found, strict=True) for _ in next(iter(table.values()))
        ]
        answers = {"file": names, **answers}
    if out is not None:
        write(answers, out)
    for line in as_text(answers) if out is None else ():
        typer.echo(line)


def _draws(recipe: Recipe | None) -> bool:
    """Return whether a recipe draws its answers into pictures."""
    return recipe is not None and type(recipe).drawing_predictor is not Recipe.drawing_predictor


def check_table_or_folder(out: Path) -> None:
    """Refuse a name that neither a table nor a folder of drawn answers has."""
    from ..runs.tables import SUFFIXES

    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {out} arrived; expected a folder, or a file ending in {', '.join(SUFFIXES)}")


def check_folder(out: Path, run: Path, files: list[Path], noun: str) -> None:
    """Refuse a file, a folder of files to predict on, the run's own, and several files of one name."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder, or a table that ends in .csv, .json or .parquet")
    for file in files:
        if file.is_dir() and file.resolve() in (out.resolve(), *out.resolve().parents):
            raise ConfigError(f"--out {out} lies in {file}, a {noun} to predict on; name a folder elsewhere")
        if file.exists() and out.resolve() == file.resolve().parent:
            raise ConfigError(f"--out {out} holds {file.name}, a {noun} to predict on; name another folder")
    if run.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigError(f"--out {out} lies in the run's folder {run}; name a folder elsewhere")
    stems = [file.stem for file in files]
    twice = next((file for file in files if stems.count(file.stem) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"several {noun}s are named {twice.stem}, whose answers would overwrite each other in {out}; predict on "
            "them one after another, into folders of their own"
        )


def _is_saved_alone(run: Path) -> bool:
    """Return whether a model is there without a run's recipe, as the estimators save theirs."""
    from ..runs import RECIPE
    from ..serialization import model_file

    return not (run / RECIPE).exists() and model_file(run).is_file()


def check_out(out: Path | None, run: Path, files: list[Path], others: Mapping[str, str] | None = None) -> None:
    """Refuse a name that no table can have, nor the other files of a recipe, and those of files that are read."""
    from ..runs.tables import SUFFIXES, check_suffix

    if out is None:
        return
    if others and out.suffix.lower() not in (*SUFFIXES, *others):
        also = ", ".join(f"{suffix} ({what})" for suffix, what in others.items())
        raise ConfigError(f"--out {out} arrived; expected a file ending in {', '.join(SUFFIXES)} or {also}")
    if not others or out.suffix.lower() not in others:
        check_suffix(out)
    elif out.is_dir():
        raise ConfigError(f"--out {out} is a folder; name a file in it")
    check_overwrites(out, run, files)


def _told(write: Write) -> Write:
    """Return a function that writes a file, and says so."""

    def told(answers: Columns, out: Path) -> None:
        try:
            write(answers, out)
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error
        typer.echo(f"Wrote {out}")

    return told


def write_answers(answers: Columns, out: Path) -> None:
    from ..runs.tables import write_table

    try:
        write_table(answers, out)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error
    rows = len(next(iter(answers.values())))
    typer.echo(f"Wrote {rows:,} {'row' if rows == 1 else 'rows'} to {out}")
