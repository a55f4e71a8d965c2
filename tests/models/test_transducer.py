"""A transducer: its lattice, padding, loading, settings."""

import pytest
import torch
from tolerances import assert_close
from transducers import VOCABULARY, frames, made

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.generation import transducer_greedy
from rnnkit.ops.transducer import transducer_loss


@pytest.mark.parametrize("predictor", [rnnkit.LSTM(4, 7, num_layers=2), torch.nn.GRU(4, 7, batch_first=True)], ids=repr)
def test_the_lattice_is_that_of_single_labels(predictor):
    model, x = made(predictor), frames(6, 4)
    targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
    logits, lengths = model(x, targets, lengths=[6, 4])
    assert logits.shape == (2, 6, 4, VOCABULARY)
    assert lengths.tolist() == [6, 4]
    encoded, _ = model.encode(x, [6, 4])
    at_labels, state = model.start(2)
    for u in range(4):
        expected = model.join(model.from_encoder(encoded), at_labels[:, None])
        assert_close(logits[:, :, u].detach(), expected.detach())
        if u < 3:
            at_labels, state = model.read_label(targets[:, u], state)


def test_padding_changes_nothing():
    model, x = made(), frames(6, 4)
    targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
    logits, lengths = model(x, targets, lengths=[6, 4])
    losses = transducer_loss(logits, targets, lengths, [3, 2], reduction="none")
    alone = model(x[1:, :4], targets[1:, :2])
    assert_close(losses[1:], transducer_loss(alone[0], targets[1:, :2], *alone[1:], reduction="none"))
    losses.sum().backward()
    assert all(one.grad.isfinite().all() for one in model.parameters())


def test_it_is_saved_and_loaded(tmp_path):
    encoder = rnnkit.Chain(rnnkit.ConvFront(3, channels=6, stride=2), rnnkit.GRU(6, 8))
    model = rnnkit.TransducerModel(encoder, rnnkit.SimpleRNN(4, 7), 6, VOCABULARY, blank=2, dropout=0.1)
    rnnkit.Learner(model).save(tmp_path)
    again, x = rnnkit.load(tmp_path), frames(9)
    assert repr(again) == repr(model)
    assert (again.blank, again.dropout) == (2, 0.1)
    logits, lengths = again(x, torch.tensor([[1, 3]]))
    assert lengths.tolist() == [5]
    assert_close(logits.detach(), model.eval()(x, torch.tensor([[1, 3]]))[0].detach())
    assert transducer_greedy(again, x) == transducer_greedy(model, x)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("blank=5 arrived; expected 0 to 4", {"blank": 5}),
        ("vocabulary=1 arrived", {"vocabulary": 1}),
        ("joiner_size=0 arrived", {"joiner_size": 0}),
        ("dropout=1.0 arrived", {"dropout": 1.0}),
        ("the predictor goes on from a state", {"predictor": rnnkit.GRU(4, 7, bidirectional=True)}),
        ("the predictor goes on from a state, .* has no state", {"predictor": torch.nn.Linear(4, 7)}),
        ("encoder is a Bilinear; expected a layer over sequences", {"encoder": torch.nn.Bilinear(2, 2, 2)}),
    ],
)
def test_settings_that_do_not_fit_are_told(message, change):
    settings = {"encoder": rnnkit.GRU(3, 8), "predictor": rnnkit.GRU(4, 7), "joiner_size": 6, "vocabulary": VOCABULARY}
    with pytest.raises(ConfigError, match=message):
        rnnkit.TransducerModel(**{**settings, **change})


def test_targets_that_are_no_labels_are_told():
    with pytest.raises(ShapeError, match=r"expected labels \[B, U\]"):
        made()(frames(2), torch.tensor([1]))
