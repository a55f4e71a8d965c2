"""The convolutional gated recurrent unit: a GRU over maps, whose products with weights are convolutions.

    r_t = σ(W_r ∗ x_t + b_ir + U_r ∗ h_{t-1} + b_hr)
    z_t = σ(W_z ∗ x_t + b_iz + U_z ∗ h_{t-1} + b_hz)
    n_t = tanh(W_n ∗ x_t + b_in + r_t ⊙ (U_n ∗ h_{t-1} + b_hn))
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}

    reset_after=False   n_t = tanh(W_n ∗ x_t + b_in + b_hn + U_n ∗ (r_t ⊙ h_{t-1}))

∗ is a convolution with k × k kernels, k odd, with zeros around the map, so that the map keeps its size.

Variant: Ballas et al. 2016 ("Delving deeper into convolutional networks for learning video representations") with
``reset_after=False``, where z and 1 − z have changed places, as in :mod:`rnnkit.ops.gru`. The default applies the reset
gate behind the convolution, as :class:`rnnkit.GRU` does: all gates are then one convolution of h. Gate order r, z, n.

Legend: B batch, T time, C channels in, H channels of the state, h × w the map, k the kernel.
Shapes: x [B, C, h, w], h [B, H, h, w], W [3H, C, k, k], U [3H, H, k, k], b [3H].
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .tile_conv import TileConv, empty_tiles, tanh_

Tensor = torch.Tensor


def same_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve maps x [B, C, h, w] with weight [K, C, k, k], with zeros around them: [B, K, h, w]."""
    return torch.nn.functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def conv_gru_step(
    from_x: Tensor, h: Tensor, w_hh: Tensor, b_hh: Tensor | None = None, *, reset_after: bool = True
) -> Tensor:
    """Compute one step from W ∗ x + b_i [B, 3H, h, w] and h [B, H, h, w] to the next h.

    Args:
        from_x: what the input gives.
        h: the state before.
        w_hh, b_hh: U [3H, H, k, k], and its bias [3H] or None.
        reset_after: see the module.

    Example:
        >>> x, h = torch.randn(4, 2, 8, 8), torch.zeros(4, 5, 8, 8)
        >>> w, u = torch.randn(15, 2, 3, 3), torch.randn(15, 5, 3, 3)
        >>> tuple(conv_gru_step(same_conv(x, w), h, u).shape)
        (4, 5, 8, 8)
    """
    from_r, from_z, from_n = from_x.chunk(3, 1)
    if reset_after:
        state_r, state_z, state_n = same_conv(h, w_hh, b_hh).chunk(3, 1)
        r = torch.sigmoid(from_r + state_r)
        z = torch.sigmoid(from_z + state_z)
        n = torch.tanh(from_n + r * state_n)
    else:
        count = 2 * h.shape[1]
        b_gates, b_n = (None, None) if b_hh is None else (b_hh[:count], b_hh[count:])
        state_r, state_z = same_conv(h, w_hh[:count], b_gates).chunk(2, 1)
        r = torch.sigmoid(from_r + state_r)
        z = torch.sigmoid(from_z + state_z)
        n = torch.tanh(from_n + same_conv(r * h, w_hh[count:], b_n))
    return (1 - z) * n + z * h


def tile_gru(
    from_x: Tensor,
    h: Tensor,
    w_hh: Tensor,
    b_n: Tensor | None,
    keep: Tensor | None,
    size: tuple[int, int],
    *,
    reset_after: bool = True,
) -> Tensor:
    """Run all steps on tiles (:mod:`rnnkit.ops.tile_conv`), differentiable once.

    Args:
        from_x: W ∗ x and all biases of the gates r and z, and that of n which belongs to x: tiles
            [4, 4, T, B, R, S, 3H].
        h: the state before the first step, tiles [4, 4, B, R, S, H].
        w_hh: U [3H, H, 3, 3].
        b_n: b_hn [H] with ``reset_after``, else None.
        keep: [T, B, 1, 1, 1], 0 where a row's state is cleared before the step and else 1; None for 1 everywhere.
        size: (h, w), the pixels of the map.
        reset_after: see the module.

    Returns:
        every h, tiles [4, 4, T, B, R, S, H], 0 outside of the map.
    """
    run: Any = _ResetAfter if reset_after else _ResetBefore
    return run.apply(from_x, h, w_hh, b_n, keep, size, torch.is_grad_enabled())  # type: ignore[no-any-return]


