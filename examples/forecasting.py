"""Forecast the load of power plants a day ahead, judge it honestly, tune it to a new plant, and follow it hour by hour.

The table has Chinese column names: 电厂 (plant), 时间 (time), 负荷 (load, MW) and 气温 (temperature, which the weather
service tells a day ahead). Any names serve. The data is made here: a day and a week, a load that rises with heat and
cold, and noise. A few minutes on one core.

Run: python examples/forecasting.py [--picture forecast.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

import rnnkit

HORIZON = 24
COLUMNS = {"id_column": "电厂", "time_column": "时间", "target": "负荷", "known": ["气温"]}


def made(plants: dict[str, float], days: int, begin: str, seed: int = 0) -> pd.DataFrame:
    """Hourly load of plants of some sizes in MW, with the temperature."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    weather = np.convolve(rng.normal(size=len(hours) + 71), np.ones(72) / 8, "valid")
    tables = []
    for name, size in plants.items():
        warmth = 14 + 5 * np.sin(2 * np.pi * (hours - 9) / 24) + 4 * weather
        day = 1 + 0.25 * np.sin(2 * np.pi * (hours - 8) / 24) - 0.12 * (hours // 24 % 7 >= 5)
        load = size * (day + 0.02 * np.abs(warmth - 16) + 0.03 * rng.normal(size=len(hours)))
        stamps = pd.date_range(begin, periods=len(hours), freq="h")
        tables.append(pd.DataFrame({"电厂": name, "时间": stamps, "负荷": load.round(1), "气温": warmth.round(1)}))
    return pd.concat(tables, ignore_index=True)


def with_temperatures(table: pd.DataFrame, steps: int = HORIZON) -> pd.DataFrame:
    """The table without the load of the last hours: their temperature is known, and the load is to be forecast."""
    to_come = table.groupby("电厂").cumcount(ascending=False) < steps
    return table.assign(负荷=table["负荷"].mask(to_come))


def main(
    days: int = 150,
    epochs: int = 12,
    hidden_size: int = 32,
    tuning: int = 4,
    baselines: Literal["all", "naive"] = "all",
    picture: Path | None = None,
) -> dict[str, float]:
    """Fits, compares, tunes and streams; prints and returns figures.

    Args:
        days: of the made data.
        epochs: of the training.
        hidden_size: of the network.
        tuning: epochs of the fine-tuning.
        baselines: "naive" leaves out ridge regression and DLinear.
        picture: where the forecast is drawn.
    """
    table = made({"北厂": 900.0, "南厂": 300.0}, days, "2024-01-01")
    print(table.head(3))
    model = rnnkit.RNNForecaster(
        horizon=HORIZON, lookback=72, hidden_size=hidden_size, epochs=epochs, norm="none", random_state=0, **COLUMNS
    ).fit(table)
    print(*model.findings_, sep="\n")

    compared = model.compare(baselines=baselines)
    print(compared)

    latest = with_temperatures(table)
    forecast = model.predict_interval(latest, coverage=0.8)
    print(forecast.head(3).to_string(float_format="%.1f"))
    truth = table.groupby("电厂", sort=False).tail(HORIZON)["负荷"].to_numpy()
    inside = (truth >= forecast["forecast-lo-80"]) & (truth <= forecast["forecast-hi-80"])
    print(f"the 80% intervals hold {inside.mean():.0%} of these {len(truth)} values")
    if picture is not None:
        draw(model, latest, picture)

    # The first month of a plant that the network has not seen: a tenth of the rate, from what it knows of the others.
    young = made({"东厂": 120.0}, 30, "2024-09-01", seed=5)
    before = model.score(young)
    model.fine_tune(young, epochs=tuning)
    after = model.score()

    # Hour by hour: a state is carried on, since norm="none" needs no statistics of a window.
    stream = model.stream("东厂", data=with_temperatures(young, 48))
    for row in young.iloc[-48:-24].to_dict("records"):
        stream.update(row)
    print(stream)
    ahead = stream.forecast({"气温": young["气温"].to_numpy()[-24:]})
    found = {
        "skill": 1 - compared.network.figures["mase"] / min(one.figures["mase"] for one in compared.baselines.values()),
        "inside": float(inside.mean()),
        "new plant, before": before,
        "new plant, tuned": after,
        "streamed error, MW": float(np.abs(ahead["forecast"].to_numpy() - young["负荷"].to_numpy()[-24:]).mean()),
    }
    for name, value in found.items():
        print(f"{name:20} {value:.3f}")
    return found


def draw(model: rnnkit.RNNForecaster, latest: pd.DataFrame, file: Path) -> None:
    """Draw the end of the first plant's load, the forecast and its interval."""
    from rnnkit.data.forecasting import read_time_series
    from rnnkit.recipes.forecast_panels import draw_steps_to_come

    first = latest[latest["电厂"] == "北厂"].assign(电厂="north")  # a font with Chinese characters may be missing
    series = read_time_series(first, **model.predictor_.preprocessing.read_options)
    draw_steps_to_come(series, model.predictor_.table(series), file, lookback=72)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="a file for the picture of the forecast, such as forecast.png")
    main(picture=parser.parse_args().picture)
