"""Estimators that train in no time, and series for them."""

from __future__ import annotations

import numpy as np

import rnnkit

SMALL = {"front": "none", "hidden_size": 6, "epochs": 12, "learning_rate": 0.05, "random_state": 0}


def classifier(**settings):
    return rnnkit.RNNClassifier(**{**SMALL, **settings})


def regressor(**settings):
    return rnnkit.RNNRegressor(**{**SMALL, **settings})


def waves(rows: int = 36, channels: int = 1, unequal: bool = False, seed: int = 0):
    """Series that rise, fall or stay, in their last channel, and how they do."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    lengths = rng.integers(6, 12, rows) if unequal else np.full(rows, 10)
    X = [rng.normal(0, 0.3, (length, channels)) for length in lengths]
    for row, kind, length in zip(X, y, lengths, strict=True):
        row[:, -1] += (kind - 1) * np.linspace(0, 3, length)
    return (X if unequal else np.stack(X)), np.array(["falls", "stays", "rises"])[y]