class _ResetAfter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        from_x, h, w_hh, b_n, keep, size, differentiable = arguments
        width = h.shape[-1]
        conv = TileConv(w_hh, h.shape, size)
        hs = empty_tiles(from_x, width)
        ctx.kept, ctx.conv, ctx.keep = [], conv, keep
        for t in range(from_x.shape[2]):
            if keep is not None:
                h = h * keep[t]
            gates, v = conv.forward(h)
            x_t, q = from_x[:, :, t], gates[..., 2 * width :]
            rz = gates[..., : 2 * width].add_(x_t[..., : 2 * width]).sigmoid_()
            if b_n is not None:
                q += b_n
            n = tanh_(torch.addcmul(x_t[..., 2 * width :], rz[..., :width], q))
            if differentiable:
                ctx.kept.append((gates, n, h, v))
            h = conv.clear_outside(torch.lerp(n, h, rz[..., width:], out=hs[:, :, t]))
        ctx.biased = b_n is not None
        # Users may change what is returned in place; h is kept for the backward pass.
        return hs.clone() if differentiable else hs.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dhs: Tensor) -> tuple[Tensor | None, ...]:
        conv: TileConv = ctx.conv
        conv.gradient.zero_()
        width, dfrom = dhs.shape[-1], empty_tiles(dhs, 3 * dhs.shape[-1])
        need_dw = ctx.needs_input_grad[2]
        db = dhs.new_zeros(width) if ctx.biased else None
        dh = dhs.new_zeros(dhs[:, :, 0].shape)
        for t in reversed(range(dhs.shape[2])):
            gates, n, before, v = ctx.kept[t]
            r, z, q = gates.chunk(3, -1)
            dh += dhs[:, :, t]  # in place: it stays contiguous
            d = dh.new_empty(*dh.shape[:-1], 3 * width)
            dn, dz = _through_update(dh, n, z, before)
            dz_r, dz_z, dz_q = d.chunk(3, -1)
            torch.mul(dn, r, out=dz_q)
            torch.mul(dz_q, q * (1 - r), out=dz_r)
            dz_z.copy_(dz)
            to = dfrom[:, :, t]
            to[..., : 2 * width], to[..., 2 * width :] = d[..., : 2 * width], dn
            if db is not None:
                db += dz_q.sum((0, 1, 2, 3, 4))
            through = conv.backward(d, v if need_dw else None)
            assert through is not None
            dh = through.addcmul_(dh, z)
            if ctx.keep is not None:
                dh *= ctx.keep[t]
        return dfrom, dh, conv.weight_gradient() if need_dw else None, db, None, None, None


class _ResetBefore(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        from_x, h, w_hh, _, keep, size, differentiable = arguments
        width = h.shape[-1]
        of_gates, of_n = TileConv(w_hh[: 2 * width], h.shape, size), TileConv(w_hh[2 * width :], h.shape, size)
        hs = empty_tiles(from_x, width)
        ctx.kept, ctx.convs, ctx.keep = [], (of_gates, of_n), keep
        for t in range(from_x.shape[2]):
            if keep is not None:
                h = h * keep[t]
            x_t = from_x[:, :, t]
            rz, v = of_gates.forward(h)
            rz.add_(x_t[..., : 2 * width]).sigmoid_()
            n, v_n = of_n.forward(rz[..., :width] * h)
            tanh_(n.add_(x_t[..., 2 * width :]))
            if differentiable:
                ctx.kept.append((rz, n, h, v, v_n))
            h = of_n.clear_outside(torch.lerp(n, h, rz[..., width:], out=hs[:, :, t]))
        # Users may change what is returned in place; h is kept for the backward pass.
        return hs.clone() if differentiable else hs.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dhs: Tensor) -> tuple[Tensor | None, ...]:
        of_gates, of_n = ctx.convs
        of_gates.gradient.zero_()
        of_n.gradient.zero_()
        width, dfrom = dhs.shape[-1], empty_tiles(dhs, 3 * dhs.shape[-1])
        need_dw = ctx.needs_input_grad[2]
        dh = dhs.new_zeros(dhs[:, :, 0].shape)
        for t in reversed(range(dhs.shape[2])):
            rz, n, before, v, v_n = ctx.kept[t]
            r, z = rz.chunk(2, -1)
            dh += dhs[:, :, t]  # in place: it stays contiguous
            d = dh.new_empty(*dh.shape[:-1], 2 * width)
            dn, dz = _through_update(dh, n, z, before)
            d_product = of_n.backward(dn, v_n if need_dw else None)
            d_r, d_z = d.chunk(2, -1)
            torch.mul(d_product * before, r * (1 - r), out=d_r)
            d_z.copy_(dz)
            to = dfrom[:, :, t]
            to[..., : 2 * width], to[..., 2 * width :] = d, dn
            through = of_gates.backward(d, v if need_dw else None)
            dh = through.addcmul_(dh, z).addcmul_(d_product, r)
            if ctx.keep is not None:
                dh *= ctx.keep[t]
        dw = torch.cat([of_gates.weight_gradient(), of_n.weight_gradient()]) if need_dw else None
        return dfrom, dh, dw, None, None, None, None


def _through_update(dh: Tensor, n: Tensor, z: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of n and z before their nonlinearities, of h = (1 − z) ⊙ n + z ⊙ h_{t-1}."""
    share = dh * (1 - z)
    dz = (before - n).mul_(share).mul_(z)
    return share.mul_(1 - n * n), dz
