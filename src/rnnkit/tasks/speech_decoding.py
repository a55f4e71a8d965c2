"""The search of a recogniser of speech, of whole utterances and of streams, as `Decoding` sets it.

Legend: B batch, T frames, M features, T' steps of the network, V tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_decoder import CTCDecoder
    from ..generation.ctc_results import Decoded
    from ..generation.ngrams import NGramModel
    from .speech_settings import Decoding

_WIDTH = 8  # of a beam search with a language model or hot words where no width was set


class StepSearch:
    """A search that reads an utterance step by step, so that it can go on in a stream.

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
        """Return a decoder for a stream; each stream needs one of its own."""
        raise NotImplementedError

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token at each step, [T', V], of an utterance [1, T, M]."""
        raise NotImplementedError


class Search(StepSearch):
    """Find tokens in the scores of a network that was trained by CTC.

    Args:
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        DataError: the language model is not there, or is none.

    Example:
        >>> import torch
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.tasks.speech_settings import Decoding
        >>> search = Search(Decoding(), train_tokenizer("word", ["yes no"]))
        >>> log_probs = torch.tensor([[9.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 9.0, 0]]).log_softmax(-1)
        >>> search(log_probs).tokens
        [4]
    """

    def __init__(self, decoding: Decoding, tokenizer: Tokenizer) -> None:
        from ..generation import CTCDecoder

        self._settings = decoder_settings(decoding, tokenizer)
        self._decoder = CTCDecoder(**self._settings)

    def __call__(self, log_probs: Tensor) -> Decoded:
        """Return what is found in log-probabilities [T', V]."""
        return self._decoder.decode(log_probs)[0]

    def whole(self, model: Any, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the search reads of utterances [B, T, M]: log-probabilities [B, T', V], and their lengths."""
        logits, steps = model(frames, lengths=lengths)
        return _log_probs(logits), steps

    def chunk(self, model: Any, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return what the search reads of the next frames [1, T, M]: log-probabilities [T', V], and a state."""
        logits, state = model.forward_chunk(frames, state)
        return _log_probs(logits[0]), state

    def finish(self, model: Any, state: Any) -> Tensor:
        """Return what the search reads at the end of an utterance: log-probabilities [T', V]."""
        return _log_probs(model.finish(state)[0])

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token at each step, [T', V], of an utterance [1, T, M]."""
        values, steps = self.whole(model, frames, lengths)
        return values[0, : int(steps[0])]

    def decoder(self) -> CTCDecoder:
        """Return a decoder for a stream; each stream needs one of its own."""
        from ..generation import CTCDecoder

        return CTCDecoder(**self._settings)


def decoder_settings(decoding: Decoding, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the settings that the decoders of CTC and of transducers share.

    Args:
        decoding: how tokens are found.
        tokenizer: of the tokens.

    Raises:
        DataError: the language model is not there, or is none.
    """
    if decoding.greedy:
        return {"width": None, "tokenizer": tokenizer}
    return {
        "width": decoding.width if decoding.width > 1 else _WIDTH,
        "tokenizer": tokenizer,
        "lm": None if decoding.lm is None else open_language_model(decoding.lm),
        "lm_weight": decoding.lm_weight,
        "word_bonus": decoding.word_bonus if decoding.lm is not None else 0.0,
        "hot_words": decoding.hot_words,
        "hot_weight": decoding.hot_weight,
    }


def refuse_language(decoding: Decoding, head: str) -> None:
    """Raise ConfigError where a language model or hot words arrived for a search that scores no texts.

    Args:
        decoding: the settings.
        head: the name of the search's head.
    """
    for name, value in (("lm", decoding.lm), ("hot_words", ",".join(decoding.hot_words))):
        if value:
            raise ConfigError(
                f"decode.{name}={value} arrived; the search of model.head={head} takes none: leave it out, or train "
                "with model.head=ctc or model.head=transducer"
            )


def _log_probs(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).cpu()


def open_language_model(path: str) -> NGramModel:
    """Return the language model of an ARPA file, or of a run of `rnnkit train ngram`.

    Raises:
        DataError: there is none.
    """
    from ..generation import read_arpa

    place = Path(path)
    if place.is_dir():
        found = sorted(place.glob("*.arpa*"))
        if not found:
            raise DataError(f"{path} holds no language model; expected an ARPA file, or a run of `rnnkit train ngram`")
        place = found[0]
    return read_arpa(place)
