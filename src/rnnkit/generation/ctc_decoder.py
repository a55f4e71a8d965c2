"""The decoder of CTC: greedy or by beam search, of a whole utterance or of frames as they come.

Legend: T frames, V tokens, blank included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import DataError, check_number, check_whole
from .ctc_beams import BeamCore
from .ctc_best_path import GreedyCore
from .ctc_results import Decoded, DecoderCore, check_blank, read_frames
from .ctc_scoring import make_scorer
from .ctc_text import CtcText, Tokens
from .ngrams import NGramModel

_TRIED = 16  # tokens of a frame that are tried unless another number is given


class CTCDecoder:
    """Turn the frames of a network trained with CTC into text, as they come: `push` them, and `flush` at the end.

    One decoder serves one utterance after the other; what it has of model, word list and hot words is made once. The
    settings are those of `ctc_beam_search`, but for:

    Args:
        width: hypotheses that are followed; None: the most probable path alone, as `ctc_greedy` finds it.
        settle_after: hypotheses that differ from the best in a token that began this number of frames ago are dropped,
            so that the first tokens become stable, and the work of a frame does not grow with the utterance; None: none
            is.

    Raises:
        ConfigError: a setting is outside its range, or needs a tokenizer or a width.
        DataError: no word of a list can be written by the tokens.

    Example:
        >>> import numpy as np
        >>> frames = np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
        >>> decoder = CTCDecoder(tokenizer=["-", "a", "b"], width=4)
        >>> [decoder.push(frame[None]).text for frame in frames]
        ['a', 'a', 'a', 'ab']
        >>> decoder.flush()[0].times
        [(0, 2), (3, 4)]
    """

    def __init__(
        self,
        *,
        width: int | None = 8,
        blank: int = 0,
        tokenizer: Tokens | None = None,
        lm: NGramModel | None = None,
        lm_weight: float = 0.5,
        word_bonus: float = 0.0,
        unknown_penalty: float = 10.0,
        words: Iterable[str] | None = None,
        hot_words: Mapping[str, float] | Iterable[str] = (),
        hot_weight: float = 3.0,
        whole_sentences: bool = True,
        token_margin: float | None = 8.0,
        most_tokens: int | None = _TRIED,
        beam_margin: float | None = 15.0,
        settle_after: int | None = 100,
    ) -> None:
        check_whole(width, "width", optional=True)
        check_whole(most_tokens, "most_tokens", optional=True)
        check_whole(settle_after, "settle_after", optional=True)
        for name, value in (("token_margin", token_margin), ("beam_margin", beam_margin)):
            check_number(value, name, above=0, optional=True)
        self.blank = check_blank(blank)
        self.text = None if tokenizer is None else CtcText(tokenizer, blank)
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
            self._core = GreedyCore(self.blank)
            return
        self._core = BeamCore(
            blank=self.blank,
            width=width,
            margin=token_margin,
            most_tokens=most_tokens,
            beam_margin=beam_margin,
            scorer=scorer,
            separators=() if self.text is None else self.text.separators,
            settle_after=settle_after,
        )

    @property
    def frames(self) -> int:
        """The number of frames since the beginning of the utterance."""
        return self._core.frames

    def push(self, log_probs: Any) -> Decoded:
        """Read the next frames, and return the best hypothesis so far.

        Args:
            log_probs: ln y, [T, V], an array or a tensor; T may be 0.

        Returns:
            What was heard; `stable` and `stable_words` say how much of it will not change. `score` has the expectation
            of a word that is not over.

        Raises:
            ShapeError: another shape.
            DataError: NaN, or what is no logarithm of a probability.
        """
        self._core.push(read_frames(log_probs, None if self.text is None else self.text.size, self.blank))
        return self.partial()

    def partial(self) -> Decoded:
        """Return the best hypothesis so far, as `push` does."""
        return self._core.partial(self.text)

    def flush(self) -> list[Decoded]:
        """End the utterance, and return its hypotheses, the best first. The next frame begins another utterance.

        Hypotheses that the word list does not let end are left out, unless there are no others.
        """
        found = self._core.finished(self.text)
        self._core.restart()
        return found

    def decode(self, log_probs: Any) -> list[Decoded]:
        """Return the hypotheses of a whole utterance, the best first; frames that were pushed before are dropped."""
        self._core.restart()
        self._core.push(read_frames(log_probs, None if self.text is None else self.text.size, self.blank))
        return self.flush()

    def state_dict(self) -> dict[str, Any]:
        """Return JSON values from which a decoder of the same settings continues; they include the tokens so far."""
        return {"kind": self._core.kind, **self._core.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` of a decoder with the same settings returned.

        Raises:
            DataError: the values are none of such a decoder.
        """
        core = self._core
        if not isinstance(state, Mapping) or state.get("kind") != core.kind:
            raise DataError(f"expected the state of a {core.kind} decoder, which its state_dict() returns")
        try:
            core.load_state_dict(state)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            core.restart()
            raise DataError(f"the state of a decoder is damaged ({error!r})") from None


