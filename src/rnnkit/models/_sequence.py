"""What the models share: layers over sequences, a head, and the description that rebuilds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..errors import ConfigError, check_choice, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers.chain import Chain
from ..layers.description import describe, short_repr
from ..layers.quantized_dense import QuantizedLinear
from ..layers.sequence_adapters import Adapted, Chained, SequenceInterface, as_sequence_module, check_fit
from ..ops.losses import LossFunction
from ..ops.padding import valid_steps
from ..types import State
from ._head import HeadNotes
from .native_parts import NativeParts

Tensor = torch.Tensor
Front = torch.nn.Module | Sequence[torch.nn.Module]
Pooling = Literal["last", "mean", "max", "concat", "attention"]
POOLINGS: tuple[Pooling, ...] = ("last", "mean", "max", "concat", "attention")
_ATTENTION = 64  # features that decide how much a step counts
_PARTS = ("augment", "front", "body")  # from input to output


def valid_outputs(lengths: Lengths, output: Tensor) -> Tensor:
    """Bool [B, T, 1], true where output [B, T, ...] belongs to a valid step."""
    return valid_steps(torch.as_tensor(lengths), output.shape[1], output.device)[:, :, None]


class SequenceModel(HeadNotes, NotScriptable):
    """Augmentation, front, body and head over batch-first sequences; the first two may be absent.

    Each of the first three is a layer over sequences (:func:`rnnkit.layers.sequence_adapters.as_sequence_module`).

    Attributes:
        default_loss, default_metrics, default_objective: what a :class:`rnnkit.Learner` uses by default.
    """

    default_loss: str | LossFunction
    default_metrics: tuple[str, ...]
    default_objective: ClassVar[str] = "sequence"
    front: Any
    body: Any
    head: Any

    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int,
        dropout: float,
        arguments: dict[str, Any],
        *,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
        features: int = 1,
    ) -> None:
        super().__init__()
        if isinstance(front, list | tuple):
            front = Chain(*front) if len(front) != 1 else front[0]
        parts = _named_layers((augment, front, body))
        if outputs < 1:
            raise ConfigError(f"{outputs} outputs were asked for; expected at least 1")
        check_fit(parts)
        width = Chained([part for _, part in parts]).output_size
        if width is None:
            raise ConfigError(
                f"the body {short_repr(body)} does not declare how many features it returns; give its cell an "
                "attribute output_size (or hidden_size)"
            )
        # From input to output, as groups of layers go.
        self.augment, self.front, self.body = augment, front, body
        self._adapted = Adapted()
        self.dropout = dropout
        if head is None:
            head = torch.nn.Linear(features * width, outputs)
            weights = (
                weight for part in (body, front) if isinstance(part, torch.nn.Module) for weight in part.parameters()
            )
            dtype = next((weight.dtype for weight in weights if weight.is_floating_point()), head.weight.dtype)
            if dtype != head.weight.dtype:
                head.to(dtype)
        else:
            _check_head(head, features * width, outputs)
        self.head = head
        self._arguments = arguments

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        self._note_outputs()
        parts = {"body": self.body, "front": self.front, "augment": self.augment}
        if not _plain_linear(self.head) or self.head.bias is None:
            parts["head"] = self.head
        described = {name: describe(part) for name, part in parts.items() if part is not None}
        if None in described.values():
            return None
        now = {name: getattr(self, name) for name in ("pooling", "dropout") if name in self._arguments}
        return {"builder": type(self).__name__, "arguments": {**described, **self._arguments, **now}}

    def _drop(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, self.dropout) if self.dropout and self.training else x

    def _layers(self) -> SequenceInterface:
        """Augmentation, front and body as one."""
        part = self._modules.get  # self.body asks a Python function of torch.nn.Module for it
        return self._adapted((part("augment"), part("front"), part("body")), _joined_layers)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Map x [B, T, I] (or what the front takes) and lengths [B] or None to the model's outputs."""
        if isinstance(x, PackedSequence):
            x, lengths = pad_packed_sequence(x, batch_first=True)
        layers = self._layers()
        output, lengths, state = layers(x, lengths)
        return self._head_output(layers, output, state, lengths)

    @property
    def carry_problem(self) -> str | None:
        """Why :meth:`forward_chunk` cannot go on from chunk to chunk; None where it can."""
        layers = self._layers()
        if layers.carry_problem is None and not layers.stateful:
            return f"its body {short_repr(self.body)} has no state"
        return layers.carry_problem

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of a state."""
        return self._layers().state_batch_axis

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step; see the body's."""
        return self._layers().initial_state(batch, device, dtype)

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """As a call, from a state on, for sequences that come in chunks.

        Args:
            x: [B, T, I], or what the call takes.
            state: what this method returned for the chunk before; None for the beginning.
            lengths, resets: as for the body: valid steps [B], and where a row begins anew [B, T].

        Returns:
            what the call returns for these steps, and the state after them.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        layers = self._carrying_layers("forward_chunk")
        output, state = layers.forward_chunk(x, state, lengths=lengths, resets=resets)
        return self._head_output(layers, output, state, lengths), state

    def _carrying_layers(self, method: str) -> SequenceInterface:
        """The layers of a model that can go on from a state; ConfigError, which names the method, where it cannot."""
        if (problem := self.carry_problem) is not None:
            raise ConfigError(f"{type(self).__name__}.{method} goes on from a state, but {problem}")
        return self._layers()

    def _head_output(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        """What the model makes of the layers' outputs [B, T, F] and their last state."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = [short_repr(self.body)]
        for name, default in self._shown_defaults().items():
            value = self._arguments[name]
            if value != default:
                shown.append(f"{name}={value!r}")
        shown += [
            f"{name}={short_repr(part)}"
            for name, part in (("front", self.front), ("augment", self.augment))
            if part is not None
        ]
        if not _plain_linear(self.head):
            shown.append(f"head={short_repr(self.head)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown_defaults(self) -> dict[str, Any]:
        """Arguments in the order of the constructor, with the values that a repr leaves out."""
        return {name: 0.0 if name == "dropout" else None for name in self._arguments}


def _named_layers(modules: tuple[Any, ...]) -> list[tuple[str, SequenceInterface]]:
    """Augmentation, front and body as layers with their names; the first two may be None."""
    named = zip(_PARTS, modules, strict=True)
    return [(name, as_sequence_module(part, name)) for name, part in named if part is not None or name == "body"]


def _joined_layers(modules: tuple[Any, ...]) -> SequenceInterface:
    layers = [layer for _, layer in _named_layers(modules)]
    return layers[0] if len(layers) == 1 else Chained(layers)


class PooledModel(SequenceModel):
    """One vector a sequence: the last valid step, or the mean or maximum over valid steps, through the head.

    Attention is a mean whose weights are learned: Σ_t softmax_t(w · tanh(W h_t)) h_t over valid steps (Lin et al. 2017,
    one row of weights).

    ``front`` stands before the body and may shorten the sequences (:class:`rnnkit.ConvFront`), make them of images
    (:class:`rnnkit.PixelFront`) or of token ids (``torch.nn.Embedding``); ``augment`` stands before both and changes
    them while training (:class:`rnnkit.SeriesAugment`).
    """

    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int,
        pooling: Pooling,
        dropout: float,
        arguments: dict[str, Any],
        front: Front | None,
        augment: torch.nn.Module | None,
        head: torch.nn.Module | None,
    ) -> None:
        check_choice(pooling, "pooling", POOLINGS)
        super().__init__(
            body,
            outputs,
            dropout,
            {**arguments, "pooling": pooling, "dropout": dropout},
            front=front,
            augment=augment,
            head=head,
            features=3 if pooling == "concat" else 1,
        )
        self.pooling = pooling
        if pooling == "attention":
            self.query = _query(self._layers().output_size or 1, next(self.head.parameters(), None))

    @property
    def carry_problem(self) -> str | None:
        if self.pooling != "last":
            return (
                f"its pooling={self.pooling!r} looks at all steps of a sequence: use pooling='last', or the body's "
                "recompute=K for less memory"
            )
        return super().carry_problem

    def _head_output(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        pooled = self._pool(layers, output, state, lengths)
        return self.head(self._drop(pooled))  # type: ignore[no-any-return]

    def native_parts(self) -> NativeParts | None:
        """Return what the native core computes in a training step; None where a subclass computes in its own way."""
        own = any(getattr(type(self), name) is not method for name, method in _METHODS.items())
        return None if own else NativeParts(self)

    def _pool(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        if self.pooling == "attention":
            return _attended(output, None if lengths is None else valid_outputs(lengths, output), self.query(output))
        names = ("last", "max", "mean") if self.pooling == "concat" else (self.pooling,)
        valid = None if lengths is None or names == ("last",) else valid_outputs(lengths, output)
        pooled = [
            layers.last_output(output, lengths, state) if name == "last" else _over_time(output, valid, name)
            for name in names
        ]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, -1)

    def _shown_defaults(self) -> dict[str, Any]:
        return super()._shown_defaults() | {"pooling": "last"}


# What a training step of a pooled model runs.
_METHODS = {
    name: getattr(PooledModel, name) for name in ("__call__", "forward", "_layers", "_head_output", "_pool", "_drop")
}


def _over_time(output: Tensor, valid: Tensor | None, name: str) -> Tensor:
    if name == "max":
        return (output if valid is None else output.masked_fill(~valid, float("-inf"))).amax(1)
    return output.mean(1) if valid is None else output.sum(1) / valid.sum(1)  # 0 behind a row's length


def _query(width: int, like: Tensor | None) -> torch.nn.Sequential:
    """What tells how much a step counts, of the type of the head's weights."""
    query = torch.nn.Sequential(
        torch.nn.Linear(width, _ATTENTION), torch.nn.Tanh(), torch.nn.Linear(_ATTENTION, 1, bias=False)
    )
    return query if like is None or not like.is_floating_point() else query.to(like.dtype)


def _attended(output: Tensor, valid: Tensor | None, scores: Tensor) -> Tensor:
    """The mean of output [B, T, F] by the softmax of scores [B, T, 1] over valid steps."""
    if valid is not None:
        scores = scores.masked_fill(~valid, float("-inf"))
        output = output.masked_fill(~valid, 0.0)  # what lies behind a row's length may be no number
    return (scores.softmax(1) * output).sum(1)


def _plain_linear(head: torch.nn.Module) -> bool:
    """Whether a head is PyTorch's linear layer, also with an adapter or 8 bits; other subclasses may differ."""
    return parametrize.type_before_parametrizations(head) in (torch.nn.Linear, QuantizedLinear)


def _check_head(head: torch.nn.Module, features: int, outputs: int) -> None:
    if not isinstance(head, torch.nn.Module):
        raise ConfigError(
            f"head is {head!r}; expected a module such as torch.nn.Linear({features}, {outputs}), or None for that"
        )
    linears = [part for part in head.modules() if isinstance(part, torch.nn.Linear)]
    if linears and linears[0].in_features != features:
        raise ConfigError(
            f"head takes {linears[0].in_features} features but {features} arrive; build it with {features} inputs"
        )
    if linears and linears[-1].out_features != outputs:
        raise ConfigError(
            f"head puts out {linears[-1].out_features} numbers but {outputs} were asked for; build it with {outputs} "
            "outputs"
        )


def read_classes(classes: Any) -> tuple[int, tuple[str, ...] | None]:
    """The number of classes and their names, of a number or of names.

    Example:
        >>> read_classes(["cat", "dog"]), read_classes(3)
        ((2, ('cat', 'dog')), (3, None))
    """
    if isinstance(classes, str):
        raise ConfigError(
            f"classes={classes!r} arrived; expected a number or a list of names: classes=[{classes!r}, ...]"
        )
    try:
        names = list(classes)
    except TypeError:
        if isinstance(classes, float | bool) or not hasattr(classes, "__index__"):
            raise ConfigError(
                f"classes={classes!r} arrived; expected a whole number or a list of names: classes=['a', 'b']"
            ) from None
        return int(classes), None
    if any(not isinstance(name, str) for name in names):
        raise ConfigError(f"classes={names!r} arrived; expected a number or names: classes={list(map(str, names))!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"the class names {twice} occur twice; each class needs a name of its own")
    check_whole(len(names), "the number of class names")
    return len(names), tuple(str(name) for name in names)
