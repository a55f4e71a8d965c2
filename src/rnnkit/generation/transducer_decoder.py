"""The decoder of a transducer: greedy or by beam search, of whole sequences or of frames as they come.

Legend: B batch, T frames of the input, T' of the encoder, F its features, V vocabulary with the blank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ..errors import DataError, ShapeError, check_number, check_whole
from ..layers._checks import Lengths
from ..layers.modes import mode
from ..layers.quantized_dense import weight_like
from .ctc_results import Decoded, DecoderCore
from .ctc_scoring import make_scorer
from .ctc_text import CtcText, Tokens
from .ngrams import NGramModel
from .transducer_beams import TransducerBeam
from .transducer_best_path import TransducerGreedy

Tensor = torch.Tensor
MAX_SYMBOLS = 10
"""Labels that decoding may find at one frame."""


class TransducerDecoder:
    """Turn the output of a transducer's encoder into labels as it arrives: `push` frames, and `flush` at the end.

        score(labels) = ln Σ_a P(a | frames) + α ln p_lm(text) + β |words| − u |unknown words| + Σ bonuses of hot words

    The sum is over the alignments a of the labels that the search followed. Texts are scored label by label, as of
    :func:`rnnkit.generation.ctc_beam_search`, which explains the settings of the language. The labels do not depend on
    how the frames are divided among the calls. The frames are those of the encoder, so that any encoder that continues
    from a state can be used. Dropout is off. There are no gradients.

    Args:
        model: a :class:`rnnkit.TransducerModel`.
        width: label sequences that are followed; None: the most probable token at each node is taken.
        tokenizer: what the labels mean, or their texts as a list; needed where texts are scored.
        lm: an n-gram model of words, or of characters.
        lm_weight, word_bonus, unknown_penalty: α, β and u.
        words: the only words that there may be.
        hot_words: words or phrases that are preferred: a list, or the bonus of each.
        hot_weight: the bonus of hot words that have none of their own.
        whole_sentences: whether the model scores the beginning and the end of a sentence, too.
        max_symbols: labels that may be found at one frame; then the blank is taken.
        token_margin: labels whose log-probability is that far below the largest are not tried; None: all are.
        most_tokens: labels that are tried after a hypothesis where texts are scored, the most probable; None: all.
        settle_after: hypotheses that differ from the best in a label that was found this number of frames ago are
            dropped, so that the first labels become stable; None: none is.

    Raises:
        ConfigError: a setting is outside its range, or needs a tokenizer or a width.
        DataError: no word of a list can be written by the tokens.

    Example:
        >>> import torch, rnnkit
        >>> encoder = rnnkit.GRU(4, 8, batch_first=True)
        >>> model = rnnkit.TransducerModel(encoder, rnnkit.GRU(6, 8), joiner_size=8, vocabulary=5)
        >>> x, decoder = torch.randn(1, 9, 4), TransducerDecoder(model, width=3)
        >>> y, state = encoder(x[:, :5])
        >>> partial = decoder.push(y[0])
        >>> y, state = encoder(x[:, 5:], state)
        >>> found = decoder.push(y[0])
        >>> found.tokens[: partial.stable] == partial.tokens[: partial.stable]
        True
        >>> decoder.flush()[0].tokens == found.tokens == transducer_beam_search(model, x, width=3)[0][0].tokens
        True
    """

    def __init__(
        self,
        model: Any,
        *,
        width: int | None = 4,
        tokenizer: Tokens | None = None,
        lm: NGramModel | None = None,
        lm_weight: float = 0.5,
        word_bonus: float = 0.0,
        unknown_penalty: float = 10.0,
        words: Iterable[str] | None = None,
        hot_words: Mapping[str, float] | Iterable[str] = (),
        hot_weight: float = 3.0,
        whole_sentences: bool = True,
        max_symbols: int = MAX_SYMBOLS,
        token_margin: float | None = 12.0,
        most_tokens: int | None = 16,
        settle_after: int | None = 100,
    ) -> None:
        check_whole(width, "width", optional=True)
        check_whole(max_symbols, "max_symbols")
        check_whole(most_tokens, "most_tokens", optional=True)
        check_whole(settle_after, "settle_after", optional=True)
        check_number(token_margin, "token_margin", above=0, optional=True)
        self._model = model
        self.text = None if tokenizer is None else CtcText(tokenizer, model.blank)
        scorer = make_scorer(
            self.text,
            searches=width is not None,
            lm=lm,
            lm_weight=lm_weight,
            word_bonus=word_bonus,
            unknown_penalty=unknown_penalty,
            words=words,
            hot_words=hot_words,
            hot_weight=hot_weight,
            whole_sentences=whole_sentences,
        )
        self._core: DecoderCore
        if width is None:
            self._core = TransducerGreedy(model, 1, max_symbols)
            return
        self._core = TransducerBeam(
            model,
            width=width,
            max_symbols=max_symbols,
            margin=token_margin,
            most_tokens=most_tokens,
            scorer=scorer,
            settle_after=settle_after,
        )

    def __repr__(self) -> str:
        return f"TransducerDecoder({self._model!r}), after {self.frames} frames"

    @property
    def frames(self) -> int:
        """Encoder frames that were read since the beginning or the last `flush`."""
        return self._core.frames

    def push(self, encoded: Tensor) -> Decoded:
        """Read the next frames, and return the best labels so far.

        Args:
            encoded: [T', F], any number of frames, of the model's device and dtype.

        Returns:
            What was found; `stable` and `stable_words` say how much of it will not change.

        Raises:
            ShapeError: encoded has other axes, or another dtype.
        """
        features = self._model.from_encoder.in_features
        if encoded.dim() != 2 or encoded.shape[1] != features:
            hint = ": push each row to a decoder of its own, encoded[0]" if encoded.dim() == 3 else ""
            raise ShapeError.of("encoded", tuple(encoded.shape), f"; expected [frames, {features}]{hint}")
        dtype = weight_like(self._model.from_encoder).dtype
        if encoded.dtype != dtype:
            raise ShapeError(f"encoded is {encoded.dtype}; expected {dtype}: encoded.to({dtype})")
        with torch.no_grad(), mode(self._model, training=False):
            self._core.push(encoded[None])
        return self.partial()

    def partial(self) -> Decoded:
        """Return the best labels so far, as `push` does."""
        return self._core.partial(self.text)

    def flush(self) -> list[Decoded]:
        """End the sequence, and return what was found, the best first. The next frame begins another sequence.

        Labels that the word list does not let end are left out, unless there are no others.
        """
        found = self._core.finished(self.text)
        self._core.restart()
        return found

    def decode(self, encoded: Tensor) -> list[Decoded]:
        """Return what is found in a whole sequence [T', F], the best first; frames pushed before are dropped."""
        self._core.restart()
        self.push(encoded)
        return self.flush()

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left, for another decoder of the same model and settings."""
        return {"kind": self._core.kind, **self._core.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            DataError: it is not the state of such a decoder.
        """
        try:
            if state["kind"] != self._core.kind:
                raise ValueError(f"of a {state['kind']} decoder, for a {self._core.kind} one")
            self._core.load_state_dict(state)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DataError(f"this is not the state of such a transducer's decoder ({error!r})") from error


def transducer_greedy(
    model: Any,
    x: Tensor,
    lengths: Lengths | None = None,
    *,
    tokenizer: Tokens | None = None,
    max_symbols: int = MAX_SYMBOLS,
) -> list[Decoded]:
    """Return for each row the labels of the alignment that takes the most probable token at each node.

    Args:
        model: a :class:`rnnkit.TransducerModel`.
        x, lengths: as for its call.
        tokenizer: what the labels mean, for `text` and `words`.
        max_symbols: labels that may be found at one frame; then the blank is taken.

    Raises:
        ConfigError: max_symbols below 1.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.TransducerModel(rnnkit.GRU(3, 8), rnnkit.GRU(4, 8), joiner_size=8, vocabulary=5)
        >>> [one] = transducer_greedy(model, torch.randn(1, 9, 3))
        >>> len(one.tokens) == len(one.times) == len(one.confidences)
        True
    """
    check_whole(max_symbols, "max_symbols")
    text = None if tokenizer is None else CtcText(tokenizer, model.blank)
    with torch.no_grad(), mode(model, training=False):
        encoded, ends = model.encode(x, lengths)
        core = TransducerGreedy(model, len(encoded), max_symbols)
        core.push(encoded, ends)
    return core.finished(text)


def transducer_beam_search(
    model: Any, x: Tensor, lengths: Lengths | None = None, *, width: int = 4, **settings: Any
) -> list[list[Decoded]]:
    """Return for each row the best label sequences that a beam search finds, the best first.

    Args:
        model: a :class:`rnnkit.TransducerModel`.
        x, lengths: as for its call.
        width: label sequences that are kept.
        settings: of :class:`TransducerDecoder`: a tokenizer, a language model, words, and what is not tried. Nothing is
            dropped because it is old, unless `settle_after` is given.

    Raises:
        ConfigError: a setting is outside its range, or needs a tokenizer.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.TransducerModel(rnnkit.GRU(3, 8), rnnkit.GRU(4, 8), joiner_size=8, vocabulary=4)
        >>> tokens = ["-", "a", "b", " "]
        >>> [found] = transducer_beam_search(model, torch.randn(1, 9, 3), width=8, tokenizer=tokens, words=["ab", "b"])
        >>> all(word in ("ab", "b") for one in found for word in one.text.split())
        True
    """
    check_whole(width, "width")
    decoder = TransducerDecoder(model, width=width, **{"settle_after": None, **settings})
    with torch.no_grad(), mode(model, training=False):
        encoded, ends = model.encode(x, lengths)
    return [decoder.decode(row[:end]) for row, end in zip(encoded, ends.tolist(), strict=True)]
