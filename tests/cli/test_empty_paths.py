"""An empty path, as of a shell's variable without a value, is refused; it would be the current folder."""

import numpy as np
import pytest
import torch
from commands import call

import rnnkit
from rnnkit.data import audio, forecasting, images, read_series, read_texts, shards, video
from rnnkit.data.data_folder import find_data
from rnnkit.errors import ConfigError, DataError, check_path
from rnnkit.generation import NGramModel
from rnnkit.interop import read_charrnn
from rnnkit.recipes import open_recipe
from rnnkit.runs.settings import override

LEARNER = rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A current folder whose files could be read by mistake."""
    (tmp_path / "x.txt").write_text("to be or not\n" * 40)
    monkeypatch.chdir(tmp_path)
    yield
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "lm", ""], "FILE ''"),
        (["train", "lm", "--data", ""], "--data ''"),
        (["train", "lm", "x.txt", "--out="], "--out ''"),
        (["predict", "", "x.txt"], "RUN ''"),
        (["predict", "run", "a", ""], "FILE ''"),
        (["shards", "make", "", "--out", "out"], "SOURCE ''"),
        (["shards", "make", "x.txt", "--out", ""], "--out ''"),
        (["shards", "verify", ""], "an empty address"),
        (["runs", ""], "FOLDER ''"),
        (["train", "lm", "--set", "data.shards="], "data.shards= arrived without a value"),
        (["train", "lm", "--set", "data.path="], "data.path= arrived; expected text or none"),
    ],
)
def test_in_the_terminal(words, named):
    result = call(*words)
    assert result.exit_code == 2
    assert f"Error: {named}" in result.stderr


@pytest.mark.parametrize(
    "use",
    [
        find_data, read_series, read_texts, video.read_videos, video.read_clip, audio.read_clips, images.read_pictures,
        images.read_digits, rnnkit.load, shards.ShardSet.open, shards.verify_shards, NGramModel.open, read_charrnn,
        LEARNER.save, forecasting.read_time_series,
        lambda path: shards.make_shards(path, "out"),
        lambda path: shards.make_shards("x.txt", path),
        lambda path: LEARNER.fit(np.zeros((2, 2)), np.zeros(2), checkpoint=path),
    ],
)  # fmt: skip
def test_in_python(use):
    with pytest.raises((ConfigError, DataError)):
        use("")


def test_the_current_folder_has_a_name():
    check_path(".")
    assert override(open_recipe("lm"), ["data.path=."]).data.path == "."
    assert override(open_recipe("lm"), ["prompt="]).prompt == ""
