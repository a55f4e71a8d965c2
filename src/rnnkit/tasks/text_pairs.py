"""Pairs of texts: from texts to the ids that an encoder–decoder takes, and from its beams back to texts.

Legend: S tokens of a source, T tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError
from .ranges import Count, NotNegative, Settings, WholeNumber

if TYPE_CHECKING:
    import torch

    from ..data.bucketing import RaggedRows
    from ..data.text.tokenizer import Tokenizer

_ROWS = 64  # sources that are answered together


class TextPair(NamedTuple):
    """A source and its right answers, each of which is trained on.

    Attributes:
        source: the text.
        targets: one or several right answers.
        sentences: those of the source, where the data has them apart.
    """

    source: str
    targets: tuple[str, ...]
    sentences: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What a model answers to a source.

    Attributes:
        text: the answer.
        score: of the beam search; the higher the surer.
        source_tokens, tokens: as they are written, the end's among them.
        attention: the weights over the source [tokens, source tokens]; None where they were not asked for.
    """

    text: str
    score: float
    source_tokens: list[str]
    tokens: list[str]
    attention: torch.Tensor | None = None


@dataclass(frozen=True)
class Search(Settings):
    """How answers are searched for; see ``rnnkit.generation.beam_search``.

    Attributes:
        width: hypotheses that are followed at a time; 1 takes the likeliest token at each step.
        length_penalty: alpha; 0 prefers short answers.
        coverage_penalty: beta; above 0 answers that attend to all of the source win.
        max_tokens: the most tokens of an answer.
        min_tokens: the fewest.
        no_repeat_ngram: no sequence of so many tokens comes twice in an answer; 0 allows all.
    """

    group_name = "search"

    width: Count = 5
    length_penalty: NotNegative = 1.0
    coverage_penalty: NotNegative = 0.0
    max_tokens: Count = 100
    min_tokens: WholeNumber = 0
    no_repeat_ngram: WholeNumber = 0


