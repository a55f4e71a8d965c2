"""The simple (Elman) recurrence, one layer in one direction.

    h_t = σ(W x_t + b_ih + U h_{t-1} + b_hh)        σ one of tanh, relu, sigmoid

Options of the step and the reference, all off by default, in any combination:
    mask m [B, H]       m ⊙ h_{t-1} in place of h_{t-1} in the product with U
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, the biases behind
    zone ζ in [0, 1]    h_t = ζ ⊙ h_{t-1} + (1 − ζ) ⊙ h̃_t, where h̃_t is the h_t above

Variant: Elman, "Finding structure in time", Cognitive Science 14 (1990), with PyTorch's two biases. Mask: variational
dropout, Gal & Ghahramani (2016). N: layer normalisation, see :mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et
al. (2017), 0 or 1 while training and the probability itself in evaluation.
Legend: B batch, T time, I input, H hidden.
Shapes: x [T, B, I], h [B, H], W [H, I], U [H, H], b [H], gain [H], mask [B, H], zone [B, H] or a constant [H].
"""

from __future__ import annotations

from typing import Literal

import torch

from .native import recurrence, whole_zone
from .normalisation import pre_activation
from .unroll import over_time, unroll

Nonlinearity = Literal["tanh", "relu", "sigmoid"]
NONLINEARITIES: tuple[Nonlinearity, ...] = ("tanh", "relu", "sigmoid")  # the order of the native enumeration

Tensor = torch.Tensor
SimpleRnnNorm = tuple[Tensor, Tensor]


def simple_rnn_step(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity = "tanh",
    norm: SimpleRnnNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
) -> Tensor:
    """One step: x [B, I] and h [B, H] to the next h [B, H].

    Args:
        w_ih, w_hh, b_ih, b_hh: [H, I], [H, H], [H], [H]; biases may be None.
        norm: (gain_ih [H], gain_hh [H]).
        nonlinearity, mask, zone: see the module.

    Example:
        >>> x, h = torch.randn(4, 3), torch.zeros(4, 5)
        >>> simple_rnn_step(x, h, torch.randn(5, 3), torch.randn(5, 5)).shape
        torch.Size([4, 5])
    """
    gain_ih, gain_hh = (None, None) if norm is None else norm
    recurrent = h if mask is None else mask * h
    pre = pre_activation(x, w_ih, b_ih, gain_ih) + pre_activation(recurrent, w_hh, b_hh, gain_hh)
    new = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[nonlinearity](pre)
    return new if zone is None else zone * h + (1 - zone) * new


def simple_rnn_reference(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    initial: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    nonlinearity: Nonlinearity = "tanh",
    norm: SimpleRnnNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """The readable truth: a plain loop of :func:`simple_rnn_step`. Arguments as in :func:`simple_rnn`, and:

    Args:
        norm: (gain_ih [H], gain_hh [H]).
        mask: [B, H], one for the whole sequence.
        zone: [B, T, H] whatever ``batch_first``, where step t takes ``zone[:, t]`` in either direction, or a constant.

    Example:
        >>> output, h = simple_rnn_reference(torch.randn(7, 4, 3), None, torch.randn(5, 3), torch.randn(5, 5))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([4, 5]))
    """
    x = x.transpose(0, 1) if batch_first else x
    zeros = x.new_zeros(x.shape[1], w_hh.shape[1])
    h0, initial = (zeros if given is None else given for given in (h0, initial))

    def step(inputs: tuple[Tensor, Tensor | None], before: Tensor) -> tuple[Tensor, Tensor]:
        x_t, zone_t = inputs
        h = simple_rnn_step(
            x_t, before, w_ih, w_hh, b_ih, b_hh, nonlinearity=nonlinearity, norm=norm, mask=mask, zone=zone_t
        )
        return h, h

    out, hn = unroll(
        step, (x, over_time(zone, x)), h0, initial=initial, lengths=lengths, resets=resets, reverse=reverse
    )
    return out.transpose(0, 1) if batch_first else out, hn


def simple_rnn(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    initial: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    nonlinearity: Nonlinearity = "tanh",
    norm: SimpleRnnNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """The native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Args:
        x: [T, B, I], or [B, T, I] with ``batch_first``; float32 or float64 on the CPU.
        h0: [B, H], or None for zeros.
        w_ih, w_hh, b_ih, b_hh: [H, I], [H, H], [H], [H]; biases may be None.
        lengths: int64 [B] on the CPU, 0 ≤ length ≤ T, or None.
        resets: bool [B, T], or None; ``initial`` is what they go back to, as ``h0``.
        norm, mask, zone: as in :func:`simple_rnn_reference`.
        nonlinearity, reverse, batch_first: see the module and :func:`rnnkit.ops.unroll.unroll`.

    Returns:
        out, as x with H in place of I and zeros behind each row's length, and hn [B, H].

    Raises:
        ShapeError: a shape, dtype or device does not fit.

    Example:
        >>> output, h = simple_rnn(torch.randn(7, 4, 3), None, torch.randn(5, 3), torch.randn(5, 5))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([4, 5]))
    """
    out, hn, _, _ = recurrence(
        "simple_rnn", x, w_ih, w_hh, b_ih, b_hh, kind=NONLINEARITIES.index(nonlinearity), reverse=reverse,
        batch_first=batch_first, norm=norm, h0=h0, reset_h=initial, mask=mask, zone_h=whole_zone(zone, x, batch_first),
        lengths=lengths, resets=resets,
    )  # fmt: skip
    return out, hn
