"""Arguments that several verbs have: the run, the data file, the recipe's file, short options for settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from ..recipes import RECIPES, DataRequest, Recipe, is_known, open_recipe
from ..runs.settings import nearest, settings


def complete_recipe(incomplete: str) -> list[str]:
    """Return the recipes whose names begin with what was typed, for the shell's completion; files are its own.

    Example:
        >>> complete_recipe("mnist-p")
        ['mnist-permuted', 'mnist-pixels']
    """
    return [name for name in RECIPES if name.startswith(incomplete)]


def complete_cell(incomplete: str) -> list[str]:
    """Return the recurrences whose names begin with what was typed."""
    return [name for name in ("simple_rnn", "lstm", "gru") if name.startswith(incomplete)]


Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist.")]
File = Annotated[Path | None, typer.Argument(metavar="FILE", help="Same as --data FILE.")]
Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="Same as --data FILE; - is standard input.")]
RecipeFile = Annotated[
    str | None,
    typer.Option("--recipe", help="The recipe's file, for a run that was trained from one; it is executed."),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="Of the file, such as gb18030, if it is neither UTF-8 nor as the training data."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change any setting, as in fit.epochs=3; may be repeated."),
]
DataAssignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="data.target_path=FILE: of a translator or summarizer, the targets of a file of sources, line by line. "
        "decode.NAME=VALUE: of a recogniser, another search than that of the run.",
    ),
]
Decodings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="decode.NAME=VALUE: of a recogniser, another search than that of the run, as in decode.width=16.",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training rows.")]
BatchSize = Annotated[int | None, typer.Option(help="Rows of an optimizer step.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Learning rate.")]
Hidden = Annotated[int | None, typer.Option(help="Units of a recurrent layer.")]
Layers = Annotated[int | None, typer.Option(help="Recurrent layers.")]
Cell = Annotated[
    str | None, typer.Option(help="The recurrence: simple_rnn, lstm or gru.", autocompletion=complete_cell)
]
Order = Annotated[int | None, typer.Option(help="Of an n-gram model: the most words of a run that is counted.")]
Seed = Annotated[
    int | None,
    typer.Option(help="Of all random numbers; on the same machine the same seed gives the same weights."),
]
Device = Annotated[str | None, typer.Option(help="Where to compute: auto, cpu, cuda, cuda:1, mps.")]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="N", help="Train in N processes of this machine; batches are N times as large."
    ),
]
Restarts = Annotated[
    int,
    typer.Option(
        "--max-restarts", metavar="N", help="With --processes: start all again after one failed, N times at most."
    ),
]
Exchanged = Annotated[
    str | None,
    typer.Option(
        "--exchange",
        metavar="HOW",
        help="What processes exchange: gradients as fp16, bf16 or powersgd,rank=2; or local_steps=8, weights after "
        "so many steps.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="The new run's folder, new or empty; else the next free runs/RECIPE-N.")]

TARGET_PATH = "data.target_path"  # as `rnnkit train translate` calls the second of two parallel files

# Short option → the last part of the name of the setting that it changes, in any group; or the whole name.
SHORT = {
    "--epochs": "epochs",
    "--batch-size": "batch_size",
    "--lr": "lr",
    "--hidden": "hidden_size",
    "--layers": "num_layers",
    "--cell": "cell",
    "--order": "model.order",
    "--seed": "seed",
    "--device": "device",
}


def one_file(file: Path | None, data: Path | None) -> Path | None:
    """Return the data file that was named, as a positional argument or by --data.

    Raises:
        ConfigError: it was named in both ways.
    """
    if file is not None and data is not None:
        raise ConfigError(f"{file} and --data {data} arrived; expected one of them, they mean the same")
    return file if data is None else data


def several_files(files: Sequence[Path] | None, data: Sequence[Path] | None) -> list[Path]:
    """Return the data files that were named, as positional arguments or by --data.

    Raises:
        ConfigError: some were named in each way.

    Example:
        >>> several_files([Path("a.wav"), Path("b.wav")], None) == several_files(None, [Path("a.wav"), Path("b.wav")])
        True
    """
    if files and data:
        raise ConfigError(f"{files[0]} and --data {data[0]} arrived; expected one of them, they mean the same")
    return list(files or data or ())


def data_request(file: Path | None, data: Path | None, encoding: str | None) -> DataRequest | None:
    """Return the data file that was named with its encoding; None where none was."""
    path = one_file(file, data)
    if path is None and encoding is not None:
        raise ConfigError(f"--encoding {encoding} is of a file; name it with --data FILE")
    return None if path is None else DataRequest(path, encoding)


def with_target_path(
    request: DataRequest | None, recipe: Recipe | None, assignments: Sequence[str] | None
) -> tuple[DataRequest | None, list[str]]:
    """Return a request for data with the second of two parallel files, and the assignments that do not name it.

    Args:
        request: names the first file; None: no data was named.
        recipe: of the run; None where there is none.
        assignments: what was given by ``--set``.

    Raises:
        ConfigError: there is no first file, or the recipe reads no parallel files.

    Example:
        >>> with_target_path(DataRequest(Path("a.csv")), None, ["epochs=3"])[1]
        ['epochs=3']
    """
    named = [one for one in assignments or () if one.partition("=")[0].strip() == TARGET_PATH]
    others = [one for one in assignments or () if one not in named]
    if not named:
        return request, others
    path = named[-1].partition("=")[2].strip()
    if recipe is None or not recipe.reads_parallel_files:
        raise ConfigError(
            f"--set {named[-1]} arrived, but the recipe of this run reads no parallel files; leave it out"
        )
    if not path:
        raise ConfigError(f"--set {named[-1]} arrived; expected the file of the targets: --set {TARGET_PATH}=FILE")
    if request is None:
        raise ConfigError(f"--set {named[-1]} is the second of two files; name the first, of the sources: --data FILE")
    return replace(request, target_path=Path(path)), others


def with_target_path_alone(
    request: DataRequest | None, recipe: Recipe | None, assignments: Sequence[str] | None
) -> DataRequest | None:
    """As `with_target_path`, of a verb that changes no other setting.

    Raises:
        ConfigError: as there, or another setting arrived.
    """
    found, others = with_target_path(request, recipe, assignments)
    if others:
        search = hasattr(recipe, "decode")
        expected = "decode.NAME=VALUE" if search else f"{TARGET_PATH}=FILE, the targets of a file of sources"
        raise ConfigError(f"--set {others[0]} arrived, but the settings are those of the run; expected {expected}")
    return found


def with_decoding(recipe: Recipe, assignments: Sequence[str] | None) -> tuple[Recipe, list[str]]:
    """Return a recogniser's recipe with another search, and the assignments that are none of a search.

    Args:
        recipe: of the run.
        assignments: what was given by ``--set``.

    Raises:
        ConfigError: the recipe has no search, or the search has no such setting.

    Example:
        >>> from rnnkit.recipes import find
        >>> with_decoding(find("speech")(), ["decode.width=16", "seed=1"])[1]
        ['seed=1']
    """
    from ..runs.settings import override

    chosen = [one for one in assignments or () if one.strip().startswith("decode.")]
    others = [one for one in assignments or () if one not in chosen]
    if chosen and not hasattr(recipe, "decode"):
        raise ConfigError(f"--set {chosen[0]} arrived, but this run is no recogniser; leave it out")
    return override(recipe, chosen) if chosen else recipe, others


def with_decoding_alone(recipe: Recipe, assignments: Sequence[str] | None) -> Recipe:
    """As `with_decoding`, of a verb that changes no other setting.

    Raises:
        ConfigError: as there, or another setting arrived.
    """
    found, others = with_decoding(recipe, assignments)
    if others:
        raise ConfigError(f"--set {others[0]} arrived, but the settings are those of the run; expected decode.NAME")
    return found


def check_once(assignments: Sequence[str], options: Sequence[str]) -> None:
    """Raise ConfigError for a setting that arrived by `--set` and by an option of its own, with another value.

    Example:
        >>> check_once(["fit.epochs=4"], ["fit.epochs=3"])
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: fit.epochs arrived twice, by --set fit.epochs=4 and as 3; give it once
    """
    values = dict(one.split("=", 1) for one in options)
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name in values and values[name] != value:
            raise ConfigError(f"{name} arrived twice, by --set {assignment} and as {values[name]}; give it once")


def shorthands(recipe: Any, given: Mapping[str, Any]) -> list[str]:
    """Return assignments ``FIELD=VALUE`` for the short options that were given.

    Args:
        recipe: a dataclass of settings.
        given: values by the option's name, a key of `SHORT`; None: it was not given.

    Raises:
        ConfigError: the recipe has no such setting, or several.
    """
    wanted = {option: value for option, value in given.items() if value is not None}
    known = list(settings(recipe)) if is_dataclass(recipe) else []
    assignments = []
    for option, value in wanted.items():
        last = SHORT[option]
        found = [name for name in known if last in (name, name.rpartition(".")[2])]
        if not found:
            raise ConfigError(
                f"{option} {value} arrived, but the recipe has no field {last!r}{nearest(last, known)} "
                "Change any of its settings by --set FIELD=VALUE"
            )
        if len(found) > 1:
            choice = " or ".join(f"--set {name}={value}" for name in found)
            raise ConfigError(
                f"{option} {value} arrived, but the recipe has several settings of that name; type {choice}"
            )
        assignments.append(f"{found[0]}={value}")
    return assignments


def short_option_of(name: str, known: Sequence[str]) -> str | None:
    """Return the short option that changes a setting, None where there is none."""
    last = name.rpartition(".")[2]
    if sum(other.rpartition(".")[2] == last for other in known) > 1:
        return None
    return next((option for option, part in SHORT.items() if part in (name, last)), None)


def trained_recipe_of(run: Path, file: str | None) -> Recipe:
    """As `recipe_of`, of a run whose model is to be used; a recipe from a file may store its model in its own way."""
    from ..runs.folders import check_model

    chosen = recipe_of(run, file)
    if file is None:
        check_model(run, chosen.model_file)
    return chosen


def recipe_of(run: Path, file: str | None, how: str = "--recipe ") -> Recipe:
    """Return the recipe that a run folder was made with, with the settings it had.

    A folder may come from anywhere, so it only names a recipe: a file is executed when the user names it.
    """
    from ..runs import RECIPE, read_recipe
    from ..runs.settings import restore

    stored = read_recipe(run)
    if file is None and not is_known(stored.name):
        raise ConfigError(
            f"{run} was trained from the file {stored.name}; if you trust that file, add {how}{stored.name}"
        )
    try:
        return restore(open_recipe(file or stored.name), stored.settings)
    except ConfigError as error:
        raise ConfigError(f"{run / RECIPE}: {error}") from error
