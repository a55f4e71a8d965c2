"""An encoder–decoder with teacher forcing and target lengths of its own, on the public interfaces alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.training import SequenceToSequence

START, END = 0, 1


class EncoderDecoder(nn.Module):
    """The encoder's last state starts the decoder."""

    def __init__(self, words: int = 8, units: int = 48) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 16)
        self.encoder = rnnkit.GRU(16, units, batch_first=True)
        self.decoder = rnnkit.GRU(16, units, batch_first=True)
        self.head = nn.Linear(units, words)

    def forward(self, x: torch.Tensor, previous: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        _, state = self.encoder(self.embedding(x), lengths=lengths)
        return self.head(self.decoder(self.embedding(previous), state)[0])

    def translate(self, x: torch.Tensor, most: int) -> list[int]:
        """Without the true labels: each step reads what the step before said."""
        _, state = self.encoder(self.embedding(x[None]))
        word, said = torch.tensor([START]), []
        for _ in range(most):
            output, state = self.decoder(self.embedding(word[:, None]), state)
            word = self.head(output)[:, 0].argmax(-1)
            if int(word) == END:
                break
            said.append(int(word))
        return said


def doubled(rows: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Made data: words of 1 to 3 letters, backwards and then the end."""
    generator = torch.Generator().manual_seed(1)
    x = [torch.randint(2, 8, (int(n),), generator=generator) for n in torch.randint(1, 4, (rows,), generator=generator)]
    return x, [torch.cat([row.flip(0), torch.tensor([END])]) for row in x]


def test_it_learns_and_answers_without_the_true_labels():
    torch.manual_seed(0)
    x, y = doubled(256)
    learner = rnnkit.Learner(EncoderDecoder(), objective=SequenceToSequence(START), metrics="accuracy", lr=0.01)
    history = learner.fit((x, y), epochs=15, batch_size=32, seed=0, progress=False)
    assert history.rows[-1]["accuracy"] > 0.98
    with torch.no_grad():
        right = [learner.model.translate(row, 6) == label[:-1].tolist() for row, label in zip(x, y, strict=True)]
    assert sum(right) / len(right) > 0.95


def test_targets_have_lengths_of_their_own():
    torch.manual_seed(0)
    x, y = doubled(12)
    learner = rnnkit.Learner(EncoderDecoder(), objective="seq2seq", metrics="accuracy")
    ragged = learner.evaluate((x, y), batch_size=5)
    model, losses, hits = learner.model, [], []
    for row, label in zip(x, y, strict=True):
        previous = torch.cat([torch.tensor([START]), label[:-1]])
        logits = model(row[None], previous[None])[0]
        losses.append(nn.functional.cross_entropy(logits, label, reduction="none"))
        hits.append(logits.argmax(-1) == label)
    assert ragged["loss"] == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)
    assert ragged["accuracy"] == pytest.approx(torch.cat(hits).float().mean().item())
    longer = [torch.cat([label, label]) for label in y]  # other lengths than the inputs, and other lengths each
    assert learner.evaluate((x, longer))["loss"] > 0
