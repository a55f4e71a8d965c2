"""The search of a recogniser of speech, of whole utterances and of streams, as `Decoding` sets it.

Legend: B batch, T frames, M features, T' steps of the network, V tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .ctc_search import CTCSearch, log_probs_of

if TYPE_CHECKING:
    from torch import Tensor

    from ..generation.ctc_results import Decoded
    from .speech_settings import Decoding


class StepSearch:
    """A search that reads an utterance step by step, so that it can continue in a stream.

    `whole`, `chunk` and `finish` call the network for what the search reads; `decoder` makes what reads it.
    """

    def read(self, model: Any, frames: Tensor, lengths: Tensor) -> list[Decoded]:
        """Return what is found in utterances [B, T, M] with so many frames each [B]."""
        values, steps = self.whole(model, frames, lengths)
        return [self(one[:length]) for one, length in zip(values, steps.tolist(), strict=True)]

    def __call__(self, values: Tensor) -> Decoded:
        """Return what is found in what `whole` returned for an utterance, [T', ...]."""
        raise NotImplementedError

    def whole(self, model: Any, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the search reads of utterances [B, T, M], [B, T', ...], and its lengths [B]."""
        raise NotImplementedError

    def chunk(self, model: Any, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return what the search reads of the next frames [1, T, M], [T', ...], and a state."""
        raise NotImplementedError

    def finish(self, model: Any, state: Any) -> Tensor:
        """Return what the search reads at the end of an utterance, [T', ...]."""
        raise NotImplementedError

    def decoder(self) -> Any:
        """Return a decoder for a stream; each stream needs its own."""
        raise NotImplementedError

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token at each step, [T', V], of an utterance [1, T, M]."""
        raise NotImplementedError


class Search(CTCSearch, StepSearch):
    """Find tokens in the scores of a network that was trained by CTC.

    Args:
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        DataError: the language model or the list of words is not there, or is none.
    """

    def whole(self, model: Any, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the search reads of utterances [B, T, M]: log-probabilities [B, T', V], and their lengths."""
        logits, steps = model(frames, lengths=lengths)
        return log_probs_of(logits), steps

    def chunk(self, model: Any, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return what the search reads of the next frames [1, T, M]: log-probabilities [T', V], and a state."""
        logits, state = model.forward_chunk(frames, state)
        return log_probs_of(logits[0]), state

    def finish(self, model: Any, state: Any) -> Tensor:
        """Return what the search reads at the end of an utterance: log-probabilities [T', V]."""
        return log_probs_of(model.finish(state)[0])

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token at each step, [T', V], of an utterance [1, T, M]."""
        values, steps = self.whole(model, frames, lengths)
        return values[0, : int(steps[0])]


def refuse_language(decoding: Decoding, head: str) -> None:
    """Raise ConfigError where a language model, a list of words or hot words arrived for a search that scores no texts.

    Args:
        decoding: the settings.
        head: the name of the search's head.
    """
    given = (("lm", decoding.lm), ("words", decoding.words), ("hot_words", ",".join(decoding.hot_words)))
    for name, value in given:
        if value:
            raise ConfigError(
                f"decode.{name}={value} arrived; the search of model.head={head} takes none: leave it out, or train "
                "with model.head=ctc or model.head=transducer"
            )
