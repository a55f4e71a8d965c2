"""Small runs of forecasts, and tables for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from empty_pictures import pictures_saved_empty

from rnnkit.recipes.forecast import Fit, Forecast, Model
from rnnkit.recipes.forecast_source import ForecastSource
from rnnkit.runs import start

LOOKBACK, HORIZON = 8, 3


def write(file, steps=200, series=("a", "b"), first="2024-01-01", ahead=0, seed=0):
    """Hours of noisy days, with a covariate that is known in advance, also for rows to come without a target."""
    random = np.random.default_rng(seed)
    lines = ["unique_id,ds,y,open"]
    for at, name in enumerate(series):
        values = 50 + 10 * np.sin(np.arange(steps) * 2 * np.pi / 24 + at) + random.normal(size=steps)
        for step in range(steps + ahead):
            stamp = np.datetime64(first) + np.timedelta64(step, "h")
            lines.append(f"{name},{stamp},{f'{values[step]:.3f}' if step < steps else ''},{step % 24 // 12}")
    Path(file).write_text("\n".join(lines) + "\n")
    return Path(file)


def trained(folder, kind="direct", output="quantile", **settings):
    recipe = Forecast(
        horizon=HORIZON,
        lookback=LOOKBACK,
        model=Model(kind=kind, hidden_size=4, output=output, norm="none"),
        fit=Fit(epochs=1, batch_size=64),
        data=ForecastSource(path=str(write(folder / "load.csv")), target=("y",), known=("open",)),
        device="cpu",
    )
    recipe = replace(recipe, **settings)
    with start("forecast", recipe, folder / "run") as out, pictures_saved_empty():
        recipe.run(out)
    return folder / "run"
