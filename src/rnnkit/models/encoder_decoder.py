"""An encoder–decoder with attention: translation, summaries, and whatever maps a sequence to another one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch

from ..errors import ConfigError, ShapeError, check_choice, check_number, check_whole
from ..layers._checks import Lengths
from ..layers.argument_names import explains_arguments
from ..layers.description import describe, short_repr
from ..layers.sequence_adapters import Adapted, SequenceInterface, as_sequence_module
from ..ops.padding import valid_steps
from ..ops.state import tensors
from ..types import State
from ._decoder_sizes import check_options, check_recurrent, embedding_size
from ._decoder_steps import DecoderOutputs, DecoderSteps
from .attention import Attention, Score
from .copying import Copying
from .decoder_stream import DecoderStream, make_decoder_stream
from .layer_steps import LayerSteps, read_sequences

Tensor = torch.Tensor
Form = Literal["parallel", "input_feeding", "bahdanau"]
Tied = Literal["none", "output", "all"]
FORMS: tuple[Form, ...] = ("parallel", "input_feeding", "bahdanau")
TIED: tuple[Tied, ...] = ("none", "output", "all")
_RANGE = 0.1  # initial embeddings are uniform in ±0.1


class EncoderDecoder(DecoderSteps):
    """p(y | x) = Π_t softmax(W o_t + b)_{y_t}, with o_t from a decoder that attends to an encoder's outputs.

    ``form`` says in which order the decoder computes; c_t is the context of :class:`rnnkit.models.attention.Attention`:

        parallel        h_t = decoder(y_{t-1}),            c_t = attend(h_t),      u_t = upper([h_t; c_t])
        input_feeding   h_t = decoder([y_{t-1}; o_{t-1}]), c_t = attend(h_t)       (Luong et al. 2015)
        bahdanau        c_t = attend(h_{t-1}),             h_t = decoder([y_{t-1}; c_t])   (Bahdanau et al. 2015)

        o_t = tanh(W_o [h_t; c_t] + b_o), with u_t, where there is an `upper`, in place of h_t

    In the form "parallel" no recurrence waits for the attention, so in training each layer runs once over the whole
    target, on the native core. The other two loop over the steps. The decoder's first state is
    tanh(W_s · the encoder's last outputs + b_s).

    Legend: B batch, S steps of a source, T steps of a target, I input, V vocabulary of the targets, E embedding, F
    features of the encoder, H of the decoder.

    Args:
        encoder: a layer over sequences, as a rule with ``bidirectional=True``; it takes E features (I without ids).
        decoder: a recurrent layer in one direction. It takes E features ("parallel"), E + F ("bahdanau"), or E and the
            width of o ("input_feeding"), which is E with tied embeddings and H without.
        source_vocabulary: the number of ids in x; None: x are numbers [B, S, I].
        target_vocabulary: V.
        upper: a recurrent layer above the attention, of H + F inputs; for "parallel" and "bahdanau".
        attention: "dot", "general" or "additive".
        form: see above.
        copy: mix in the words of the source (See et al. 2017). x and y share their vocabulary; ids from V on are words
            that it lacks, numbered for each source. The outputs are then ln P over V + K words.
        coverage: the attention sees what it attended to before.
        tied: "output": the weights of the decoder's embedding are W; "all": those of the source's embedding, too.
        bridge: whether the decoder begins with what the encoder read; else with its own initial state.
        dropout: of embeddings, encoder outputs, [h; c] and o, while training.
        variational: the same features are dropped at all steps of a row (Gal & Ghahramani 2016).
        word_dropout: probability that a token's embedding is dropped as a whole.
        start: the id that the decoder reads first.
        unknown: the id that stands for words from V on, with ``copy``.

    Raises:
        ConfigError: settings or layers that do not fit each other.

    Example:
        >>> import torch, rnnkit
        >>> model = EncoderDecoder(
        ...     rnnkit.GRU(8, 6, bidirectional=True), rnnkit.GRU(8, 10), 20, 30, upper=rnnkit.GRU(10 + 12, 10)
        ... )
        >>> x, previous = torch.randint(20, (2, 5)), torch.randint(30, (2, 7))
        >>> tuple(model(x, previous, lengths=[5, 3]).shape)
        (2, 7, 30)
        >>> from rnnkit.generation import beam_search, encoded
        >>> found = beam_search(encoded(model, x, [5, 3]), [model.start], end=1, max_tokens=9)
        >>> len(found)
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
        source_vocabulary: int | None,
        target_vocabulary: int,
        *,
        upper: torch.nn.Module | None = None,
        attention: Score = "general",
        form: Form = "parallel",
        copy: bool = False,
        coverage: bool = False,
        tied: Tied = "none",
        bridge: bool = True,
        dropout: float = 0.0,
        variational: bool = False,
        word_dropout: float = 0.0,
        start: int = 0,
        unknown: int | None = None,
    ) -> None:
        super().__init__()
        check_choice(form, "form", FORMS)
        check_choice(tied, "tied", TIED)
        check_whole(source_vocabulary, "source_vocabulary", optional=True)
        check_whole(target_vocabulary, "target_vocabulary")
        check_number(dropout, "dropout", below=1)
        check_number(word_dropout, "word_dropout", below=1)
        check_whole(start, "start", least=0)
        self._arguments: dict[str, Any] = {
            "source_vocabulary": source_vocabulary, "target_vocabulary": target_vocabulary, "attention": attention,
            "form": form, "copy": copy, "coverage": coverage, "tied": tied, "bridge": bridge, "dropout": dropout,
            "variational": variational, "word_dropout": word_dropout, "start": start, "unknown": unknown,
        }  # fmt: skip
        self.encoder, self.decoder, self.upper = encoder, decoder, upper
        self.form, self.copy, self.start, self.unknown = form, copy, start, unknown
        self.dropout, self.variational, self.word_dropout = dropout, variational, word_dropout
        self.vocabulary = target_vocabulary
        self._adapted = {name: Adapted() for name in ("encoder", "decoder", "upper")}
        self._steps = LayerSteps()
        self._layers("encoder")
        check_recurrent({name: (self._modules[name], self._layers(name)) for name in self._recurrent()})
        check_options(self._arguments, upper is not None)
        memory, hidden = self._width("encoder"), self._width("decoder")
        top = hidden if upper is None else self._width("upper")
        takes = self._layers("decoder").input_size, None if upper is None else self._layers("upper").input_size
        embedding = embedding_size(form, tied != "none", *takes, memory=memory, hidden=hidden)
        vector = embedding if tied != "none" else top

        self.embedding = torch.nn.Embedding(target_vocabulary, embedding)
        torch.nn.init.uniform_(self.embedding.weight, -_RANGE, _RANGE)
        self.source_embedding = self._source_embedding(source_vocabulary, target_vocabulary)
        self.attention = Attention(attention, hidden, memory, hidden, coverage)
        self.bridge = torch.nn.Linear(memory, sum(self._state_widths())) if bridge else None
        self.combine = torch.nn.Linear(top + memory, vector)
        self.output = torch.nn.Linear(vector, target_vocabulary)
        torch.nn.init.zeros_(self.output.bias)
        if tied != "none":
            self.output.weight = self.embedding.weight
        self.copying = Copying(top + memory + embedding) if copy else None

    # --- the parts and their sizes -----------------------------------------------------------------------------------

    def _layers(self, name: str) -> SequenceInterface:
        return self._adapted[name]((self._modules[name],), lambda one: as_sequence_module(one[0], name))  # type: ignore[no-any-return]

    def _recurrent(self) -> list[str]:
        return ["decoder"] if self.upper is None else ["decoder", "upper"]

    def _width(self, name: str) -> int:
        width = self._layers(name).output_size
        if width is None:
            raise ConfigError(
                f"the {name} {short_repr(self._modules[name])} does not declare how many features it returns; give its "
                "cell an attribute output_size (or hidden_size)"
            )
        return width

    def _source_embedding(self, source: int | None, target: int) -> torch.nn.Embedding | None:
        if source is None:
            return None
        size, shared = self._layers("encoder").input_size, self._arguments["tied"] == "all"
        if size is None:
            raise ConfigError(f"the encoder {short_repr(self.encoder)} does not declare its input_size")
        if shared and size != self.embedding.embedding_dim:
            raise ConfigError(
                f"tied='all' arrived with an encoder of {size} inputs and embeddings of {self.embedding.embedding_dim} "
                f"for the decoder; build the encoder with input_size={self.embedding.embedding_dim}"
            )
        if shared:
            return self.embedding
        made = torch.nn.Embedding(source, size)
        torch.nn.init.uniform_(made.weight, -_RANGE, _RANGE)
        return made

    def _state_widths(self) -> list[int]:
        """Numbers a row in each tensor of the decoder's and the upper layer's state."""
        return [leaf.numel() for name in self._recurrent() for leaf in tensors(self._layers(name).initial_state(1))]

    @property
    def memory_size(self) -> int:
        """F, features of what the attention sees."""
        return self._width("encoder")

    def set_vocabulary(self, vocabulary: int) -> None:
        """Tell the model how many tokens its embedding and its output have, where these were replaced.

        Args:
            vocabulary: V from now on.
        """
        self.vocabulary = self._arguments["target_vocabulary"] = vocabulary

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of a state."""
        return self._layers("decoder").state_batch_axis

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        parts = {name: getattr(self, name) for name in ("encoder", "decoder", "upper")}
        described = {name: describe(part) for name, part in parts.items() if part is not None}
        if None in described.values():
            return None
        now = {name: getattr(self, name) for name in ("dropout", "variational", "word_dropout")}
        return {"builder": type(self).__name__, "arguments": {**described, **self._arguments, **now}}

    def __repr__(self) -> str:
        chosen = ", ".join(
            f"{name}={value!r}"
            for name, value in self._arguments.items()
            if value not in (False, None, 0.0) and name not in ("source_vocabulary", "target_vocabulary", "bridge")
        )
        parts = [short_repr(part) for part in (self.encoder, self.decoder)]
        sizes = [self._arguments["source_vocabulary"], self._arguments["target_vocabulary"]]
        upper = "" if self.upper is None else f", upper={short_repr(self.upper)}"
        return f"EncoderDecoder({', '.join(map(str, [*parts, *sizes]))}{upper}, {chosen})"

    # --- whole targets, for training ---------------------------------------------------------------------------------

    def forward(
        self, x: Tensor, previous: Tensor, lengths: Lengths | None = None, *, return_attention: bool = False
    ) -> Any:
        """Return the logits of all steps of the targets, the labels before each step being given (teacher forcing).

        Args:
            x: the sources [B, S], or [B, S, I] without a source vocabulary.
            previous: what the decoder reads [B, T]: the start, then the targets without their last.
            lengths: valid steps of each source [B]; None: all are valid.
            return_attention: whether to return the attention [B, T, S] behind the logits.

        Returns:
            logits [B, T, V]; with ``copy`` ln P [B, T, V + K].

        Raises:
            ShapeError: x or previous has other axes.
        """
        check_previous(previous)
        logits, weights = self.forward_targets(previous, *self.encode(x, lengths))
        return (logits, weights) if return_attention else logits

    def forward_targets(self, previous: Tensor, state: State, memory: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the logits of all steps of the targets [B, T, V], and the attention [B, T, S], of sources that were
        read.

        Args:
            previous: as for the call.
            state, memory: what `encode` returned.
        """
        steps, embedded = self._run(previous, state, memory)
        return self._scores(steps, embedded, memory), steps.weights

    def _scores(self, steps: DecoderOutputs, embedded: Tensor, memory: tuple[Tensor, ...]) -> Tensor:
        logits = self._linear(self.output, self._drop(steps.vectors))
        if self.copying is None or steps.gate is None:
            return logits
        ids, extra = memory[3], memory[4].shape[1]
        features = torch.cat((steps.gate, embedded), -1)
        return self.copying(logits, features, steps.weights, ids, extra)  # type: ignore[no-any-return]

    # --- sources, and targets token by token -------------------------------------------------------------------------

    def encode(self, x: Tensor, lengths: Lengths | None = None) -> tuple[State, tuple[Tensor, ...]]:
        """Read sources.

        Args:
            x, lengths: as for the call.

        Returns:
            the decoder's first state, and the memory: the encoder's outputs, what the attention makes of them, and the
            padding; with ``copy`` also the ids, and a tensor whose width is the number of extra words K.
        """
        numbers = self.source_embedding is None
        if x.dim() != (3 if numbers else 2) or x.is_floating_point() is not numbers:
            expected = "numbers [B, S, I]" if numbers else "ids [B, S]"
            raise ShapeError(f"sources {list(x.shape)} of {x.dtype} arrived; expected {expected}")
        embedded = x if self.source_embedding is None else self._embedded(self.source_embedding, x)
        layers = self._layers("encoder")
        values, ends, last = read_sequences(self._steps, layers, embedded, lengths, gradients=self._learns())
        if ends is None:
            padding = values.new_zeros(values.shape[:2], dtype=torch.bool)
        else:
            padding = ~valid_steps(torch.as_tensor(ends), values.shape[1], values.device)
        state = self._first_state(layers.last_output(values, ends, last))
        values = self._drop(values)
        memory: tuple[Tensor, ...] = (values, self.attention.keys(values), padding)
        if self.copy:
            # Padding may hold any ids, and the attention is 0 there.
            ids = x.masked_fill(padding, 0)
            extra = max(0, int(ids.max()) + 1 - self.vocabulary)
            memory = (*memory, ids, values.new_zeros(len(x), extra))
        return self._begin(state, padding, values), memory

    def decode_step(self, ids: Tensor, state: State, memory: tuple[Tensor, ...]) -> tuple[Tensor, State, Tensor]:
        """Read one token a row; the state is left as it is.

        Args:
            ids: [B].
            state, memory: as `encode` and this method return them.

        Returns:
            logits [B, V] (with ``copy`` ln P [B, V + K]), the next state, the attention [B, S].
        """
        steps, embedded = self._run(ids[:, None], state, memory)
        return self._scores(steps, embedded, memory)[:, 0], steps.state, steps.weights[:, 0]

    def decoder_stream(self, state: State, memory: tuple[Tensor, ...]) -> DecoderStream | None:
        """Return an object that decodes step after step in the least time, for beam search and sampling.

        Args:
            state, memory: as `encode` and `decode_step` return them.

        Returns:
            The stream; None where `decode_step` is as fast, see :class:`rnnkit.models.decoder_stream.DecoderStream`.
        """
        # A class derived from this one may compute its steps in another way.
        return make_decoder_stream(self, state, memory) if type(self) is EncoderDecoder else None


def check_previous(previous: Tensor) -> None:
    """Raise ShapeError where what a decoder reads is no ids [B, T]."""
    if previous.dim() != 2 or previous.is_floating_point():
        raise ShapeError(f"previous {list(previous.shape)} of {previous.dtype} arrived; expected ids [B, T]")
