"""What a run reports when it ends: ``metrics.json``, ``history.csv`` and ``curves.png``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ..serialization import replacing
from .files import CURVES, HISTORY, METRICS, write_json

if TYPE_CHECKING:
    from ..training.history import History


class Metrics(TypedDict, total=False):
    """What a run reports and ``metrics.json`` holds; figures of a split by the metric's name.

    Attributes:
        validation, test: loss and metrics; ``validation`` only where rows were held out.
        dynamic_evaluation: of the test text, by a language model that continues to learn from it.
        temperature: by which the weights of a language model's head were divided.
        split: which rows were held out, and how they were drawn.
        rows: the number of rows trained on, validated on and tested on, where rows are counted.
        chosen_on: what the weights were chosen on, and that it was not the test set.
        baselines: figures on the test set of answers that no network made, by what they are called.
        signatures: how scores of texts were computed: the library's settings and version, by the score's name.
        epochs: how many were completed.
        seconds: the time training took, and
        samples_per_second: training samples over that time without validation; None before the first epoch ended.
        ahead: errors of single steps of a forecast: step → the network or a baseline → figures.
        summary: figures in a sentence each, which the command line prints.
        verdict: whether the network is worth it beside the baselines, in a sentence or two.
        troubles: of the data and of what the model made of it, a sentence each; runs of text.
        stopped: "finished", "early stopping" or "interrupted" (by Ctrl-C).
    """

    validation: dict[str, float]
    test: dict[str, float]
    dynamic_evaluation: dict[str, float]
    temperature: float
    split: str
    rows: dict[str, int]
    chosen_on: str
    baselines: dict[str, dict[str, float]]
    signatures: dict[str, str]
    epochs: int
    seconds: float
    samples_per_second: float | None
    ahead: dict[str, dict[str, dict[str, float]]]
    summary: list[str]
    verdict: str
    troubles: list[str]
    stopped: str


def chosen_on_validation(count: int, rows: str = "rows") -> str:
    """Return in words that weights were chosen on what was held out from training, for `record(chosen_on=...)`.

    Args:
        count: how many there are.
        rows: what is counted.

    Example:
        >>> chosen_on_validation(1200, "windows")
        'validation (1,200 windows held out from training)'
    """
    return f"validation ({count:,} {rows} held out from training)"


def record(
    folder: Path,
    history: History,
    metrics: Metrics,
    *,
    chosen_on: str | None = None,
    final: Mapping[str, float] | None = None,
) -> Metrics:
    """Write ``metrics.json``, ``history.csv`` and ``curves.png``, as every run ends.

    Args:
        folder: the run folder.
        history: of its training.
        metrics: what was measured.
        chosen_on: what the weights were chosen on. None, or a run that ended within its first epoch: nothing was
            chosen, the weights are the last ones.
        final: results on the test set, to be drawn beside the curves.

    Returns:
        `metrics` with what the history adds.
    """
    from statistics import harmonic_mean

    from ..diagnostics import pictures

    if chosen_on is None or not history.rows:
        last = "last step before Ctrl-C" if history.stopped == "interrupted" else "last epoch"
        chosen_on = f"{last}; nothing was chosen on test data"
    speeds = [row["samples_per_second"] for row in history.rows]
    reported: Metrics = {
        **metrics,
        "chosen_on": chosen_on,
        "epochs": len(history.rows),
        "seconds": history.seconds,
        "samples_per_second": harmonic_mean(speeds) if speeds else None,
        "stopped": history.stopped,
    }
    with replacing(folder / HISTORY) as temporary:
        history.to_csv(temporary)
    pictures.curves(history.rows, folder / CURVES, final=final)
    write_json(folder / METRICS, reported)  # the last: it says that the run is over
    return reported
