"""Two stacked SimpleRNN(50) forecast tomorrow's maximum temperature, and are then fine-tuned on a newer year.

Data: daily weather of Seattle, 2012 to 2015 (NOAA), as the pip package vega-datasets ships it. Trained on 2012 and
2013, fine-tuned on 2014, judged on 2015, which neither step has seen: every sixth week of the years before is held out
and tells when to stop. Windows are between 7 and 60 days long, so the network learns from sequences of any length.

Run: python examples/stacked_regression.py [picture.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import rnnkit
from rnnkit.plotting import style
from rnnkit.plotting.palette import BLUE, PURPLE

LONGEST, SHORTEST = 60, 7


def load() -> tuple[np.ndarray, np.ndarray]:
    """Maximum temperature in °C of every day, and the day's year."""
    from vega_datasets import local_data

    table = local_data.seattle_weather()
    return table["temp_max"].to_numpy("float32"), table["date"].dt.year.to_numpy()


def windows(values: np.ndarray, days: np.ndarray, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """For each day the days before it, between 7 and 60 of them, and how much it differs from the last of them."""
    lengths = np.random.default_rng(seed).integers(SHORTEST, LONGEST + 1, len(days))
    days, lengths = days[days >= LONGEST], lengths[days >= LONGEST]
    inputs = [values[day - length : day, None] for day, length in zip(days, lengths, strict=True)]
    return inputs, (values[days] - values[days - 1])[:, None]


def split(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days to learn from, and every sixth week, all seasons among them, to tell when to stop."""
    held_out = days // 7 % 6 == 0
    return days[~held_out], days[held_out]


def main(picture: str = "stacked_regression.png") -> dict[str, float]:
    """Train, fine-tune, and print and return the errors on 2015 in °C."""
    temperature, year = load()
    old, new, test = (np.flatnonzero(np.isin(year, years)) for years in ([2012, 2013], [2014], [2015]))
    mean, scale = temperature[old].mean(), temperature[old].std()
    scaled = (temperature - mean) / scale

    torch.manual_seed(0)
    body = rnnkit.SimpleRNN(1, 50, num_layers=2, init="keras")
    learner = rnnkit.Learner(rnnkit.SequenceRegressor(body), loss="mse", optimizer="adam", clip_norm=1.0)
    x_test, _ = windows(scaled, test)

    def forecast() -> np.ndarray:
        return temperature[test - 1] + learner.predict(x_test)[:, 0].numpy() * scale

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(np.square(values - temperature[test]).mean()))

    settings = {"batch_size": 32, "seed": 0, "early_stopping": 10, "restore_best": True}
    learned, held_out = split(old)
    learner.fit(windows(scaled, learned), validation=windows(scaled, held_out), epochs=100, **settings)
    before = forecast()
    learned, held_out = split(new)
    learner.fine_tune(windows(scaled, learned), validation=windows(scaled, held_out), epochs=100, **settings)
    after = forecast()

    errors = {
        "persistence (tomorrow as today)": error(temperature[test - 1]),
        "trained on 2012 and 2013": error(before),
        "fine-tuned on 2014": error(after),
    }
    print("Root mean squared error on 2015, °C")
    for name, value in errors.items():
        print(f"  {name:32} {value:.3f}")
    draw(temperature[test], before, after, errors, Path(picture))
    return errors


def draw(truth: np.ndarray, before: np.ndarray, after: np.ndarray, errors: dict[str, float], path: Path) -> None:
    """Draw the forecasts of a summer, and the errors of the whole year."""
    figure = style.figure(11, 4)
    series, bars = figure.subplots(1, 2, width_ratios=[3, 1])
    style.open_axes(series)
    style.open_axes(bars)
    days = slice(150, 240)  # few enough to tell single days apart
    series.plot(range(150, 240), truth[days], color="0.75", linewidth=4, label="observed")
    series.plot(range(150, 240), before[days], color=BLUE, label="trained on 2012 and 2013")
    series.plot(range(150, 240), after[days], "--", color=PURPLE, label="fine-tuned on 2014")
    series.set(xlabel="day of 2015", ylabel="maximum temperature, °C", title="Seattle: forecast of the next day")
    series.legend(frameon=False)
    drawn = bars.bar(["persistence", "trained", "tuned"], list(errors.values()), color=["0.75", BLUE, PURPLE])
    bars.bar_label(drawn, fmt="%.3f")
    bars.set(title="Error on 2015 (RMS), °C")
    style.write(figure, path)
    print(f"Picture: {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "picture", nargs="?", default="stacked_regression.png", help="file to write (default: %(default)s)"
    )
    main(parser.parse_args().picture)
