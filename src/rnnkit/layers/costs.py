"""The cost of a layer: floating-point operations of a training step, and bytes stored for the backward pass.

Matrix products count, a multiply-add as 2 operations, and normalisations count by their arithmetic. Biases, gate
nonlinearities and other element-wise operations do not count, as in ``torch.utils.flop_counter``; they are about 1/H of
the products. The numbers are the arithmetic of the equations, not what a backend spends. Steps past a row's length do
not count where the layer gets the lengths.

The backward pass counts the gradients that are needed: that of a product's input only where it flows on to another
layer (not to the data), that of its weights only where they train.

Activations are a layer's output (the next layer usually stores it) and what the layer stores besides, while training.
A layer's input counts as the output of the layer before; the batch itself does not count. Padding takes memory like
any step.

Legend: B batch, T time, N valid steps of all rows (B·T without padding), I input, H hidden, P length of h (with a
projection, else H), G gates (1, LSTM 4, coupled LSTM 3, GRU 3), D directions, C channels, n numbers of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch

from ..ops.native_call import saved_width
from ._conv_recurrent import ConvRecurrence, ConvRecurrentLayer
from ._options import suffix_of
from ._recurrent import RecurrentLayer
from .cells import GRUCell, LSTMCell, SimpleRNNCell
from .conv import StepNorm
from .conv_gru import ConvGRUCell
from .conv_lstm import ConvLSTMCell
from .map_norm import MapNorm
from .picture_front import PictureFront
from .quantized_dense import QuantizedEmbedding, QuantizedLinear

# Operations of normalising one number, and what a gain and a shift of its own add to that.
_NORM_FORWARD, _NORM_BACKWARD = 5, 7
_GAIN, _SHIFT = (1, 3), (1, 1)


@dataclass(frozen=True)
class Cost:
    """FLOPs of a layer's forward and backward pass, and the bytes it stores between them.

    Attributes:
        forward, backward: floating-point operations; a training step takes both.
        activations: bytes; None where they are unknown.
        note: a remark on these numbers for the reader.

    Example:
        >>> Cost(10, 20, 4) + Cost(1, 2, 4)
        Cost(forward=11, backward=22, activations=8, note='')
    """

    forward: int
    backward: int
    activations: int | None
    note: str = ""

    @property
    def step(self) -> int:
        """Forward and backward together."""
        return self.forward + self.backward

    def __add__(self, other: Cost) -> Cost:
        known = self.activations is not None and other.activations is not None
        kept = (self.activations or 0) + (other.activations or 0)
        notes = dict.fromkeys(note for note in (self.note, other.note) if note)
        return Cost(self.forward + other.forward, self.backward + other.backward, kept if known else None,
                    "; ".join(notes))  # fmt: skip


@dataclass(frozen=True)
class Call:
    """The properties of a layer's call that its cost depends on.

    Attributes:
        input, output: shapes; of a recurrent layer's output the sequence, of a packed one the padded.
        valid: N, where rows are padded; None: every step is valid.
        input_gradient: whether a gradient flows on to the layer before.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    valid: int | None = None
    input_gradient: bool = False


def count(layer: torch.nn.Module, call: Call) -> list[Cost] | None:
    """Return the cost of a call: one entry, or one for each layer of a recurrent stack; None where it is unknown.

    A subclass with its own ``forward`` may compute anything, so its cost is unknown.

    Example:
        >>> import torch
        >>> linear = torch.nn.Linear(28, 10)
        >>> count(linear, Call((32, 28), (32, 10)))
        [Cost(forward=17920, backward=17920, activations=1280, note='')]
        >>> count(torch.nn.Softmax(-1), Call((32, 10), (32, 10))) is None
        True
    """
    rule = rule_of(layer)
    return None if rule is None else rule(layer, call)


def rule_of(layer: torch.nn.Module) -> Callable[[Any, Call], list[Cost]] | None:
    """Return the function that counts a layer, or None."""
    return None if "forward" in vars(layer) else _RULES.get(type(layer).forward)


