"""The search of a recogniser of speech, of whole utterances and of streams, as `Decoding` sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ctc_search import CTCSearch, log_probs_of
from .speech_transducer import TransducerSearch

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.text.tokenizer import Tokenizer
    from .speech_settings import Decoding


class Search(CTCSearch):
    """Find tokens in what a network puts out.

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

    def log_probs(self, model: Any, values: Tensor) -> Tensor:
        """Return log p of each token at each step, [T', V], of what `whole` returned for an utterance."""
        return values


def search_of(model: Any, decoding: Decoding, tokenizer: Tokenizer) -> Search | TransducerSearch:
    """Return the search that a network asks for.

    Raises:
        DataError: the language model is not there, or is none. ConfigError: a transducer has none.
    """
    from ..models.transducer import TransducerModel

    return (
        TransducerSearch(model, decoding, tokenizer)
        if isinstance(model, TransducerModel)
        else Search(decoding, tokenizer)
    )
