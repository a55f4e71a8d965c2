"""Models of parts that users bring: embeddings, cells of their own, PyTorch's layers, chains."""

from __future__ import annotations

import copy

import pytest
import torch
from open_models import BODIES, LENGTHS, PARTS, Decay, Differences, LeakyCell, own, tokens
from torch import nn

import rnnkit
from rnnkit.errors import BackendError, ConfigError
from rnnkit.finetuning.adapters import add_adapters, merge_adapters
from rnnkit.finetuning.groups import layer_groups
from rnnkit.finetuning.heads import replace_head


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_padded_row_is_classified_as_if_alone_whatever_the_body(body, pooling):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(body(), 3, pooling)
    x = torch.randn(3, 7, 4)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = float("nan")
    together = model(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(together[row : row + 1], model(x[row : row + 1, :length]))
    together.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None)
    again = rnnkit.SequenceClassifier(body(), 3, pooling)
    again.load_state_dict(model.state_dict())


@pytest.mark.parametrize("body", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("pooling", ["last", "concat"])
def test_a_body_of_pytorchs_computes_what_ours_does_and_can_be_accelerated(body, pooling):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(body(3, 6, 2, bidirectional=True), 4, pooling).eval()
    x = torch.randn(3, 7, 3)
    before, names = model(x, lengths=LENGTHS), list(model.state_dict())
    report = rnnkit.accelerate(model)
    assert [one.name for one in report.swapped] == ["body"]
    torch.testing.assert_close(model(x, lengths=LENGTHS), before)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("kind", [rnnkit.SequenceClassifier, rnnkit.SequenceTagger])
def test_the_state_is_carried_from_chunk_to_chunk(kind):
    x = tokens(rows=3, time=9)
    for body in (
        rnnkit.RNN(LeakyCell(4, 5)),
        nn.LSTM(4, 5, 2),
        Decay(4),
        rnnkit.Chain(rnnkit.GRU(4, 4), nn.LSTM(4, 5)),
    ):
        model = kind(body, 2, front=nn.Embedding(11, 4)).eval()
        assert model.carry_problem is None
        state, outputs = model.initial_state(3), []
        for chunk in x.split([4, 2, 3], 1):
            output, state = model.forward_chunk(chunk, state)
            outputs.append(output)
        together = torch.cat(outputs, 1) if kind is rnnkit.SequenceTagger else outputs[-1]
        torch.testing.assert_close(together, model(x))
        first, _ = model.forward_chunk(x, lengths=[9, 2, 5])
        torch.testing.assert_close(first, model(x, lengths=[9, 2, 5]))


def test_what_cannot_be_carried_says_why():
    front = [nn.Embedding(11, 4), nn.Conv1d(4, 4, 3, padding="same")]
    for model, message in (
        (rnnkit.SequenceTagger(nn.GRU(4, 5, bidirectional=True), 2), "GRU is bidirectional"),
        (
            rnnkit.SequenceTagger(rnnkit.GRU(4, 5), 2, front=front),
            "Conv1d needs",
        ),
        (rnnkit.SequenceTagger(rnnkit.GRU(3, 5), 2, front=Differences()), "Differences needs whole sequences"),
        (rnnkit.SequenceTagger(nn.Linear(4, 5), 2), "has no state"),
        (rnnkit.SequenceTagger(rnnkit.Chain(rnnkit.GRU(4, 5), rnnkit.RNN(LeakyCell(5, 3))), 2), "different axes"),
    ):
        assert message in model.carry_problem
        with pytest.raises(ConfigError, match=message):
            model.forward_chunk(torch.randn(2, 3, 4))
    model = rnnkit.SequenceTagger(nn.LSTM(4, 5), 2)
    with pytest.raises(BackendError, match=r"rnnkit.accelerate\(model\)"):
        model.forward_chunk(torch.randn(2, 3, 4), resets=torch.zeros(2, 3, dtype=torch.bool))
    rnnkit.accelerate(model)
    model.forward_chunk(torch.randn(2, 3, 4), resets=torch.zeros(2, 3, dtype=torch.bool))


def test_it_trains_fine_tunes_with_adapters_and_merges(tmp_path):
    x = tokens(rows=64, time=6)
    y = (x == 3).any(1).long()
    model = own()
    learner = rnnkit.Learner(model, lr=0.02)
    history = learner.fit((x, y), epochs=12, batch_size=16, progress=False)
    assert history.rows[-1]["loss"] < 0.8 * history.rows[0]["loss"]
    base = copy.deepcopy(model.state_dict())
    tuned = learner.fine_tune((x, y), adapters=rnnkit.LoRA(rank=2), epochs=2, batch_size=16, progress=False)
    assert tuned.rows
    names = {name for name, one in model.named_parameters() if one.requires_grad}
    assert {
        "body.cell.parametrizations.recurrent.0.A",
        "body.cell.inputs.parametrizations.weight.0.B",
    } <= names
    assert torch.equal(model.front.weight, base["front.weight"])
    learner.save(tmp_path)
    again = rnnkit.load(tmp_path, builders={"LeakyCell": LeakyCell})
    model.eval()
    torch.testing.assert_close(again(x), model(x))
    merge_adapters(model)
    assert list(model.state_dict()) == list(base)
    torch.testing.assert_close(again(x), model(x))
    assert not torch.equal(model.body.cell.recurrent, base["body.cell.recurrent"])


def test_adapters_reach_the_cells_of_the_users_and_compute_their_weights_once_a_call(monkeypatch):
    from rnnkit.finetuning.adapters import LowRank

    model, x = own(), tokens()
    before = model(x)
    assert add_adapters(model, rank=2) == ["body.cell.recurrent", "body.cell.inputs.weight"]
    assert torch.equal(model(x), before)
    calls, plain = [], LowRank.forward
    monkeypatch.setattr(LowRank, "forward", lambda self, weight: calls.append(1) or plain(self, weight))
    model(x).sum().backward()
    assert len(calls) == 2
    tied = rnnkit.RNN(LeakyCell(4, 5), recompute=2, batch_first=True)
    plain_layer = rnnkit.RNN(tied.cell, batch_first=True)
    gradients = []
    for layer in (tied, plain_layer):
        model = rnnkit.SequenceTagger(layer, 2, head=nn.Linear(10, 2))
        model.head.load_state_dict({"weight": torch.ones(2, 10).tril(), "bias": torch.zeros(2)})
        if not gradients:
            add_adapters(model, rank=2)
            nn.init.ones_(tied.cell.parametrizations.recurrent[0].B)
        tied.zero_grad()
        model(torch.ones(2, 5, 4), lengths=[5, 3]).square().sum().backward()
        gradients.append([one.grad for one in tied.parameters() if one.requires_grad])
    assert len(gradients[0]) == 4
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(ConfigError, match="no weight"):
        add_adapters(rnnkit.SequenceTagger(nn.Linear(3, 4), 2))


def test_groups_and_heads_of_open_models():
    model = own()
    assert list(layer_groups(model)) == ["front", "body", "head"]
    chained = PARTS["fronts in sequence"]()
    assert list(layer_groups(chained)) == ["front.0", "front.1", "body.l0", "head"]
    replace_head(model, 2)
    assert model.class_names == ("no", "yes")  # as many as before
    replace_head(model, 4)
    assert (model.class_names, model.config()["arguments"]["classes"]) == (None, 4)
    model = PARTS["head"]()
    replace_head(model, 5)
    assert model.config()["arguments"]["classes"] == 5
    assert rnnkit.models.build(model.config()).head[2].out_features == 5


def test_it_is_inspected():
    model, x = own(), tokens(rows=8)
    y = (x == 3).any(1).long()
    text = str(rnnkit.summary(model, x))
    assert "Embedding" in text
    assert "body.cell" in text
    flow = rnnkit.diagnostics.gradient_flow(model, x, y)
    assert flow is not None
    assert str(rnnkit.diagnose(model, x, y))
    for body in (nn.LSTM(4, 5), Decay(4), rnnkit.Chain(nn.Linear(4, 4), rnnkit.GRU(4, 5)), nn.Sequential(nn.GRU(4, 5))):
        assert str(rnnkit.diagnose(rnnkit.SequenceClassifier(body, 2, front=nn.Embedding(11, 4)), x, y))


def test_truncated_training_carries_the_state_of_a_users_cell():
    x = tokens(rows=6, time=12)
    model = own(rnnkit.SequenceTagger, outputs=11)
    learner = rnnkit.Learner(model, lr=0.01)
    history = learner.fit((x[:, :-1], x[:, 1:]), epochs=2, bptt=4, progress=False)
    assert history.rows[1]["loss"] < history.rows[0]["loss"]


def test_packed_sequences_are_taken():
    model, x = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2), torch.randn(3, 7, 3)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(model(packed), model(x, lengths=LENGTHS))


