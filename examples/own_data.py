"""Your own files, from a CSV to answers: a class for each series, and then a number for each.

Classification: does a hand draw a gun, or only point? One channel (the hand's position over time), 50 recordings to
learn from (GunPoint of the UCR archive). Regression: the mean of the next seven days' minimum temperatures from the 60
days before (Melbourne, 1981 to 1990), judged on the last years and compared with the seven days just past.

Both go through CSV files in the long format, a line a time step, as most loggers write them:

    id,time,position,label
    0,0,-0.648,Gun
    0,1,-0.642,Gun

Real data is read from the folder in RNNKIT_DATA; without it the example makes data that is alike.

Run: python examples/own_data.py
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from rnnkit.data import SeriesSet, read_series
from rnnkit.tasks import series
from rnnkit.tasks.series import Fit

PAST, AHEAD = 60, 7
Row = tuple[Sequence[float], object]


def classification(folder: Path, *, rows: int | None = None, steps: int | None = None) -> dict[str, float]:
    """Writes two CSV files, learns classes from one, and judges by the other."""
    for name in ("TRAIN", "TEST"):
        write_csv(folder / f"{name}.csv", "position", "label", gestures(name, rows))

    train = read_series(folder / "TRAIN.csv")  # columns are guessed by their names; id_column= and so on name them
    task = series.classify(train, fit=Fit(steps=steps), seed=0)
    task.save(folder / "gestures.safetensors")

    # Later, or elsewhere: one file is all it takes.
    task = series.load(folder / "gestures.safetensors")
    test = task.preprocessing.read(folder / "TEST.csv", targets="labels")
    print(f"{len(train)} recordings to learn from, {len(test)} to judge by")
    answers = zip(test.ids, task.predict(test), task.predict_proba(test).max(1), strict=True)
    for name, label, probability in list(answers)[:3]:
        print(f"  recording {name}: {label} ({probability:.1%})")
    figures = task.evaluate(test)
    print(f"  accuracy {figures['accuracy']:.1%}")
    return figures


def regression(folder: Path, *, rows: int | None = None, steps: int | None = None) -> dict[str, float]:
    """Learns a number for each window of a long series; the last fifth of the years judges."""
    windows = list(temperatures())
    last = len(windows) * 4 // 5
    parts = {"train": windows[:last], "test": windows[last + 22 :]}  # no day of a test window was a target before
    for name, part in parts.items():
        write_csv(folder / f"{name}.csv", "temperature", "target", part[:rows])

    train = read_series(folder / "train.csv", targets="numbers")
    task = series.regress(train, fit=Fit(steps=steps), seed=0)
    test = task.preprocessing.read(folder / "test.csv", targets="numbers")
    figures = task.evaluate(test)
    figures["rmse of the days just past"] = just_past(test)
    print(f"{len(train)} windows to learn from, {len(test)} to judge by")
    print(f"  error {figures['rmse']:.2f} °C; of the mean of the last {AHEAD} days {just_past(test):.2f} °C")
    return figures


def just_past(test: SeriesSet) -> float:
    """The error (root mean square) of expecting the last week again."""
    guesses = np.array([values[-AHEAD:].mean() for values in test.values])
    return float(np.sqrt(np.mean((guesses - test.targets) ** 2)))


def write_csv(file: Path, channel: str, target: str, rows: Iterable[Row]) -> None:
    """A line for each time step of each row."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["id", "time", channel, target])
        for name, (values, answer) in enumerate(rows):
            writer.writerows([name, time, f"{value:.4f}", answer] for time, value in enumerate(values))


def gestures(part: str, rows: int | None) -> list[Row]:
    """Position of a hand over 150 steps, and what it does."""
    file = data("ucr_uea", "GunPoint", f"GunPoint_{part}.ts")
    if file is not None:
        found = read_series(file)[:rows]
        assert found.targets is not None
        labels = np.where(found.targets == "1", "Gun", "Point")
        return [(values[:, 0].tolist(), label) for values, label in zip(found.values, labels, strict=True)]
    random = np.random.default_rng(len(part))
    made: list[Row] = []
    for row in range(rows or 50):
        time = np.arange(150) - random.uniform(-10, 10)
        values = 1 / (1 + np.exp((np.abs(time - 75) - 30) / 4)) + random.normal(0, 0.02, 150)
        if row % 2:  # the gun goes back into its holster: a dip at the end
            values -= 0.3 * np.exp(-(((time - 122) / 6) ** 2))
        made.append((values.tolist(), "Gun" if row % 2 else "Point"))
    return made


def temperatures() -> Iterable[Row]:
    """Windows of 60 days, every third day, and the mean of the seven days after each."""
    file = data("timeseries", "daily-min-temperatures.csv")
    if file is not None:
        with file.open(newline="", encoding="utf-8") as opened:
            days = np.array([float(row["Temp"]) for row in csv.DictReader(opened)])
    else:
        time = np.arange(2000)
        noise = np.random.default_rng(0).normal(0, 1.2, len(time) + 4)
        days = 11 + 4 * np.cos(2 * np.pi * time / 365) + np.convolve(noise, np.ones(5) / 2, "valid")
    for start in range(0, len(days) - PAST - AHEAD, 3):
        after = days[start + PAST : start + PAST + AHEAD].mean()
        yield days[start : start + PAST].tolist(), f"{after:.4f}"


def data(*parts: str) -> Path | None:
    """A file in the folder of RNNKIT_DATA, None where there is none."""
    file = Path(os.environ.get("RNNKIT_DATA", ""), *parts)
    return file if "RNNKIT_DATA" in os.environ and file.is_file() else None


def main(rows: int | None = None, steps: int | None = None) -> dict[str, dict[str, float]]:
    """Runs both; ``rows`` and ``steps`` shorten it."""
    with tempfile.TemporaryDirectory() as folder:
        return {task.__name__: task(Path(folder), rows=rows, steps=steps) for task in (classification, regression)}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
