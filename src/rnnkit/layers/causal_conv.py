"""Convolutions over time that look back alone and leave fewer steps: what stands in front of a speech recogniser.

With x [T, I] the features of an utterance, and for each layer a kernel K and a stride S ≤ K,

    y_t = relu(norm(Σ_k W_k x_{tS + S - K + k} + b)),  k = 0 … K - 1,  t = 0 … ceil(T / S) - 1

where x is 0 before the first and behind the last step. An output is known as soon as its S steps have arrived, so the
layer streams: :meth:`CausalConv.forward_chunk` holds the steps that the next output needs. ``norm`` is layer
normalisation (Ba et al. 2016) of each step, which needs no other step.

Convolutions that join steps in front of a recurrence follow Amodei et al. 2016 ("Deep Speech 2"), where they look
ahead.

Legend: B batch, T time, I input, F features of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from ..errors import ConfigError, check_number
from ..types import State
from ._checks import Lengths
from .dropout import drop_features
from .sequence_module import SequenceModule, check_features, masked

Tensor = torch.Tensor


class CausalConv(SequenceModule):
    """Convolutions that look back alone and join steps; see the module for the equations.

    Args:
        input_size: I.
        channels: F, features of a step that come out, of each layer.
        kernel_sizes: K of each layer.
        strides: S of each layer, at most K; their product is the number of steps that become one.
        dropout: probability of dropping a feature of all steps of a row while training, behind the last layer.

    Attributes:
        stride: the number of steps that become one.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, ceil(T / stride), F], their lengths, and no state. In chunks
        (:meth:`forward_chunk`) as many steps come out as are complete, possibly none.

    Raises:
        ConfigError: sizes that do not fit. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> front, x = rnnkit.CausalConv(40, channels=64, strides=(2, 2)), torch.randn(2, 10, 40)
        >>> y, lengths, _ = front(x, lengths=[10, 5])
        >>> tuple(y.shape), lengths.tolist()
        ((2, 3, 64), [3, 2])
        >>> first, state = front.forward_chunk(x[:, :7])
        >>> second, state = front.forward_chunk(x[:, 7:], state)
        >>> chunks = torch.cat([first, second, front.finish(state)], 1)
        >>> bool(torch.allclose(chunks[0], y[0], atol=1e-5))
        True
    """

    stateful = True

    def __init__(
        self,
        input_size: int,
        channels: int = 128,
        kernel_sizes: Sequence[int] = (5, 3),
        strides: Sequence[int] = (2, 2),
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kernel_sizes, strides = tuple(kernel_sizes), tuple(strides)
        if len(kernel_sizes) != len(strides) or not strides:
            raise ConfigError(
                f"kernel_sizes={kernel_sizes} and strides={strides} arrived; expected one of each for every layer"
            )
        if min(input_size, channels, *strides) < 1 or any(k < s for k, s in zip(kernel_sizes, strides, strict=True)):
            raise ConfigError(
                f"input_size={input_size}, channels={channels}, kernel_sizes={kernel_sizes}, strides={strides} "
                "arrived; expected at least 1 of each, and no kernel smaller than its stride"
            )
        check_number(dropout, "dropout", below=1)
        self.input_size: int = input_size
        self.output_size: int = channels
        self.stride = prod(strides)
        self.kernel_sizes, self.strides, self.dropout = kernel_sizes, strides, dropout
        sizes = [input_size] + [channels] * (len(strides) - 1)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(size, channels, kernel, stride)
            for size, kernel, stride in zip(sizes, kernel_sizes, strides, strict=True)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(channels) for _ in strides)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("input_size", "kernel_sizes", "strides", "dropout")
        arguments = {name: getattr(self, name) for name in names} | {"channels": self.output_size}
        return {"builder": "CausalConv", "arguments": arguments}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, I] and lengths [B] or None to (y [B, ceil(T / stride), F], their lengths, None)."""
        check_features(x, self.input_size, self)
        steps = None if lengths is None else torch.as_tensor(lengths)
        y = masked(x, steps)
        for number, stride in enumerate(self.strides):
            before, behind = self.kernel_sizes[number] - stride, -y.shape[1] % stride
            y = self._layer(number, torch.nn.functional.pad(y, (0, 0, before, behind)))
            if steps is not None:
                steps = -(-steps // stride)
                y = masked(y, steps)
        if self.dropout and self.training:
            y = drop_features(y, self.dropout)
        return y, steps, None

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Continue from a state; chunks may have any number of steps, and all rows have as many.

        Args:
            x: [B, T, I], the next steps; T may be 0.
            state: what this method returned for the chunk before; None at the beginning.
            lengths, resets: not taken: rows of unequal lengths are continued one by one.

        Returns:
            The outputs [B, n, F] that are complete, n from 0 on, and the state after these steps.

        Raises:
            ConfigError: lengths or resets arrived.
        """
        if lengths is not None or resets is not None:
            raise ConfigError(
                "lengths or resets arrived; CausalConv joins steps, so rows that differ go on one by one: call "
                "forward_chunk for each row"
            )
        if state is None:
            state = self.initial_state(len(x), x.device, x.dtype)
        after = []
        for number, (held, stride) in enumerate(zip(state, self.strides, strict=True)):
            x = torch.cat([held, x], 1)
            kernel = self.kernel_sizes[number]
            count = max(0, (x.shape[1] - kernel) // stride + 1)
            after.append(x[:, count * stride :])
            x = self._layer(number, x, few=True) if count else x.new_zeros(len(x), 0, self.output_size)
        return x, tuple(after)

    def finish(self, state: State) -> Tensor:
        """Return the outputs [B, n, F] of the last steps, n is 0 or 1, where no more steps follow.

        Args:
            state: what :meth:`forward_chunk` returned last.
        """
        x: Tensor = state[0][:, :0]
        for number, (held, stride) in enumerate(zip(state, self.strides, strict=True)):
            x = torch.cat([held, x], 1)
            kernel = self.kernel_sizes[number]
            missing = -(x.shape[1] - (kernel - stride)) % stride
            x = torch.nn.functional.pad(x, (0, 0, 0, missing))
            whole = x.shape[1] >= kernel
            x = self._layer(number, x, few=True) if whole else x.new_zeros(len(x), 0, self.output_size)
        return x

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The steps before the first one, all 0, for each layer."""
        weight = next(self.parameters())
        sizes = [self.input_size] + [self.output_size] * (len(self.strides) - 1)
        return tuple(
            torch.zeros(batch, kernel - stride, size, device=device or weight.device, dtype=dtype or weight.dtype)
            for kernel, stride, size in zip(self.kernel_sizes, self.strides, sizes, strict=True)
        )

    def _layer(self, number: int, x: Tensor, *, few: bool = False) -> Tensor:
        conv: Any = self.convs[number]
        if few and type(conv) is torch.nn.Conv1d and not (conv._forward_hooks or conv._forward_pre_hooks):
            # PyTorch's convolution of few steps takes four times as long as the product that it is.
            windows = x.unfold(1, self.kernel_sizes[number], self.strides[number]).flatten(2)
            y = torch.nn.functional.linear(windows, conv.weight.flatten(1), conv.bias)
        else:
            y = conv(x.transpose(1, 2)).transpose(1, 2)
        return torch.relu(self.norms[number](y))

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"CausalConv({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