def recurrent(layer: torch.nn.RNNBase, call: Call) -> list[Cost]:
    """Count the cost of each layer of a recurrent stack, both directions together.

    In each direction, with inputs of I features (of a later layer D·P) and per valid step

        forward    2·G·H·(I + P)  [+ 2·H·P with a projection]  [+ 2·3·H with peepholes, 2·2·H where gates are coupled]
        backward   2·G·H·P for dh, 2·G·H·P for dU, 2·G·H·I for dW, 2·G·H·I for dx; twice the projection's and peepholes'

    With ``layer_norm`` also 6 operations for each of the 2·G·H entries that are normalised and 7 for each of the LSTM's
    H, backward 10 and 11. With ``recompute=K`` and T > K the backward pass contains the forward pass once more.

    Stored, in numbers (times the bytes of one), in each direction:

        native     B·T·P for the output and B·T·W for the rows that the kernel saves: W = 0 (simple), 5·H (LSTM) or 4·H
                   (GRU), with layer_norm 3·H + 4, 13·H + 6 or 10·H + 4, of a simple layer with zoneout H
        torch      on the CPU, output included: B·T·H (RNN), B·T·7·H (GRU), B·T·(7·H + P) (LSTM with a projection),
                   about B·T·16·H (LSTM, oneDNN's own workspace; measured with torch 2.13)
        options    B·T·P (LSTM: and B·T·H) for the draws of zoneout, B·P for those of recurrent_dropout, 2·G·H·P for
                   the dropped weights and their mask, 4·H·(I + P + 2) for the expanded weights of coupled gates (2 with
                   biases)
        recompute  B·T·P for the output, B·P (LSTM: and B·H) for each of ⌈T/K⌉ states, and B·K·(P + W) for the chunk
                   that is computed again

    and, of both together, B·T·D·P for the joined output of two directions, 2·B·T·D·P for dropout between layers.
    """
    batch, time = _batch_and_time(layer, call.input)
    valid = batch * time if call.valid is None else call.valid
    costs = []
    gradient = call.input_gradient
    for index in range(layer.num_layers):
        directions = range(2 if layer.bidirectional else 1)
        one = [_direction(layer, index, back == 1, batch, time, valid, gradient) for back in directions]
        gradient = gradient or any(_trains(layer, index, back == 1) for back in directions)
        total = one[0] if len(one) == 1 else one[0] + one[1]
        numbers = batch * time * len(one) * (layer.proj_size or layer.hidden_size)
        between = 2 if layer.dropout and index < layer.num_layers - 1 else 0
        joined = (len(one) == 2) + between
        costs.append(total + Cost(0, 0, joined * numbers * _element(layer)))
    return costs


def _direction(
    layer: torch.nn.RNNBase, index: int, reverse: bool, batch: int, time: int, valid: int, input_gradient: bool
) -> Cost:
    """One direction of one layer; see `recurrent`."""
    ours = layer if isinstance(layer, RecurrentLayer) else None
    hidden, state, suffix = layer.hidden_size, layer.proj_size or layer.hidden_size, suffix_of(index, reverse)
    features = layer.input_size if index == 0 else state * (2 if layer.bidirectional else 1)
    gates = _GATES[layer.mode] - bool(ours and ours.options.coupled_gates)
    from_input, from_state = (2 * valid * gates * hidden * width for width in (features, state))
    projection = 2 * valid * hidden * state if layer.proj_size else 0
    peepholes = 2 * valid * hidden * (2 + (gates == 4)) if ours and ours.options.peepholes else 0
    norm_forward = norm_backward = 0
    if ours and ours.options.layer_norm:
        norm_forward, norm_backward = _norm(valid * 2 * gates * hidden, gain=True, shift=False)
        if layer.mode == "LSTM":
            more = _norm(valid * hidden, gain=True, shift=True)
            norm_forward, norm_backward = norm_forward + more[0], norm_backward + more[1]
    forward = from_input + from_state + projection + peepholes + norm_forward
    backward = 0
    if input_gradient or _trains(layer, index, reverse):
        backward = from_state + projection + peepholes + norm_backward  # dh, which all others need
        backward += from_state if _trains(layer, index, reverse, "weight_hh") else 0
        backward += from_input if _trains(layer, index, reverse, "weight_ih") else 0
        backward += projection if _trains(layer, index, reverse, "weight_hr") else 0
        backward += peepholes if _trains(layer, index, reverse, "peephole") else 0
        backward += from_input if input_gradient else 0
        steps = ours.options.recompute if ours else None
        backward += forward if steps is not None and time > steps else 0
    kept, note = _kept(layer, batch, time, features, suffix)
    if kept is not None and layer.batch_first and index == 0 and _backend(layer) == "torch":
        kept += batch * time * features  # a copy in time-first layout
    return Cost(forward, backward, None if kept is None else kept * _element(layer), note)


