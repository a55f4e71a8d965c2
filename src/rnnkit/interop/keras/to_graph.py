"""Models of rnnkit's as graphs of layers with one recurrence each, as other libraries describe networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...errors import ConfigError
from ...layers import graph as g
from ...layers._recurrent import RecurrentLayer
from ...layers.augment import SeriesAugment
from ...layers.chain import Chain, PerStep
from ...layers.description import short_repr
from ...layers.dropout import VariationalDropout
from ...layers.graph.base import GraphLayer
from ...layers.graph.cells import ActivatedCell
from ...layers.graph.convolution import Padding
from ...layers.gru import GRU
from ...layers.lstm import LSTM
from ...layers.rnn import RNN
from ...layers.simple_rnn import SimpleRNN
from ...models._sequence import PooledModel
from ...models.classifier import SequenceClassifier
from ...models.graph import GraphModel
from ...models.language_model import LanguageModel
from ...models.regressor import SequenceRegressor
from ...models.tagger import SequenceTagger

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu", nn.Softsign: "softsign", nn.SELU: "selu",
    nn.Mish: "mish", nn.ReLU6: "relu6", nn.LogSigmoid: "log_sigmoid", nn.Hardswish: "hard_silu",
    nn.Hardsigmoid: "hard_sigmoid",
}  # fmt: skip


def to_graph(model: nn.Module, *, mask_value: float | None = None, probabilities: bool = True) -> GraphModel:
    """Return a model as a graph with copies of its weights; a graph as it is.

    Args:
        model: see :func:`rnnkit.interop.keras.to_keras`.
        mask_value: number of padded steps, or 0 for padded ids; None: no padding.
        probabilities: whether a classifier's result is to be followed by softmax.

    Raises:
        ConfigError: a part that has no graph layer; the message names it.

    Example:
        >>> import rnnkit
        >>> graph = to_graph(rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, num_layers=2), classes=2))
        >>> graph.names
        ['recurrent', 'recurrent_1', 'head']
    """
    if isinstance(model, GraphModel):
        if mask_value is not None:
            raise ConfigError(f"mask_value={mask_value} arrived for a graph; its masks are layers of the graph itself")
        return model
    line = _Line(mask_value)
    final = "linear"
    if isinstance(model, SequenceClassifier | SequenceRegressor):
        _add_pooled(line, model)
        if isinstance(model, SequenceClassifier) and probabilities:
            final = "softmax"
    elif isinstance(model, SequenceTagger | LanguageModel):
        _add_layers(line, model)
        line.dropout(model.dropout)
        line.module(model.head, "head")
        activation = "none" if isinstance(model, LanguageModel) else str(model._arguments["activation"])
        if activation != "none":
            line.add(g.Activation(activation), activation)
        elif probabilities:
            final = "softmax"
    elif isinstance(model, RecurrentLayer | nn.RNNBase | Chain):
        line.module(model, "recurrent")
    else:
        raise _unknown(f"the model, {type(model).__name__},")
    return line.graph(final, probabilities)


class _Line:
    """Layers one behind the other, and a few nodes beside them."""

    def __init__(self, mask_value: float | None) -> None:
        self.layers: list[GraphLayer] = []
        self.names: list[str] = []
        self.nodes: list[dict[str, Any]] = []
        self.last = [0, 0]
        self.mask_value = mask_value
        self.integers = False
        self.features: int | None = None

    def add(self, layer: GraphLayer, name: str, inputs: list[list[int]] | None = None) -> list[int]:
        """Put a layer behind the last one, or behind the named tensors."""
        base, number = name, 1
        while name in self.names:
            name, number = f"{base}_{number}", number + 1
        self.layers.append(layer)
        self.names.append(name)
        self.nodes.append({"layer": name, "inputs": [self.last] if inputs is None else inputs})
        self.last = [len(self.nodes), 0]
        return self.last

    def begin(self, features: int | None, embedding: bool = False) -> None:
        """Note the first layer's input, and put the masking in front of it."""
        if self.features is not None or self.integers:
            return
        self.integers, self.features = embedding, features
        if embedding and self.mask_value not in (None, 0):
            raise ConfigError(f"mask_value={self.mask_value} arrived; Keras's embeddings take 0 for padding alone")
        if not embedding and self.mask_value is not None:
            self.add(g.Masking(self.mask_value), "masking")

    def dropout(self, rate: float) -> None:
        """Add a dropout, unless it drops nothing."""
        if rate:
            self.add(g.Noise("dropout", rate), "dropout")

    def module(self, module: Any, name: str, last_only: bool = False) -> None:
        """Add a module of rnnkit's or PyTorch's; `last_only`: of its outputs only the last is read."""
        if isinstance(module, Chain | nn.Sequential):
            parts = list(module.children())
            for part in parts:
                self.module(part, name, last_only and part is parts[-1])
            return
        if isinstance(module, PerStep):
            self.module(module.module, name)
            return
        if isinstance(module, nn.RNNBase | RNN):
            self.recurrent(module, name, last_only)
            return
        if last_only:
            raise _unknown(f"pooling='last' behind {short_repr(module)}")
        layer = _single(module)
        if layer is None:
            raise _unknown(short_repr(module))
        if isinstance(layer, g.Embedding):
            self.begin(None, embedding=True)
            layer.mask_zero = self.mask_value is not None
        else:
            sizes = [getattr(module, size, None) for size in ("in_features", "in_channels")]
            self.begin(next((size for size in sizes if size is not None), None))
        if not (isinstance(layer, g.Noise) and not layer.p):
            self.add(layer, name)

    def recurrent(self, module: Any, name: str, last_only: bool) -> None:
        """Add a recurrent layer, one layer of the graph for each of its own."""
        self.begin(module.input_size)
        if isinstance(module, RNN):
            if module.reverse_cell is not None or not isinstance(module.cell, ActivatedCell):
                raise _unknown(short_repr(module))
            self.add(g.Recurrent([module], not last_only), name)
            return
        count = module.num_layers
        for number in range(count):
            sequences = not last_only or number + 1 < count
            parts = [
                g.Recurrent(
                    [_one_layer(module, number, back)], sequences, backward=back, zero_masked=module.bidirectional
                )
                for back in ((False, True) if module.bidirectional else (False,))
            ]
            self.add(parts[0] if len(parts) == 1 else g.BothDirections(parts[0], parts[1]), name)
            if number + 1 < count:
                self.dropout(module.dropout)

    def graph(self, final: str, probabilities: bool) -> GraphModel:
        """Return the graph."""
        name = "ids" if self.integers else "x"
        shape: list[int | None] = [None, None] if self.integers else [None, None, self.features]
        return GraphModel(
            self.layers, self.names, [name], self.nodes, [self.last], [final], not probabilities, ["output"],
            shapes=None if self.features is None and not self.integers else [shape],
            integers=[name] if self.integers else [],
        )  # fmt: skip


