"""The simple (Elman) recurrence, one layer in one direction.

    h_t = σ(W x_t + b_ih + U h_{t-1} + b_hh)        σ one of tanh, relu, sigmoid

Options, all off by default, in any combination:
    mask m [B, H]       m ⊙ h_{t-1} in place of h_{t-1} in the product with U
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, then the biases
    zoneout_h ζ         h_t = ζ ⊙ h_{t-1} + (1 − ζ) ⊙ h̃_t, where h̃_t is the h_t of the equation above, 0 ≤ ζ ≤ 1

Variant: Elman, "Finding structure in time", Cognitive Science 14 (1990), with PyTorch's two biases. Mask: variational
dropout, Gal & Ghahramani (2016). N: layer normalisation, see :mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et
al. (2017), 0 or 1 while training and the probability itself in evaluation.
Legend: B batch, T time, I input, H hidden.
Shapes: x [T, B, I], h [B, H], W [H, I], U [H, H], b [H], gain [H], mask [B, H], ζ [B, H] or a constant [H].
"""

from __future__ import annotations

from typing import Literal

import torch

from .direction import (
    NO_OPTIONS,
    DirectionCall,
    DirectionResult,
    RecurrentOptions,
    RecurrentWeights,
    run_native,
    run_steps,
)
from .normalisation import pre_activation

Nonlinearity = Literal["tanh", "relu", "sigmoid"]
NONLINEARITIES: tuple[Nonlinearity, ...] = ("tanh", "relu", "sigmoid")

Tensor = torch.Tensor


def simple_rnn_step(
    x: Tensor,
    h: Tensor,
    weights: RecurrentWeights,
    options: RecurrentOptions = NO_OPTIONS,
    *,
    nonlinearity: Nonlinearity = "tanh",
) -> Tensor:
    """Compute one step: x [B, I] and h [B, H] to the next h [B, H].

    Args:
        x: [B, I].
        h: [B, H].
        weights: [H, I], [H, H], [H], [H]; biases may be None.
        options: see the module.
        nonlinearity: σ.

    Example:
        >>> x, h = torch.randn(4, 3), torch.zeros(4, 5)
        >>> tuple(simple_rnn_step(x, h, RecurrentWeights(torch.randn(5, 3), torch.randn(5, 5))).shape)
        (4, 5)
    """
    norm, zoneout = options.norm, options.zoneout_h
    gain_ih, gain_hh = (None, None) if norm is None else (norm.gain_ih, norm.gain_hh)
    recurrent = h if options.mask is None else options.mask * h
    from_input = pre_activation(x, weights.w_ih, weights.b_ih, gain_ih)
    from_state = pre_activation(recurrent, weights.w_hh, weights.b_hh, gain_hh)
    new = _SIGMA[nonlinearity](from_input + from_state)
    return new if zoneout is None else zoneout * h + (1 - zoneout) * new


_SIGMA = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


def simple_rnn_reference(call: DirectionCall, *, nonlinearity: Nonlinearity = "tanh") -> DirectionResult:
    """Run :func:`simple_rnn_step` over whole sequences in a plain loop, on any device and in any dtype.

    Args:
        call: see :class:`rnnkit.ops.direction.DirectionCall`; the states are h [B, H].
        nonlinearity: σ.

    Returns:
        every h and the last h.

    Example:
        >>> weights = RecurrentWeights(torch.randn(5, 3), torch.randn(5, 5))
        >>> output, h, _ = simple_rnn_reference(DirectionCall(torch.randn(7, 4, 3), weights))
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 5), (4, 5))
    """

    def step(x_t: Tensor, before: Tensor, options: RecurrentOptions) -> tuple[Tensor, Tensor]:
        h = simple_rnn_step(x_t, before, call.weights, options, nonlinearity=nonlinearity)
        return h, h

    zeros = call.x.new_zeros(call.x.shape[0 if call.batch_first else 1], call.weights.w_hh.shape[1])
    return DirectionResult(*run_steps(step, call, zeros))


def simple_rnn(call: DirectionCall, *, nonlinearity: Nonlinearity = "tanh") -> DirectionResult:
    """Run the native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Args:
        call: as for :func:`simple_rnn_reference`, in float32 or float64 on the CPU.
        nonlinearity: σ.

    Returns:
        what :func:`simple_rnn_reference` returns.

    Raises:
        ShapeError: a shape, dtype or device does not fit.

    Example:
        >>> weights = RecurrentWeights(torch.randn(5, 3), torch.randn(5, 5))
        >>> output, h, _ = simple_rnn(DirectionCall(torch.randn(7, 4, 3), weights))
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 5), (4, 5))
    """
    output, h, _, _ = run_native("simple_rnn", call, variant=nonlinearity)
    return DirectionResult(output, h)
