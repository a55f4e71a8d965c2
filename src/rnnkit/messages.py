"""The parts of errors and warnings: a problem, a place and remedies. Each front end writes them in its own words."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as _replace
from typing import Any, Final, Self


class _Open:
    """The type of `OPEN`."""

    def __repr__(self) -> str:
        return "OPEN"


OPEN: Final = _Open()  # the value of a remedy that only the user knows, such as a column's name


@dataclass(frozen=True)
class Place:
    """Where data is wrong.

    Attributes:
        source: the file or folder, or what else the data came from.
        line: of a text file, counted from 1.
        row: of a table without lines, counted from 1.
        part: a part of the file or line, such as "channel 0" or "array X".
        column: the column's name.

    Example:
        >>> str(Place("my.csv", line=3, column="x")), str(Place("my.parquet", row=2))
        ('my.csv:3: column x', 'my.parquet, row 2')
    """

    source: str = ""
    line: int | None = None
    row: int | None = None
    part: str = ""
    column: str | None = None

    def __str__(self) -> str:
        where = self.source
        if self.line is not None:
            where += f":{self.line}"
        if self.row is not None:
            where += f", row {self.row}"
        parts = [where, self.part, "" if self.column is None else f"column {self.column}"]
        return ": ".join(part for part in parts if part)

    def at(self, **parts: Any) -> Place:
        """Return the same place with some attributes replaced."""
        return _replace(self, **parts)


@dataclass(frozen=True)
class Remedy:
    """An argument that makes a failed call work; the call is repeated with it.

    Attributes:
        argument: the argument's name.
        value: its value, `OPEN` where only the user knows it.
        purpose: words that follow, such as "if the comma is the decimal mark".
        also: a further argument that belongs to the same remedy.

    Example:
        >>> str(Remedy("ignore_columns", ["t5"])), str(Remedy("target_column"))
        ('type ignore_columns=["t5"]', 'type target_column=')
        >>> Remedy("id_column", "id", also=Remedy("ignore_columns", ["case"])).arguments
        {'id_column': 'id', 'ignore_columns': ['case']}
    """

    argument: str
    value: Any = OPEN
    purpose: str = ""
    also: Remedy | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments and their values, those of `also` among them."""
        return {self.argument: self.value} | ({} if self.also is None else self.also.arguments)

    def __str__(self) -> str:
        return Words().clause(self) or ""


@dataclass(frozen=True)
class TensorCode:
    """Code that changes a tensor which does not fit a layer.

    Attributes:
        torch: the code for a tensor.
        numpy: what does the same to an array, for those who pass arrays.
    """

    torch: str
    numpy: str


@dataclass(frozen=True)
class Setting:
    """A setting that a message names, which a front end may call otherwise.

    Attributes:
        name: with its group, such as "fit.lr".
    """

    name: str


class Words:
    """How a front end writes arguments and remedies; this class writes them as Python.

    Attributes:
        verbs: how clauses begin; of neighbouring clauses only the first keeps a verb that both have.
    """

    verbs: tuple[str, ...] = ("type",)

    def assignment(self, argument: str, value: Any) -> str:
        """Write an argument and its value; the value is left out where it is `OPEN`."""
        return f"{argument}={'' if value is OPEN else _literal(value)}"

    def clause(self, remedy: Remedy) -> str | None:
        """Write a remedy as a clause; None leaves it out, because this front end has no such argument."""
        typed = " and ".join(self.assignment(name, value) for name, value in remedy.arguments.items())
        return f"type {typed} {remedy.purpose}".strip()

    def setting(self, name: str) -> str:
        """Write the name of a setting."""
        return name

    def code(self, change: TensorCode) -> str:
        """Write code that changes a tensor."""
        return change.torch

    def sentence(self, remedy: str) -> str | None:
        """Write a remedy that is a plain sentence; None leaves it out."""
        return remedy


PYTHON: Final = Words()


class Message(Exception):
    """An exception that is made of parts: the base of errors and of warnings.

    Args:
        problem, place, note: see the attributes.
        remedy: one remedy, or several.

    Attributes:
        problem: what arrived and what was expected.
        place: where, or None.
        remedies: alternatives: `Remedy`, or a plain sentence.
        note: what follows at the end, such as the list of columns.
    """

    problem: str
    place: Place | None
    remedies: tuple[Remedy | str, ...]
    note: str

    def __init__(
        self,
        problem: object = "",
        place: Place | None = None,
        remedy: Remedy | str | Iterable[Remedy | str] | None = None,
        *,
        note: str = "",
    ) -> None:
        self.problem, self.place, self.note = str(problem), place, note
        self.remedies = (remedy,) if isinstance(remedy, Remedy | str) else tuple(remedy or ())
        super().__init__(self.render())

    def render(self, words: Words = PYTHON) -> str:
        """Join place, problem, remedies and note in the words of a front end."""
        text = self.problem_in(words)
        written = [words.clause(one) if isinstance(one, Remedy) else words.sentence(one) for one in self.remedies]
        advice = _join([clause for clause in written if clause], words.verbs)
        if advice:
            text += f" {advice[0].upper()}{advice[1:]}" if text.endswith(("?", ".")) else f"; {advice}"
        if self.note:
            text += f"{' ' if text.endswith(('?', '.')) else '. '}{self.note[0].upper()}{self.note[1:]}"
        where = "" if self.place is None else str(self.place)
        return f"{where}: {text}" if where else text

    def in_words(self, words: Words) -> Self:
        """Return a copy whose text is in the words of a front end; its parts stay."""
        copied = copy.copy(self)
        copied.args = (copied.render(words),)
        return copied

    def problem_in(self, words: Words) -> str:
        """Write the problem in the words of a front end."""
        return self.problem


class DataFinding(str):
    """A sentence about data that names a remedy, which a front end can write in its own words.

    Args:
        message: what was found, and what to type if that is wrong.

    Example:
        >>> remedy = Remedy("mask_values", "instances", "if they are not")
        >>> found = DataFinding.of("the numbers are those of classes", remedy)
        >>> found
        'the numbers are those of classes; type mask_values="instances" if they are not.'
        >>> found.in_words(None)
        'the numbers are those of classes.'
    """

    message: Message

    def __new__(cls, message: Message) -> Self:
        found = super().__new__(cls, _sentence(message.render()))
        found.message = message
        return found

    @classmethod
    def of(cls, problem: str, remedy: Remedy) -> Self:
        """Return the finding of what was found, and what to type if that is wrong."""
        return cls(Message(problem, remedy=remedy))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,)

    def in_words(self, words: Words | None) -> str:
        """Write the sentence in the words of a front end; None leaves the remedy out."""
        return _sentence(self.message.problem if words is None else self.message.render(words))


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _join(clauses: list[str], verbs: tuple[str, ...]) -> str:
    """Alternatives in one sentence; a verb that is the same as in the clause before is not repeated."""
    pairs = zip(["", *clauses], clauses, strict=False)
    found = []
    for before, clause in pairs:
        same = next((verb for verb in verbs if before.startswith(verb) and clause.startswith(verb)), "")
        found.append(clause.removeprefix(same).lstrip())
    return ", or ".join(found)


def _literal(value: Any) -> str:
    """A value as Python code, text in double quotes."""
    if isinstance(value, str):
        quoted = repr("'" + value)  # an apostrophe makes repr choose double quotes
        return f'"{quoted[2:-1]}"' if quoted[0] == '"' else repr(value)
    if isinstance(value, list | tuple):
        items = ", ".join(map(_literal, value))
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    return repr(value)