def test_reprs_are_one_line():
    model = rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), ["a", "b"], "mean", front=rnnkit.ConvFront(3, 6, stride=2))
    assert "\n" not in repr(model)
    assert repr(model).startswith("SequenceClassifier(GRU(6, 5")
    assert "classes=['a', 'b'], pooling='mean', front=ConvFront(input_size=3" in repr(model)
    assert repr(rnnkit.SequenceTagger(nn.LSTM(3, 4), 2)) == "SequenceTagger(LSTM(3, 4), outputs=2)"
    for make in PARTS.values():
        assert "\n" not in repr(make())
    adapted = own()
    add_adapters(adapted)
    assert "\n" not in repr(adapted)
    assert "Parametrized" not in repr(adapted)


def test_a_front_and_an_augmentation_of_ones_own_need_no_base_class():
    class Double(nn.Module):
        output_size = 4

        def forward(self, x, lengths=None):
            return torch.cat((x, x), -1), lengths

    class Noise(nn.Module):
        def forward(self, x, lengths=None):
            return x + 1.0 if self.training else x

    model = rnnkit.SequenceClassifier(rnnkit.GRU(4, 6), classes=3, front=Double(), augment=Noise()).eval()
    plain = rnnkit.SequenceClassifier(rnnkit.GRU(4, 6), classes=3).eval()
    plain.load_state_dict(model.state_dict())
    x, lengths = torch.randn(3, 5, 2), [5, 2, 4]
    assert torch.equal(model(x, lengths), plain(torch.cat((x, x), -1), lengths))
    assert torch.equal(model.train()(x, lengths), plain(torch.cat((x + 1, x + 1), -1), lengths))
    assert "needs whole sequences" in model.carry_problem
    with pytest.raises(ConfigError, match="front puts out 4 features but body takes 5"):
        rnnkit.SequenceClassifier(rnnkit.GRU(5, 6), classes=3, front=Double())
