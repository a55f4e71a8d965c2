"""A recurrent network inside scikit-learn: a pipeline, a grid search, calibrated probabilities, and a saved model.

Data: GunPoint of the UCR archive (150 values of a hand's position; drawing a gun or pointing), 50 series to learn from
and 150 to judge, where the folder in RNNKIT_DATA has it; else made-up movements of the same shape and task: both rise
and fall, and one of them dips before and after, as a hand does that returns a gun to its holster.

Run: RNNKIT_DATA=folder python examples/scikit_learn.py (some minutes)
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import rnnkit

Arrays = tuple[np.ndarray, np.ndarray]


def made(rows: int, seed: int) -> Arrays:
    """Hands that rise, stay and fall; those of class 2 dip a little before and after."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2 + 1
    time = np.linspace(0, 1, 150)
    begin, end = rng.uniform(0.2, 0.35, (rows, 1)), rng.uniform(0.65, 0.8, (rows, 1))
    hand = 1 / (1 + np.exp(-60 * (time - begin))) - 1 / (1 + np.exp(-60 * (time - end)))
    dips = np.exp(-(((time - begin + 0.1) / 0.03) ** 2)) + np.exp(-(((time - end - 0.1) / 0.03) ** 2))
    return hand - 0.2 * dips * (y == 2)[:, None] + rng.normal(0, 0.02, hand.shape), y.astype(str)


def load() -> tuple[Arrays, Arrays]:
    """Training and test series [N, 150] with their classes."""
    folder = Path(os.environ.get("RNNKIT_DATA", "")) / "ucr_uea" / "GunPoint"
    if not folder.is_dir():
        print("RNNKIT_DATA has no ucr_uea/GunPoint; the data is made up")
        return made(50, seed=0), made(150, seed=1)
    parts = [rnnkit.data.read_series(folder / f"GunPoint_{part}.ts") for part in ("TRAIN", "TEST")]
    train, test = ((np.stack(part.values)[:, :, 0], part.targets) for part in parts)
    return train, test


def main(rows: int | None = None, steps: int | None = None) -> dict[str, float]:
    """Searches, calibrates and saves; prints and returns figures on the test series.

    Args:
        rows: use so many of the training series only, and four times as many of the test series.
        steps: optimizer steps of each training; None: the recipe's.
    """
    (X, y), (X_test, y_test) = load()
    if rows is not None:
        X, y, X_test, y_test = X[:rows], y[:rows], X_test[: 4 * rows], y_test[: 4 * rows]

    # 150 steps are 150 columns: the scaler here takes each one's mean away, so the network sees what is unusual.
    network = rnnkit.RNNClassifier(random_state=0, settings=None if steps is None else {"steps": steps})
    pipeline = make_pipeline(StandardScaler(with_std=False), network)
    grid = {"rnnclassifier__cell": ["gru", "lstm"], "rnnclassifier__hidden_size": [32, 64]}
    search = GridSearchCV(pipeline, grid, cv=StratifiedKFold(2, shuffle=True, random_state=0)).fit(X, y)
    for settings, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{score:6.1%}  {', '.join(f'{name[15:]}={value}' for name, value in settings.items())}")
    found = {
        "accuracy": search.score(X_test, y_test),
        "log loss": log_loss(y_test, search.predict_proba(X_test)),
    }

    best = search.best_estimator_[-1]
    calibrated = CalibratedClassifierCV(make_pipeline(StandardScaler(with_std=False), best), cv=2).fit(X, y)
    found["log loss, calibrated"] = log_loss(y_test, calibrated.predict_proba(X_test))

    # Any row may be of another length where the network gets the series themselves, without the pipeline.
    begun = [row[: 100 + 10 * (index % 6)] for index, row in enumerate(X_test)]
    plain = rnnkit.RNNClassifier(**best.get_params()).fit(list(X[:, :, None]), y)
    found["accuracy of the whole"] = plain.score(list(X_test[:, :, None]), y_test)
    found["accuracy, ends cut off"] = plain.score([row[:, None] for row in begun], y_test)

    with tempfile.TemporaryDirectory() as folder:
        plain.save(folder)  # for rnnkit predict and rnnkit.load; a pickle is for those who trust its source
        kept = (Path(folder) / "model.safetensors").stat().st_size
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict_proba(X_test), search.predict_proba(X_test))

    for name, value in found.items():
        print(f"{name:24} {value:.3f}")
    print(f"saved model: {kept / 1024:.0f} KiB, {best.n_iter_} epochs")
    return {**found, "kept": kept}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
