"""Activation regularisation, and clipping."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner
from rnnkit.training.optimization.regularisation import Regularisation

AR, TAR = 2.0, 3.0


def written_out(output, lengths):
    """α mean h² + β mean (h_t − h_{t−1})² over the valid steps of output [B, T, H], row by row."""
    rows = [row[:length] for row, length in zip(output, lengths, strict=True)]
    squares = torch.cat(rows).square().mean()
    return AR * squares + TAR * torch.cat([row[1:] - row[:-1] for row in rows]).square().mean()


def seen(model, *arguments, **keywords):
    with Regularisation(model, recurrent_l2=0.0, ar=AR, tar=TAR) as penalty:
        model(*arguments, **keywords)
        with torch.no_grad():
            model(torch.full_like(arguments[0], 7.0), **keywords)  # an evaluation in between
        return penalty()


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.body = nn.RNN(2, 5, batch_first=True), nn.GRU(5, 3, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        x = self.first(x)[0]
        return self.body(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0].data


@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 1, 6])])
@pytest.mark.parametrize("batch_first", [True, False])
def test_equals_the_equation_for_rnnkits_layers(lengths, batch_first):
    torch.manual_seed(0)
    body = rnnkit.GRU(2, 3, num_layers=2, bidirectional=True, batch_first=batch_first)
    model, x = rnnkit.SequenceTagger(body, 2), torch.randn(3, 6, 2)
    output = body(x if batch_first else x.transpose(0, 1), lengths=lengths)[0]
    output = output if batch_first else output.transpose(0, 1)
    expected = written_out(output, [6, 6, 6] if lengths is None else lengths)
    torch.testing.assert_close(seen(model, x, lengths=lengths), expected)
    assert not body._forward_hooks
    assert not model._forward_pre_hooks


def test_lengths_reach_torchs_layers_through_the_models_call_and_packed_sequences(tagger):
    model, x, lengths = tagger(), torch.randn(3, 6, 2), torch.tensor([4, 1, 6])
    torch.testing.assert_close(seen(model, x, lengths=lengths), written_out(model.body(x)[0], lengths))
    packed = Packed()
    each = [packed.body(packed.first(row[None, :n])[0])[0][0] for row, n in zip(x, lengths, strict=True)]
    torch.testing.assert_close(seen(packed, x, lengths=lengths), written_out(each, lengths))


def test_a_chunk_that_runs_past_the_models_call_is_not_of_another_calls_lengths():
    model, x = rnnkit.SequenceTagger(rnnkit.GRU(2, 3, batch_first=True), 2), torch.randn(3, 6, 2)
    with Regularisation(model, recurrent_l2=0.0, ar=AR, tar=TAR) as penalty:
        for grad in (True, False):  # a step, or an evaluation, and then a chunk
            with torch.set_grad_enabled(grad):
                model(x, lengths=torch.tensor([4, 1, 6]))
            if grad:
                penalty()
            model.forward_chunk(x[:2])
            torch.testing.assert_close(penalty(), written_out(model.body(x[:2])[0], [6, 6]))


def test_a_single_step_has_no_change_and_padding_may_hold_nan(tagger):
    model = tagger()
    model.body = rnnkit.RNN(nn.GRUCell(2, 8), batch_first=True)
    x = torch.randn(3, 1, 2)
    torch.testing.assert_close(seen(model, x), AR * model.body(x)[0].square().mean())
    model.body = nn.RNN(2, 8, batch_first=True)
    x, lengths = torch.randn(2, 4, 2), torch.tensor([4, 2])
    expected = seen(model, x, lengths=lengths)
    x[1, 2:] = torch.nan
    torch.testing.assert_close(seen(model, x, lengths=lengths), expected)


def test_its_gradient_reaches_the_weights_and_the_reported_loss_leaves_it_out(classifier, blobs):
    x, y = blobs
    model, ours = classifier(), classifier()
    loss = nn.functional.cross_entropy(model(x), y)
    (loss + written_out(model.body(x)[0], [5] * 96)).backward()
    learner = Learner(ours, optimizer="sgd", lr=1.0, ar=AR, tar=TAR)
    row = quiet(learner, blobs, epochs=1, batch_size=96, shuffle=False).rows[0]
    assert row["loss"] == pytest.approx(loss.item())
    for parameter, stepped in zip(model.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(parameter - parameter.grad, stepped, rtol=1e-4, atol=1e-6)
    assert not ours.body._forward_hooks


def test_it_goes_with_the_recurrent_penalty_and_needs_a_layer(classifier, blobs):
    both = Regularisation(classifier(), recurrent_l2=0.5, ar=AR, tar=TAR)
    model = both.model
    with both:
        model(blobs[0])
        expected = 0.5 * model.body.weight_hh_l0.square().sum() + written_out(model.body(blobs[0])[0], [5] * 96)
        torch.testing.assert_close(both(), expected)
    with pytest.raises(ConfigError, match="no recurrent layer"):
        Learner(nn.Linear(2, 2), loss="mse", ar=1.0)
    with pytest.raises(ConfigError, match="tar=-1"):
        Learner(classifier(), tar=-1)


# Clipping ------------------------------------------------------------------------------------------------------------


def clipped(model, blobs, *, precision="32-true", **settings):
    """What one step of SGD at rate 1 moves, and the norm that callbacks were told."""
    told = []

    class Tell(rnnkit.Callback):
        def on_step_end(self, learner, step):
            told.append(learner.gradient_norm)

    before = [p.detach().clone() for p in model.parameters()]
    learner = Learner(model, optimizer="sgd", lr=1.0, device="cpu", precision=precision, **settings)
    quiet(learner, blobs, epochs=1, batch_size=96, shuffle=False, callbacks=[Tell()])
    moved = [old - new for old, new in zip(before, model.parameters(), strict=True)]
    return torch.cat([entry.detach().flatten() for entry in moved]), told[0]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_by_value_then_by_norm(classifier, blobs, precision):
    free, norm = clipped(classifier(), blobs, precision=precision)
    assert norm == pytest.approx(free.norm().item(), rel=1e-4)
    largest = free.abs().max().item()
    cut, norm = clipped(classifier(), blobs, precision=precision, clip_value=largest / 2)
    torch.testing.assert_close(cut, free.clamp(-largest / 2, largest / 2), rtol=1e-4, atol=1e-6)
    assert norm == pytest.approx(cut.norm().item(), rel=1e-4)
    both, told = clipped(classifier(), blobs, precision=precision, clip_value=largest / 2, clip_norm=0.01)
    torch.testing.assert_close(both, cut * 0.01 / norm, rtol=1e-3, atol=1e-6)
    assert told == pytest.approx(norm, rel=1e-4)


def test_clip_value_is_checked_and_large_ones_change_nothing(classifier, blobs):
    with pytest.raises(ConfigError, match="clip_value=0"):
        Learner(classifier(), clip_value=0)
    free, bound = classifier(), classifier()
    quiet(Learner(free), blobs)
    quiet(Learner(bound, clip_value=1e9), blobs)
    assert same(weights(free), weights(bound))
