"""An encoder–decoder without attention: what was read is the state that the decoder begins with, and nothing more."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..errors import ConfigError, ShapeError, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers.argument_names import explains_arguments
from ..layers.description import describe, short_repr
from ..layers.sequence_adapters import Adapted, SequenceInterface, as_sequence_module
from ..ops.state import tensors
from ..types import State
from .encoder_decoder import check_previous
from .layer_steps import LayerSteps, step_layer

Tensor = torch.Tensor


class PlainEncoderDecoder(NotScriptable):
    """p(y | x) = Π_t softmax(W h_t + b)_{y_t}, with h of a decoder that begins with the encoder's last state.

        s = encoder(x_1 … x_S),   h_t, s = decoder(y_{t−1}, s)

    Sutskever, Vinyals & Le 2014 ("Sequence to Sequence Learning with Neural Networks") and Cho et al. 2014. A source of
    any length becomes one state, so long sources are lost: :class:`rnnkit.EncoderDecoder` looks back at them. It serves
    short sequences, such as the letters of a word.

    Legend: B batch, S steps of a source, T steps of a target, V vocabulary of the targets, H hidden.

    Args:
        encoder: a layer over sequences that runs one way.
        decoder: a layer whose state has the sizes of the encoder's: the same layer with as many units and layers.
        source_vocabulary: the number of ids in x.
        target_vocabulary: V.
        start: the id that the decoder reads first.

    Raises:
        ConfigError: the states of the layers differ, or one of the layers runs both ways.

    Example:
        >>> import rnnkit
        >>> from rnnkit.models.plain_encoder_decoder import PlainEncoderDecoder
        >>> model = PlainEncoderDecoder(rnnkit.GRU(8, 16), rnnkit.GRU(8, 16), 20, 30)
        >>> x, previous = torch.randint(20, (2, 5)), torch.randint(30, (2, 7))
        >>> tuple(model(x, previous, lengths=[5, 3]).shape)
        (2, 7, 30)
        >>> from rnnkit.generation import beam_search, encoded
        >>> len(beam_search(encoded(model, x, [5, 3]), [model.start], end=1, max_tokens=9))
        2
    """

    default_objective: ClassVar[str] = "seq2seq"
    default_loss: ClassVar[str] = "cross_entropy"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    @explains_arguments()
    def __init__(
        self,
        encoder: torch.nn.Module,
        decoder: torch.nn.Module,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        start: int = 0,
    ) -> None:
        super().__init__()
        check_whole(source_vocabulary, "source_vocabulary")
        check_whole(target_vocabulary, "target_vocabulary")
        check_whole(start, "start", least=0)
        self.encoder, self.decoder = encoder, decoder
        self.vocabulary, self.start = target_vocabulary, start
        self._source_vocabulary = source_vocabulary
        self._adapted = {name: Adapted() for name in ("encoder", "decoder")}
        self._steps = LayerSteps()
        sizes = {}
        for name in ("encoder", "decoder"):
            layers = self._layers(name)
            if (problem := layers.carry_problem) is not None:
                raise ConfigError(
                    f"the {name} {short_repr(getattr(self, name))} gives no state to go on from: {problem}"
                )
            sizes[name] = [list(leaf.shape) for leaf in tensors(layers.initial_state(1))]
        if sizes["encoder"] != sizes["decoder"]:
            raise ConfigError(
                f"the encoder's state has the sizes {sizes['encoder']} and the decoder's {sizes['decoder']}; expected "
                "the same: build both with the same layer, hidden_size and num_layers"
            )
        self.source_embedding = torch.nn.Embedding(source_vocabulary, self._width("encoder", "input_size"))
        self.embedding = torch.nn.Embedding(target_vocabulary, self._width("decoder", "input_size"))
        self.output = torch.nn.Linear(self._width("decoder", "output_size"), target_vocabulary)

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of a state."""
        return self._layers("decoder").state_batch_axis

    def forward(self, x: Tensor, previous: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Return the logits of all steps of the targets, the labels before each step being given (teacher forcing).

        Args:
            x: ids of the sources [B, S].
            previous: what the decoder reads [B, T]: the start, then the targets without their last.
            lengths: valid steps of each source [B]; None: all are valid.

        Returns:
            logits [B, T, V].

        Raises:
            ShapeError: x or previous has other axes.
        """
        check_previous(previous)
        state, _ = self.encode(x, lengths)
        return self._logits(previous, state)[0]

    def encode(self, x: Tensor, lengths: Lengths | None = None) -> tuple[State, None]:
        """Read sources.

        Args:
            x, lengths: as for the call.

        Returns:
            the decoder's first state, and None: it looks back at nothing.
        """
        if x.dim() != 2 or x.is_floating_point():
            raise ShapeError(f"sources {list(x.shape)} of {x.dtype} arrived; expected ids [B, S]")
        _, _, state = self._layers("encoder")(self.source_embedding(x), lengths)
        return state, None

    def decode_step(self, ids: Tensor, state: State, memory: None = None) -> tuple[Tensor, State]:
        """Read one token a row; the state is left as it is.

        Args:
            ids: [B].
            state: as `encode` and this method return it.
            memory: as `encode` returns it.

        Returns:
            logits [B, V] and the next state.
        """
        logits, state = self._logits(ids[:, None], state)
        return logits[:, 0], state

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        parts = {name: describe(getattr(self, name)) for name in ("encoder", "decoder")}
        if None in parts.values():
            return None
        sizes = {"source_vocabulary": self._source_vocabulary, "target_vocabulary": self.vocabulary}
        return {"builder": type(self).__name__, "arguments": {**parts, **sizes, "start": self.start}}

    def __repr__(self) -> str:
        parts = ", ".join(short_repr(part) for part in (self.encoder, self.decoder))
        return f"PlainEncoderDecoder({parts}, {self._source_vocabulary}, {self.vocabulary})"

    def _logits(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        learns = self.training or torch.is_grad_enabled()
        h, state = step_layer(self._steps, self._layers("decoder"), self.embedding(ids), state, gradients=learns)
        return self.output(h), state

    def _layers(self, name: str) -> SequenceInterface:
        return self._adapted[name]((getattr(self, name),), lambda one: as_sequence_module(one[0], name))  # type: ignore[no-any-return]

    def _width(self, name: str, size: str) -> int:
        found: int | None = getattr(self._layers(name), size)
        if found is None:
            raise ConfigError(f"the {name} {short_repr(getattr(self, name))} does not declare its {size}")
        return found
