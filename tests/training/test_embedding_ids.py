"""Ids and labels that an embedding of the user's model does not have."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet
from torch import nn

from rnnkit.errors import DataError
from rnnkit.training.learner import Learner
from rnnkit.training.objectives.sequence_to_sequence import SequenceToSequence


class Translator(nn.Module):
    """Reads ids of 7 words, and the label before each step, of 5 words."""

    def __init__(self, classes=5):
        super().__init__()
        self.words, self.labels = nn.Embedding(7, 3), nn.Embedding(5, 3)
        self.encoder, self.decoder = nn.GRU(3, 4, batch_first=True), nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, classes)

    def forward(self, x, previous):
        return self.head(self.decoder(self.labels(previous), self.encoder(self.words(x))[1])[0])


@pytest.fixture
def sentences():
    return torch.arange(80).reshape(16, 5) % 7, torch.arange(48).reshape(16, 3) % 5


@pytest.mark.parametrize(
    ("row", "label", "told"),
    [
        (
            0,
            9,
            "the label 9 arrived, but the embedding labels has a vocabulary of 5, .*Embedding\\(10, 3",
        ),
        (9, 9, "the label 9 arrived, but the model tells apart a vocabulary of 5, labels 0 to 4; .*at least 10"),
        (0, -1, "the label -1 .*give each label a number from 0 on"),
        (9, -1, "the label -1 .*give each label a number from 0 on"),
    ],
)
def test_a_label_outside_the_vocabulary_is_named(sentences, row, label, told):
    x, y = sentences
    wrong = y.clone()
    wrong[row, 1] = label
    learner = Learner(Translator(), objective="seq2seq")
    with pytest.raises(DataError, match=told):
        quiet(learner, (x, wrong))
    assert not any(part._forward_pre_hooks for part in learner.model.modules())
    assert len(quiet(learner, sentences, epochs=1).rows) == 1


def test_a_start_or_a_label_that_only_the_embedding_lacks(sentences):
    x, y = sentences
    with pytest.raises(DataError, match="the label 7 arrived, but the embedding labels has a vocabulary of 5"):
        quiet(Learner(Translator(), objective=SequenceToSequence(start=7)), sentences)
    rare = y.clone()
    rare[15, 0] = 5  # a class of the head, but no row of the embedding
    with pytest.raises(DataError, match=r"the label 5 arrived.*torch\.nn\.Embedding\(6, 3\)"):
        quiet(Learner(Translator(classes=6), objective="seq2seq"), (x, rare))


def test_an_input_outside_the_vocabulary_is_an_id(sentences):
    x, y = sentences
    wrong = x.clone()
    wrong[9, 4] = 7
    told = "the id 7 arrived, but the embedding words has a vocabulary of 7, ids 0 to 6"
    with pytest.raises(DataError, match=told):
        quiet(Learner(Translator(), objective="seq2seq"), (wrong, y))
    plain = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(15, 2))
    with pytest.raises(DataError, match="the id 7 arrived, but the embedding 0 has a vocabulary of 7"):
        Learner(plain, loss="mse").predict(wrong)


class Broken(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))[:, torch.tensor([9])]


def test_an_index_error_of_something_else_stays(sentences):
    with pytest.raises(IndexError):
        Learner(Broken(5, 2), loss="mse").predict(sentences[0][..., None].float())
