"""The history: its columns, its line, its picture and its table."""

from __future__ import annotations

import math

import pytest
from fitting import quiet

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training.history import History


@pytest.fixture
def history() -> History:
    made = History(monitor="val_loss", seconds=3.21)
    for epoch, value in enumerate((0.9, 0.5, 0.7), 1):
        made.add({"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_loss": value, "lr": 0.1})
    return made


def test_columns_by_name(history):
    assert history["val_loss"] == [0.9, 0.5, 0.7]
    assert history.columns == ("epoch", "loss", "accuracy", "val_loss", "lr")
    assert history.history["accuracy"] == [0.5] * 3
    assert list(history.history) == list(history.columns)
    history.rows.append({"epoch": 4, "loss": 0.1})
    assert math.isnan(history["val_loss"][-1])
    with pytest.raises(ConfigError, match="no column 'val_los'; did you mean 'val_loss'"):
        history["val_los"]
    with pytest.raises(ConfigError, match=r"expected a column's name; an epoch is history.rows\[0\]"):
        history[0]


def test_it_is_one_short_line(history, classifier, blobs):
    assert repr(history) == "History(3 epochs in 3.2 s, best epoch 2: val_loss 0.5, finished)"
    assert repr(History()) == "History(0 epochs in 0.0 s, finished)"
    assert len(repr(quiet(rnnkit.Learner(classifier()), blobs))) < 100


def test_the_picture_marks_the_best_epoch(history, tmp_path):
    figure = history.plot(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").stat().st_size > 5000
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert "best epoch 2" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(History().plot().axes) == 1
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        history.plot(tmp_path / "curves")


def test_the_table(history):
    frame = history.to_dataframe()
    assert frame["val_loss"].tolist() == history["val_loss"]
    assert frame.index.tolist() == [1, 2, 3]
    assert History().to_dataframe().empty
