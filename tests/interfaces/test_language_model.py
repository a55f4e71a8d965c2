"""A language model over a memory-mapped token array, with carried state, on the public interfaces alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.data import ArrayDataset, TokenArray
from rnnkit.serialization import read_values
from rnnkit.training import Callback

WORDS = 12


def model() -> rnnkit.SequenceTagger:
    torch.manual_seed(0)
    body = rnnkit.LSTM(8, 16, batch_first=True)
    return rnnkit.SequenceTagger(body, WORDS, front=nn.Embedding(WORDS, 8), activation="none")


def learner() -> rnnkit.Learner:
    return rnnkit.Learner(model(), loss="cross_entropy", metrics="accuracy", lr=0.01)


@pytest.fixture
def tokens(tmp_path) -> TokenArray:
    """Made text: a word is followed by its double, so that a model of one step can learn it."""
    generator = np.random.default_rng(0)
    words = [1]
    for _ in range(2_000):
        words.append((2 * words[-1]) % 11 if generator.random() < 0.9 else int(generator.integers(1, 11)))
    return TokenArray.write(tmp_path / "tokens.npy", words)


class StopAt(Callback):
    """Ends the run as Ctrl-C does, after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, learner, step):
        if step + 1 == self.step:
            raise KeyboardInterrupt


def weights(one: rnnkit.Learner) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in one.model.state_dict().values()]


def test_it_learns(tokens):
    assert isinstance(tokens.tokens, np.memmap)
    one = learner()
    history = one.fit(tokens.batches(8, 20), epochs=5, stateful=True, seed=0, progress=False)
    assert history.rows[-1]["accuracy"] > 0.7 > history.rows[0]["accuracy"]


@pytest.mark.parametrize("random_windows", [False, True])
@pytest.mark.parametrize("step", [5, 13, 20])
def test_it_resumes_to_the_bit_from_the_middle_of_an_epoch(tokens, tmp_path, random_windows, step):
    def batches():
        return tokens.batches(8, 20, random_windows=random_windows, seed=3)

    settings = {"epochs": 2, "stateful": True, "seed": 0, "progress": False, "checkpoint_every": 1}
    whole, broken, resumed = learner(), learner(), learner()
    whole.fit(batches(), **settings, checkpoint=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        broken.fit(batches(), **settings, checkpoint=tmp_path / "run", callbacks=[StopAt(step)])
    state = read_values(tmp_path / "run" / "training.safetensors")
    assert state["place"]["step"] == step - 1
    assert state["carried"]["state"] is not None
    resumed.fit(batches(), **settings, checkpoint=tmp_path / "run", resume=True)
    assert all(map(torch.equal, weights(whole), weights(resumed)))
    times = ("seconds", "samples_per_second")
    rows = [
        [{name: value for name, value in row.items() if name not in times} for row in one.history.rows]
        for one in (whole, resumed)
    ]
    assert rows[0] == rows[1]


def test_the_state_is_carried_from_window_to_window(tokens):
    """Windows of one step know the word before only by the state: without it, accuracy is that of the last word."""
    one = learner()
    one.fit(tokens.batches(8, 20), epochs=2, stateful=True, seed=0, progress=False)
    long = one.evaluate(tokens.batches(8, 250), stateful=True)
    short = one.evaluate(tokens.batches(8, 1), stateful=True)
    assert short["loss"] == pytest.approx(long["loss"], rel=1e-4)


def test_other_tokens_are_another_run(tokens, tmp_path):
    settings = {"epochs": 2, "stateful": True, "seed": 0, "progress": False, "checkpoint": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        learner().fit(tokens.batches(8, 20), **settings, callbacks=[StopAt(3)])
    changed = TokenArray(np.asarray(tokens.tokens)[::-1].copy())
    with pytest.raises(rnnkit.errors.ConfigError, match="state of another run"):
        learner().fit(changed.batches(8, 20), **settings, resume=True)


def test_validation_batches_that_shuffle_resume_to_the_bit(tmp_path):
    """The generator of the order is stored too: the mean loss depends on the batches that it is made of."""
    x, y = torch.randn(50, 6, 2, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 2

    def run(**settings):
        torch.manual_seed(0)
        one = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 8), classes=2))
        held_out = ArrayDataset(x, y).batches(batch_size=7, seed=5)
        return one.fit(x, y, epochs=4, validation=held_out, seed=0, progress=False, **settings)

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=tmp_path, checkpoint_every=1, callbacks=[StopAt(5)])
    resumed = run(checkpoint=tmp_path, checkpoint_every=1, resume=True)
    assert resumed["val_loss"] == whole["val_loss"]
