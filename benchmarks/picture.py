"""The picture in README: one training step of the main job, by system."""

from pathlib import Path

from benchmarks.results import OURS, Row
from benchmarks.tables import milliseconds
from rnnkit.plotting import style
from rnnkit.plotting.palette import BLUE, architecture_colour


def draw(row: Row, path: Path) -> None:
    """Draw a bar a system, fastest on top; `row` holds at least one timing."""
    times = sorted(((timing.ms, system) for system, timing in row.steps.items()), reverse=True)
    figure = style.figure(8, 2.4)
    axes = figure.subplots()
    ours = architecture_colour(row.workload.title) or BLUE
    colours = [ours if system == OURS else "0.7" for _, system in times]
    bars = axes.barh([system for _, system in times], [ms for ms, _ in times], color=colours)
    axes.bar_label(bars, [milliseconds(ms) for ms, _ in times], padding=4)
    load = row.workload
    sizes = f"batch {load.batch}, {load.time} steps, {load.inputs} → {load.hidden}"
    figure.suptitle(f"One training step of {load.title} on the CPU, ms ({sizes})", fontsize=10)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(left=False)
    style.write(figure, path)
