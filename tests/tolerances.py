"""Tolerances beside the dtype: the same everywhere."""

import torch

CLOSE = {
    torch.float32: {"rtol": 2e-4, "atol": 2e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-11},
}


def assert_close(actual, expected):
    """Entry by entry; what a large tensor's small entries lost to rounding is measured by its largest."""
    actual, expected = _leaves(actual), _leaves(expected)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        bound = CLOSE[one.dtype]
        finite = other.detach()[other.detach().isfinite()]
        largest = finite.abs().max().item() if finite.numel() else 0.0
        bounds = {"rtol": bound["rtol"], "atol": bound["atol"] * max(1.0, largest)}
        # The same bounds: allclose is quick, and assert_close tells what differs.
        if one.shape != other.shape or one.dtype != other.dtype or not torch.allclose(one, other, **bounds):
            torch.testing.assert_close(one, other, **bounds)


def _leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [leaf for part in value for leaf in _leaves(part)]
