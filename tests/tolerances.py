"""Tolerances beside the dtype: the same everywhere."""

import torch

CLOSE = {
    torch.float32: {"rtol": 2e-4, "atol": 2e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-11},
}


def assert_close(actual, expected):
    dtype = next(leaf.dtype for leaf in _leaves(actual))
    torch.testing.assert_close(actual, expected, **CLOSE[dtype])


def _leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [leaf for part in value for leaf in _leaves(part)]
