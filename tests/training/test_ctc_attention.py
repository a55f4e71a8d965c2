"""The objective of CTC and attention together, on inputs and labels of unequal lengths."""

import pytest
import torch
from tolerances import assert_close
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training import CTC, CTCAttention, ScheduledSampling
from rnnkit.types import Batch

V, START, END = 7, 1, 2


def made(ctc_weight=0.4):
    torch.manual_seed(0)
    network = rnnkit.EncoderDecoder(
        rnnkit.GRU(V, 16, batch_first=True), rnnkit.GRU(6 + 16, 16), None, V, form="bahdanau", start=START
    )
    return rnnkit.AttentionRecognizer(network, END, ctc_weight=ctc_weight)


def spoken(rows, seed=0):
    """Each label sounds for two or three steps, with a pause behind it."""
    generator = torch.Generator().manual_seed(seed)
    x, y = [], []
    for row in range(rows):
        labels = torch.randint(3, V, (row % 4,), generator=generator)
        steps = [0]
        for label in labels.tolist():
            steps += [label] * int(torch.randint(2, 4, (), generator=generator)) + [0]
        x.append(F.one_hot(torch.tensor(steps), V).float())
        y.append(labels)
    return x, y


def batch_of(x, y):
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = torch.tensor([len(one) for one in x])
    return Batch(pad(x, batch_first=True), pad(y, batch_first=True), lengths, torch.tensor([len(one) for one in y]))


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_it_is_the_sum_of_both(weight):
    model, (x, y) = made(weight).eval(), spoken(6)
    batch, objective = batch_of(x, y), CTCAttention(START, END, weight=weight)
    score = objective(objective.call(model, batch), batch)
    total, count = 0.0, 0
    for frames, labels in zip(x, y, strict=True):
        ids = torch.tensor([[START, *labels.tolist(), END]])
        logits = model(frames[None], ids[:, :-1])
        total += (1 - weight) * F.cross_entropy(logits[0], ids[0, 1:], reduction="sum")
        count += max(1, len(labels))
        if weight:
            _, ctc, steps = model(frames[None], ids[:, :-1], return_ctc=True)
            one = Batch(frames[None], labels[None], None, torch.tensor([len(labels)]))
            total += weight * CTC(0)((ctc, steps), one).loss * max(1, len(labels))
    assert score.count == count
    assert_close(score.loss, total / count)


def test_two_uneven_batches_are_as_one():
    model, (x, y) = made().eval(), spoken(7)
    learner = rnnkit.Learner(model, device="cpu")  # the model names its objective
    whole = learner.evaluate((x, y), batch_size=7)["loss"]
    assert learner.evaluate((x, y), batch_size=3)["loss"] == pytest.approx(whole, abs=1e-5)


def test_it_learns_to_spell_out_what_was_said():
    x, y = spoken(48)
    model = made()
    objective = CTCAttention(START, END, weight=0.4, label_smoothing=0.05)
    learner = rnnkit.Learner(model, objective=objective, lr=0.02, device="cpu")
    sampling = ScheduledSampling(0.2, steps=60)
    history = learner.fit((x, y), epochs=20, batch_size=8, seed=0, progress=False, callbacks=[sampling])
    assert history.rows[-1]["loss"] < 0.5 * history.rows[0]["loss"]
    assert objective.sampling == 0  # as before


def test_what_does_not_fit_is_refused():
    x, y = spoken(6)
    with pytest.raises(ConfigError, match="weight=1 arrived"):
        CTCAttention(START, END, weight=1)
    with pytest.raises(ConfigError, match="which tells no token that ends a text"):
        rnnkit.Learner(rnnkit.SequenceTagger(rnnkit.GRU(2, 3), 4), objective="ctc_attention")
    with pytest.raises(ConfigError, match="decode with rnnkit.generation.beam_search"):
        rnnkit.Learner(made(), device="cpu").predict(x)
    objective, batch = CTCAttention(START, END), batch_of(x, y)
    output = torch.zeros(6, 5, V), torch.zeros(6, 9, V), torch.ones(6)
    with pytest.raises(ConfigError, match=r"and 2 more; the objective 'ctc_attention' expects logits \[6, 4, V\]"):
        objective.check_output(output, batch)
    with pytest.raises(ShapeError, match="the objective 'ctc_attention' expects integer labels"):
        rnnkit.Learner(made(), device="cpu").evaluate((x, [one.float() for one in y]))
    with pytest.raises(DataError, match="labels run from 4 to 7; expected 0 to 6 without the blank, 0"):
        rnnkit.Learner(made(), device="cpu").evaluate((x, [one + 1 for one in y]))
