"""Models of rnnkit, and encoder–decoders, as :class:`rnnkit.generation.TokenModel`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from ..errors import BackendError, ConfigError
from ..layers.modes import mode
from ..ops.state import map_state
from ..types import State
from .protocol import Session, Step, TokenModel, check_step

Tensor = torch.Tensor
_CHUNK = ("forward_chunk", "initial_state")
_DECODER = ("encode", "decode_step")
_FEW_STEPS = 8  # a stream takes so many in less time than a call, which packs the weights again


def token_model(model: Any) -> TokenModel:
    """Make of a language model what can generate; a `TokenModel` is returned as it is.

    `generate`, `stream` and `beam_search` call this themselves.

    Args:
        model: a :class:`TokenModel`; or a module of token ids with ``initial_state(batch)`` and
            ``forward_chunk(x, state, lengths=) -> (logits [B, T, V], state)``, such as a
            :class:`rnnkit.SequenceTagger` after a ``torch.nn.Embedding``. With a ``stream(batch)`` such as its, single
            steps take the least time. The module computes as in evaluation mode; its own mode stays.

    Raises:
        ConfigError: it is none of these, cannot continue from a state, or outputs no logits.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(8, 16), outputs=5, front=torch.nn.Embedding(5, 8))
        >>> lm = token_model(model)
        >>> logits, state = lm.step(torch.tensor([2, 4]), lm.initial_state(2))
        >>> tuple(logits.shape)
        (2, 5)
    """
    if isinstance(model, TokenModel):
        return model
    if all(callable(getattr(model, name, None)) for name in _CHUNK) and not isinstance(model, type):
        return _LanguageModel(model)
    if all(callable(getattr(model, name, None)) for name in _DECODER) and not isinstance(model, type):
        raise ConfigError(
            f"model is a {type(model).__name__}, which generates from a source; expected the model with its source: "
            "type rnnkit.generation.encoded(model, x, lengths)"
        )
    what = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
    raise ConfigError(
        f"model is {what}; expected a model with forward_chunk(x, state), such as rnnkit.SequenceTagger(body, "
        "outputs=vocabulary, front=torch.nn.Embedding(vocabulary, features)), or an object of a class derived from "
        "rnnkit.generation.TokenModel. For two functions type rnnkit.generation.StepFunction(step, initial_state)"
    )


def encoded(model: Any, x: Tensor, lengths: Any = None) -> TokenModel:
    """Encode sources, and return what generates their targets: an encoder–decoder for `generate` and `beam_search`.

    Args:
        model: a module with two methods. ``encode(x, lengths) -> (state, memory)`` reads the sources: `state` starts
            the decoder, and `memory` (tensors with the batch as first axis, nested in tuples, or None) stays as it is,
            such as the encoder's outputs. ``decode_step(ids [B], state, memory) -> (logits [B, V], state)`` is one
            step of the decoder; it may return the attention weights [B, S] after these. The batch axis of `state` is
            ``model.state_batch_axis``, 1 where it has none.
        x: the sources [B, S] or [B, S, I].
        lengths: valid steps of each source [B]; None: all are valid.

    Raises:
        ConfigError: the model lacks one of these methods, or they return something else.

    Example:
        >>> import rnnkit
        >>> class Reverser(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.embedding, self.head = torch.nn.Embedding(6, 8), torch.nn.Linear(8, 6)
        ...         self.encoder = rnnkit.GRU(8, 8, batch_first=True)
        ...         self.decoder = rnnkit.GRU(8, 8)
        ...     def encode(self, x, lengths=None):
        ...         return self.encoder(self.embedding(x), lengths=lengths)[1], None
        ...     def decode_step(self, ids, state, memory):
        ...         y, state = self.decoder.step(self.embedding(ids), state)
        ...         return self.head(y), state
        >>> from rnnkit.generation import beam_search
        >>> sources = encoded(Reverser(), torch.tensor([[3, 4, 5], [4, 5, 0]]), lengths=[3, 2])
        >>> best = beam_search(sources, [0], end=1, width=2, max_tokens=4)
        >>> len(best), len(best[0][0].ids) <= 4
        (2, True)
    """
    missing = [name for name in _DECODER if not callable(getattr(model, name, None))]
    if missing:
        raise ConfigError(
            f"{type(model).__name__} has no method {' and no '.join(missing)}; expected encode(x, lengths) -> (state, "
            "memory) and decode_step(ids, state, memory) -> (logits, state)"
        )
    with torch.no_grad(), mode(model, training=False) if getattr(model, "training", False) else nullcontext():
        result = model.encode(x, lengths)
    if not isinstance(result, tuple) or len(result) != 2:
        what = f"{len(result)} things" if isinstance(result, tuple) else f"a {type(result).__name__}"
        raise ConfigError(f"{type(model).__name__}.encode returned {what}; expected two: return state, memory")
    return already_encoded(model, *result, rows=len(x), lengths=lengths)


def already_encoded(model: Any, state: State, memory: Any, *, rows: int, lengths: Any = None) -> TokenModel:
    """Return what generates the targets of sources that ``model.encode`` has read; as `encoded`.

    Args:
        model: as for `encoded`.
        state, memory: what ``model.encode`` returned.
        rows: B, the number of sources.
        lengths: valid steps of each source [B], of which the attention has weights; None: all are valid.
    """
    return _Encoded(model, state, memory, rows, lengths)


class _OfModule(TokenModel):
    """What the adapters share: the module computes as in evaluation mode, without gradients."""

    def __init__(self, module: Any) -> None:
        self.module = module
        weight = next(iter(module.parameters()), None) if isinstance(module, torch.nn.Module) else None
        self.device = torch.device("cpu") if weight is None else weight.device

    def _evaluating(self) -> Any:
        return mode(self.module, training=False) if getattr(self.module, "training", False) else nullcontext()


class _LanguageModel(_OfModule):
    """A module with ``forward_chunk``."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        name = type(module).__name__
        if (problem := getattr(module, "carry_problem", None)) is not None:
            raise ConfigError(f"{name} cannot generate, which goes on from a state: {problem}")
        loss = getattr(module, "default_loss", "cross_entropy")
        if isinstance(loss, str) and loss != "cross_entropy":
            raise ConfigError(
                f"{name} puts out no logits of classes but what the loss {loss!r} takes; build it with "
                "activation='none'"
            )
        self.state_batch_axis = getattr(module, "state_batch_axis", 1)

    def initial_state(self, batch: int) -> State:
        return self.module.initial_state(batch)

    def read(self, ids: Tensor, lengths: list[int] | None, state: State) -> tuple[Any, ...]:
        with self._evaluating():
            if hasattr(self.module, "forward_last"):
                return self.module.forward_last(ids, state, lengths=lengths)  # type: ignore[no-any-return]
            result = self.module.forward_chunk(ids, state, lengths=lengths)
        logits, state = result
        if lengths is None:
            return logits[:, -1], state
        last = torch.tensor(lengths, device=logits.device) - 1
        return logits[torch.arange(len(logits), device=logits.device), last], state

    def step(self, ids: Tensor, state: State) -> tuple[Any, ...]:
        return self.read(ids[:, None], None, state)

    def session(self, batch: int, state: State | None = None) -> Session:
        if callable(getattr(self.module, "stream", None)):
            return _StreamSession(self, batch, self.initial_state(batch) if state is None else state)
        return super().session(batch, state)


class _StreamSession(Session):
    """Steps by ``module.stream(batch)``, which is made at the first single step."""

    def __init__(self, model: _LanguageModel, batch: int, state: State) -> None:
        super().__init__(model, state)
        self._batch, self._module = batch, model.module
        self._stream: Any = None
        self._streams = True

    @property
    def state(self) -> State:
        return self._state if self._stream is None else self._stream.state

    def read(self, ids: Tensor, lengths: list[int] | None) -> Tensor:
        if lengths is None and self._streams and ids.shape[1] <= _FEW_STEPS:
            for one in ids.unbind(1):
                logits = self.step(one)
            return logits
        state = self.state
        logits = self._taken(self.model.read(ids, lengths, state), ids.shape[0])
        if self._stream is not None:
            self._stream.state = self._state
        return logits

    def step(self, ids: Tensor) -> Tensor:
        if self._stream is None:
            if not self._streams:
                return super().step(ids)
            try:
                stream = self._module.stream(self._batch)
                stream.state = self._state
            except BackendError:
                self._streams = False
                return super().step(ids)
            self._stream = stream
        logits: Tensor = self._stream(ids)
        if not self._checked:
            check_step((logits, ()), len(ids), self._module)
            self._checked = True
        return logits

    def reorder(self, index: Tensor) -> None:
        if self._stream is None:
            super().reorder(index)
        else:
            self._stream.reorder(index)


class _Encoded(_OfModule):
    """An encoder–decoder with its sources. The state is the decoder's, or (the decoder's, memory) with a memory."""

    def __init__(self, module: Any, state: State, memory: Any, rows: int, lengths: Any) -> None:
        super().__init__(module)
        self.state_batch_axis = getattr(module, "state_batch_axis", 1)
        self.rows = rows
        self.source_lengths = None if lengths is None else torch.as_tensor(lengths)
        self._has_memory, self._checked = memory is not None, False
        self._initial: State = (state, memory) if self._has_memory else state

    def initial_state(self, batch: int) -> State:
        assert batch == self.rows, "checked by rows_of"
        return self._initial

    def step(self, ids: Tensor, state: State) -> tuple[Any, ...]:
        own, memory = state if self._has_memory else (state, None)
        with self._evaluating():
            result = self.module.decode_step(ids, own, memory)
        if not self._checked:
            check_step(result, len(ids), self.module)
            self._checked = True
        step = Step(*result)
        return step._replace(state=(step.state, memory)) if self._has_memory else step

    def session(self, batch: int, state: State | None = None) -> Session:
        state = self.initial_state(batch) if state is None else state
        if self._has_memory and callable(getattr(self.module, "decoder_stream", None)):
            return _DecoderSession(self, state)
        return Session(self, state)

    def map_rows(self, function: Any, *states: State) -> State:
        if not self._has_memory:
            return super().map_rows(function, *states)
        own = super().map_rows(function, *(state[0] for state in states))
        return own, map_state(lambda *leaves: function(0, *leaves), *(state[1] for state in states))

    def reorder(self, state: State, index: Tensor, *, same_source: bool = False) -> State:
        if same_source and self._has_memory:
            return super().map_rows(lambda axis, leaf: leaf.index_select(axis, index), state[0]), state[1]
        return super().reorder(state, index)


class _DecoderSession(Session):
    """Steps by ``module.decoder_stream(state, memory)``, which is made at the first single step."""

    def __init__(self, model: _Encoded, state: State) -> None:
        super().__init__(model, state)
        self._module = model.module
        self._stream: Any = None
        self._streams = True

    @property
    def state(self) -> State:
        return self._state if self._stream is None else (self._stream.state, self._state[1])

    def read(self, ids: Tensor, lengths: list[int] | None) -> Tensor:
        self._state = self.state
        self.close()
        return super().read(ids, lengths)

    def step(self, ids: Tensor) -> Tensor:
        if self._stream is None and self._streams:
            self._stream = self._module.decoder_stream(*self._state)
            self._streams = self._stream is not None
        stream = self._stream
        if stream is None:
            return super().step(ids)
        logits: Tensor
        logits, self.attention = stream(ids)
        return logits

    def reorder(self, index: Tensor) -> None:
        if self._stream is None:
            super().reorder(index)
        else:
            self._stream.reorder(index)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