def _kept(layer: torch.nn.RNNBase, batch: int, time: int, features: int, suffix: str) -> tuple[int | None, str]:
    """The numbers that one direction stores, and a note on them; see `recurrent`."""
    hidden, state, steps = layer.hidden_size, layer.proj_size or layer.hidden_size, batch * time
    backend = _backend(layer)
    if backend == "torch":
        if layer.weight_ih_l0.device.type != "cpu":
            return None, "cuDNN's workspace is unknown"
        width = {"LSTM": 16 * hidden, "GRU": 7 * hidden}.get(layer.mode, hidden)
        if layer.proj_size:
            return steps * (7 * hidden + state), ""
        return steps * width, "activations are about those of oneDNN" if layer.mode == "LSTM" else ""
    if backend == "reference" or not isinstance(layer, RecurrentLayer):
        return None, "the reference stores many tensors a step"
    options, pair = layer.options, "c" in layer.state_names
    zoneout = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout, options.zoneout)
    zoneout_draws = steps * (state * bool(zoneout[0]) + hidden * bool(pair and zoneout[1]))
    row = saved_width(layer.kernel, hidden, normed=options.layer_norm, zoned=bool(zoneout[0]))
    if options.recompute is not None and time > options.recompute:
        borders = ceil(time / options.recompute) * batch * (state + hidden * pair)
        sequence = steps * state + borders + batch * options.recompute * (state + row)
    else:
        sequence = steps * (state + row)
    recurrent_weights = (_GATES[layer.mode] - options.coupled_gates) * hidden * state
    draws = batch * state * bool(options.recurrent_dropout)
    if options.weight_dropout:
        draws += recurrent_weights * (1 if options.coupled_gates else 2)
    expanded = 4 * hidden * (features + state + 2 * layer.bias) if options.coupled_gates else 0
    return sequence + zoneout_draws + draws + expanded, ""


def cell(layer: torch.nn.RNNCellBase, call: Call) -> list[Cost]:
    """Count one step of a cell: forward 2·B·G·H·(I + H); backward the same for dU, dh, dW and, where it flows on, dx.

    Stored, output included: B·H (RNN), B·7·H (GRU), B·6·H (LSTM).
    """
    batch = prod(call.input[:-1])
    gates = layer.weight_ih.shape[0] // layer.hidden_size
    from_input = 2 * batch * gates * layer.hidden_size * layer.input_size
    from_state = 2 * batch * gates * layer.hidden_size * layer.hidden_size
    trains = [name for name, weight in layer.named_parameters() if weight.requires_grad]
    backward = 0
    if trains or call.input_gradient:
        backward = from_state * (1 + _named(trains, "weight_hh"))
        backward += from_input * (call.input_gradient + _named(trains, "weight_ih"))
    kept = batch * layer.hidden_size * {1: 1, 3: 7, 4: 6}[gates]
    return [Cost(from_input + from_state, backward, kept * _element(layer))]


