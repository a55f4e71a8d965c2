"""The search of a recogniser of speech, of whole utterances and of streams, as `Decoding` sets it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_decoder import CTCDecoder
    from ..generation.ctc_results import Decoded
    from ..generation.ngrams import NGramModel
    from .speech_settings import Decoding

_WIDTH = 8  # of a beam search with a language model or hot words where no width was set


class Search:
    """Find tokens in what a network puts out.

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

        self.decoding = decoding
        self._settings: dict[str, Any] = {"width": None}
        if not decoding.greedy:
            self._settings = {
                "width": decoding.width if decoding.width > 1 else _WIDTH,
                "tokenizer": tokenizer,
                "lm": None if decoding.lm is None else open_language_model(decoding.lm),
                "lm_weight": decoding.lm_weight,
                "word_bonus": decoding.word_bonus if decoding.lm is not None else 0.0,
                "hot_words": decoding.hot_words,
                "hot_weight": decoding.hot_weight,
            }
        self._decoder = CTCDecoder(**self._settings)

    def __call__(self, log_probs: Tensor) -> Decoded:
        """Return what is found in log-probabilities [T', V]."""
        return self._decoder.decode(log_probs)[0]

    def decoder(self) -> CTCDecoder:
        """Return a decoder for a stream; each stream needs one of its own."""
        from ..generation import CTCDecoder

        return CTCDecoder(**self._settings)


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
