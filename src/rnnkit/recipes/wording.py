"""Errors and warnings in the words of the command line: ``--set data.ignore=t5``, not ``ignore_columns=["t5"]``."""

from __future__ import annotations

import errno
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    OPEN,
    CheckpointError,
    ConfigError,
    DataError,
    DataFinding,
    Remedy,
    RnnkitError,
    RunFolderError,
    Words,
)
from ..messages import Message
from ..runs import FINETUNE, folders
from ..runs.settings import show
from ..serialization import STATE
from ..tasks import TASKS, find
from .source import ARGUMENTS

if TYPE_CHECKING:
    from ..tasks.task import Task

# Arguments of ``read_series`` → settings of ``data`` in a recipe.
SETTINGS = {argument: setting for setting, argument in ARGUMENTS.items()}
# Arguments of other functions of ``rnnkit.data`` → settings of ``data``.
_OTHER_SETTINGS = {"seed": "split_seed"}
# Arguments of ``train_tokenizer`` → settings of ``data``.
TOKENIZER_SETTINGS = {"size": "vocabulary", "minimum_count": "minimum_count", "normalization": "normalization"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DataSettings(Words):
    """How the command line writes arguments of a reader of data: as ``--set data.NAME=VALUE``.

    Args:
        settings: the names of the settings of ``data`` by those of the arguments.
        new: whether the data is read for a trained model; then only ``--encoding`` can be given.

    Example:
        >>> DataSettings({"label": "label"}).clause(Remedy("label", "stars"))
        'type --set data.label=stars'
    """

    verbs = ("type", "train again with")

    def __init__(self, settings: Mapping[str, str], *, new: bool = False) -> None:
        self.settings, self.new = settings, new

    def assignment(self, argument: str, value: Any) -> str:
        """Write an argument as an option; a value that a shell would cut is quoted."""
        text = "" if value is OPEN else show(value)
        if self.new and argument == "encoding":
            return f"--encoding {shlex.quote(text) or 'NAME'}"
        setting = f"data.{self.settings.get(argument, argument)}={text}"
        return f"--set {shlex.quote(setting) if text else setting}"

    def clause(self, remedy: Remedy) -> str | None:
        """Write a remedy; None where the command line has no such option."""
        if not set(remedy.arguments) <= set(self.settings):
            return None
        if remedy.argument == "empty":
            if remedy.value == "keep":  # recipes have no use for an empty text
                return None
            if self.new:
                return "take it out of the file"
        clause = super().clause(remedy) or ""
        return clause.replace("type", "train again with", 1) if self.new and remedy.argument != "encoding" else clause


class CommandLine(DataSettings):
    """As :class:`DataSettings`, for the series of a task.

    Args:
        task: the task of the recipe, or its class; it says what the setting of the targets is called. None: there are
            no targets.
        new: see :class:`DataSettings`.

    Example:
        >>> words = CommandLine(find("classify"))
        >>> words.clause(Remedy("ignore_columns", ["t5", "a,b"]))
        'type --set \\'data.ignore=t5,"a,b"\\''
        >>> words.clause(Remedy("targets", "numbers")), words.clause(Remedy("targets", None))
        ('use `rnnkit train regress`', None)
    """

    def __init__(self, task: Task | type[Task] | None, *, new: bool = False) -> None:
        targets = {} if task is None else {"target_column": task.target_setting}
        super().__init__(SETTINGS | _OTHER_SETTINGS | targets, new=new)

    def clause(self, remedy: Remedy) -> str | None:
        """Write a remedy; None where the command line has no such option."""
        if remedy.argument == "targets":  # a recipe has one task, and needs its targets
            recipe = next((name for name in TASKS if find(name).target_type == remedy.value), None)
            return None if recipe is None or self.new else f"use `rnnkit train {recipe}`"
        if self.new and remedy.argument == "ignore_columns" and set(remedy.arguments) <= set(self.settings):
            return "take the column out of the file if the training data had no such column"
        return super().clause(remedy)


def findings_in_words(findings: Iterable[str], words: Words | None) -> list[str]:
    """Write findings about data in the words of a front end; None leaves their remedies out."""
    return [one.in_words(words) if isinstance(one, DataFinding) else one for one in findings]


@contextmanager
def in_data_settings(names: Iterable[str] | Mapping[str, str], *, new: bool = False) -> Iterator[None]:
    """Write errors about data that a block raises in the words of the command line.

    Args:
        names: the settings of ``data`` that are arguments of the reader, too; or their names by those of the arguments.
        new: see :class:`DataSettings`.

    Example:
        >>> with in_data_settings({"size": "vocabulary"}):
        ...     raise ConfigError.of("size", 3, "expected at least 5")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: --set data.vocabulary=3 arrived; expected at least 5
    """
    settings = names if isinstance(names, Mapping) else {name: name for name in names}
    try:
        yield
    except (DataError, ConfigError) as error:
        raise error.in_words(DataSettings(settings, new=new)) from error


@contextmanager
def with_remedies(argument: str | Sequence[str], *remedies: str) -> Iterator[None]:
    """Raise errors about data in a block that advise an argument with other remedies, for a setting of another name.

    Args:
        argument: such as "fields", which names several columns; or several arguments.
        remedies: what to do instead.

    Example:
        >>> with with_remedies("fields", "type --set data.source=NAME"):
        ...     raise DataError("no such column", None, Remedy("fields", ["a"]))
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: no such column; type --set data.source=NAME
    """
    known = (argument,) if isinstance(argument, str) else argument
    try:
        yield
    except DataError as error:
        if not any(isinstance(one, Remedy) and one.argument in known for one in error.remedies):
            raise
        raise DataError(error.problem, error.place, remedies, note=error.note) from None


@contextmanager
def on_full_disk(folder: Path) -> Iterator[None]:
    """Raise errors of a full disk in a block that trains into a run folder with the command that resumes the run.

    Example:
        >>> with on_full_disk(Path("runs/a")):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        ...
        rnnkit.errors.RunFolderError: runs/a: [Errno 28] No space left on device. Make room and train again
    """
    tuned = (folder / FINETUNE).exists()
    resume = f"`{folders.finetune_again(folder) if tuned else folders.resume_again(folder)}`"
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(
            error.problem, error.place, f"Make room and go on with {resume}", note=error.note
        ) from error
    except OSError as error:
        if isinstance(error, RnnkitError) or error.errno not in _FULL:
            raise
        goes_on = "--resume" in resume if tuned else (folder / STATE).exists()
        then = f"go on with {resume}" if goes_on else f"begin anew with {resume}" if tuned else "train again"
        raise RunFolderError(f"{folder}: {error}. Make room and {then}") from error


@contextmanager
def in_settings(task: Task | type[Task] | None, *, new: bool = False) -> Iterator[None]:
    """Write errors and warnings about data that a block raises in the words of the command line.

    Args:
        task, new: see :class:`CommandLine`.

    Example:
        >>> from rnnkit.errors import Place
        >>> with in_settings(find("classify")):
        ...     raise DataError("no column of labels", Place("my.csv"), Remedy("target_column"))
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: my.csv: no column of labels; type --set data.label=
    """
    words = CommandLine(task, new=new)
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield
    except (DataError, ConfigError) as error:
        raise error.in_words(words) from error
    finally:
        for one in caught:
            message = one.message
            text = message.in_words(words) if isinstance(message, Message) else message
            warnings.warn(text, one.category, stacklevel=3)


def warn_of(read: Any, told: Sequence[str] = ()) -> None:
    """Warn of what was found in data that a trained run is given, such as what is left out.

    Args:
        read: pictures, clips or recordings; they have `findings`.
        told: further sentences.
    """
    if findings := [*read.findings, *told]:
        warnings.warn(" ".join(findings), stacklevel=3)
