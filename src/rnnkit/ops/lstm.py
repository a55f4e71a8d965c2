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
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, then the biases;
                        tanh(gain_c ⊙ N(c̃_t) + shift_c) in place of tanh(c_t)
    zoneout_h ζ_h       h_t = ζ_h ⊙ h_{t-1} + (1 − ζ_h) ⊙ h̃_t
    zoneout_c ζ_c       c_t = ζ_c ⊙ c_{t-1} + (1 − ζ_c) ⊙ c̃_t
Here c̃_t and h̃_t are the c_t and h_t of the equations above. h̃_t is computed from c̃_t, not from c_t, and includes the
projection. Coupled gates, f_t = 1 − i_t, are the same equations with the weights that :func:`coupled` returns.

Variant: Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000); PyTorch's gate
order i, f, g, o along the rows of W and U. Projection: Sak, Senior & Beaufays (2014). Peepholes: Gers & Schmidhuber
(2000), diagonal. Mask: variational dropout, Gal & Ghahramani (2016). N: layer normalisation, see
:mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et al. (2017), 0 or 1 while training and the probability itself in
evaluation. Coupled gates: Greff et al. (2017), CIFG.
Legend: B batch, T time, I input, H hidden, P projected (H without a projection).
Shapes: x [T, B, I], h [B, P], c [B, H], W [4H, I], U [4H, P], b [4H], projection [P, H], gain_ih and gain_hh [4H],
gain_c and shift_c [H], mask [B, P], ζ_h [B, P] and ζ_c [B, H] or constants [P] and [H].
"""

from __future__ import annotations

import torch

from ..errors import ShapeError
from .direction import (
    NO_OPTIONS,
    DirectionCall,
    DirectionResult,
    RecurrentOptions,
    RecurrentWeights,
    run_native,
    run_steps,
)
from .native import cell_states
from .normalisation import normalise, pre_activation
from .padding import valid_steps

Tensor = torch.Tensor
LstmState = tuple[Tensor, Tensor]


def coupled(weight: Tensor, *, normalised: bool = False) -> Tensor:
    """Expand the weights of coupled gates to those of an LSTM with f = 1 − i.

    Since 1 − σ(a) = σ(−a), the rows of f are the negative rows of i.

    Args:
        weight: [3H, ...], gate order i, g, o: w_ih, w_hh, a bias or a gain.
        normalised: true for w_ih and w_hh with ``norm``, whose products are normalised. The mean of such a product
            would differ with −i, so f gets the rows of i unchanged and only its gain and bias change the sign. The
            statistics then count i twice.

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
    """Expand the peephole of coupled gates, [2, H] with rows i and o, to [3, H] with rows i, −i, o.

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
    weights: RecurrentWeights,
    options: RecurrentOptions = NO_OPTIONS,
    *,
    gates: dict[str, Tensor] | None = None,
) -> LstmState:
    """Compute one step: x [B, I] and (h [B, P], c [B, H]) to the next (h, c).

    Args:
        x: [B, I].
        state: (h [B, P], c [B, H]).
        weights: [4H, I], [4H, P], [4H], [4H], [P, H]; biases and projection may be None.
        options: see the module.
        gates: a dictionary that receives this step's i, f, g, o, [B, H] each.

    Example:
        >>> x, state = torch.randn(4, 3), (torch.zeros(4, 5), torch.zeros(4, 5))
        >>> h, c = lstm_step(x, state, RecurrentWeights(torch.randn(20, 3), torch.randn(20, 5)))
        >>> tuple(h.shape), tuple(c.shape)
        ((4, 5), (4, 5))
    """
    h, c = state
    norm, peephole, zoneout_h, zoneout_c = options.norm, options.peephole, options.zoneout_h, options.zoneout_c
    gain_ih, gain_hh = (None, None) if norm is None else (norm.gain_ih, norm.gain_hh)
    recurrent = h if options.mask is None else options.mask * h
    from_input = pre_activation(x, weights.w_ih, weights.b_ih, gain_ih)
    from_state = pre_activation(recurrent, weights.w_hh, weights.b_hh, gain_hh)
    pre_i, pre_f, pre_g, pre_o = (from_input + from_state).chunk(4, dim=1)
    if peephole is not None:
        pre_i = pre_i + peephole[0] * c
        pre_f = pre_f + peephole[1] * c
    i, f, g = torch.sigmoid(pre_i), torch.sigmoid(pre_f), torch.tanh(pre_g)
    new_c = f * c + i * g
    if peephole is not None:
        pre_o = pre_o + peephole[2] * new_c
    o = torch.sigmoid(pre_o)
    inner = new_c
    if norm is not None:
        assert norm.gain_c is not None
        assert norm.shift_c is not None
        inner = norm.gain_c * normalise(new_c) + norm.shift_c
    new_h = o * torch.tanh(inner)
    if gates is not None:
        gates.update(i=i, f=f, g=g, o=o)
    new_h = new_h if weights.w_hr is None else pre_activation(new_h, weights.w_hr, None, None)
    return (
        new_h if zoneout_h is None else zoneout_h * h + (1 - zoneout_h) * new_h,
        new_c if zoneout_c is None else zoneout_c * c + (1 - zoneout_c) * new_c,
    )


def lstm_reference(call: DirectionCall) -> DirectionResult:
    """Run :func:`lstm_step` over whole sequences in a plain loop, on any device and in any dtype.

    Args:
        call: see :class:`rnnkit.ops.direction.DirectionCall`; the states are (h [B, P], c [B, H]).

    Returns:
        every h, the last (h, c), and every c.

    Example:
        >>> weights = RecurrentWeights(torch.randn(20, 3), torch.randn(20, 5))
        >>> output, (h, c), cells = lstm_reference(DirectionCall(torch.randn(7, 4, 3), weights, return_cells=True))
        >>> tuple(output.shape), tuple(h.shape), tuple(cells.shape)
        ((7, 4, 5), (4, 5), (7, 4, 5))
    """
    x, weights = call.x, call.weights
    projected, hidden = weights.w_hh.shape[1], weights.w_hh.shape[0] // 4
    batch = x.shape[0 if call.batch_first else 1]
    zeros = (x.new_zeros(batch, projected), x.new_zeros(batch, hidden))

    def step(x_t: Tensor, before: LstmState, options: RecurrentOptions) -> tuple[Tensor, LstmState]:
        h, c = lstm_step(x_t, before, weights, options)
        return torch.cat((h, c), 1), (h, c)

    both, last = run_steps(step, call, zeros)
    # Slices, which may be changed in place; parts of a split may not.
    return DirectionResult(both[..., :projected], last, both[..., projected:] if call.return_cells else None)


def lstm(call: DirectionCall) -> DirectionResult:
    """Run the native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Args:
        call: as for :func:`lstm_reference`, in float32 or float64 on the CPU.

    Returns:
        what :func:`lstm_reference` returns.

    Raises:
        ShapeError: a shape, dtype or device does not fit.

    Example:
        >>> weights = RecurrentWeights(torch.randn(20, 3), torch.randn(20, 5))
        >>> output, (h, c), cells = lstm(DirectionCall(torch.randn(7, 4, 3), weights, return_cells=True))
        >>> tuple(output.shape), tuple(h.shape), tuple(cells.shape)
        ((7, 4, 5), (4, 5), (7, 4, 5))
    """
    output, h, c, saved = run_native("lstm", call)
    assert c is not None
    if not call.return_cells:
        return DirectionResult(output, (h, c))
    assert saved is not None
    cells = cell_states(saved, call.weights.w_hh.shape[0] // 4)
    if call.lengths is not None:  # saved rows are undefined in the padding
        valid = valid_steps(call.lengths, call.x.shape[1 if call.batch_first else 0], call.x.device)
        cells = cells.masked_fill(~(valid if call.batch_first else valid.T)[..., None], 0)
    return DirectionResult(output, (h, c), cells)