def _add_layers(line: _Line, model: Any, last_only: bool = False) -> None:
    """Front and body; what changes series while training is left out."""
    if model.augment is not None and not isinstance(model.augment, SeriesAugment):
        raise _unknown(f"the augmentation {short_repr(model.augment)}")
    if model.front is not None:
        line.module(model.front, "front")
    line.module(model.body, "recurrent", last_only)


def _add_pooled(line: _Line, model: PooledModel) -> None:
    pooling = model.pooling
    if pooling == "attention":
        raise _unknown("pooling='attention'")
    if pooling in ("max", "concat") and line.mask_value is not None:
        raise ConfigError(f"mask_value arrived with pooling={pooling!r}: Keras's maximum does not leave padding out")
    _add_layers(line, model, last_only=pooling == "last")
    if pooling in ("mean", "max"):
        line.add(g.GlobalPooling(pooling), "pooling")
    elif pooling == "concat":
        _add_concat(line)
    line.dropout(model.dropout)
    line.module(model.head, "head")


def _add_concat(line: _Line) -> None:
    """The last, the largest and the mean output side by side."""
    whole = line.last
    before = line.layers[-1]
    if not isinstance(before, g.Recurrent | g.BothDirections):
        raise ConfigError("pooling='concat' behind a layer that is not recurrent has no counterpart in Keras")
    again = _last_only(before)
    last = line.add(again, "recurrent_last", [list(line.nodes[-1]["inputs"][0])])
    largest = line.add(g.GlobalPooling("max"), "largest", [whole])
    mean = line.add(g.GlobalPooling("mean"), "mean", [whole])
    line.add(g.Merge("concat"), "concat", [last, largest, mean])


