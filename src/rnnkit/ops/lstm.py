"""Long short-term memory, one layer in one direction.

    i_t = σ(W_i x_t + b_ii + U_i h_{t-1} + b_hi)
    f_t = σ(W_f x_t + b_if + U_f h_{t-1} + b_hf)
    g_t = tanh(W_g x_t + b_ig + U_g h_{t-1} + b_hg)
    o_t = σ(W_o x_t + b_io + U_o h_{t-1} + b_ho)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)                with a projection P: h_t = P (o_t ⊙ tanh(c_t))

Variant: Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000), no peepholes;
PyTorch's gate order i, f, g, o along the rows of W and U. Projection: Sak, Senior & Beaufays (2014).
Legend: B batch, T time, I input, H hidden, P projected (H without a projection).
Shapes: x [T, B, I], h [B, P], c [B, H], W [4H, I], U [4H, P], b [4H], projection [P, H].
"""

from __future__ import annotations

import torch

from .unroll import unroll

Tensor = torch.Tensor
LstmState = tuple[Tensor, Tensor]


def lstm_step(
    x: Tensor,
    state: LstmState,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
) -> LstmState:
    """One step: x [B, I] and (h, c) to the next (h, c)."""
    h, c = state
    gates = torch.nn.functional.linear(x, w_ih, b_ih) + torch.nn.functional.linear(h, w_hh, b_hh)
    i, f, g, o = gates.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if w_hr is None else h @ w_hr.T), c


def lstm_reference(
    x: Tensor,
    state: LstmState,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, LstmState]:
    """A plain loop of :func:`lstm_step`: x [T, B, I] ([B, T, I] with ``batch_first``) to out [T, B, P] and (h, c)."""

    def step(x_t: Tensor, before: LstmState) -> tuple[Tensor, LstmState]:
        h, c = lstm_step(x_t, before, w_ih, w_hh, b_ih, b_hh, w_hr)
        return h, (h, c)

    x = x.transpose(0, 1) if batch_first else x
    out, last = unroll(step, x, state, lengths=lengths, resets=resets, reverse=reverse)
    return out.transpose(0, 1) if batch_first else out, last
