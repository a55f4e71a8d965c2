"""Pairs of texts: from texts to the ids that an encoder–decoder takes, and from its beams back to texts.

Legend: S tokens of a source, T tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError
from .ranges import Count, NotNegative, Settings, WholeNumber

if TYPE_CHECKING:
    from ..data.bucketing import RaggedRows
    from ..data.text.tokenizer import Tokenizer


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


@dataclass(frozen=True)
class Search(Settings):
    """How answers are searched for; see ``rnnkit.generation.beam_search``.

    Attributes:
        width: hypotheses that are followed at a time; 1 takes the most probable token at each step.
        length_penalty: alpha; 0 prefers short answers.
        coverage_penalty: beta; above 0 answers that attend to all of the source win.
        max_tokens: the most tokens of an answer.
        min_tokens: the fewest.
        no_repeat_ngram: no sequence of this number of tokens comes twice in an answer; 0 allows all.
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
        longest: sources are cut to this number of tokens, the end included; None never cuts.
        trained: tokens of the longest source that the model learned from, the end included; None: not known.
    """

    source: Tokenizer
    target: Tokenizer
    copies: bool = False
    longest: int | None = None
    trained: int | None = None

    def learning(self, rows: RaggedRows) -> PairTokenizers:
        """Return these, of a model that learns from rows as `rows` returns them."""
        return replace(self, trained=max(self.trained or 0, int(rows.lengths[0].max())))

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
        return [*ids, end_of(self.source)], words

    def unknown_sentences(self, pairs: Sequence[TextPair]) -> list[str]:
        """Return sentences about what the sources, and the targets, hold and the vocabulary lacks; none for copies."""
        from ..data.text.report import unknown_sentence

        if self.copies:
            return []
        sides = [
            [(pair.source, self.read(pair.source)[0]) for pair in pairs],
            [(text, self.target.encode(text)) for pair in pairs for text in pair.targets],
        ]
        found = [unknown_sentence(*one) for one in zip(sides, (self.source, self.target), strict=True)]
        return list(dict.fromkeys(one for one in found if one is not None))

    def long_sentences(self, texts: Sequence[str]) -> list[str]:
        """Return a sentence about sources that are longer than all that the model learned from, where there are any."""
        from ..data.text.troubles import long_sources

        if self.trained is None:
            return []
        return long_sources([self.trained - 1], [len(self.read(text)[0]) - 1 for text in texts], part="the input")

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
                targets.append([*own, end_of(self.target)])
        return RaggedRows(inputs, targets)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that are stored with a model; `from_dict` reads them."""
        found: dict[str, Any] = {"tokenizer": self.target.to_dict()}
        if self.source is not self.target:
            found["source_tokenizer"] = self.source.to_dict()
        return {**found, "copies": self.copies, "longest_source": self.longest, "trained_source": self.trained}

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
        lengths = (values.get(name) for name in ("longest_source", "trained_source"))
        return PairTokenizers(source, target, bool(values.get("copies")), *lengths)


def end_of(tokenizer: Tokenizer) -> int:
    """Return the id that ends a text; DataError of a tokenizer that has none."""
    if tokenizer.end is None:
        raise DataError(f"{tokenizer!r} has no token that ends a text; expected one: train a tokenizer of rnnkit's")
    return tokenizer.end
