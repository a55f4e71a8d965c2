"""Forecasters of each kind, and windows for them."""

import torch

import rnnkit
from rnnkit.types import WindowLayout

PLAIN = {"lookback": 12, "horizon": 6}
FULL = {
    "lookback": 12, "horizon": 6, "past": ("wind",), "known": ("hour", "holiday"), "static": ("size",),
    "observed": True, "series": 3,
}  # fmt: skip

# Name -> what makes a forecaster of a layout.
KINDS = {
    "direct": lambda layout, **more: rnnkit.DirectForecaster(layout, "gru", 10, **more),
    "direct deep": lambda layout, **more: rnnkit.DirectForecaster(layout, "lstm", 10, 2, **more),
    "direct normed": lambda layout, **more: rnnkit.DirectForecaster(
        layout, "simple_rnn", 10, **{"norm": "standard", "linear": True, **more}
    ),
    "direct conv": lambda layout, **more: rnnkit.DirectForecaster(
        layout, "lstm", 10, conv_channels=6, conv_kernels=(3,), conv_stride=2, **more
    ),
    "direct both ways": lambda layout, **more: rnnkit.DirectForecaster(
        layout, "gru", 10, conv_channels=6, conv_kernels=(3,), conv_views=True, bidirectional=True, **more
    ),
    "segments": lambda layout, **more: rnnkit.SegmentForecaster(
        layout, 4, 16, **{"dropout": 0.0, **more}
    ),
    "segments cut": lambda layout, **more: rnnkit.SegmentForecaster(
        layout, 5, 16, "lstm", **{"dropout": 0.0, "norm": "none", **more}
    ),
    "encoder decoder": lambda layout, **more: rnnkit.EncoderDecoderForecaster(layout, "lstm", 10, **more),
    "feedback": lambda layout, **more: rnnkit.EncoderDecoderForecaster(
        layout, "gru", 10, 2, feedback=True, **{"norm": "last", **more}
    ),
    "deepar": lambda layout, **more: rnnkit.DeepAR(layout, "gru", 10, 1, **{"dropout": 0.0, "num_samples": 20, **more}),
}  # fmt: skip


def make(kind, layout=PLAIN, **more):
    """A forecaster whose weights are the same each time."""
    torch.manual_seed(0)
    return KINDS[kind](WindowLayout(**layout), **more).eval()


def windows(layout=PLAIN, rows=5, seed=1):
    """Windows x [B, L + H, C] and targets [B, H]; what is not known of the horizon is 0."""
    found = WindowLayout(**layout)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, found.steps, found.channels, generator=generator)
    y = x[:, found.lookback :, 0].clone()
    for name in ("target", "past", "observed"):
        x[:, found.lookback :, found.columns(name)] = 0
    x[:, : found.lookback, found.columns("observed")] = 1
    x[:, :, found.columns("static")] = x[:, :1, found.columns("static")]
    x[:, :, found.columns("series")] = torch.arange(rows)[:, None, None] % (found.series + 1) * 1.0
    return x, y
