"""Learning curves of several runs in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from ..plotting.learning_curves import NOT_METRICS
from ..plotting.palette import COLOURS, INK, looks_of, widths
from ..plotting.style import figure as _figure
from ..plotting.style import label, limit_share, open_axes, shortened, write


def curves_of_runs(runs: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> list[str]:
    """Draw the loss and each metric of several runs over their epochs, a panel each, a colour a run.

    Validation is drawn where a run has it, and its training thin behind; a run without validation shows its training.
    A run with the name of an architecture has its colour. Runs of one colour have different kinds of line.

    Args:
        runs: the rows of each run's history by its name, as ``History.rows`` holds them.
        path: the file to write; its suffix chooses the format.

    Returns:
        The names of runs that have no epoch to draw.

    Raises:
        DataError: none of them has, or the suffix is no picture's.

    Example:
        >>> import tempfile
        >>> rows = [{"epoch": 1, "loss": 0.9, "val_loss": 1.0}, {"epoch": 2, "loss": 0.5, "val_loss": 0.8}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     curves_of_runs({"short": rows[:1], "long": rows, "none": []}, Path(folder) / "runs.png")
        ['none']
    """
    drawn = {name: rows for name, rows in runs.items() if rows}
    if not drawn:
        raise DataError(f"none of {', '.join(runs) or 'the runs'} has an epoch to draw; they need a history.csv")
    names = dict.fromkeys(key.removeprefix("val_") for rows in drawn.values() for row in rows for key in row)
    panels = ["loss", *(name for name in names if name not in NOT_METRICS)]
    figure = _figure(4.8 * len(panels), 3.6 + 0.22 * len(drawn))
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise DataError(f"{path} is no picture's name; end it in .png, .svg or .pdf")
    looks = looks_of(drawn, (*COLOURS, INK))
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        open_axes(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        for rows, (colour, linestyle), width in zip(drawn.values(), looks, widths(len(looks)), strict=True):
            style = {"color": colour, "linestyle": linestyle}
            training, validation = (
                [(row["epoch"], row[key]) for row in rows if key in row] for key in (name, f"val_{name}")
            )
            if training and validation:
                axes.plot(*zip(*training, strict=True), **style, linewidth=0.8, alpha=0.45)
            if points := validation or training:
                marker = "o" if len(points) <= 20 else None
                axes.plot(*zip(*points, strict=True), **style, linewidth=width, marker=marker, markersize=2 + width)
        limit_share(axes, name)
    lines = [figure.axes[0].plot([], [], color=colour, linestyle=linestyle)[0] for colour, linestyle in looks]
    texts = [label(name) for name in shortened(list(drawn), 40)]
    figure.legend(lines, texts, loc="outside lower left", frameon=False, handlelength=3, ncols=len(panels))
    if any("val_loss" in row for rows in drawn.values() for row in rows):
        figure.suptitle("validation; training thin", fontsize=10)
    write(figure, path)
    return [name for name in runs if name not in drawn]
