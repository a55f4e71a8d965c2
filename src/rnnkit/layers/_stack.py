"""Run the layers and directions of a recurrent stack, whole or in chunks that are computed again."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..ops.direction import DirectionCall, DirectionResult, RecurrentOptions, RecurrentWeights
from ..ops.recompute import in_chunks
from ..ops.state import map_state
from ..types import Backend, State
from ._base import RecurrentBase

Tensor = torch.Tensor


class StackResult(NamedTuple):
    """What :func:`run_stack` computes.

    Attributes:
        output: the top layer's outputs, laid out as the input.
        state: the last state, tensors [L·D, B, ...].
        cells: every c of each layer and direction, in the order of the state's rows; empty unless asked for.
    """

    output: Tensor
    state: State
    cells: list[Tensor]


def run_stack(
    layer: RecurrentBase,
    x: Tensor,
    hx: State | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    backend: Backend,
    *,
    return_cells: bool = False,
) -> StackResult:
    """Run all layers and directions of a recurrent layer over whole sequences, natively or by the reference.

    Args:
        layer: whose weights and options are used.
        x: the input, checked.
        hx: the state before the first step, or None.
        lengths, resets: as :meth:`RecurrentLayer.forward` takes them, checked.
        backend: ``"native"`` or ``"reference"``.
        return_cells: whether every c is wanted.
    """
    batch, time = (x.shape[0], x.shape[1]) if layer.batch_first else (x.shape[1], x.shape[0])
    initial = layer.initial_state(batch) if resets is not None and layer.options.learn_initial_state else None
    chunked = layer.options.recompute is not None
    finals: list[State] = []
    cells: list[Tensor] = []
    for index in range(layer.num_layers):
        outputs = []
        for reverse in (False, True) if layer.bidirectional else (False,):
            row = len(finals)
            options = layer._direction_options(x, batch, time, index, reverse)
            call = DirectionCall(
                x,
                layer._direction_weights(index, reverse),
                options,
                None if hx is None else state_row(hx, row),
                None if initial is None else state_row(initial, row),
                lengths,
                resets,
                reverse,
                layer.batch_first,
                return_cells,
            )
            result = run_in_chunks(layer, call, backend) if chunked else layer._run_direction(call, backend)
            outputs.append(result.output)
            finals.append(result.state)
            if result.cells is not None:
                cells.append(result.cells)
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        if layer.dropout:
            x = dropout_between_layers(layer, x, index)
    if len(finals) == 1 and backend == "native":
        return StackResult(x, map_state(lambda leaf: leaf.unsqueeze(0), finals[0]), cells)
    # A copy: the reference's graph needs its own last state, and users may change theirs in place.
    return StackResult(x, map_state(lambda *leaves: torch.stack(leaves), *finals), cells)


def state_row(state: State, row: int) -> State:
    """The part [B, ...] of a state [L·D, B, ...] that belongs to one layer and direction."""
    return map_state(lambda leaf: leaf[row], state)


def dropout_between_layers(layer: RecurrentBase, x: Tensor, index: int) -> Tensor:
    """The outputs of layer number ``index`` as the next layer reads them."""
    if not (layer.dropout and layer.training and index < layer.num_layers - 1):
        return x
    if not layer.batch_first or x.dim() == 2:
        return torch.nn.functional.dropout(x, layer.dropout)
    # PyTorch's layers draw time first in either layout, so the same seed drops the same outputs here.
    return torch.nn.functional.dropout(x.transpose(0, 1).contiguous(), layer.dropout).transpose(0, 1)


def run_in_chunks(layer: RecurrentBase, call: DirectionCall, backend: Backend) -> DirectionResult:
    """As ``layer._run_direction``, with memory for ``recompute`` steps at a time.

    The chunks are cut along time, so sequences are time first here: x, both zoneouts, and the cells beside the outputs.
    """
    steps = layer.options.recompute
    assert steps is not None
    state = call.state
    x = _swapped(call.x, call.batch_first)
    if state is None:
        state = state_row(layer.initial_state(x.shape[1], x.device, x.dtype), 0)
    drawn_h, drawn_c = (
        zoneout if zoneout is not None and zoneout.dim() == 3 else None
        for zoneout in (call.options.zoneout_h, call.options.zoneout_c)
    )
    constant = call.options._replace(
        zoneout_h=call.options.zoneout_h if drawn_h is None else None,
        zoneout_c=call.options.zoneout_c if drawn_c is None else None,
    )

    def run_chunk(
        inputs: tuple[Tensor, Tensor | None, Tensor | None],
        before: State,
        shared: tuple[RecurrentWeights, RecurrentOptions, State | None],
        **ragged: Any,
    ) -> tuple[Tensor, State]:
        part, zoneout_h, zoneout_c = inputs
        weights, options, initial = shared
        if zoneout_h is not None:
            options = options._replace(zoneout_h=zoneout_h.transpose(0, 1))
        if zoneout_c is not None:
            options = options._replace(zoneout_c=zoneout_c.transpose(0, 1))
        chunk = call._replace(
            x=_swapped(part, call.batch_first),
            weights=weights,
            options=options,
            state=before,
            initial=initial,
            **ragged,
        )
        output, after, cells = layer._run_direction(chunk, backend)
        output = output if cells is None else torch.cat((output, cells), -1)
        return _swapped(output, call.batch_first), after

    output, last = in_chunks(
        run_chunk,
        (x, _swapped(drawn_h, True), _swapped(drawn_c, True)),
        state,
        steps=steps,
        lengths=call.lengths,
        resets=call.resets,
        reverse=call.reverse,
        shared=(call.weights, constant, call.initial),
    )
    output = _swapped(output, call.batch_first)
    if not call.return_cells:
        return DirectionResult(output, last)
    features = output.shape[-1] - layer.hidden_size
    return DirectionResult(output[..., :features], last, output[..., features:])


def _swapped(tensor: Any, swap: bool) -> Any:
    """The same tensor with batch and time exchanged, or as it is."""
    return tensor.transpose(0, 1) if swap and tensor is not None else tensor
