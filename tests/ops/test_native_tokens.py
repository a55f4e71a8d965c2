"""Draws, continuations and packed linear layers of the native core against PyTorch. All numbers are made here."""

import math

import pytest
import torch
from tolerances import assert_close

from rnnkit.errors import ShapeError
from rnnkit.generation import Sampling, draw
from rnnkit.models.layer_steps import LayerSteps
from rnnkit.ops.native_linear import NativeLinear
from rnnkit.ops.native_tokens import best_continuations, draw_tokens

NEVER = -math.inf


def made_logits(rows: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    """Random, with ties and forbidden tokens among them."""
    logits = (3 * torch.randn(rows, size, generator=torch.Generator().manual_seed(size))).to(dtype)
    logits[::3] = logits[::3].round()
    logits[1::4, : size // 3] = NEVER
    return logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 9, 700])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.6},
        {"top_k": 3},
        {"top_p": 0.8},
        {"min_p": 0.2},
        {"top_k": 40, "top_p": 0.9, "min_p": 0.05},
    ],
    ids=str,
)
def test_a_draw_is_that_of_the_filters(settings, size, dtype):
    logits, sampling = made_logits(60, size, dtype), Sampling(**settings)
    uniform = torch.rand(60, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ids = draw_tokens(logits, uniform.tolist(), sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
    filtered = sampling.apply(logits)
    assert filtered.gather(1, ids[:, None]).isfinite().all()  # kept by all filters
    # Rounding may move the end of a token's share of [0, 1) by a little, and nothing more.
    lower, upper = draw(filtered, (uniform - 1e-6).clamp_min(0)), draw(filtered, (uniform + 1e-6).clamp_max(1 - 1e-9))
    assert ((lower <= ids) & (ids <= upper)).all()
    assert sampling.choose(logits, uniform.tolist()).equal(ids)


@pytest.mark.parametrize("value", [math.nan, math.inf, NEVER])
def test_a_row_without_a_choice_is_told(value):
    logits = torch.zeros(3, 5)
    logits[1] = value
    assert draw_tokens(logits, [0.1, 0.1, 0.9], 1.0, None, 0.9, None).tolist() == [0, 5, 4]
    assert Sampling().choose(logits, [0.1, 0.1, 0.9]).tolist() == [0, 5, 4]


def test_what_the_core_cannot_serve_is_left_to_pytorch():
    half = torch.zeros(1, 4, dtype=torch.bfloat16)
    assert draw_tokens(half, [0.5], 1.0, None, None, None) is None
    assert Sampling().choose(half, [0.3]).tolist() == [1]
    assert best_continuations(torch.zeros(2, 4, dtype=torch.float64), torch.zeros(1, 2), (), 3) is None


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("size", [4, 1000])
def test_continuations_are_the_largest_sums(width, size):
    logits = torch.randn(3 * width, size, generator=torch.Generator().manual_seed(width))
    scores = torch.randn(3, width, generator=torch.Generator().manual_seed(size))
    if width > 1:
        scores[1, 0] = NEVER
    banned, count = (0, 2), 2 * width
    values, places = best_continuations(logits, scores, banned, count)
    totals = logits.log_softmax(-1) + scores.view(-1, 1)
    totals[:, list(banned)] = NEVER
    totals = totals.view(3, -1)
    expected = torch.topk(totals, count).values
    assert_close(values, expected)
    found = expected > NEVER
    assert_close(totals.gather(1, places)[found], expected[found])


def test_continuations_of_nan_are_nan():
    logits = torch.zeros(4, 3)
    logits[1, 2] = math.nan
    values, _ = best_continuations(logits, torch.zeros(2, 2), (), 2)
    assert values[0].isnan().all()
    assert values[1].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("rows", "features", "outputs"), [(1, 1, 1), (5, 70, 333), (16, 256, 1000)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(rows, features, outputs, bias, dtype):
    layer = torch.nn.Linear(features, outputs, bias, dtype=dtype)
    x = torch.randn(features, rows, dtype=dtype).T  # not contiguous
    packed = NativeLinear(layer.weight, layer.bias, rows)
    assert_close(packed(x), layer(x).detach())
    with pytest.raises(ShapeError, match="expected"):
        packed(x[:, :-1] if features > 1 else x[:0])


def test_a_kept_layer_follows_its_weights_and_their_hooks():
    steps, layer, x = LayerSteps(), torch.nn.Linear(256, 128), torch.randn(2, 256)
    with torch.no_grad():
        assert_close(steps.linear(layer, x), layer(x))
        assert len(steps._kept) == 1
        layer.weight.mul_(2)
        layer.bias.add_(1)
        assert_close(steps.linear(layer, x), layer(x))
        layer.weight = torch.nn.Parameter(torch.randn(128, 256))
        assert_close(steps.linear(layer, x), layer(x))
        layer.register_forward_hook(lambda module, given, output: output + 1)
        assert_close(steps.linear(layer, x), layer(x))
        assert torch.equal(steps.linear(torch.nn.Identity(), x), x)
