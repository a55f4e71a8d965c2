"""How a table is written, as settings of a recipe's data. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from ..tasks.ranges import Settings

_MARKS = {"\\t": "\t", "tab": "\t", "blank": " "}  # what a shell does not pass on easily


def as_mark(text: str | None) -> str | None:
    """Return a mark between cells or digits that was typed by its name.

    Example:
        >>> as_mark("tab"), as_mark(";"), as_mark(None)
        ('\\t', ';', None)
    """
    return text if text is None else _MARKS.get(text, text)


@dataclass(frozen=True)
class TableSettings(Settings):
    """How a table of numbers is written. What is not named is found.

    Attributes:
        path: what to learn from.
        encoding: of text files, such as gb18030; none tries UTF-8 and what the file says of itself.
        delimiter: the character between cells, also by name (tab, blank); none finds it.
        decimal: the decimal mark of numbers, a point or a comma; none finds it.
        thousands: the mark between groups of three digits, as in 1.250 beside decimal commas; also blank.
        comment: how lines begin that are skipped, such as #.
        missing_codes: numbers and words that stand for a missing value, as in -9999,n.d.
        header: whether the first line holds the columns' names; none finds out.
        time_format: how time stamps are written, as in %d.%m.%Y; none finds out.
    """

    path: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    comment: str | None = None
    missing_codes: tuple[str, ...] = ()
    header: bool | None = None
    time_format: str | None = None

    def given(self, arguments: dict[str, str]) -> dict[str, object]:
        """Return the arguments of a reader that were set.

        Args:
            arguments: the argument by the setting's name.
        """
        found = {argument: getattr(self, name) for name, argument in arguments.items()}
        found["delimiter"], found["thousands"] = as_mark(self.delimiter), as_mark(self.thousands)
        return {name: value for name, value in found.items() if value not in (None, ())}
