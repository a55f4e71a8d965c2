"""What stands in front of a recurrent body: views of a series, convolutions over time, fewer steps.

With x_t a step of a series and v_t the views of it side by side:

    v_t = [x_t, x_t - x_{t-1}, (x_t - mean(x)) / std(x)]                 differences, standardised: on request
    a_t = relu(norm([conv_k(v)_t for k in kernel_sizes]))                one kernel size beside the other
    b_t = relu(norm(conv_3(max of a over `stride` steps)_t))             one step for each `stride` of the input

Several kernel sizes side by side are the Inception module of InceptionTime (Ismail Fawaz et al. 2020); convolutions
before a recurrence follow CNN-LSTM networks (Sainath et al. 2015), and differences as inputs follow what works for
trees and rockets on the UCR archive. Unlike InceptionTime there is no bottleneck. ``norm`` is batch normalisation
(Ioffe & Szegedy 2015) over the valid steps of all rows, so that padding has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ConfigError, ShapeError
from ..ops.padding import valid_steps
from ..types import State
from ._checks import Lengths
from .argument_names import explains_arguments
from .sequence_module import SequenceModule

Tensor = torch.Tensor


class ConvFront(SequenceModule):
    """Convolutions over time, in front of a recurrent body; see the module for the equations.

    Legend: B batch, T time, I input, S stride.

    Args:
        input_size: I.
        channels: features of a step that come out.
        kernel_sizes: widths, in steps, of the first layer's kernels; its features are shared out among them.
        stride: S, so many steps become one, by their maximum.
        differences: whether the change from the step before is an input too.
        standardised: whether each series with its own mean and spread taken away is an input too.
        dropout: probability of dropping a feature of all steps of a series while training.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → features [B, ceil(T / S), channels], their lengths (None without), and None
        for a state.
        Nothing behind a row's length is read; features there are 0.

    Raises:
        ConfigError: a size below 1, or fewer channels than kernel sizes. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.ConvFront(3, channels=12, stride=4)
        >>> features, lengths, _ = front(torch.zeros(2, 10, 3), lengths=[10, 5])
        >>> tuple(features.shape), lengths.tolist()
        ((2, 3, 12), [3, 2])
    """

    @explains_arguments(
        {"filters": "channels", "in_channels": "input_size", "out_channels": "channels", "strides": "stride"}
    )
    def __init__(
        self,
        input_size: int,
        channels: int = 48,
        kernel_sizes: Sequence[int] = (3, 9, 27),
        *,
        stride: int = 1,
        differences: bool = True,
        standardised: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kernel_sizes = tuple(kernel_sizes)
        if min(input_size, channels, stride, *kernel_sizes, len(kernel_sizes)) < 1 or channels < len(kernel_sizes):
            raise ConfigError(
                f"input_size={input_size}, channels={channels}, kernel_sizes={kernel_sizes}, stride={stride} arrived; "
                "expected at least 1 of each, and as many channels as kernel sizes"
            )
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout={dropout} arrived; expected at least 0 and less than 1")
        self.input_size, self.output_size, self.stride = input_size, channels, stride
        self.kernel_sizes, self.differences, self.standardised = kernel_sizes, differences, standardised
        self.dropout = dropout
        views = input_size * (1 + differences + standardised)
        shares = [channels // len(kernel_sizes) + (i < channels % len(kernel_sizes)) for i in range(len(kernel_sizes))]
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(views, share, size, padding="same")
            for share, size in zip(shares, kernel_sizes, strict=True)
        )
        self.norm = StepNorm(channels)
        self.mix = torch.nn.Conv1d(channels, channels, 3, padding="same")
        self.mix_norm = StepNorm(channels)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("input_size", "kernel_sizes", "stride", "differences", "standardised", "dropout")
        arguments = {name: getattr(self, name) for name in names} | {"channels": self.output_size}
        return {"builder": type(self).__name__, "arguments": arguments}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, I] and lengths [B] or None to (features [B, ceil(T / S), channels], their lengths, None)."""
        if x.dim() != 3 or x.shape[2] != self.input_size:
            raise ShapeError.of("x", tuple(x.shape), f"; expected (batch, time, {self.input_size})")
        valid = None
        if lengths is not None:
            lengths = torch.as_tensor(lengths)
            valid = valid_steps(lengths, x.shape[1], x.device)[:, :, None]
        v = self._views(x, valid)
        a = torch.cat([conv(v) for conv in self.convs], 1).transpose(1, 2)
        a = torch.relu(self.norm(a, valid))
        if self.stride > 1:
            a = torch.nn.functional.max_pool1d(a.transpose(1, 2), self.stride, ceil_mode=True).transpose(1, 2)
            if lengths is not None:
                lengths = -(-lengths // self.stride)
                valid = valid_steps(lengths, a.shape[1], x.device)[:, :, None]
        b = self.mix(a.transpose(1, 2)).transpose(1, 2)
        b = torch.relu(self.mix_norm(b, valid))
        if self.dropout and self.training:
            b = torch.nn.functional.dropout1d(b.transpose(1, 2), self.dropout).transpose(1, 2)
        return b, lengths, None

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"ConvFront({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"

    def _views(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """The views side by side, [B, views, T], 0 behind a row's length."""
        x = _masked(x, valid)
        views = [x]
        if self.differences:
            changes = torch.nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
            views.append(_masked(changes, valid))
        if self.standardised:
            if valid is None:
                var, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
            else:
                count = valid.sum(1, keepdim=True)
                mean = x.sum(1, keepdim=True) / count
                var = _masked(x - mean, valid).square().sum(1, keepdim=True) / count
            views.append(_masked((x - mean) * torch.rsqrt(var + 1e-4), valid))
        return torch.cat(views, 2).transpose(1, 2)


class StepNorm(torch.nn.BatchNorm1d):
    """Batch normalisation of features [B, T, F] over all valid steps of all rows; 0 behind a row's length.

    y = (x - mean) / sqrt(var + eps) · weight + bias, mean and var those of the batch's valid steps while training, and
    in evaluation their running averages. A single step has no spread: it is normalised by the running averages always.

    Example:
        >>> import torch
        >>> norm = StepNorm(3)
        >>> y = norm(torch.randn(2, 5, 3), torch.tensor([[True] * 5, [True] * 2 + [False] * 3])[:, :, None])
        >>> bool((y[1, 2:] == 0).all()), bool(y.sum((0, 1)).abs().max() < 1e-5)
        (True, True)
    """

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """x [B, T, F], valid [B, T, 1] booleans or None for all."""
        if valid is None:
            return self._flat(x.flatten(0, 1)).view_as(x)
        steps = valid[:, :, 0]
        return torch.zeros_like(x).index_put((steps,), self._flat(x[steps]))

    def _flat(self, x: Tensor) -> Tensor:
        if len(x) == 1 and self.training:
            return torch.nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


def _masked(x: Tensor, valid: Tensor | None) -> Tensor:
    return x if valid is None else torch.where(valid, x, torch.zeros((), dtype=x.dtype, device=x.device))
