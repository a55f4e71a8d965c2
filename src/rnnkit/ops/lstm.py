"""Long short-term memory, one layer in one direction.

    i_t = σ(W_i x_t + b_ii + U_i h_{t-1} + b_hi)
    f_t = σ(W_f x_t + b_if + U_f h_{t-1} + b_hf)
    g_t = tanh(W_g x_t + b_ig + U_g h_{t-1} + b_hg)
    o_t = σ(W_o x_t + b_io + U_o h_{t-1} + b_ho)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)                with a projection P: h_t = P (o_t ⊙ tanh(c_t))

Options, all off by default, in any combination:
    peephole p [3, H]   + p_i ⊙ c_{t-1} inside σ of i_t, + p_f ⊙ c_{t-1} inside σ of f_t, + p_o ⊙ c̃_t inside σ of o_t
    mask m [B, P]       m ⊙ h_{t-1} in place of h_{t-1} in the product with U
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, biases behind;
                        tanh(gain_c ⊙ N(c̃_t) + shift_c) in place of tanh(c_t)
    zone_h, zone_c      c_t = ζ_c ⊙ c_{t-1} + (1 − ζ_c) ⊙ c̃_t, h_t = ζ_h ⊙ h_{t-1} + (1 − ζ_h) ⊙ h̃_t
where c̃_t and h̃_t are the c_t and h_t above: h̃_t is made from c̃_t, not from c_t, and is projected already.
Coupled gates, f_t = 1 − i_t, are the same equations on weights that :func:`coupled` makes.

Variant: Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000); PyTorch's gate
order i, f, g, o along the rows of W and U. Projection: Sak, Senior & Beaufays (2014). Peepholes: Gers & Schmidhuber
(2000), diagonal. Mask: variational dropout, Gal & Ghahramani (2016). N: layer normalisation, see
:mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et al. (2017), 0 or 1 while training and the probability itself in
evaluation. Coupled gates: Greff et al. (2017), CIFG.
Legend: B batch, T time, I input, H hidden, P projected (H without a projection).
Shapes: x [T, B, I], h [B, P], c [B, H], W [4H, I], U [4H, P], b [4H], projection [P, H], gain_ih and gain_hh [4H],
gain_c and shift_c [H], mask [B, P], zone_h [B, P] and zone_c [B, H] or constants [P] and [H].
"""

from __future__ import annotations

import torch

from ..errors import ShapeError
from .native import cell_states, recurrence, whole_zone
from .normalisation import normalise, pre_activation
from .padding import valid_steps
from .unroll import over_time, unroll

Tensor = torch.Tensor
LstmState = tuple[Tensor, Tensor]
LstmNorm = tuple[Tensor, Tensor, Tensor, Tensor]


def coupled(weight: Tensor, *, normalised: bool = False) -> Tensor:
    """Weights of coupled gates as those of an LSTM with f = 1 − i: since 1 − σ(a) = σ(−a), the rows of f are −i.

    Args:
        weight: [3H, ...], gate order i, g, o: w_ih, w_hh, a bias or a gain.
        normalised: a product with this weight is layer-normalised (w_ih and w_hh together with norm). Its mean would
            make −i no mirror image of i, so f gets i's rows as they are, and the sign comes from its gain and bias
            alone. The statistics then count i twice.

    Returns:
        [4H, ...], gate order i, −i (or i, with ``normalised``), g, o.

    Raises:
        ShapeError: the rows are no multiple of three.

    Example:
        >>> coupled(torch.tensor([1.0, 2.0, 3.0]))
        tensor([ 1., -1.,  2.,  3.])
    """
    if weight.dim() == 0 or weight.shape[0] % 3:
        raise ShapeError(
            f"weight has shape {tuple(weight.shape)}; expected (3·H, ...), the rows of the gates i, g, o: leave out f's"
        )
    i, g, o = weight.chunk(3)
    return torch.cat((i, i if normalised else -i, g, o))


def coupled_peephole(peephole: Tensor) -> Tensor:
    """The same for a peephole: [2, H], rows i and o, to [3, H], rows i, −i, o.

    Raises:
        ShapeError: there are not two rows.

    Example:
        >>> coupled_peephole(torch.tensor([[1.0], [2.0]])).tolist()
        [[1.0], [-1.0], [2.0]]
    """
    if peephole.dim() != 2 or peephole.shape[0] != 2:
        raise ShapeError(
            f"peephole has shape {tuple(peephole.shape)}; expected (2, H), the rows of the gates i and o: leave out f's"
        )
    i, o = peephole
    return torch.stack((i, -i, o))


