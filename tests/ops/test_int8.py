"""Products in 8 bits: whole numbers bit by bit, on every family of processors that this machine has."""

import fresh
import pytest
import torch

from rnnkit.errors import ShapeError
from rnnkit.ops.backend import native_core
from rnnkit.ops.int8 import DEPTH, LEAST, Int8Weight, quantise_rows, quantise_weight
from rnnkit.ops.native_int8 import NativeInt8Linear

needs_core = pytest.mark.skipif(native_core() is None, reason="without the native core")
SIZES = [(1, 1, 1), (3, 7, 17), (17, 31, 33), (33, 3, 31), (70, 130, 5), (4, 600, 67), (2, 5, 300)]


def whole(*shape):
    return torch.randint(-127, 128, shape)


def whole_rows(rows, features):
    """Rows of whole numbers with a 127 in each, so that the scale is 1 and nothing is rounded."""
    x = whole(rows, features)
    x[:, 0] = 127
    return x


def native(weight, bias, x):
    return NativeInt8Linear(weight, bias)(x)


@needs_core
@pytest.mark.parametrize(("rows", "features", "outputs"), SIZES)
def test_sums_are_exact(rows, features, outputs):
    torch.manual_seed(rows)
    x, w, bias = whole_rows(rows, features), whole(outputs, features), whole(outputs)
    weight = Int8Weight(w.to(torch.int8), torch.ones(outputs))
    expected = (x @ w.T + bias).float()
    assert torch.equal(native(weight, bias.float(), x.float()), expected)
    assert torch.equal(weight.product(x.float()) + bias, expected)


@needs_core
@pytest.mark.parametrize("extreme", [127, -127])
def test_the_largest_numbers_do_not_saturate(extreme):
    x, w = torch.full((3, 1000), 127.0), torch.full((9, 1000), extreme, dtype=torch.int8)
    assert torch.equal(native(Int8Weight(w, torch.ones(9)), None, x), torch.full((3, 9), 127.0 * extreme * 1000))
    assert torch.equal(native(Int8Weight(w, torch.ones(9)), None, -x), torch.full((3, 9), -127.0 * extreme * 1000))


@needs_core
def test_the_deepest_sum_fits_into_32_bits():
    w = torch.full((1, DEPTH), 127, dtype=torch.int8)
    found = native(Int8Weight(w, torch.ones(1)), None, torch.full((1, DEPTH), -127.0))
    assert found.item() == -127.0 * 127 * DEPTH
    with pytest.raises(ValueError, match="65,536"):
        native(Int8Weight(torch.zeros(1, DEPTH + 1, dtype=torch.int8), torch.ones(1)), None, torch.ones(1, DEPTH + 1))


@needs_core
@pytest.mark.parametrize("scale", [1e-37, 1e-31, 1e-20, 1.0, 1e30])
def test_real_rows_have_the_reference_whole_numbers(scale):
    """The products with unit vectors show q itself, times its scale."""
    torch.manual_seed(0)
    x = torch.randn(50, 40) * scale
    x[:5] = (torch.arange(40) - 19.5) * scale  # halves
    identity = Int8Weight(torch.eye(40, dtype=torch.int8), torch.ones(40))
    q, scales = quantise_rows(x)
    assert torch.equal(native(identity, None, x), q * scales)
    assert bool((q == 0).all()) == bool(x.abs().max() < LEAST)


@needs_core
def test_rows_of_zeros_and_rows_without_a_number():
    weight, x = quantise_weight(torch.randn(5, 8)), torch.randn(6, 8)
    x[0], x[1, 3], x[2, 7], x[3, 0] = 0, torch.nan, torch.inf, -torch.inf
    found, expected = native(weight, torch.ones(5), x), weight.product(x) + 1
    assert torch.equal(found[0], torch.ones(5))
    assert found[1:4].isnan().all()
    assert expected[1:4].isnan().all()
    torch.testing.assert_close(found[4:], expected[4:])


@needs_core
def test_what_does_not_fit_is_refused():
    linear = NativeInt8Linear(quantise_weight(torch.randn(5, 8)), None)
    for x in (torch.randn(2, 7), torch.randn(2, 8).double(), torch.randn(8)):
        with pytest.raises(ShapeError, match="expected float32"):
            linear(x)
    with pytest.raises(ShapeError, match="two axes"):
        quantise_weight(torch.randn(5))
    assert linear(torch.randn(0, 8)).shape == (0, 5)


def test_weights_round_to_the_nearest():
    weight = torch.randn(7, 31)
    found = quantise_weight(weight)
    assert found.values.abs().amax(1).tolist() == [127] * 7
    assert ((found.dequantised() - weight).abs() <= 0.5001 * found.scales[:, None]).all()
    assert [part.shape[0] for part in Int8Weight(*quantise_weight(torch.randn(6, 2))).chunk(3)] == [2, 2, 2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_within_the_whole_numbers(dtype):
    torch.manual_seed(0)
    for scale in (1.0, 1e-4):
        x = (torch.randn(2000, 16) * scale).to(dtype)
        q, scales = quantise_rows(x)
        assert q.abs().amax(1).eq(127).all()
        assert scales.dtype == torch.float32
    product = quantise_weight(torch.randn(5, 16)).product(torch.full((3, 16), 1000.0, dtype=dtype))
    assert product.dtype == dtype
    assert product.isfinite().all()


PROGRAM = """
import torch
from rnnkit.ops.backend import native_core
from rnnkit.ops.int8 import quantise_weight
from rnnkit.ops.native_int8 import NativeInt8Linear
torch.manual_seed(0)
total = 0
for rows, features, outputs in ((1, 7, 33), (5, 128, 64), (33, 61, 130)):
    y = NativeInt8Linear(quantise_weight(torch.randn(outputs, features)), None)(torch.randn(rows, features))
    total = (total * 1000003 + int(y.view(torch.int32).long().sum())) % (1 << 61)
print(native_core().cpu_info()["int8"], total)
"""


@needs_core
def test_families_compute_the_same_bits():
    core = native_core()
    families = [*core.cpu_info()["available"], *core.cpu_info()["vnni"]]
    served, totals = zip(*(fresh.run(PROGRAM, RNNKIT_CPU=family).stdout.split() for family in families), strict=True)
    assert list(served) == families
    assert len(set(totals)) == 1
