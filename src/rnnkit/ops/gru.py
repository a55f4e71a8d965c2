"""The gated recurrent unit, one layer in one direction.

    r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
    z_t = σ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)
    n_t = tanh(W_n x_t + b_in + r_t ⊙ (U_n h_{t-1} + b_hn))
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}

Variant: Cho et al. (2014) as in PyTorch and cuDNN: the reset gate is applied after the recurrent product, and z keeps
the old state. Gate order r, z, n along the rows of W and U.
Legend: B batch, T time, I input, H hidden. Shapes: x [T, B, I], h [B, H], W [3H, I], U [3H, H], b [3H].
"""

from __future__ import annotations

import torch

from .unroll import unroll

Tensor = torch.Tensor


def gru_step(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step: x [B, I] and h [B, H] to the next h [B, H]."""
    from_r, from_z, from_n = torch.nn.functional.linear(x, w_ih, b_ih).chunk(3, dim=1)
    state_r, state_z, state_n = torch.nn.functional.linear(h, w_hh, b_hh).chunk(3, dim=1)
    r = torch.sigmoid(from_r + state_r)
    z = torch.sigmoid(from_z + state_z)
    n = torch.tanh(from_n + r * state_n)
    return (1 - z) * n + z * h


def gru_reference(
    x: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """A plain loop of :func:`gru_step`: x [T, B, I] ([B, T, I] with ``batch_first``) to out [T, B, H] and h [B, H]."""

    def step(x_t: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        h = gru_step(x_t, before, w_ih, w_hh, b_ih, b_hh)
        return h, h

    x = x.transpose(0, 1) if batch_first else x
    out, last = unroll(step, x, h0, lengths=lengths, resets=resets, reverse=reverse)
    return out.transpose(0, 1) if batch_first else out, last