def lstm_step(
    x: Tensor,
    state: LstmState,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    peephole: Tensor | None = None,
    norm: LstmNorm | None = None,
    mask: Tensor | None = None,
    zone_h: Tensor | None = None,
    zone_c: Tensor | None = None,
    gates: dict[str, Tensor] | None = None,
) -> LstmState:
    """One step: x [B, I] and (h [B, P], c [B, H]) to the next (h, c).

    Args:
        w_ih, w_hh, b_ih, b_hh, w_hr: [4H, I], [4H, P], [4H], [4H], [P, H]; biases and projection may be None.
        norm: (gain_ih [4H], gain_hh [4H], gain_c [H], shift_c [H]).
        peephole, mask, zone_h, zone_c: see the module.
        gates: gets this step's i, f, g, o, [B, H] each, where somebody wants to look at them.

    Example:
        >>> x, state = torch.randn(4, 3), (torch.zeros(4, 5), torch.zeros(4, 5))
        >>> h, c = lstm_step(x, state, torch.randn(20, 3), torch.randn(20, 5))
        >>> h.shape, c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """
    h, c = state
    gain_ih, gain_hh = (None, None) if norm is None else norm[:2]
    recurrent = h if mask is None else mask * h
    pre = pre_activation(x, w_ih, b_ih, gain_ih) + pre_activation(recurrent, w_hh, b_hh, gain_hh)
    pre_i, pre_f, pre_g, pre_o = pre.chunk(4, dim=1)
    if peephole is not None:
        pre_i = pre_i + peephole[0] * c
        pre_f = pre_f + peephole[1] * c
    i, f, g = torch.sigmoid(pre_i), torch.sigmoid(pre_f), torch.tanh(pre_g)
    new_c = f * c + i * g
    if peephole is not None:
        pre_o = pre_o + peephole[2] * new_c
    o = torch.sigmoid(pre_o)
    inner = new_c if norm is None else norm[2] * normalise(new_c) + norm[3]
    new_h = o * torch.tanh(inner)
    if gates is not None:
        gates.update(i=i, f=f, g=g, o=o)
    new_h = new_h if w_hr is None else new_h @ w_hr.T
    return (
        new_h if zone_h is None else zone_h * h + (1 - zone_h) * new_h,
        new_c if zone_c is None else zone_c * c + (1 - zone_c) * new_c,
    )


def lstm_reference(
    x: Tensor,
    state: LstmState | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    peephole: Tensor | None = None,
    norm: LstmNorm | None = None,
    mask: Tensor | None = None,
    zone_h: Tensor | None = None,
    zone_c: Tensor | None = None,
    initial: LstmState | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor, LstmState]:
    """A plain loop of :func:`lstm_step`: x [T, B, I] ([B, T, I] with ``batch_first``) to every h and every c.

    Args:
        state: (h [B, P], c [B, H]), or None for zeros.
        mask: [B, P], one for the whole sequence.
        zone_h, zone_c: [B, T, P] and [B, T, H] whatever ``batch_first``, where step t takes ``zone[:, t]`` in either
            direction, or constants.
        initial: what resets go back to, as ``state``.
        lengths, resets, reverse: as in :func:`rnnkit.ops.unroll.unroll`; the others as in :func:`lstm_step`.

    Returns:
        every h as x with P features, every c as x with H features, and the last (h, c).

    Example:
        >>> output, cells, (h, c) = lstm_reference(torch.randn(7, 4, 3), None, torch.randn(20, 3), torch.randn(20, 5))
        >>> output.shape, cells.shape, c.shape
        (torch.Size([7, 4, 5]), torch.Size([7, 4, 5]), torch.Size([4, 5]))
    """
    x = x.transpose(0, 1) if batch_first else x
    projected, hidden = w_hh.shape[1], w_hh.shape[0] // 4
    zeros = (x.new_zeros(x.shape[1], projected), x.new_zeros(x.shape[1], hidden))
    state, initial = (zeros if given is None else given for given in (state, initial))

    def step(inputs: tuple[Tensor, Tensor | None, Tensor | None], before: LstmState) -> tuple[Tensor, LstmState]:
        x_t, zone_h_t, zone_c_t = inputs
        h, c = lstm_step(
            x_t, before, w_ih, w_hh, b_ih, b_hh, w_hr,
            peephole=peephole, norm=norm, mask=mask, zone_h=zone_h_t, zone_c=zone_c_t,
        )  # fmt: skip
        return torch.cat((h, c), 1), (h, c)

    inputs = (x, over_time(zone_h, x), over_time(zone_c, x))
    both, last = unroll(step, inputs, state, initial=initial, lengths=lengths, resets=resets, reverse=reverse)
    out, cells = (both.transpose(0, 1) if batch_first else both).split((projected, hidden), -1)
    return out, cells, last


def lstm(
    x: Tensor,
    state: LstmState | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    peephole: Tensor | None = None,
    norm: LstmNorm | None = None,
    mask: Tensor | None = None,
    zone_h: Tensor | None = None,
    zone_c: Tensor | None = None,
    initial: LstmState | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
    cells: bool = False,
) -> tuple[Tensor, Tensor | None, LstmState]:
    """The native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Arguments and returns as in :func:`lstm_reference`, but every c only with ``cells``, else None; float32 or float64
    on the CPU, lengths int64, resets bool.

    Raises:
        ShapeError: a shape, dtype or device does not fit.

    Example:
        >>> output, cells, (h, c) = lstm(torch.randn(7, 4, 3), None, torch.randn(20, 3), torch.randn(20, 5))
        >>> output.shape, cells, c.shape
        (torch.Size([7, 4, 5]), None, torch.Size([4, 5]))
    """
    h0, c0 = (None, None) if state is None else state
    reset_h, reset_c = (None, None) if initial is None else initial
    out, hn, cn, saved = recurrence(
        "lstm", x, w_ih, w_hh, b_ih, b_hh, reverse=reverse, batch_first=batch_first, norm=norm, cells=cells, h0=h0,
        c0=c0, reset_h=reset_h, reset_c=reset_c, w_hr=w_hr, peephole=peephole, mask=mask,
        zone_h=whole_zone(zone_h, x, batch_first), zone_c=whole_zone(zone_c, x, batch_first),
        lengths=lengths, resets=resets,
    )  # fmt: skip
    if not cells:
        return out, None, (hn, cn)
    every = cell_states(saved, w_hh.shape[0] // 4)
    if lengths is not None:  # saved rows hold anything in the padding
        valid = valid_steps(lengths, x.shape[1 if batch_first else 0], x.device)
        every = every.masked_fill(~(valid if batch_first else valid.T)[..., None], 0)
    return out, every, (hn, cn)