def _last_only(layer: g.Recurrent | g.BothDirections) -> GraphLayer:
    """The same layer, which returns its last output alone."""
    if isinstance(layer, g.BothDirections):
        parts = [_last_only(layer.forward_layer), _last_only(layer.backward_layer)]
        return g.BothDirections(parts[0], parts[1], layer.merge)
    return g.Recurrent(list(layer.layers), False, backward=layer.backward_in_time, zero_masked=layer.zero_masked)


def options_without_counterpart(module: Any) -> list[str]:
    """Names of the options of a recurrent layer that change its answers and that Keras lacks.

    What acts while training alone is not among them.
    """
    used = {"proj_size": bool(getattr(module, "proj_size", 0))}
    if isinstance(module, RecurrentLayer):
        used["zoneout"] = module.options.zoneout not in (0.0, (0.0, 0.0))
        for name in ("layer_norm", "learn_initial_state", "peepholes", "coupled_gates"):
            used[name] = getattr(module.options, name)
    return [name for name, yes in used.items() if yes]


def _one_layer(module: Any, number: int, reverse: bool) -> nn.Module:
    """One layer and direction of a recurrent layer, with copies of its weights."""
    size = module.input_size if number == 0 else module.hidden_size * (2 if module.bidirectional else 1)
    if lacking := options_without_counterpart(module):
        raise _unknown(f"{type(module).__name__} with {' and '.join(lacking)}")
    options: dict[str, Any] = {"bias": module.bias, "batch_first": True}
    kind: type[SimpleRNN] | type[LSTM] | type[GRU]
    if isinstance(module, nn.LSTM):
        kind = LSTM
    elif isinstance(module, nn.GRU):
        kind = GRU
    else:
        kind, options["nonlinearity"] = SimpleRNN, module.nonlinearity
    if isinstance(module, RecurrentLayer):
        own = module.options
        options["recurrent_dropout"] = own.recurrent_dropout
        if kind is GRU:
            options["reset_after"] = own.reset_after
    made = kind(size, module.hidden_size, **options)
    suffix = f"_l{number}{'_reverse' if reverse else ''}"
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(getattr(module, name.replace("_l0", suffix)))
    return made.train(module.training)


def _single(module: Any) -> GraphLayer | None:
    """The graph layer of a module that is not recurrent; None where there is none."""
    for kind, make in _SINGLE:
        if type(module) is kind or (kind in (nn.Linear, nn.Embedding) and isinstance(module, kind)):
            return make(module)
    function = _ACTIVATIONS.get(type(module))
    return None if function is None else g.Activation(function)


def _convolution(module: nn.Conv1d) -> GraphLayer | None:
    known: dict[Any, Padding] = {"same": "same", "valid": "valid", (0,): "valid"}
    padding = known.get(module.padding)
    if padding is None or module.padding_mode != "zeros":
        return None
    if padding == "same" and module.dilation[0] * (module.kernel_size[0] - 1) % 2:
        return None  # PyTorch puts the odd step in front, Keras behind
    conv = nn.Conv1d(
        module.in_channels, module.out_channels, module.kernel_size[0], module.stride[0],
        dilation=module.dilation[0], groups=module.groups, bias=module.bias is not None,
    )  # fmt: skip
    conv.load_state_dict(module.state_dict())
    return g.Convolution(conv, "linear", padding)


def _norm(module: nn.LayerNorm) -> GraphLayer:
    scale, bias = module.elementwise_affine, module.bias is not None
    made = g.LayerNormalisation(list(module.normalized_shape), module.eps, scale, bias)
    made.load_state_dict(module.state_dict())
    return made


_SINGLE: tuple[tuple[type[nn.Module], Callable[[Any], GraphLayer | None]], ...] = (
    (nn.Linear, g.Dense),
    (nn.Embedding, g.Embedding),
    (nn.Conv1d, _convolution),
    (nn.LayerNorm, _norm),
    (nn.Dropout, lambda module: g.Noise("dropout", module.p)),
    (VariationalDropout, lambda module: g.Noise("features", module.p)),
    (nn.Identity, lambda module: g.Activation("linear")),
    (nn.LeakyReLU, lambda module: g.Activation("leaky_relu", {"negative_slope": module.negative_slope})),
    (nn.ELU, lambda module: g.Activation("elu", {"alpha": module.alpha})),
    (nn.GELU, lambda module: g.Activation("gelu") if module.approximate == "none" else None),
)


def _unknown(what: str) -> ConfigError:
    return ConfigError(f"{what} has no counterpart in Keras that rnnkit writes; export the model to another format")
