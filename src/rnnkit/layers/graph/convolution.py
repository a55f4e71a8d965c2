"""Convolution, pooling and padding over time, x [B, T, F]. These layers keep no mask, as Keras's keep none."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.nn import functional as F

from ...errors import ShapeError, check_choice
from ..description import describe
from .activations import ACTIVATIONS, Activation
from .base import GraphLayer, Mask, Tensor, check_rank

Padding = Literal["valid", "same", "causal"]
PADDINGS: tuple[Padding, ...] = ("valid", "same", "causal")
_SEQUENCES = "[batch, time, features]"


def same_padding(steps: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return zeros before and behind T steps, so that ⌈T / stride⌉ come out; the odd one stands behind.

    Example:
        >>> same_padding(7, kernel=4, stride=2)
        (1, 2)
    """
    reach = (kernel - 1) * dilation + 1
    total = max(0, (-(-steps // stride) - 1) * stride + reach - steps)
    return total // 2, total - total // 2


class Convolution(GraphLayer):
    """y = f(conv(x)) over time.

    Args:
        conv: ``torch.nn.Conv1d`` without padding of its own.
        activation: f, a key of :data:`rnnkit.layers.graph.activations.ACTIVATIONS`.
        padding: "valid" (none), "same" (⌈T / stride⌉ steps come out), or "causal" (zeros before the first step alone).

    Example:
        >>> layer = Convolution(torch.nn.Conv1d(3, 5, 4, stride=2), padding="same")
        >>> tuple(layer([torch.zeros(2, 7, 3)], [None])[0][0].shape)
        (2, 4, 5)
    """

    keeps_mask = False

    def __init__(self, conv: torch.nn.Module, activation: str = "linear", padding: Padding = "valid") -> None:
        super().__init__()
        check_choice(padding, "padding", PADDINGS)
        self.conv: Any = conv
        self.activation, self.padding = Activation(activation).function, padding

    def arguments(self) -> dict[str, Any]:
        return {"conv": describe(self.conv), "activation": self.activation, "padding": self.padding}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        check_rank(x, 3, self, _SEQUENCES)
        kernel, stride, dilation = self.conv.kernel_size[0], self.conv.stride[0], self.conv.dilation[0]
        x = x.transpose(1, 2)
        if self.padding == "same":
            x = F.pad(x, same_padding(x.shape[2], kernel, stride, dilation))
        elif self.padding == "causal":
            x = F.pad(x, ((kernel - 1) * dilation, 0))
        if x.shape[2] < (kernel - 1) * dilation + 1:
            raise ShapeError(f"{x.shape[2]} steps arrived at a convolution that reads {(kernel - 1) * dilation + 1}")
        return ACTIVATIONS[self.activation](self.conv(x).transpose(1, 2))

    def extra_repr(self) -> str:
        return f"activation={self.activation}, padding={self.padding}"


class Pooling(GraphLayer):
    """The maximum or the mean over windows of steps; steps of a padding count in neither.

    Args:
        kind: "max" or "mean".
        size: steps of a window.
        stride: steps from window to window.
        padding: "valid" or "same".

    Example:
        >>> x = torch.tensor([[[1.0], [2.0], [6.0]]])
        >>> Pooling("mean", 2, 2, "same").compute(x, None).flatten().tolist()
        [1.5, 6.0]
    """

    keeps_mask = False

    def __init__(self, kind: Literal["max", "mean"], size: int, stride: int, padding: Padding = "valid") -> None:
        super().__init__()
        check_choice(kind, "kind", ("max", "mean"))
        check_choice(padding, "padding", PADDINGS[:2])
        self.kind, self.size, self.stride, self.padding = kind, size, stride, padding

    def arguments(self) -> dict[str, Any]:
        return {"kind": self.kind, "size": self.size, "stride": self.stride, "padding": self.padding}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        check_rank(x, 3, self, _SEQUENCES)
        x, steps = x.transpose(1, 2), x.shape[1]
        around = same_padding(steps, self.size, self.stride) if self.padding == "same" else (0, 0)
        if steps + sum(around) < self.size:
            raise ShapeError(f"{steps} steps arrived at a pooling over {self.size}")
        if self.kind == "max":
            return F.max_pool1d(F.pad(x, around, value=float("-inf")), self.size, self.stride).transpose(1, 2)
        y = F.avg_pool1d(F.pad(x, around), self.size, self.stride)
        if any(around):
            y = y / F.avg_pool1d(F.pad(x.new_ones(1, 1, steps), around), self.size, self.stride)
        return y.transpose(1, 2)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.arguments().items())


class GlobalPooling(GraphLayer):
    """The maximum or the mean over all steps; the mean leaves masked steps out, the maximum does not (as Keras's).

    Args:
        kind: "max" or "mean".
        keep_axis: leave an axis of 1 in place of the time.

    Example:
        >>> x = torch.tensor([[[2.0], [4.0], [9.0]]])
        >>> GlobalPooling("mean").compute(x, torch.tensor([[True, True, False]])).item()
        3.0
    """

    keeps_mask = False

    def __init__(self, kind: Literal["max", "mean"], keep_axis: bool = False) -> None:
        super().__init__()
        check_choice(kind, "kind", ("max", "mean"))
        self.kind, self.keep_axis = kind, keep_axis

    def arguments(self) -> dict[str, Any]:
        return {"kind": self.kind, "keep_axis": self.keep_axis}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        check_rank(x, 3, self, _SEQUENCES)
        if self.kind == "max":
            return x.amax(1, keepdim=self.keep_axis)
        if mask is None:
            return x.mean(1, keepdim=self.keep_axis)
        valid = mask.unsqueeze(-1)
        total = torch.where(valid, x, 0).sum(1, keepdim=self.keep_axis)
        return total / valid.to(x.dtype).sum(1, keepdim=self.keep_axis)

    def extra_repr(self) -> str:
        return self.kind


class TimeEdges(GraphLayer):
    """Add zero steps at both ends (numbers above 0), or cut steps off (below 0).

    Args:
        before, behind: steps.

    Example:
        >>> tuple(TimeEdges(1, 2).compute(torch.ones(2, 3, 4), None).shape)
        (2, 6, 4)
    """

    keeps_mask = False

    def __init__(self, before: int, behind: int) -> None:
        super().__init__()
        self.before, self.behind = before, behind

    def arguments(self) -> dict[str, Any]:
        return {"before": self.before, "behind": self.behind}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        check_rank(x, 3, self, _SEQUENCES)
        return F.pad(x, (0, 0, self.before, self.behind))


class UpSampling(GraphLayer):
    """Each step several times, one behind the other.

    Args:
        times: how often.

    Example:
        >>> UpSampling(2).compute(torch.tensor([[[1.0], [2.0]]]), None).flatten().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """

    keeps_mask = False

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def arguments(self) -> dict[str, Any]:
        return {"times": self.times}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        check_rank(x, 3, self, _SEQUENCES)
        return x.repeat_interleave(self.times, 1)
