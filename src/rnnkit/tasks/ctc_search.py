"""The search for tokens in the output of a network that was trained by CTC, with the settings of `CTCDecoding`.

Legend: T' steps, V tokens with the blank.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError, check_path

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_decoder import CTCDecoder
    from ..generation.ctc_results import Decoded
    from ..generation.ngrams import NGramModel
    from .decoding_settings import CTCDecoding

_WIDTH = 8  # of a beam search with a language model, a list of words or hot words where no width was set


class CTCSearch:
    """Find tokens in log-probabilities.

    Args:
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        DataError: the language model or the list of words is not there, or is none.

    Example:
        >>> import torch
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.tasks.decoding_settings import CTCDecoding
        >>> search = CTCSearch(CTCDecoding(), train_tokenizer("word", ["yes no"]))
        >>> log_probs = torch.tensor([[9.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 9.0, 0]]).log_softmax(-1)
        >>> search(log_probs).tokens
        [4]
    """

    def __init__(self, decoding: CTCDecoding, tokenizer: Tokenizer) -> None:
        from ..generation import CTCDecoder

        self.decoding, self._settings = decoding, decoder_settings(decoding, tokenizer)
        self._decoder = CTCDecoder(**self._settings)

    def __call__(self, log_probs: Tensor) -> Decoded:
        """Return what is found in log-probabilities [T', V]."""
        return self._decoder.decode(log_probs)[0]

    def decoder(self) -> CTCDecoder:
        """Return a decoder for a stream; each stream needs its own."""
        from ..generation import CTCDecoder

        return CTCDecoder(**self._settings)


def decoder_settings(decoding: CTCDecoding, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the settings that the decoders of CTC and of transducers share.

    Args:
        decoding: how tokens are found.
        tokenizer: of the tokens.

    Raises:
        DataError: the language model or the list of words is not there, or is none.
        ConfigError: one of them is no path.
    """
    if decoding.greedy:
        return {"width": None, "tokenizer": tokenizer}
    for name, file in (("lm", decoding.lm), ("words", decoding.words)):
        if file is not None and not isinstance(file, str | PathLike):
            what = "save the model, and name the folder" if name == "lm" else "write the words into a file, one a line"
            raise ConfigError(f"decode.{name} is a {type(file).__name__}; expected the path of a file: {what}")
    return {
        "width": decoding.width if decoding.width > 1 else _WIDTH,
        "tokenizer": tokenizer,
        "lm": None if decoding.lm is None else open_language_model(decoding.lm),
        "lm_weight": decoding.lm_weight,
        "word_bonus": decoding.word_bonus if decoding.lm is not None else 0.0,
        "words": None if decoding.words is None else read_words(decoding.words),
        "hot_words": decoding.hot_words,
        "hot_weight": decoding.hot_weight,
    }


def log_probs_of(logits: Tensor) -> Tensor:
    """Return the log-probabilities of logits, float32 on the CPU."""
    return logits.float().log_softmax(-1).cpu()


def open_language_model(path: str) -> NGramModel:
    """Return the language model of an ARPA file, or of a run of `rnnkit train ngram`.

    Raises:
        DataError: there is none.
    """
    from ..generation.ngrams import FILE, NGramModel

    check_path(path, "decode.lm")
    place = Path(path)
    found = sorted(place.glob("*.arpa*")) if place.is_dir() else [place]
    if not found:
        raise DataError(f"{path} holds no language model; expected an ARPA file, or a run of `rnnkit train ngram`")
    # The folder of a run says how texts are cut, and whether in small letters.
    return NGramModel.open(place if (place / FILE).is_file() else found[0])


def read_words(path: str) -> list[str]:
    """Return the words of a file of plain text, one a line; empty lines are none.

    Raises:
        DataError: there is no such file, or no word in it.
    """
    from ..data.text.decoding import decode_file

    check_path(path, "decode.words")
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path} is no file; expected a list of words, one a line: --set decode.words=words.txt")
    words = [line.strip() for line in "".join(decode_file(file, None)).splitlines()]
    if not any(words):
        raise DataError(f"{path} holds no word; expected one a line")
    return [word for word in words if word]
