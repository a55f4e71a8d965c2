"""The convolutional LSTM: an LSTM over maps, whose products with weights are convolutions.

    i_t = σ(W_i ∗ x_t + b_ii + U_i ∗ h_{t-1} + b_hi [+ p_i ⊙ c_{t-1}])
    f_t = σ(W_f ∗ x_t + b_if + U_f ∗ h_{t-1} + b_hf [+ p_f ⊙ c_{t-1}])
    g_t = tanh(W_g ∗ x_t + b_ig + U_g ∗ h_{t-1} + b_hg)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    o_t = σ(W_o ∗ x_t + b_io + U_o ∗ h_{t-1} + b_ho [+ p_o ⊙ c_t])
    h_t = o_t ⊙ tanh(c_t)

∗ is a convolution with k × k kernels, k odd, with zeros around the map, so that the map keeps its size.

Variant: Shi et al. 2015 ("Convolutional LSTM network"). Their peepholes p have a weight for each channel and each
pixel, which fixes the size of the map; here they have one for each channel, [3, H], and are off by default. Gate order
i, f, g, o, as in PyTorch's LSTM.

Legend: B batch, T time, C channels in, H channels of the state, h × w the map, k the kernel.
Shapes: x [B, C, h, w], h and c [B, H, h, w], W [4H, C, k, k], U [4H, H, k, k], b [4H], p [3, H] in the order i, f, o.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .conv_gru import same_conv
from .tile_conv import TileConv, empty_tiles, tanh_

Tensor = torch.Tensor


def conv_lstm_step(
    from_x: Tensor,
    state: tuple[Tensor, Tensor],
    w_hh: Tensor,
    b_hh: Tensor | None = None,
    peephole: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute one step from W ∗ x + b_i [B, 4H, h, w] and (h, c) [B, H, h, w] to the next (h, c).

    Args:
        from_x: what the input gives.
        state: h and c before.
        w_hh, b_hh: U [4H, H, k, k], and its bias [4H] or None.
        peephole: [3, H], or None.

    Example:
        >>> x, h = torch.randn(4, 2, 8, 8), torch.zeros(4, 5, 8, 8)
        >>> w, u = torch.randn(20, 2, 3, 3), torch.randn(20, 5, 3, 3)
        >>> h, c = conv_lstm_step(same_conv(x, w), (h, h), u)
        >>> tuple(h.shape), tuple(c.shape)
        ((4, 5, 8, 8), (4, 5, 8, 8))
    """
    h, c = state
    sum_i, sum_f, sum_g, sum_o = (from_x + same_conv(h, w_hh, b_hh)).chunk(4, 1)
    p_i, p_f, p_o = (None, None, None) if peephole is None else peephole[:, :, None, None]
    i = torch.sigmoid(sum_i if p_i is None else sum_i + p_i * c)
    f = torch.sigmoid(sum_f if p_f is None else sum_f + p_f * c)
    g = torch.tanh(sum_g)
    c = f * c + i * g
    o = torch.sigmoid(sum_o if p_o is None else sum_o + p_o * c)
    return o * torch.tanh(c), c


def tile_lstm(
    from_x: Tensor,
    state: tuple[Tensor, Tensor],
    w_hh: Tensor,
    peephole: Tensor | None,
    keep: Tensor | None,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Run all steps on tiles (:mod:`rnnkit.ops.tile_conv`), differentiable once.

    Args:
        from_x: W ∗ x and all biases, tiles [4, 4, T, B, R, S, 4H].
        state: h and c before the first step, tiles [4, 4, B, R, S, H].
        w_hh: U [4H, H, 3, 3].
        peephole: [3, H], or None.
        keep: [T, B, 1, 1, 1], 0 where a row's state is cleared before the step and else 1; None for 1 everywhere.
        size: (h, w), the pixels of the map.

    Returns:
        every h and every c, tiles [4, 4, T, B, R, S, H]; h is 0 outside of the map.
    """
    differentiable = torch.is_grad_enabled()
    run: Any = _Steps.apply
    return run(from_x, *state, w_hh, peephole, keep, size, differentiable)  # type: ignore[no-any-return]


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        from_x, h, c, w_hh, peephole, keep, size, differentiable = arguments
        width = h.shape[-1]
        conv = TileConv(w_hh, h.shape, size)
        hs, cs = empty_tiles(from_x, width), empty_tiles(from_x, width)
        ctx.kept, ctx.conv, ctx.keep, ctx.peephole = [], conv, keep, peephole
        for t in range(from_x.shape[2]):
            if keep is not None:
                h, c = h * keep[t], c * keep[t]
            gates, v = conv.forward(h)
            gates += from_x[:, :, t]
            i, f, g, o = gates.chunk(4, -1)
            if peephole is not None:
                i.addcmul_(peephole[0], c)
                f.addcmul_(peephole[1], c)
            gates[..., : 2 * width].sigmoid_()
            tanh_(g)
            before, c = c, torch.mul(f, c, out=cs[:, :, t]).addcmul_(i, g)
            if peephole is not None:
                o.addcmul_(peephole[2], c)
            o.sigmoid_()
            bounded = tanh_(c.clone())
            if differentiable:
                ctx.kept.append((gates, bounded, before, v))
            h = conv.clear_outside(torch.mul(o, bounded, out=hs[:, :, t]))
        ctx.cs = cs
        # Users may change what is returned in place: c is kept for the backward pass, h is not.
        return hs.detach(), cs.clone() if differentiable else cs.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dhs: Tensor, dcs: Tensor) -> tuple[Tensor | None, ...]:
        conv: TileConv = ctx.conv
        conv.gradient.zero_()
        dfrom = empty_tiles(dhs, 4 * dhs.shape[-1])
        need_dw, peephole = ctx.needs_input_grad[3], ctx.peephole
        dpeephole = None if peephole is None else torch.zeros_like(peephole)
        dh, dc = (dhs.new_zeros(dhs[:, :, 0].shape) for _ in range(2))
        for t in reversed(range(dhs.shape[2])):
            gates, bounded, before, v = ctx.kept[t]
            i, f, g, o = gates.chunk(4, -1)
            dh += dhs[:, :, t]  # in place: it stays contiguous
            dc += dcs[:, :, t]
            d = torch.empty_like(gates)
            d_i, d_f, d_g, d_o = d.chunk(4, -1)
            torch.mul(dh * bounded, o * (1 - o), out=d_o)
            dc.addcmul_(dh * o, 1 - bounded * bounded)
            if peephole is not None:
                dc.addcmul_(d_o, peephole[2])
            torch.mul(dc * g, i * (1 - i), out=d_i)
            torch.mul(dc * before, f * (1 - f), out=d_f)
            torch.mul(dc * i, 1 - g * g, out=d_g)
            dfrom[:, :, t] = d
            dc = dc * f
            if dpeephole is not None:
                dc.addcmul_(d_i, peephole[0]).addcmul_(d_f, peephole[1])
                for place, (grad, cells) in enumerate(((d_i, before), (d_f, before), (d_o, ctx.cs[:, :, t]))):
                    dpeephole[place] += (grad * cells).sum((0, 1, 2, 3, 4))
            through = conv.backward(d, v if need_dw else None)
            assert through is not None
            dh = through
            if ctx.keep is not None:
                dh, dc = dh * ctx.keep[t], dc * ctx.keep[t]
        dw = conv.weight_gradient() if need_dw else None
        return dfrom, dh, dc, dw, dpeephole, None, None, None