def conv_recurrent(layer: ConvRecurrence, call: Call) -> list[Cost]:
    """Count a recurrence over maps: forward 2·k²·G·H·(C + H) for each pixel and valid step, k² the kernel.

    Backward the same for dU, dh, dW and, where it flows on, dx; with peepholes 2·3·H and twice that. What is stored
    depends on the algorithm.
    """
    *lead, _, height, width = call.input
    pixels = (prod(lead) if call.valid is None else call.valid) * height * width
    products = 2 * pixels * layer.kernel_size**2 * layer.gates * layer.hidden_size
    from_input, from_state = products * layer.input_size, products * layer.hidden_size
    peepholes = 2 * 3 * pixels * layer.hidden_size if getattr(layer, "peepholes", False) else 0
    trains = [name for name, weight in layer.named_parameters() if weight.requires_grad]
    backward = 0
    if trains or call.input_gradient:
        backward = from_state * (1 + _named(trains, "weight_hh")) + peepholes * (1 + _named(trains, "peephole"))
        backward += from_input * (call.input_gradient + _named(trains, "weight_ih"))
    return [Cost(from_input + from_state + peepholes, backward, None, "the memory depends on the algorithm")]


def picture_front(layer: PictureFront, call: Call) -> list[Cost]:
    """Count its convolutions and normalisations one by one; all pixels count, padding included."""
    batch, channels, height, width = call.input
    total = Cost(0, 0, 0)
    gradient = call.input_gradient
    parts: Any = zip(layer.convs, layer.norms, strict=True)
    for conv, norm in parts:
        before = (batch, channels, height, width)
        height, width = (-(-size // conv.stride[0]) for size in (height, width))
        channels = conv.out_channels
        after = (batch, channels, height, width)
        total += convolution(conv, Call(before, after, input_gradient=gradient))[0]
        gradient = gradient or any(weight.requires_grad for weight in conv.parameters())
        total += normalisation(norm, Call(after, after, input_gradient=gradient))[0]
    return [total]


def linear(layer: torch.nn.Linear, call: Call) -> list[Cost]:
    """Count y = W x + b over n rows: 2·n·I·O forward, and backward for dW and, where it flows on, for dx."""
    products = 2 * prod(call.input) * layer.out_features
    return [_products(layer, products, call)]


def convolution(layer: Any, call: Call) -> list[Cost]:
    """Count O filters of k = ∏ kernel numbers over C channels in g groups: forward 2·k·C/g for each output number.

    Backward the same for dW, and for dx where it flows on.
    """
    products = 2 * prod(call.output) * prod(layer.kernel_size) * layer.in_channels // layer.groups
    return [_products(layer, products, call)]


def embedding(layer: torch.nn.Embedding, call: Call) -> list[Cost]:
    """Count a look-up: no arithmetic forward, n additions backward for an output of n numbers."""
    trains = _named([name for name, weight in layer.named_parameters() if weight.requires_grad], "weight")
    kept = prod(call.output) * _element(layer)
    return [Cost(0, prod(call.output) if trains else 0, kept, "a look-up, no arithmetic forward")]


def normalisation(layer: Any, call: Call) -> list[Cost]:
    """Count normalisations of layers or batches (padding included) in training, y = γ ⊙ (x − μ)·s + β over n numbers.

    Forward 5·n (mean 1, difference 1, variance 2, times s 1), + n for γ, + n for β. Backward, with d = γ ⊙ dy and N
    the normalised input, dx = s·(d − mean(d) − N·mean(d ⊙ N)): 7·n, + 3·n for γ (d and dγ), + n for β. Stored: the
    output and two numbers for each mean, rows of a LayerNorm, channels of a BatchNorm.
    """
    numbers = prod(call.input)
    gain, shift = layer.weight is not None, layer.bias is not None
    forward, backward = _norm(numbers, gain=gain, shift=shift)
    trains = any(parameter.requires_grad for parameter in layer.parameters())
    per_channel = isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
    means = layer.num_features if per_channel else numbers // prod(layer.normalized_shape)
    wanted = trains or call.input_gradient
    return [Cost(forward, backward if wanted else 0, (numbers + 2 * means) * _element(layer))]


def reshape(layer: torch.nn.Module, call: Call) -> list[Cost]:
    """Count Identity, Flatten and Unflatten: another view of the same numbers."""
    return [Cost(0, 0, 0, "another view of the same numbers")]


_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "RNN_SIGMOID": 1, "LSTM": 4, "GRU": 3}
# By the forward function, because a subclass with another forward computes something else.
_RULES: dict[Any, Callable[[Any, Call], list[Cost]]] = {
    RecurrentLayer.forward: recurrent,
    torch.nn.RNN.forward: recurrent,
    torch.nn.LSTM.forward: recurrent,
    torch.nn.GRU.forward: recurrent,
    **{
        cell_class.forward: cell
        for cell_class in (torch.nn.RNNCell, torch.nn.LSTMCell, torch.nn.GRUCell, SimpleRNNCell, LSTMCell, GRUCell)
    },
    **{one.forward: conv_recurrent for one in (ConvRecurrentLayer, ConvGRUCell, ConvLSTMCell)},
    PictureFront.forward: picture_front,
    torch.nn.Linear.forward: linear,
    torch.nn.Embedding.forward: embedding,
    QuantizedLinear.forward: linear,
    QuantizedEmbedding.forward: embedding,
    torch.nn.Conv1d.forward: convolution,
    torch.nn.Conv2d.forward: convolution,
    torch.nn.LayerNorm.forward: normalisation,
    torch.nn.BatchNorm1d.forward: normalisation,
    StepNorm.forward: normalisation,
    MapNorm.forward: normalisation,
    torch.nn.Identity.forward: reshape,
    torch.nn.Flatten.forward: reshape,
    torch.nn.Unflatten.forward: reshape,
}


def _products(layer: torch.nn.Module, products: int, call: Call) -> Cost:
    trains = _named([name for name, weight in layer.named_parameters() if weight.requires_grad], "weight")
    return Cost(products, products * (trains + call.input_gradient), prod(call.output) * _element(layer))


def _norm(numbers: int, *, gain: bool, shift: bool) -> tuple[int, int]:
    """Operations of normalising, forward and backward; see `normalisation`."""
    forward = _NORM_FORWARD + gain * _GAIN[0] + shift * _SHIFT[0]
    backward = _NORM_BACKWARD + gain * _GAIN[1] + shift * _SHIFT[1]
    return forward * numbers, backward * numbers


def _batch_and_time(layer: torch.nn.RNNBase, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) == 2:
        return 1, shape[0]
    return (shape[0], shape[1]) if layer.batch_first else (shape[1], shape[0])


def _backend(layer: torch.nn.RNNBase) -> str:
    if not isinstance(layer, RecurrentLayer):
        return "torch"
    like = layer.weight_like
    return layer.backend_for(like.device, like.dtype)


def _element(layer: torch.nn.Module) -> int:
    """Bytes of a number; of PyTorch's default dtype where the layer has none of its own."""
    first = next(layer.parameters(), None)
    return torch.get_default_dtype().itemsize if first is None else first.element_size()


def _named(names: list[str], prefix: str) -> bool:
    """Whether a parameter of that name is among them, also where a parametrisation computes it."""
    return any(part == prefix for name in names for part in name.split("."))


def _trains(layer: torch.nn.RNNBase, index: int, reverse: bool, prefix: str | None = None) -> bool:
    """Whether a parameter of a layer and direction trains: the one with that prefix, or any."""
    suffix = suffix_of(index, reverse)
    return any(
        part.endswith(suffix) and (prefix is None or part == prefix + suffix)
        for name, weight in layer.named_parameters()
        if weight.requires_grad
        for part in name.split(".")
    )
