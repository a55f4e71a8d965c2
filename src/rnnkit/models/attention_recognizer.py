"""A recogniser of speech with an attention decoder, and a branch of CTC beside it.

    H = encoder(x)                                       the frames
    p(y | x) = Π_u softmax(decoder(y_<u, H))_{y_u}       token by token, :class:`rnnkit.EncoderDecoder`
    q(π_t | x) = softmax(W H_t + b)                      the branch of CTC, from the same frames

Both learn together: L = −λ ln q(y | x) − (1 − λ) ln p(y | x), where q(y | x) sums over all alignments of y
(:class:`rnnkit.training.CTCAttention`). Attention alone has to find out where each token is said; CTC, which only goes
forward, shows the encoder, so that attention learns from less data (Kim, Hori & Watanabe 2017; Watanabe et al. 2017,
"Hybrid CTC/attention architecture for end-to-end speech recognition"). The branch also tells when a token was said.

Legend: B batch, T frames, T' steps of the encoder, I features of a frame, F of the encoder, U tokens, V vocabulary.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..errors import ConfigError, check_number, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers.description import describe, short_repr
from ..layers.quantized import refuse_quantized
from ..layers.quantized_dense import share_weight
from ._encoder_chunks import front_of
from ._growing import grow_embedding, grow_linear
from .encoder_decoder import EncoderDecoder, check_previous

Tensor = torch.Tensor
_WHOLE = (
    "its attention reads the whole utterance before the first token: train with model.head=ctc or model.head=transducer"
)


class AttentionRecognizer(NotScriptable):
    """An encoder–decoder over frames, with a branch of CTC; equations in :mod:`rnnkit.models.attention_recognizer`.

    It reads whole utterances and cannot stream. ``rnnkit.generation.beam_search(encoded(model.network, x, lengths),
    [model.start], end=model.end)`` finds tokens.

    Args:
        network: an encoder–decoder without a source vocabulary.
        end: the id of the token that ends a text; ``network.start`` begins one.
        blank: the id of the blank of CTC.
        ctc_weight: λ; 0: there is no branch of CTC.

    Shapes:
        x [B, T, I] and previous tokens [B, U] (and ``lengths`` [B]) → logits [B, U, V].

    Raises:
        ConfigError: settings that do not fit each other.

    Example:
        >>> import torch, rnnkit
        >>> encoder = rnnkit.Chain(rnnkit.CausalConv(13, channels=24, strides=(2, 2)), rnnkit.GRU(24, 32))
        >>> network = rnnkit.EncoderDecoder(encoder, rnnkit.GRU(16 + 32, 20), None, 11, form="bahdanau", start=2)
        >>> model = rnnkit.AttentionRecognizer(network, end=3)
        >>> x, previous = torch.randn(2, 40, 13), torch.tensor([[2, 7, 8], [2, 9, 3]])
        >>> tuple(model(x, previous, lengths=[40, 31]).shape)
        (2, 3, 11)
        >>> logits, ctc_logits, steps = model(x, previous, lengths=[40, 31], return_ctc=True)
        >>> tuple(ctc_logits.shape), steps.tolist()
        ((2, 10, 11), [10, 8])
    """

    default_objective: ClassVar[str] = "ctc_attention"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: EncoderDecoder, end: int, *, blank: int = 0, ctc_weight: float = 0.3) -> None:
        super().__init__()
        if not isinstance(network, EncoderDecoder) or network.source_embedding is not None or network.copying:
            raise ConfigError(
                f"network is {short_repr(network)}; expected a rnnkit.EncoderDecoder over frames: build it with "
                "source_vocabulary=None and copy=False"
            )
        check_number(ctc_weight, "ctc_weight", below=1)
        for name, number in (("end", end), ("blank", blank)):
            check_whole(number, name, least=0)
            if number >= network.vocabulary:
                raise ConfigError.of(name, number, f"expected 0 to {network.vocabulary - 1}, one of the tokens")
        if len({end, blank, network.start}) < 3:
            raise ConfigError(
                f"start={network.start}, end={end} and blank={blank} arrived; expected three different tokens"
            )
        self.network, self.end, self.blank, self.ctc_weight = network, end, blank, ctc_weight
        self.ctc = torch.nn.Linear(network.memory_size, network.vocabulary) if ctc_weight else None

    @property
    def start(self) -> int:
        """The id that the decoder reads first."""
        return self.network.start

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.network.vocabulary

    @property
    def stride(self) -> int:
        """The number of frames that become one step of the encoder."""
        return getattr(front_of(self.network.encoder), "stride", 1)

    @property
    def carry_problem(self) -> str:
        """Why the model takes no stream."""
        return _WHOLE

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        network = describe(self.network)
        if network is None:
            return None
        arguments = {"network": network, "end": self.end, "blank": self.blank, "ctc_weight": self.ctc_weight}
        return {"builder": type(self).__name__, "arguments": arguments}

    def __repr__(self) -> str:
        return f"AttentionRecognizer({self.network!r}, end={self.end}, ctc_weight={self.ctc_weight:g})"

    def forward(self, x: Tensor, previous: Tensor, lengths: Lengths | None = None, *, return_ctc: bool = False) -> Any:
        """Return the decoder's logits, the tokens before each one being given (teacher forcing).

        Args:
            x: frames [B, T, I].
            previous: what the decoder reads [B, U]: the start, then the tokens.
            lengths: valid frames of each row [B]; None: all are valid.
            return_ctc: whether to return those of CTC, too.

        Returns:
            logits [B, U, V]; with ``return_ctc`` also those of CTC [B, T', V], and the valid steps of each row [B].

        Raises:
            ShapeError: x or previous has other axes. ConfigError: the model has no branch of CTC, which is asked for.
        """
        check_previous(previous)
        state, memory = self.network.encode(x, lengths)
        logits, _ = self.network.forward_targets(previous, state, memory)
        if not return_ctc:
            return logits
        return logits, self.ctc_logits(memory), steps_of(memory)

    def ctc_logits(self, memory: tuple[Tensor, ...]) -> Tensor:
        """Return the logits of CTC [B, T', V] of frames that ``network.encode`` read.

        Raises:
            ConfigError: the model has no branch of CTC.
        """
        if self.ctc is None:
            raise ConfigError("the model was built with ctc_weight=0, without a branch of CTC; expected more than 0")
        logits: Tensor = self.ctc(memory[0])
        return logits

    def grow(self, vocabulary: int, *, generator: torch.Generator | None = None) -> None:
        """Give the model more tokens, in place; those that it has keep their weights, new ones are drawn.

        Args:
            vocabulary: V from now on.
            generator: of the draw; None: torch's global one.

        Raises:
            ConfigError: fewer tokens than now, weights in 8 bits, or embeddings that share theirs with the output.
        """
        refuse_quantized(self, "get more tokens")
        check_whole(vocabulary, "vocabulary", self.vocabulary)
        network = self.network
        if share_weight(network.output, network.embedding):
            raise ConfigError("the network was built with tied embeddings; expected tied='none' for more tokens")
        network.embedding = grow_embedding(network.embedding, vocabulary, generator)
        network.output = grow_linear(network.output, vocabulary, generator)
        if self.ctc is not None:
            self.ctc = grow_linear(self.ctc, vocabulary, generator)
        network.set_vocabulary(vocabulary)


def steps_of(memory: tuple[Tensor, ...]) -> Tensor:
    """Return the valid steps int64 [B] of what ``EncoderDecoder.encode`` read, on the CPU."""
    return (~memory[2]).sum(1).cpu()
