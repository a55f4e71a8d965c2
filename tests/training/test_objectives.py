"""Objectives: predictions, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training import CTC


class Halving(nn.Module):
    """Logits of every second step, with their lengths where `pair`."""

    def __init__(self, pair: bool = True) -> None:
        super().__init__()
        self.pair, self.head = pair, nn.Linear(3, 4)

    def forward(self, x, lengths=None):
        if not self.pair:
            return self.head(x)
        given = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        return self.head(x[:, ::2]), (given + 1) // 2


class EncoderDecoder(nn.Module):
    """Logits [B, S, 5] of the previous labels."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 5)

    def forward(self, x, previous, lengths=None):
        return self.embedding(previous) + x.mean()


@pytest.mark.parametrize("pair", [True, False])
def test_predictions_of_ctc_are_padded_to_the_longest_row_of_all_batches(pair):
    rows = [torch.randn(length, 3) for length in (4, 2, 9, 7, 3)]
    model = Halving(pair)
    learner = rnnkit.Learner(model, objective=CTC(), device="cpu")
    found = learner.predict(rows, batch_size=2)
    assert found.shape == (5, 5 if pair else 9, 4)
    for output, row in zip(found, rows, strict=True):
        steps = (len(row) + 1) // 2 if pair else len(row)
        alone = model.head(row[::2] if pair else row)
        torch.testing.assert_close(output[:steps], alone.detach())
        assert not output[steps:].any()
    assert learner.predict(torch.randn(3, 6, 3)).shape == (3, 3 if pair else 6, 4)


def test_predictions_of_an_encoder_decoder_are_refused():
    learner = rnnkit.Learner(EncoderDecoder(), objective="seq2seq", device="cpu")
    with pytest.raises(ConfigError, match="decode with a method of the model"):
        learner.predict(torch.randn(4, 6, 2))
