"""Series for the estimator of forecasts, and one that is trained on them for a moment."""

import numpy as np
import pandas as pd

import rnnkit

SMALL = {"horizon": 3, "lookback": 8, "hidden_size": 4, "epochs": 1, "random_state": 0, "validation_fraction": 0.2}
STEPS = 120


def values(steps=STEPS, seed=0):
    random = np.random.default_rng(seed)
    return 50 + 10 * np.sin(np.arange(steps) * 2 * np.pi / 24 + seed) + random.normal(size=steps)


def stamps(steps=STEPS):
    return pd.date_range("2024-01-01", periods=steps, freq="h")


def long(names=("a", "b"), columns=("unique_id", "ds", "y")):
    blocks = [
        pd.DataFrame(dict(zip(columns, (name, stamps(), values(seed=at)), strict=True)))
        for at, name in enumerate(names)
    ]
    return pd.concat(blocks, ignore_index=True)


def fitted(data, **settings):
    return rnnkit.RNNForecaster(**SMALL | settings).fit(data)