def ctc_beam_search(
    log_probs: Any,
    *,
    width: int = 8,
    blank: int = 0,
    tokenizer: Tokens | None = None,
    lm: NGramModel | None = None,
    lm_weight: float = 0.5,
    word_bonus: float = 0.0,
    unknown_penalty: float = 10.0,
    words: Iterable[str] | None = None,
    hot_words: Mapping[str, float] | Iterable[str] = (),
    hot_weight: float = 3.0,
    whole_sentences: bool = True,
    token_margin: float | None = 8.0,
    most_tokens: int | None = _TRIED,
    beam_margin: float | None = 15.0,
) -> list[Decoded]:
    """Search for the texts that the frames of CTC make most probable, with what is known of the language.

        score(tokens) = ln Σ_π Π_t y_t(π_t) + α ln p_lm(text) + β |words| − u |unknown words| + Σ bonuses of hot words

    The sum is over all paths π that are the tokens with repetitions and blanks: a prefix beam search (Hannun et al.
    2014). Several utterances take one `CTCDecoder`, and its `decode`, in less time.

    Args:
        log_probs: ln y, [T, V], an array or a tensor: `log_softmax` of a network's outputs for one utterance.
        width: hypotheses that are followed, and the most that are returned.
        blank: the id of the blank, which is also the `pad` of a tokenizer of characters, words or subwords.
        tokenizer: what the ids mean; or the list of the V tokens as texts, in which a space, "▁" or "|" is the boundary
            of a word.
        lm: an n-gram model of words, or of characters. In scripts without spaces each character is a word.
        lm_weight: α ≥ 0.
        word_bonus: β, for each word, and with a model for each word of the model (of characters: each character).
        unknown_penalty: u ≥ 0, for each of these that the model lacks. Without it several words that are said as one
            unknown word score better than each by itself.
        words: the only words that there may be.
        hot_words: words or phrases that are preferred: a list, or the bonus of each.
        hot_weight: the bonus of hot words that have none of their own; it is given letter by letter, and taken back
            where the word turns out another.
        whole_sentences: whether the model scores the beginning and the end of a sentence, too.
        token_margin: tokens whose log-probability is that far below the frame's largest are not tried; None: all are.
        most_tokens: tokens that are tried in a frame, the most probable; None: all.
        beam_margin: hypotheses whose score is that far below the best are dropped; None: none is.

    Returns:
        The hypotheses, the best first. Times and confidences are those of the most probable path of each.

    Raises:
        ShapeError: log_probs has another shape.
        DataError: log_probs is NaN, or no logarithm of a probability; no word of a list can be written by the tokens.
        ConfigError: a setting is outside its range, or needs a tokenizer.

    Example:
        >>> import numpy as np
        >>> frames = np.log([[0.4, 0.35, 0.25], [0.4, 0.35, 0.25]])  # the likeliest path is two blanks, p = 0.16
        >>> found = ctc_beam_search(frames, tokenizer=["-", "a", "b"])
        >>> [(one.text, round(2.718281828 ** one.score, 4)) for one in found]
        [('a', 0.4025), ('b', 0.2625), ('', 0.16), ('ab', 0.0875), ('ba', 0.0875)]
        >>> ctc_beam_search(frames, tokenizer=["-", "a", "b"], hot_words=["b"])[0].text
        'b'
    """
    check_whole(width, "width")
    decoder = CTCDecoder(
        width=width,
        blank=blank,
        tokenizer=tokenizer,
        lm=lm,
        lm_weight=lm_weight,
        word_bonus=word_bonus,
        unknown_penalty=unknown_penalty,
        words=words,
        hot_words=hot_words,
        hot_weight=hot_weight,
        whole_sentences=whole_sentences,
        token_margin=token_margin,
        most_tokens=most_tokens,
        beam_margin=beam_margin,
        settle_after=None,
    )
    return decoder.decode(log_probs)
