"""A learning rate found by a sweep, then the same GRU trained with each schedule: tomorrow's temperature in Seattle.

Data: daily weather of Seattle, 2012 to 2015 (NOAA), as the pip package vega-datasets ships it: the last 30 days'
temperatures, precipitation and wind tell how much warmer tomorrow will be. Trained on 2012 to 2014, judged on 2015.
One seed: the table shows how it is done, not which schedule is best.

Run: python examples/schedules.py [picture.png]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn.utils import vector_to_parameters

import rnnkit
from rnnkit.training import OneCycle

WINDOW = 30
COLUMNS = ["temp_max", "temp_min", "precipitation", "wind"]
SCHEDULES = [None, "cosine", "warmup_cosine", "one_cycle", "slanted_triangular", "plateau"]


def load() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], float]:
    """Windows [N, 30, 4] of the years to 2014 and of 2015, scaled by the former, and their targets; °C of one unit."""
    from vega_datasets import local_data

    table = local_data.seattle_weather()
    values, late = table[COLUMNS].to_numpy("float32"), (table["date"].dt.year == 2015).to_numpy()
    mean, scale = values[~late].mean(0), values[~late].std(0)
    values = (values - mean) / scale
    days = np.arange(WINDOW, len(values))
    x = np.stack([values[day - WINDOW : day] for day in days])
    y = (values[days, 0] - values[days - 1, 0])[:, None]
    return (x[~late[days]], y[~late[days]]), (x[late[days]], y[late[days]]), float(scale[0])


def main(picture: str = "rates.png", epochs: int = 15, rows: int | None = None) -> dict[str, float]:
    """Prints and returns the root mean squared error on 2015 in °C, by schedule."""
    train, test, unit = load()
    train = (train[0][:rows], train[1][:rows])
    torch.manual_seed(0)
    model = rnnkit.SequenceRegressor(rnnkit.GRU(len(COLUMNS), 32, batch_first=True))
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    sweep = rnnkit.Learner(model, loss="mse").find_rate(train, steps=150)
    sweep.plot(picture)
    print(f"{sweep.reason}\npicture: {picture}")
    rate = sweep.suggestion or 1e-3

    errors = {}
    for schedule in SCHEDULES:
        vector_to_parameters(start.clone(), model.parameters())
        learner = rnnkit.Learner(model, loss="mse", lr=rate, weight_decay=0.01, decay_biases=False, clip_norm=1.0)
        chosen = (
            OneCycle(warmup=0.25) if schedule == "one_cycle" else schedule
        )  # settings, where the name is too little
        held_out = 0.1 if schedule == "plateau" else None  # the last tenth tells it when to lower the rate
        learner.fit(train, validation=held_out, epochs=epochs, schedule=chosen, seed=0, progress=False)
        errors[schedule or "constant"] = learner.evaluate(test)["loss"] ** 0.5 * unit
    errors["tomorrow as today"] = float(np.sqrt(np.square(test[1]).mean()) * unit)
    print("root mean squared error on 2015, °C")
    for name, error in errors.items():
        print(f"  {name:20} {error:.3f}")
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", default="rates.png", help="file to write (default: %(default)s)")
    main(parser.parse_args().picture)
