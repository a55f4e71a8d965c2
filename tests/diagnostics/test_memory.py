import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.diagnostics import horizon
from rnnkit.errors import ConfigError


def leaky(keep, **options):
    def cell(x, h):
        h = keep * h + x
        return h, h

    return rnnkit.RNN(cell, initial_state=torch.zeros(1, 1), batch_first=True, **options)


class Last(nn.Module):
    def __init__(self, body, weights=((1.0,),)):
        super().__init__()
        self.body, self.weights = body, torch.tensor(weights)

    def forward(self, x, lengths=None):
        _, state = self.body(x, lengths=lengths)
        return state @ self.weights


@pytest.mark.parametrize(("keep", "steps"), [(0.9, 44), (0.5, 7), (1.0, 100), (0.0, 1), (1.1, 100)])
def test_a_leaky_sum_sees_as_far_as_its_powers_stay_above_one_percent(keep, steps):
    seen = horizon(Last(leaky(keep)), torch.randn(3, 100, 1))
    assert seen.steps == (steps if keep <= 1 else 100)
    torch.testing.assert_close(seen.gradient, keep ** torch.arange(100.0), rtol=1e-4, atol=0)
    assert (seen.length, seen.share, seen.per_step) == (100, seen.steps / 100, False)


def test_rows_count_from_their_own_end_and_only_where_they_have_a_step():
    rows = rnnkit.Sequences(torch.full((2, 30, 1), float("nan")), torch.tensor([30, 4]))
    rows.values[0], rows.values[1, :4] = 0.0, 0.0
    seen = horizon(Last(leaky(0.5)), rows)
    torch.testing.assert_close(seen.gradient, 0.5 ** torch.arange(30.0))
    assert seen.steps == 7


def test_the_last_valid_of_outputs_per_step_and_the_mean_over_several():
    class Steps(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x, lengths=None):
            return self.body(x, lengths=lengths)[0] * torch.tensor([1.0, 3.0])

    seen = horizon(Steps(leaky(0.5)), rnnkit.Sequences(torch.zeros(2, 20, 1), torch.tensor([20, 9])))
    assert seen.per_step
    torch.testing.assert_close(seen.gradient, 2 * 0.5 ** torch.arange(20.0))
    both = horizon(Last(leaky(0.5), [[1.0, -3.0]]), torch.zeros(2, 20, 1))
    torch.testing.assert_close(both.gradient, 2 * 0.5 ** torch.arange(20.0))
    first = horizon(Last(leaky(0.5), [[1.0, -3.0]]), torch.zeros(2, 20, 1), outputs=1)
    torch.testing.assert_close(first.gradient, 0.5 ** torch.arange(20.0))


def test_pooled_outputs_and_bare_layers_in_either_layout():
    torch.manual_seed(0)
    pooled = horizon(rnnkit.SequenceClassifier(rnnkit.LSTM(2, 4), 3, pooling="mean"), torch.randn(5, 60, 2))
    assert (pooled.steps, pooled.per_step) == (60, False)  # every step adds its share to the mean
    layer, x = nn.GRU(2, 4), torch.randn(50, 5, 2)
    seen = horizon(layer, x)
    assert (seen.length, seen.per_step) == (50, True)
    layer.batch_first = True
    torch.testing.assert_close(horizon(layer, x.transpose(0, 1)).gradient, seen.gradient)
    one = x.clone().requires_grad_()
    layer.batch_first = False
    layer(one)[0][-1, :, 0].sum().backward()
    by_hand = one.grad.norm(dim=2).mean(1).flip(0)
    torch.testing.assert_close(horizon(layer, x, outputs=1).gradient, by_hand)


class Reader(nn.Module):
    """Token ids, through an embedding and perhaps a convolution that halves the steps."""

    def __init__(self, stride=0):
        super().__init__()
        self.embedding, self.body = nn.Embedding(9, 4), nn.GRU(4, 5)
        self.front = nn.Conv1d(4, 4, stride, stride) if stride else None

    def forward(self, ids):
        x = self.embedding(ids)
        if self.front is not None:
            x = self.front(x.transpose(1, 2)).transpose(1, 2)
        return self.body(x.transpose(0, 1))[1][0]


def test_tokens_and_steps_that_become_others_are_followed_to_the_first_recurrent_layer():
    torch.manual_seed(0)
    model, ids = Reader().requires_grad_(False), torch.randint(0, 9, (3, 40))
    seen = horizon(model, ids)
    assert seen.length == 40
    x = model.embedding(ids).detach().requires_grad_()
    model.body(x.transpose(0, 1))[1][0, :, 0].sum().backward()
    torch.testing.assert_close(horizon(model, ids, outputs=1).gradient, x.grad.norm(dim=2).mean(0).flip(0))
    assert horizon(Reader(stride=4), ids).length == 10
    pixels = rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), 10, front=rnnkit.PixelFront(6, 6))
    assert horizon(pixels, torch.rand(2, 6, 6)).length == 36
    nn.init.zeros_(model.body.weight_ih_l0)
    assert horizon(model, ids).steps == 0


def test_packed_sequences_count_from_their_own_ends():
    torch.manual_seed(0)
    layer, rows = nn.LSTM(2, 4), [torch.randn(length, 2) for length in (9, 3, 12)]
    packed = horizon(layer, nn.utils.rnn.pack_sequence(rows, enforce_sorted=False))
    padded = horizon(rnnkit_of(layer), rows)
    assert packed.length == padded.length == 12
    assert packed.per_step
    torch.testing.assert_close(packed.gradient, padded.gradient)
    assert packed.gradient.count_nonzero() == 12


def rnnkit_of(layer):
    ours = rnnkit.LSTM(layer.input_size, layer.hidden_size)
    ours.load_state_dict(layer.state_dict())
    return ours


def test_what_cannot_be_measured_is_refused():
    x = torch.zeros(2, 5, 1)
    with pytest.raises(ConfigError, match="Linear has no recurrent layer"):
        horizon(nn.Linear(1, 1), x)
    with pytest.raises(ConfigError, match="threshold=1 arrived"):
        horizon(leaky(0.5), x, threshold=1)
    with pytest.raises(ConfigError, match="inputs are integers"):
        horizon(Counting(), torch.ones(2, 5, dtype=torch.int64))


class Counting(nn.Module):
    """A cell in a loop over integers."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(1, 2)

    def forward(self, x):
        h = None
        for x_t in x.unbind(1):
            h = self.cell(x_t[:, None].float(), h)
        return h
