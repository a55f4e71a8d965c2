"""The parameters that the options of a recurrent layer add, and the tensors that they give to a call."""

from __future__ import annotations

import torch

from ..ops.direction import LayerNormWeights, RecurrentOptions
from ..ops.draws import bernoulli
from ._base import RecurrentBase
from ._options import suffix_of

Tensor = torch.Tensor


def parameter_shapes(layer: RecurrentBase) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the parameters that the options add, in the order of their registration."""
    options, hidden = layer.options, layer.hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    gate_rows = (layer.gates - options.coupled_gates) * hidden
    for index in range(layer.num_layers):
        for direction in range(layer.num_directions):
            suffix = suffix_of(index, direction == 1)
            if options.peepholes:
                shapes["peephole" + suffix] = (2 if options.coupled_gates else 3, hidden)
            if options.layer_norm:
                shapes["gain_ih" + suffix] = shapes["gain_hh" + suffix] = (gate_rows,)
                if "c" in layer.state_names:
                    shapes["gain_c" + suffix] = shapes["shift_c" + suffix] = (hidden,)
    if options.learn_initial_state:
        rows = layer.num_layers * layer.num_directions
        shapes |= {f"initial_{name}": (rows, 1, width) for name, width in layer.state_sizes.items()}
    return shapes


# --- the tensors of a call -------------------------------------------------------------------------------------------


def direction_options(layer: RecurrentBase, x: Tensor, batch: int, time: int, suffix: str) -> RecurrentOptions:
    """Return the tensors of the options for one call of one layer and direction; while training, masks are drawn.

    Args:
        layer: the recurrent layer.
        x: a tensor with the dtype and device of the call.
        batch, time: the sizes of the call.
        suffix: names the layer and direction, see :func:`suffix_of`.
    """
    options, sizes = layer.options, layer.state_sizes
    norm = mask = None
    if options.layer_norm:
        names = ("gain_ih", "gain_hh", "gain_c", "shift_c") if "c" in layer.state_names else ("gain_ih", "gain_hh")
        norm = LayerNormWeights(*[getattr(layer, name + suffix) for name in names])
    if options.recurrent_dropout and layer.training:
        keep = 1 - options.recurrent_dropout
        mask = bernoulli((batch, sizes["h"]), keep, 1 / keep, x)
    rate_h, rate_c = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout, options.zoneout)
    zoneout_h = _zoneout(rate_h, (batch, time, sizes["h"]), x, layer.training)
    zoneout_c = _zoneout(rate_c, (batch, time, sizes["c"]), x, layer.training) if "c" in sizes else None
    return RecurrentOptions(norm, mask, zoneout_h, zoneout_c)


def _zoneout(rate: float, shape: tuple[int, int, int], x: Tensor, training: bool) -> Tensor | None:
    """Drawn for each row and step while training, its expectation [H] in evaluation; None for a rate of 0."""
    if not rate:
        return None
    return bernoulli(shape, rate, 1.0, x) if training else x.new_full(shape[2:], rate)
