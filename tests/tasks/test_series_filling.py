"""Stretches that are taken out of series: which, what is asked for, and how well it is filled in."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.series_filling import FillingBatches, Stretches, filled, fold, interpolate, score_filling
from rnnkit.types import Sequences


def ragged(lengths, features=2):
    torch.manual_seed(0)
    return Sequences.from_list([torch.randn(length, features) for length in lengths])


def test_each_series_loses_some_steps_and_keeps_some():
    lengths = torch.tensor([40, 2, 7, 1, 13])
    for seed in range(20):
        taken = Stretches(0.5, 3)(lengths, 40, torch.Generator().manual_seed(seed))
        counts = taken.sum(1)
        assert not (taken & (torch.arange(40) >= lengths[:, None])).any()
        assert (counts[lengths > 1] >= 1).all()
        assert (counts < lengths).all()


def test_the_share_and_the_lengths_are_those_that_were_asked_for():
    generator = torch.Generator().manual_seed(0)
    taken = Stretches(0.3, 6, ends=0.0)(torch.full((400,), 200), 200, generator)
    assert abs(float(taken.float().mean()) - 0.3) < 0.02
    begins = (taken[:, 1:] & ~taken[:, :-1]).sum() + taken[:, 0].sum()
    assert abs(float(taken.sum() / begins) - 6) < 0.5


def test_ends_are_taken_out_of_their_share():
    taken = Stretches(0.25, 4, ends=0.5)(torch.full((300,), 40), 40, torch.Generator().manual_seed(0))
    ended = taken[:, 30:].all(1) & ~taken[:, :30].any(1)
    assert abs(float(ended.float().mean()) - 0.5) < 0.1


@pytest.mark.parametrize("stride", [1, 3])
def test_targets_are_what_was_taken_out(stride):
    inputs = ragged([12, 9, 7, 10])
    batches = FillingBatches(inputs, 4, Stretches(0.4, 2), stride=stride, shuffle=False)
    [batch] = batches
    whole = fold(inputs.values, stride)
    assert torch.equal(batch.targets, whole)
    assert batch.target_lengths.tolist() == [-(-length // stride) for length in (12, 9, 7, 10)]
    out = batch.weights.bool().repeat_interleave(stride, 1)[:, :12]
    assert torch.equal(batch.inputs, inputs.values.masked_fill(out[:, :, None], 0))
    for row, length in enumerate((12, 9, 7, 10)):
        assert not out[row, length // stride * stride :].any()


def test_an_epoch_goes_on_in_its_middle():
    def values(batches):
        return [batch.inputs for batch in batches]

    batches = FillingBatches(torch.randn(10, 20, 1), 3, Stretches(), seed=4)
    whole = [*values(batches), *values(batches)]
    again = FillingBatches(batches.inputs, 3, Stretches(), seed=4)
    for _, _batch in zip(range(2), again, strict=False):
        pass
    other = FillingBatches(batches.inputs, 3, Stretches(), seed=9)
    other.load_state_dict(again.state_dict())
    for expected, found in zip(whole[2:], [*values(other), *values(other)], strict=True):
        assert torch.equal(expected, found)


def test_errors_are_those_of_a_loop_over_steps():
    inputs = ragged([12, 9, 7])
    batches = FillingBatches(inputs, 2, Stretches(0.4, 2), shuffle=False)

    class Zero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, lengths=None):
            return x * 0 + self.weight

    total, line, count = 0.0, 0.0, 0
    for batch in batches:
        for row, length in enumerate(batch.input_lengths.tolist()):
            out = batch.weights[row, :length].bool()
            kept = torch.arange(length)[~out]
            for step in torch.arange(length)[out].tolist():
                true = batch.targets[row, step]
                total += float(true.square().sum())
                left, right = kept[kept < step], kept[kept > step]
                a = int(left[-1]) if len(left) else int(right[0])
                b = int(right[0]) if len(right) else a
                share = 0 if a == b else (step - a) / (b - a)
                found = batch.targets[row, a] * (1 - share) + batch.targets[row, b] * share
                line += float((found - true).square().sum())
                count += len(true)
    found = score_filling(Zero(), batches)
    assert found["rmse"] == found["mean_rmse"] == pytest.approx((total / count) ** 0.5)
    assert found["interpolation_rmse"] == pytest.approx((line / count) ** 0.5)


def test_a_line_of_several_steps_at_a_time():
    x = torch.tensor([1.0, 2.0, 0.0, 0.0, 5.0, 6.0, 0.0])[None, :, None]
    out = torch.tensor([[False, True, False, True]])
    assert interpolate(x, out, 2)[0, :, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0]


def test_padding_is_never_read():
    inputs = ragged([12, 5, 8])
    poisoned = Sequences(inputs.values.clone(), inputs.lengths)
    for row, length in enumerate((12, 5, 8)):
        poisoned.values[row, length:] = torch.nan
    model = rnnkit.SequenceTagger(rnnkit.GRU(2, 4, bidirectional=True), outputs=2)
    figures = [score_filling(model, FillingBatches(one, 2, Stretches(), shuffle=False)) for one in (inputs, poisoned)]
    assert figures[0] == pytest.approx(figures[1])
    [(true, found, out), *_] = filled(model, FillingBatches(poisoned, 3, Stretches(), shuffle=False), 1)
    assert true.shape == found.shape == (12, 2)
    assert out.shape == (12,)


def test_what_cannot_be_used_is_refused():
    for arguments in ({"share": 1.0}, {"length": 0}, {"ends": -0.1}):
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            Stretches(**arguments)
    with pytest.raises(DataError, match="at most 3 steps arrived; expected 4 or more"):
        FillingBatches(torch.zeros(5, 3, 1), 2, Stretches(), stride=2)
