"""The gated recurrent unit, one layer in one direction.

    r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
    z_t = σ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)
    n_t = tanh(W_n x_t + b_in + r_t ⊙ (U_n h_{t-1} + b_hn))
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}

Options, all off by default, in any combination but the one named:
    reset_after=False   n_t = tanh(W_n x_t + b_in + b_hn + U_n (r_t ⊙ h_{t-1})); not together with norm
    mask m [B, H]       m ⊙ h_{t-1} in place of h_{t-1} in the products with U, and only there
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, the biases behind
    zone ζ in [0, 1]    h_t = ζ ⊙ h_{t-1} + (1 − ζ) ⊙ h̃_t, where h̃_t is the h_t above

Variant: Cho et al. (2014) as in PyTorch and cuDNN: the reset gate is applied after the recurrent product (as in the
first version of the paper's preprint; ``reset_after=False`` is its last version and Keras's option of that name), and
z keeps the old state. Gate order r, z, n along the rows of W and U. Mask: variational dropout, Gal & Ghahramani (2016).
N: layer normalisation, see :mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et al. (2017), 0 or 1 while training
and the probability itself in evaluation.
Legend: B batch, T time, I input, H hidden.
Shapes: x [T, B, I], h [B, H], W [3H, I], U [3H, H], b [3H], gain [3H], mask [B, H], zone [B, H] or a constant [H].
"""

from __future__ import annotations

import torch

from ..errors import ConfigError
from .native import recurrence, whole_zone
from .normalisation import pre_activation
from .unroll import over_time, unroll

Tensor = torch.Tensor
GruNorm = tuple[Tensor, Tensor]
NORM_NEEDS_RESET_AFTER = (
    "norm arrived together with reset_after=False, where no product with the state holds all gates; "
    "layer_norm needs reset_after=True"
)


def gru_step(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    reset_after: bool = True,
    norm: GruNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    gates: dict[str, Tensor] | None = None,
) -> Tensor:
    """One step: x [B, I] and h [B, H] to the next h [B, H].

    Args:
        w_ih, w_hh, b_ih, b_hh: [3H, I], [3H, H], [3H], [3H]; biases may be None.
        norm: (gain_ih [3H], gain_hh [3H]).
        reset_after, mask, zone: see the module.
        gates: gets this step's r, z, n, [B, H] each, where somebody wants to look at them.

    Raises:
        ConfigError: norm together with ``reset_after=False``.

    Example:
        >>> x, h = torch.randn(4, 3), torch.zeros(4, 5)
        >>> gru_step(x, h, torch.randn(15, 3), torch.randn(15, 5)).shape
        torch.Size([4, 5])
    """
    gain_ih, gain_hh = (None, None) if norm is None else norm
    from_r, from_z, from_n = pre_activation(x, w_ih, b_ih, gain_ih).chunk(3, dim=1)
    recurrent = h if mask is None else mask * h
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
    return new if zone is None else zone * h + (1 - zone) * new


def gru_reference(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    reset_after: bool = True,
    norm: GruNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    initial: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """A plain loop of :func:`gru_step`: x [T, B, I] ([B, T, I] with ``batch_first``) to out [T, B, H] and h [B, H].

    Args:
        h0: [B, H], or None for zeros.
        mask: [B, H], one for the whole sequence.
        zone: [B, T, H] whatever ``batch_first``, where step t takes ``zone[:, t]`` in either direction, or a constant.
        initial: what resets go back to, as ``h0``.
        lengths, resets, reverse: as in :func:`rnnkit.ops.unroll.unroll`; the others as in :func:`gru_step`.

    Example:
        >>> output, h = gru_reference(torch.randn(7, 4, 3), None, torch.randn(15, 3), torch.randn(15, 5))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([4, 5]))
    """
    x = x.transpose(0, 1) if batch_first else x
    zeros = x.new_zeros(x.shape[1], w_hh.shape[1])
    h0, initial = (zeros if given is None else given for given in (h0, initial))

    def step(inputs: tuple[Tensor, Tensor | None], before: Tensor) -> tuple[Tensor, Tensor]:
        x_t, zone_t = inputs
        h = gru_step(x_t, before, w_ih, w_hh, b_ih, b_hh, reset_after=reset_after, norm=norm, mask=mask, zone=zone_t)
        return h, h

    out, last = unroll(
        step, (x, over_time(zone, x)), h0, initial=initial, lengths=lengths, resets=resets, reverse=reverse
    )
    return out.transpose(0, 1) if batch_first else out, last


def gru(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    reset_after: bool = True,
    norm: GruNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    initial: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """The native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Arguments and returns as in :func:`gru_reference`; float32 or float64 on the CPU, lengths int64, resets bool.

    Raises:
        ShapeError: a shape, dtype or device does not fit. ConfigError: norm together with ``reset_after=False``.

    Example:
        >>> output, h = gru(torch.randn(7, 4, 3), None, torch.randn(15, 3), torch.randn(15, 5))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([4, 5]))
    """
    if norm is not None and not reset_after:
        raise ConfigError(NORM_NEEDS_RESET_AFTER)
    out, hn, _, _ = recurrence(
        "gru", x, w_ih, w_hh, b_ih, b_hh, kind=int(not reset_after), reverse=reverse, batch_first=batch_first,
        norm=norm, h0=h0, reset_h=initial, mask=mask, zone_h=whole_zone(zone, x, batch_first),
        lengths=lengths, resets=resets,
    )  # fmt: skip
    return out, hn
