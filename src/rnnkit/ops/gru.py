"""The gated recurrent unit, one layer in one direction.

    r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
    z_t = σ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)
    n_t = tanh(W_n x_t + b_in + r_t ⊙ (U_n h_{t-1} + b_hn))
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}

Options, all off by default, in any combination except reset_after=False with norm:
    reset_after=False   n_t = tanh(W_n x_t + b_in + b_hn + U_n (r_t ⊙ h_{t-1}))
    mask m [B, H]       m ⊙ h_{t-1} in place of h_{t-1} in the products with U, and only there
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, then the biases
    zoneout_h ζ         h_t = ζ ⊙ h_{t-1} + (1 − ζ) ⊙ h̃_t, where h̃_t is the h_t of the equations above, 0 ≤ ζ ≤ 1

Variant: Cho et al. (2014) as in PyTorch and cuDNN: the reset gate is applied after the recurrent product (as in the
first version of the paper's preprint; ``reset_after=False`` is its last version and Keras's option of that name), and
z keeps the old state. Gate order r, z, n along the rows of W and U. Mask: variational dropout, Gal & Ghahramani (2016).
N: layer normalisation, see :mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et al. (2017), 0 or 1 while training
and the probability itself in evaluation.
Legend: B batch, T time, I input, H hidden.
Shapes: x [T, B, I], h [B, H], W [3H, I], U [3H, H], b [3H], gain [3H], mask [B, H], ζ [B, H] or a constant [H].
"""

from __future__ import annotations

import torch

from ..errors import ConfigError
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

Tensor = torch.Tensor
NORM_NEEDS_RESET_AFTER = (
    "norm arrived together with reset_after=False, where no single product with the state holds all gates; "
    "layer_norm needs reset_after=True"
)


def gru_step(
    x: Tensor,
    h: Tensor,
    weights: RecurrentWeights,
    options: RecurrentOptions = NO_OPTIONS,
    *,
    reset_after: bool = True,
    gates: dict[str, Tensor] | None = None,
) -> Tensor:
    """Compute one step: x [B, I] and h [B, H] to the next h [B, H].

    Args:
        x: [B, I].
        h: [B, H].
        weights: [3H, I], [3H, H], [3H], [3H]; biases may be None.
        options, reset_after: see the module.
        gates: a dictionary that receives this step's r, z, n, [B, H] each.

    Raises:
        ConfigError: norm together with ``reset_after=False``.

    Example:
        >>> x, h = torch.randn(4, 3), torch.zeros(4, 5)
        >>> tuple(gru_step(x, h, RecurrentWeights(torch.randn(15, 3), torch.randn(15, 5))).shape)
        (4, 5)
    """
    w_ih, w_hh, b_ih, b_hh, _ = weights
    norm, zoneout = options.norm, options.zoneout_h
    gain_ih, gain_hh = (None, None) if norm is None else (norm.gain_ih, norm.gain_hh)
    from_r, from_z, from_n = pre_activation(x, w_ih, b_ih, gain_ih).chunk(3, dim=1)
    recurrent = h if options.mask is None else options.mask * h
    if reset_after:
        state_r, state_z, state_n = pre_activation(recurrent, w_hh, b_hh, gain_hh).chunk(3, dim=1)
        r = torch.sigmoid(from_r + state_r)
        z = torch.sigmoid(from_z + state_z)
        n = torch.tanh(from_n + r * state_n)
    else:
        if norm is not None:
            raise ConfigError(NORM_NEEDS_RESET_AFTER)
        u_r, u_z, u_n = w_hh.chunk(3)
        b_r, b_z, b_n = (None, None, None) if b_hh is None else b_hh.chunk(3)
        r = torch.sigmoid(from_r + pre_activation(recurrent, u_r, b_r, None))
        z = torch.sigmoid(from_z + pre_activation(recurrent, u_z, b_z, None))
        n = torch.tanh(from_n + pre_activation(r * recurrent, u_n, b_n, None))
    new = (1 - z) * n + z * h
    if gates is not None:
        gates.update(r=r, z=z, n=n)
    return new if zoneout is None else zoneout * h + (1 - zoneout) * new


def gru_reference(call: DirectionCall, *, reset_after: bool = True) -> DirectionResult:
    """Run :func:`gru_step` over whole sequences in a plain loop, on any device and in any dtype.

    Args:
        call: see :class:`rnnkit.ops.direction.DirectionCall`; the states are h [B, H].
        reset_after: see the module.

    Returns:
        every h and the last h.

    Raises:
        ConfigError: norm together with ``reset_after=False``.

    Example:
        >>> weights = RecurrentWeights(torch.randn(15, 3), torch.randn(15, 5))
        >>> output, h, _ = gru_reference(DirectionCall(torch.randn(7, 4, 3), weights))
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 5), (4, 5))
    """

    def step(x_t: Tensor, before: Tensor, options: RecurrentOptions) -> tuple[Tensor, Tensor]:
        h = gru_step(x_t, before, call.weights, options, reset_after=reset_after)
        return h, h

    zeros = call.x.new_zeros(call.x.shape[0 if call.batch_first else 1], call.weights.w_hh.shape[1])
    return DirectionResult(*run_steps(step, call, zeros))


def gru(call: DirectionCall, *, reset_after: bool = True) -> DirectionResult:
    """Run the native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Args:
        call: as for :func:`gru_reference`, in float32 or float64 on the CPU.
        reset_after: see the module.

    Returns:
        what :func:`gru_reference` returns.

    Raises:
        ShapeError: a shape, dtype or device does not fit.
        ConfigError: norm together with ``reset_after=False``.

    Example:
        >>> weights = RecurrentWeights(torch.randn(15, 3), torch.randn(15, 5))
        >>> output, h, _ = gru(DirectionCall(torch.randn(7, 4, 3), weights))
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 5), (4, 5))
    """
    if call.options.norm is not None and not reset_after:
        raise ConfigError(NORM_NEEDS_RESET_AFTER)
    output, h, _, _ = run_native("gru", call, variant="reset_after" if reset_after else "reset_before")
    return DirectionResult(output, h)