@dataclass(frozen=True)
class PairTokenizers:
    """The vocabularies of both sides, and how texts become ids.

    A source ends with the end token. With `copies` words that the vocabulary lacks have ids of their own in each
    source (:mod:`rnnkit.data.text.copied`).

    Attributes:
        source, target: the tokenizers; the same one where the sides share a vocabulary.
        copies: whether words are copied.
        longest: sources are cut to so many tokens, the end included; None never cuts.
    """

    source: Tokenizer
    target: Tokenizer
    copies: bool = False
    longest: int | None = None

    def read(self, text: str) -> tuple[list[int], list[str]]:
        """Return the ids of a source, and its words that the vocabulary lacks where words are copied."""
        from ..data.text.copied import number_source

        words: list[str] = []
        if self.copies:
            ids, words = number_source(self.source, text)
        else:
            ids = self.source.encode(text)
        if self.longest is not None and len(ids) >= self.longest:
            ids = ids[: self.longest - 1]
            words = words[: max(0, max(ids, default=0) + 1 - len(self.source))]
        return [*ids, _end(self.source)], words

    def rows(self, pairs: Iterable[TextPair]) -> RaggedRows:
        """Return the ids of pairs, a row for each right answer."""
        from ..data.bucketing import RaggedRows
        from ..data.text.copied import number_target

        inputs, targets = [], []
        for pair in pairs:
            ids, words = self.read(pair.source)
            for text in pair.targets:
                own = number_target(self.target, text, words) if self.copies else self.target.encode(text)
                inputs.append(ids)
                targets.append([*own, _end(self.target)])
        return RaggedRows(inputs, targets)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that are stored with a model; `from_dict` reads them."""
        found: dict[str, Any] = {"tokenizer": self.target.to_dict()}
        if self.source is not self.target:
            found["source_tokenizer"] = self.source.to_dict()
        return {**found, "copies": self.copies, "longest_source": self.longest}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> PairTokenizers:
        """Return what `to_dict` described.

        Raises:
            DataError: the values are those of another model.
        """
        from ..data.text.tokenizer import Tokenizer

        if "tokenizer" not in values:
            raise DataError("the model holds no tokenizer; expected one that `rnnkit train translate` made")
        target = Tokenizer.from_dict(values["tokenizer"])
        source = Tokenizer.from_dict(values["source_tokenizer"]) if "source_tokenizer" in values else target
        return PairTokenizers(source, target, bool(values.get("copies")), values.get("longest_source"))


class PairModel:
    """A trained encoder–decoder with its tokenizers, which answers to texts.

    Args:
        model: the network.
        tokenizers: of both sides.
        search: how answers are searched for.
    """

    def __init__(self, model: torch.nn.Module, tokenizers: PairTokenizers, search: Search) -> None:
        self.model, self.tokenizers, self.search = model, tokenizers, search

    @staticmethod
    def load(folder: Path, search: Search, device: str = "auto") -> PairModel:
        """Return the model of a run folder."""
        from ..models.loading import load
        from ..serialization import read_config
        from ..training.execution import find_device

        tokenizers = PairTokenizers.from_dict(read_config(folder)["extra"])
        return PairModel(load(folder).to(find_device(device)), tokenizers, search)

    def answer(
        self, texts: Sequence[str], search: Search | None = None, *, attention: bool = False, progress: str = ""
    ) -> list[Answer]:
        """Return the best answer to each text.

        Args:
            texts: the sources.
            search: None: the model's own.
            attention: whether the answers have their attention.
            progress: what is shown while it lasts; "" shows nothing.

        Raises:
            DataError: a text is empty.
        """
        for number, text in enumerate(texts):
            if not text.strip():
                raise DataError(f"text {number + 1} of {len(texts)} is empty; expected a text: leave it out")
        read = [self.tokenizers.read(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda row: len(read[row][0]))
        batches = [order[begin : begin + _ROWS] for begin in range(0, len(order), _ROWS)]
        found: dict[int, Answer] = {}
        for rows in _shown(batches, progress):
            answers = self._answer([read[row] for row in rows], search or self.search, attention)
            found.update(zip(rows, answers, strict=True))
        return [found[row] for row in range(len(texts))]

    def _answer(self, read: list[tuple[list[int], list[str]]], search: Search, attention: bool) -> list[Answer]:
        import torch

        from ..data.text.copied import decode_copied, written
        from ..generation import beam_search, encoded
        from ..types import pad_rows

        model: Any = self.model
        device = next(model.parameters()).device
        x, lengths = pad_rows([torch.tensor(ids) for ids, _ in read])
        source, target = self.tokenizers.source, self.tokenizers.target
        never = {one for one in (target.pad, target.beginning, target.unknown) if one is not None}
        best = beam_search(
            encoded(model, x.to(device), lengths),
            [model.start],
            end=_end(target),
            width=search.width,
            max_tokens=search.max_tokens,
            min_tokens=min(search.min_tokens, search.max_tokens - 1),
            length_penalty=search.length_penalty,
            coverage_penalty=search.coverage_penalty,
            no_repeat_ngram=search.no_repeat_ngram,
            forbidden_ids=sorted(never),
            return_attention=attention,
        )
        answers = []
        for (ids, words), (one, *_) in zip(read, best, strict=True):
            made = [*one.ids, _end(target)] if one.ended else one.ids
            weights = None if one.attention is None else one.attention[:, : len(ids)].cpu()
            text = decode_copied(target, one.ids, words)
            answers.append(Answer(text, one.score, written(source, ids, words), written(target, made, words), weights))
        return answers


def _end(tokenizer: Tokenizer) -> int:
    if tokenizer.end is None:
        raise DataError(f"{tokenizer!r} has no token that ends a text; expected one: train a tokenizer of rnnkit's")
    return tokenizer.end


def _shown(batches: list[list[int]], what: str) -> Iterable[list[int]]:
    """The batches, with a bar on a terminal while they are worked on."""
    if not what or len(batches) < 2:
        return batches
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, what, console=console, transient=True, disable=not console.is_terminal)
