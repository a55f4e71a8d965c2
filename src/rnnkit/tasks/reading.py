"""A trained recogniser of lines: from pictures to text.

    picture → ink of one height → network → tokens, by the search of `CTCDecoding` → words

What is stored with the network makes it whole: the height, the tokenizer and the search. Legend: H rows, W columns, T'
steps of the network, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.line_pictures import Line, columns_of, read_line
from ..data.text.tokenizer import Tokenizer
from ..errors import DataError
from ..layers.modes import mode
from ..serialization import read_config
from .ctc_search import CTCSearch, log_probs_of
from .decoding_settings import CTCDecoding
from .speech_words import Word, words_of

STORED = "reading"  # in the extra of a model's file


class Reading(NamedTuple):
    """What was read in a picture.

    Attributes:
        text: it.
        words: with the columns of the picture where they begin and end.
        confidence: the mean of the words' confidences; 0 where there are none.

    Example:
        >>> Reading("yes", [Word("yes", 5.0, 38.0, 0.9)], 0.9).to_json()["words"]
        [{'word': 'yes', 'start': 5.0, 'end': 38.0, 'confidence': 0.9}]
    """

    text: str
    words: list[Word]
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "words": [word.to_json() for word in self.words],
        }


class Reader:
    """Read lines of text in pictures.

    Args:
        model: a :class:`rnnkit.LineRecognizer`.
        height: H, rows that pictures are scaled to.
        tokenizer: of its tokens, whose first one is the blank.
        decoding: the search; None takes the most probable token at each step.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data import train_tokenizer
        >>> front = rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16)
        >>> model = rnnkit.LineRecognizer(rnnkit.GRU(16, 8), 7, front=front)
        >>> reader = Reader(model, 32, train_tokenizer("char", ["yes"]))
        >>> [reading] = reader([Line(torch.rand(32, 90), 1.0)])
        >>> type(reading).__name__
        'Reading'
    """

    def __init__(self, model: Any, height: int, tokenizer: Tokenizer, decoding: CTCDecoding | None = None) -> None:
        self.model, self.height, self.tokenizer = model, height, tokenizer
        self.decoding = CTCDecoding() if decoding is None else decoding

    def with_decoding(self, **changes: Any) -> Reader:
        """Return the same recogniser with another search; `changes` are fields of `CTCDecoding`."""
        return Reader(self.model, self.height, self.tokenizer, replace(self.decoding, **changes))

    @cached_property
    def search(self) -> CTCSearch:
        """The search of `decoding`; DataError where its language model or list of words is not there."""
        return CTCSearch(self.decoding, self.tokenizer)

    def __call__(self, lines: Sequence[Line], *, batch_size: int = 32) -> list[Reading]:
        """Return what is written in pictures.

        Args:
            lines: of `height` rows; see :func:`rnnkit.data.line_pictures.read_line`.
            batch_size: pictures that are read together; those of similar width go together.
        """
        search = self.search
        found: dict[int, Reading] = {}
        order = np.argsort([line.ink.shape[1] for line in lines], kind="stable").tolist()
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            outputs = self._outputs([lines[row] for row in rows])
            for row, values in zip(rows, outputs, strict=True):
                found[row] = self._reading(search, values, lines[row])
        return [found[row] for row in range(len(lines))]

    def read(self, path: str | PathLike[str]) -> Reading:
        """Return what is written in the picture of a file.

        Raises:
            DataError: there is no such file, or it is no picture.
        """
        return self([read_line(path, self.height)])[0]

    def log_probs(self, line: Line) -> Tensor:
        """Return log p of each token at each step of the network, [T', V], of one picture."""
        [values] = self._outputs([line])
        return values

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        decoding = {one.name: getattr(self.decoding, one.name) for one in fields(CTCDecoding)}
        return {STORED: {"height": self.height, "decoding": decoding}, "tokenizer": self.tokenizer.to_dict()}

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> Reader:
        """Return the recogniser of a network and what `to_extra` stored.

        Raises:
            DataError: the model reads no lines.
        """
        if STORED not in extra:
            raise DataError("the model reads no lines of text; expected one of a run of `rnnkit train read`")
        stored = extra[STORED]
        known = {one.name for one in fields(CTCDecoding)}
        values = {name: value for name, value in stored["decoding"].items() if name in known}
        values["hot_words"] = tuple(values.get("hot_words", ()))
        return Reader(model, int(stored["height"]), Tokenizer.from_dict(extra["tokenizer"]), CTCDecoding(**values))

    @torch.inference_mode()
    def _outputs(self, lines: Sequence[Line]) -> list[Tensor]:
        """Return the log-probabilities of each picture."""
        for number, line in enumerate(lines):
            if line.ink.dim() != 2 or line.ink.shape[0] != self.height:
                raise DataError(
                    f"picture {number} has shape {list(line.ink.shape)}; expected [{self.height}, columns]: type "
                    f"read_line(path, {self.height})"
                )
        pictures, widths = columns_of([line.ink for line in lines])
        device = next(self.model.parameters()).device
        with mode(self.model, training=False):
            logits, steps = self.model(pictures.transpose(1, 2).to(device), widths)
        values = log_probs_of(logits)
        return [one[:length] for one, length in zip(values, steps.tolist(), strict=True)]

    def _reading(self, search: CTCSearch, values: Tensor, line: Line) -> Reading:
        decoded = search(values)
        columns = self.model.stride * line.scale  # of the file's picture, for a step
        end = line.ink.shape[1] * line.scale
        words = words_of(decoded.tokens, decoded.times, decoded.confidences, self.tokenizer, columns)
        words = [word._replace(start=min(word.start, end), end=min(word.end, end)) for word in words]
        confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
        return Reading(self.tokenizer.decode(decoded.tokens).strip(), words, confidence)

    def __repr__(self) -> str:
        return f"Reader({self.model!r}, {self.height}, {self.tokenizer!r})"


def load_reader(path: str | PathLike[str], *, device: str = "auto") -> Reader:
    """Return the recogniser of a run folder.

    Args:
        path: the folder of a run of reading.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it reads no lines.

    Example:
        >>> reader = load_reader("runs/read-1")                               # doctest: +SKIP
        >>> reader.read("line.png").text                                      # doctest: +SKIP
        'Total 12.50'
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} reads no lines of text; expected a run of `rnnkit train read`")
    return Reader.from_extra(load(path).to(find_device(device)), extra)
