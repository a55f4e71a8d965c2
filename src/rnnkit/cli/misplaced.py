"""What a path is, and the answer where a thing of another kind stands in its place: what arrived and what to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..errors import ConfigError
from ..recipes import RECIPES
from ..runs import RECIPE
from ..serialization import FILE

Kind = Literal["run", "model", "runs", "recipe", "data", "folder", "nothing"]
_WORDS: dict[Kind, str] = {
    "run": "the folder of a run",
    "model": "a saved model",
    "runs": "a folder that holds runs",
    "recipe": "a recipe",
    "data": "data",
}


def kind_of(path: Path) -> Kind:
    """Return what a path is: the folder of a run, a saved model alone, a folder of runs, a recipe, a file of data …

    Example:
        >>> kind_of(Path("classify")), kind_of(Path("no/such.csv"))
        ('recipe', 'nothing')
    """
    if path.is_dir():
        if (path / RECIPE).exists():
            return "run"
        if (path / FILE).exists():
            return "model"
        return "runs" if any(path.glob(f"*/{RECIPE}")) else "folder"
    if path.is_file():
        return {".safetensors": "model", ".py": "recipe"}.get(path.suffix, "data")  # type: ignore[return-value]
    return "recipe" if str(path) in RECIPES else "nothing"


def run_of(path: Path) -> Path | None:
    """Return the run folder that a file lies in; None where it lies in none."""
    return path.parent if path.is_file() and (path.parent / RECIPE).exists() else None


def check_run(
    verb: str, run: Path, files: Iterable[Path | None] = (), *, models: bool = False, options: Iterable[str] = ()
) -> None:
    """Raise ConfigError where something else than a run stands in its place.

    Args:
        verb: as it is typed.
        run: what stands in the place of the run.
        files: what stands in the places of data.
        models: whether the verb takes a saved model, too.
        options: what stands before a file of data, where the verb takes none without.
    """

    def data(files: list[Path]) -> list[object]:
        return [*options, *files] if files else []

    given = [one for one in files if one is not None]
    kind, runs = kind_of(run), [one for one in given if kind_of(one) in ("run", "model")]
    expected = "a run" + " or a saved model" * models
    if kind in ("run", "nothing") or (kind == "model" and models) or (kind == "folder" and not runs):
        return
    if (inside := run_of(run)) is not None:
        _refuse(run, f"a file in the folder of a run; name the folder: {_typed(verb, inside, *data(given))}")
    if kind in ("data", "folder") and runs:
        others = [one for one in given if one not in runs]
        _refuse(run, f"data, and {expected} comes first: {_typed(verb, runs[0], *data([run, *others]))}")
    if kind == "data":
        _refuse(run, f"data; {expected} comes first: {_typed(verb, 'RUN', *data([run]))}. `rnnkit runs` lists the runs")
    if kind == "model":
        _refuse(run, f"a saved model without the recipe of its run; expected the run's folder: {_typed(verb, 'RUN')}")
    if kind == "recipe":
        _refuse(run, f"a recipe; expected the folder of a run of it: {_typed(verb, _example(run), *data(given))}")
    _refuse(run, f"a folder that holds runs; name one of them: {_typed(verb, _first(run), *data(given))}")


def check_data(verb: str, before: object, files: Iterable[Path | None], option: str | None = None) -> None:
    """Raise ConfigError where a run, a model or a recipe stands in the place of data, behind `before` or an option."""
    for file in files:
        if file is None:
            continue
        kind = kind_of(file)
        if kind in ("run", "model", "runs") or (kind == "recipe" and file.suffix != ".py"):
            _refuse(
                file,
                f"{_WORDS[kind]}; expected data in its place: {_typed(verb, before, *filter(None, [option]), 'FILE')}",
            )


def check_texts(verb: str, run: Path, texts: Iterable[str | None], option: str | None = None) -> None:
    """Raise ConfigError where a run, or a file, stands in the place of text behind a run.

    Args:
        verb: as it is typed.
        run: what stands in the place of the run.
        texts: what stands in the places of text.
        option: the option that takes a file of texts; None: the verb has none.
    """

    def from_file(run: object, file: Path) -> str:
        if option is not None:
            return _typed(verb, run, option, file)
        return f"`rnnkit {verb} {shlex.quote(str(run))} < {shlex.quote(str(file))}`"

    paths = [Path(text) for text in texts if text is not None and _may_be_path(text)]
    for path in paths:
        kind = kind_of(path)
        if kind == "run" and kind_of(run) in ("nothing", "data"):
            meant = from_file(path, run) if run.is_file() else _typed(verb, path, run)
            _refuse(run, f"{'a file' if run.is_file() else 'no run'}, and a run comes first: {meant}")
        if kind in ("run", "model", "runs"):
            _refuse(path, f"{_WORDS[kind]}; expected text in its place: {_typed(verb, run, 'TEXT')}")
        if path.is_file():
            where = run if kind_of(run) == "run" else "RUN"
            _refuse(path, f"a file; expected text in its place. To take the text in it type {from_file(where, path)}")
    if not _may_be_path(str(run)) or (kind_of(run) == "data" and run_of(run) is None):
        meant = from_file("RUN", run) if _may_be_path(str(run)) else _typed(verb, "RUN", "TEXT")
        _refuse(run, f"no run; a run comes first: {meant}. `rnnkit runs` lists the runs")
    check_run(verb, run, paths)


def check_no_texts(verb: str, run: Path, files: Iterable[Path]) -> None:
    """Raise ConfigError where a text stands in the place of a file, for a run that reads text."""
    for file in files:
        text = str(file)
        if " " in text.strip() and (not _may_be_path(text) or kind_of(file) == "nothing"):
            _refuse(file, f"no file; to take it as a text type {_typed(verb, run, '--text', text)}")


def _may_be_path(text: str) -> bool:
    """Return whether a text can be a file's name; a long one makes the system's call fail."""
    return 0 < len(text.encode(errors="replace")) < 256 and "\n" not in text and "\0" not in text


def check_recipe(name: str, files: Iterable[Path | None]) -> None:
    """Raise ConfigError where a run stands in the place of a recipe, or data with the recipe behind it."""
    path = Path(name)
    recipes = [one for one in files if one is not None and kind_of(one) == "recipe"]
    if kind_of(path) in ("data", "folder") and recipes:
        _refuse(path, f"data, and a recipe comes first: {_typed('train', recipes[0], path)}")
    folder = path if kind_of(path) == "run" else run_of(path)
    if folder is not None and path.suffix != ".py":
        what = "the folder of a run" if folder == path else "a file in the folder of a run"
        _refuse(path, f"{what}; to go on with it type {_typed('train', '--resume', folder)}")


def check_resumed(run: Path, recipe: str | None, files: Iterable[Path | None]) -> None:
    """Raise ConfigError where data stands beside a run to go on with, or in its place."""
    if kind_of(run) == "data" and run_of(run) is None:
        _refuse(run, f"data; expected the folder of a run: {_typed('train', '--resume', 'RUN')}")
    check_run("train --resume", run)
    named = [] if recipe is None else [Path(recipe)]
    for file in [*named, *(one for one in files if one is not None)]:
        if kind_of(file) == "data":
            _refuse(
                file,
                f"data, but a run goes on with its own: {_typed('train', '--resume', run)}. To learn other data type "
                f"{_typed('finetune', run, file)}",
            )


def _refuse(path: Path, what: str) -> None:
    raise ConfigError(f"{path} is {what}")


def _typed(verb: str, *arguments: object) -> str:
    return f"`rnnkit {verb} {shlex.join(map(str, arguments))}`"


def _example(recipe: Path) -> Path:
    """Return the folder that runs of a recipe get."""
    return Path("runs") / recipe.stem


def _first(folder: Path) -> Path:
    return min(path.parent for path in folder.glob(f"*/{RECIPE}"))
