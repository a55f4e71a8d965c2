"""``rnnkit runs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runs import compare as comparing
from ..runs import listing
from .output import plain_warnings

if TYPE_CHECKING:
    from rich.console import Console

    from ..runs.compare import Comparison
    from ..runs.stored import StoredRun

RUNS = Path("runs")


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Where to look (runs); with --compare the runs themselves."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="Best first: accuracy, validation.loss, seconds, started, epochs, size, name ..."),
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Put two or more runs side by side.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw all their learning curves into this file.")] = None,
) -> None:
    """List run folders, or compare some: settings, figures, versions.

    A table on a terminal; in a pipe a line each, columns separated by tabs, numbers to six digits (--json has all).
    """
    if compare:
        found = listing.locate(folders or [], RUNS)
    elif folders:
        found = [run for folder in folders for run in listing.find(folder)]
    else:
        found = listing.find(RUNS) if RUNS.is_dir() else []
    if sort is not None and found:
        found = listing.order(found, sort)
    if as_json:
        typer.echo(json.dumps(comparing.compare(found).as_json() if compare else [run.as_json() for run in found],
                              indent=2, ensure_ascii=False, default=str))  # fmt: skip
    elif compare:
        _show_comparison(comparing.compare(found))
    elif found:
        _show(found)
    else:
        where = ", ".join(map(str, folders or [RUNS]))
        typer.echo(f"No run in {where}; `rnnkit train mnist` makes the first.", err=True)
    if not as_json:
        for run in found:
            for problem in run.problems:
                typer.echo(f"{run.name}: {problem}", err=True)
    if picture is not None:
        _draw(found, picture)


def _draw(found: Sequence[StoredRun], picture: Path) -> None:
    from ..diagnostics.compare import curves_of_runs

    with plain_warnings():
        missing = curves_of_runs({run.name: run.history() for run in found}, picture)
    also = f", without {', '.join(missing)}, which have no epoch" if missing else ""
    typer.echo(f"Drew {picture}{also}", err=True)


# --- a list ----------------------------------------------------------------------------------------------------------


def _show(found: Sequence[StoredRun]) -> None:
    figures = list(dict.fromkeys(name for run in found for name in run.figures))
    if not _terminal():
        header = ["run", "recipe", "started", "stopped", "epochs", "seconds", "size", *figures, "chosen_on"]
        lines = [
            [
                run.name, run.recipe, None if run.started is None else run.started.isoformat(timespec="seconds"),
                run.stopped, run.epochs, run.seconds, run.size, *(run.figures.get(name) for name in figures),
                run.chosen_on,
            ]
            for run in found
        ]  # fmt: skip
        _tabs([header, *lines])
        return
    shown = [name for name in figures if name.startswith(("validation.", "test."))]
    header = ["run", "recipe", "when", "stopped", "epochs", "time", *shown, "chosen on", "size"]
    rows = [
        [
            run.name, run.recipe or "—", _when(run), run.stopped, _text(run.epochs), _time(run.seconds),
            *(_figure(name, run.figures.get(name)) for name in shown), run.chosen_on or "—", _size(run.size),
        ]
        for run in found
    ]  # fmt: skip
    _table(header, rows, left=4, drop=_least_first(shown))


def _least_first(figures: Sequence[str]) -> list[str]:
    """Return the columns that a narrow terminal goes without, the one that says least about a run first."""
    losses = [name for name in figures if name.endswith(".loss")]
    others = [name for name in figures if name not in losses and not name.endswith(".accuracy")]
    best = sorted((name for name in figures if name.endswith(".accuracy")), key=lambda name: name.startswith("test."))
    kept = (best or others or losses)[-1:]
    return [
        name
        for name in ("chosen on", "size", *losses, "time", *others, "when", *best, "epochs", "recipe")
        if name not in kept
    ]


def _when(run: StoredRun) -> str:
    return "—" if run.started is None else run.started.astimezone().strftime("%Y-%m-%d %H:%M")


# --- a comparison ----------------------------------------------------------------------------------------------------


def _show_comparison(found: Comparison) -> None:
    names = [run.name for run in found.runs]
    if not _terminal():
        _tabs([["kind", "name", *names, *(f"{name} - {names[0]}" for name in names[1:])]])
        empty = [None] * (len(names) - 1)
        _tabs([["stopped", "", *(run.stopped for run in found.runs), *empty]])
        _tabs([["setting", name, *values, *empty] for name, values in found.settings.items()])
        _tabs([["figure", name, *values, *found.difference(name)[1:]] for name, values in found.figures.items()])
        _tabs([["version", name, *values, *empty] for name, values in found.versions.items()])
        return
    settings = [[name, *map(_text, values)] for name, values in found.settings.items()]
    alike = f"{found.same} more are alike"
    _table(["settings that differ", *names], settings or [["none", *[""] * len(names)]], left=1 + len(names))
    typer.echo(f"  {alike}\n")
    figures = [["stopped", *(run.stopped for run in found.runs)]]
    for name, values in found.figures.items():
        cells = zip(values, found.difference(name), strict=True)
        figures.append([name, *(_with_difference(name, value, more) for value, more in cells)])
    _table(["figures", *names], figures)
    if found.versions:
        typer.echo("")
        versions = [[name, *map(_text, values)] for name, values in found.versions.items()]
        _table(["versions that differ", *names], versions, left=1 + len(names))


def _with_difference(name: str, value: float | None, more: float | None) -> str:
    text = _figure(name, value)
    if more is None:
        return text
    if name.endswith("accuracy"):
        return f"{text} ({100 * more:+.2f})"
    return f"{text} ({'−' if more < 0 else '+'}{_figure(name, abs(more))})"


# --- cells -----------------------------------------------------------------------------------------------------------


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "—"
    if name == "size":
        return _size(value)
    if name == "seconds":
        return _time(value)
    if name == "epochs":
        return f"{value:.0f}"
    return f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4g}"


def _text(value: Any) -> str:
    return "—" if value is None else str(value)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def _size(number: float) -> str:
    # Not that of training.reports.tables: a list of runs is there at once, without importing torch.
    return f"{number / 2**20:.1f} MiB" if number >= 2**20 else f"{number / 2**10:.1f} KiB"


def _terminal() -> bool:
    return sys.stdout.isatty()


def _tabs(rows: Sequence[Sequence[Any]]) -> None:
    for row in rows:
        # A tab or a line break within a cell would make two of it.
        typer.echo("\t".join("" if cell is None else " ".join(_short(cell).split()) for cell in row))


def _short(cell: Any) -> str:
    """Write a cell for a pipe: 0.1 and not 0.09999999999999998."""
    return str(float(f"{cell:.6g}")) if isinstance(cell, float) else str(cell)


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, drop: Sequence[str] | None = None
) -> None:
    """Print a table for a terminal, its cells whole.

    Args:
        header: names of the columns.
        rows: their cells.
        left: how many columns are aligned to the left; the others are numbers.
        drop: columns to leave out, in that order, until the others fit. None leaves out nothing: columns that do not
            fit follow in a further table, below the same first column.
    """
    from rich.console import Console

    console = Console()
    widths = [max(len(name), *(len(row[at]) for row in rows)) + 3 for at, name in enumerate(header)]  # with a gap
    shown, left_out = list(range(len(header))), []
    for name in drop or ():
        if sum(widths[at] for at in shown) <= console.width:
            break
        if name in header:
            shown.remove(header.index(name))
            left_out.append(name)
    if drop is None:
        group = [0]
        for at in shown[1:]:
            if len(group) > 1 and sum(widths[one] for one in [*group, at]) > console.width:
                _print_columns(console, header, rows, group, left)
                group = [0]
            group.append(at)
        shown = group
    _print_columns(console, header, rows, shown, left)
    if left_out:
        console.print(
            f"Not shown, for the width of {console.width}: {', '.join(left_out)}; --json has all", highlight=False
        )


def _print_columns(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], left: int
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for at in columns:
        table.add_column(Text(header[at]), justify="left" if at < left else "right", overflow="fold")
    for row in rows:  # as it is: a name may hold what rich reads as markup
        table.add_row(*(Text(row[at]) for at in columns))
    console.print(table)
