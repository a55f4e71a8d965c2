"""N-gram models of words or characters: probabilities word by word, perplexity, files.

A model is a tree of its n-grams: node 0 is the empty one, and a child of a node is the n-gram with one word more. The
state of a text is the longest n-gram at its end that the model can continue, as a node.

Legend: V words of the vocabulary, n order.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..data.text.texts import TextSource
from ..data.text.tokenizer import AS_IT_IS, NORMALIZATIONS, UNKNOWN, Preparation, check_text
from ..errors import DataError, Place, check_choice, check_path
from ..serialization import read_json, replacing
from .ngram_texts import BEGIN, END, UNITS, sentences_of, split_line

FILE, SETTINGS = "ngram.arpa.gz", "ngram.json"  # what `NGramModel.save` writes
LACKING = -230.25850929940458  # ln p of an unknown word where a model has no <unk>: 100 powers of 10, as in KenLM


class Level(NamedTuple):
    """The n-grams of one order, in the order of their nodes.

    Attributes:
        parents: the node of each n-gram without its last word.
        words: the number of that word.
        log_probabilities: ln p(word | the words before).
        backoffs: ln of the weight of shorter n-grams where a word after this one is not in the model.
    """

    parents: Sequence[int]
    words: Sequence[int]
    log_probabilities: Sequence[float]
    backoffs: Sequence[float]


class TextTotals(NamedTuple):
    """What a model finds in texts.

    Attributes:
        log_probability: Σ ln p, the ends of sentences included.
        words: the words and ends that it is the sum of.
        unknown: words that the model lacks. They count in the others where the model has "<unk>".
        sentences: the number of sentences.

    Example:
        >>> from rnnkit.generation import train_ngram
        >>> train_ngram(["a b", "a c"], order=2).totals(["a d"])[1:]
        (3, 1, 1)
    """

    log_probability: float
    words: int
    unknown: int
    sentences: int


class NGramModel:
    """A model of the next word given the n−1 words before, with backoff (Katz 1987).

        p(w | h) = p*(w | h)               if the model has the n-gram h w
                   b(h) p(w | h′)          else, h′ = h without its first word

    `train_ngram` makes one of texts, `read_arpa` reads one from a file. Probabilities are natural logarithms.

    Args:
        words: those of the vocabulary, [V].
        levels: the n-grams of each order, from 1 to n; those of order 1 in the order of `words`.
        unit: how a text is cut: "word" as by `Tokenizer` of that kind, so that each character of Chinese is a word;
            "char" by characters, with "▁" for spaces, except those beside a character of Chinese and the like.
        prepare: what becomes of a text first.
        notes: what was found in training, a sentence each.

    Attributes:
        order: n.
        words, unit, prepare, notes: as given.
        begin: the state at the beginning of a sentence.
        empty: the state without any word before.

    Example:
        >>> from rnnkit.generation import train_ngram
        >>> model = train_ngram(["the cat sleeps", "the dog sleeps", "the cat runs"], order=2)
        >>> state, log_probability = model.step(model.begin, "the")
        >>> model.step(state, "cat")[1] > model.step(state, "dog")[1] > model.step(state, "sleeps")[1]
        True
        >>> model
        NGramModel(order 2, 8 words, 16 n-grams, word)
    """

    def __init__(
        self,
        words: Sequence[str],
        levels: Sequence[Level],
        *,
        unit: str = "word",
        prepare: Preparation = AS_IT_IS,
        notes: Sequence[str] = (),
    ) -> None:
        check_choice(unit, "unit", UNITS)
        self.words, self.order, self.unit, self.prepare = tuple(words), len(levels), unit, prepare
        self.notes = tuple(notes)
        self._ids = {word: number for number, word in enumerate(self.words)}
        self._unknown = self._ids.get(UNKNOWN)
        self._end = self._ids.get(END)
        self._parents, self._last = [0], [0]
        self._log_probabilities, self._backoffs = [0.0], [0.0]
        self._firsts = [1]  # the first node of each order, and the end
        for level in levels:
            self._parents += level.parents
            self._last += level.words
            self._log_probabilities += level.log_probabilities
            self._backoffs += level.backoffs
            self._firsts.append(len(self._parents))
        size = len(self.words)
        self._children = {
            parent * size + word: node
            for node, (parent, word) in enumerate(zip(self._parents, self._last, strict=True))
            if node
        }
        self._suffixes = self._find_suffixes()
        self._states = self._find_states()
        self._prefixes: dict[bool, dict[str, float]] = {}
        self.empty = 0
        self.begin = self._states[1 + self._ids[BEGIN]] if BEGIN in self._ids else 0

    def _find_suffixes(self) -> list[int]:
        """Return of each n-gram the longest one that it ends with, as a node."""
        size, children, suffixes = len(self.words), self._children, [0] * len(self._parents)
        for node in range(self._firsts[1] if self.order else 1, len(suffixes)):
            word, at = self._last[node], suffixes[self._parents[node]]
            while (found := children.get(at * size + word)) is None:
                at = suffixes[at]
            suffixes[node] = found
        return suffixes

    def _find_states(self) -> list[int]:
        """Return of each n-gram the state after it: the shortest one that predicts the same."""
        states = list(range(len(self._parents)))
        goes_on = set(self._parents)
        for node in range(1, len(states)):
            if node not in goes_on and self._backoffs[node] == 0.0:
                states[node] = states[self._suffixes[node]]
        return states

    def step(self, state: int, word: str) -> tuple[int, float]:
        """Return the state after a word, and ln p(word | state).

        Args:
            state: `begin`, `empty`, or what `step` returned.
            word: one that the model lacks counts as "<unk>"; where the model lacks that too, ln p is −230.3, as in
                KenLM (10 ** −100).

        Raises:
            DataError: the state is none of this model.
        """
        if not isinstance(state, int) or not 0 <= state < len(self._states):
            raise DataError(f"the state {state!r} arrived; expected model.begin, or what model.step returned")
        return self.advance(state, self._ids.get(word, self._unknown))

    def advance(self, state: int, word: int | None) -> tuple[int, float]:
        """As `step`, for the number of a word; None is one that the model has no probability of."""
        if word is None:
            return 0, LACKING
        get, size, total = self._children.get, len(self.words), 0.0
        node = get(state * size + word)
        while node is None:
            total += self._backoffs[state]
            state = self._suffixes[state]
            node = get(state * size + word)
        return self._states[node], total + self._log_probabilities[node]

    def id_of(self, word: str) -> int | None:
        """Return the number of a word; that of "<unk>" for another word, None where the model lacks that too."""
        return self._ids.get(word, self._unknown)

    def end_of(self, state: int) -> float:
        """Return ln p of the end of a sentence; 0 where the model knows no ends."""
        return 0.0 if self._end is None else self.advance(state, self._end)[1]

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def split(self, text: str) -> list[str]:
        """Return the words of one line, as the model counts them.

        Example:
            >>> from rnnkit.generation import train_ngram
            >>> train_ngram(["a cat"], order=2, unit="char").split(" the cat, 你好 吗")
            ['t', 'h', 'e', '▁', 'c', 'a', 't', ',', '你', '好', '吗']
        """
        return split_line(text, self.unit, self.prepare)

    def score(self, words: str | Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Return ln p of a sentence.

        Args:
            words: its words, or its text.
            begin: whether it begins behind "<s>"; False: without any word before.
            end: whether its end counts.

        Raises:
            DataError: no text and no words arrived.
        """
        found = self.split(check_text(words)) if isinstance(words, str) else list(words)
        state, total = self.begin if begin else self.empty, 0.0
        for word in found:
            state, value = self.step(state, word)
            total += value
        return total + (self.end_of(state) if end else 0.0)

    def totals(self, texts: TextSource) -> TextTotals:
        """Return what perplexity is computed of; see `perplexity`."""
        total, count, unknown, sentences = 0.0, 0, 0, 0
        for words in sentences_of(texts, self.unit, self.prepare):
            state = self.begin
            sentences += 1
            for word in words:
                number = self._ids.get(word)
                if number is None or number == self._unknown:
                    unknown += 1
                    number = self._unknown
                state, value = self.advance(state, number)
                if number is not None:
                    total += value
                    count += 1
            if self._end is not None:
                total += self.end_of(state)
                count += 1
        return TextTotals(total, count, unknown, sentences)

    def perplexity(self, texts: TextSource) -> float:
        """Return exp(−Σ ln p / N) of texts, over their N words and ends of sentences.

        A line is a sentence. Unknown words count where the model has "<unk>", else they are left out.

        Args:
            texts: what `read_texts` returns, a path, texts, or lists of words.

        Raises:
            DataError: there is no word.
        """
        found = self.totals(texts)
        if not found.words:
            raise DataError("no word arrived; expected texts to measure a perplexity on")
        return math.exp(min(-found.log_probability / found.words, 700.0))

    def ngrams(self, order: int) -> Iterator[tuple[tuple[str, ...], float, float]]:
        """Yield the n-grams of an order with ln p of their last word and ln of their backoff weight.

        Raises:
            ConfigError: the model has no such order.
        """
        check_choice(order, "order", tuple(range(1, self.order + 1)))
        for node in range(self._firsts[order - 1], self._firsts[order]):
            words, at = [], node
            while at:
                words.append(self.words[self._last[at]])
                at = self._parents[at]
            yield tuple(reversed(words)), self._log_probabilities[node], self._backoffs[node]

    def counts(self) -> tuple[int, ...]:
        """Return the number of n-grams of each order, from 1 to n."""
        return tuple(self._firsts[order + 1] - self._firsts[order] for order in range(self.order))

    def goes_on(self) -> set[int]:
        """Return the nodes that have children."""
        return set(self._parents)

    def prefix_bounds(self, as_bytes: bool) -> dict[str, float]:
        """Return of each beginning of a word the largest ln p of one word alone that begins so.

        Args:
            as_bytes: whether beginnings are of the bytes of UTF-8, each written as the character of that number.
        """
        if as_bytes not in self._prefixes:
            bounds: dict[str, float] = {}
            for number, word in enumerate(self.words):
                value = self._log_probabilities[1 + number]
                spelling = word.encode().decode("latin-1") if as_bytes else word
                for end in range(1, len(spelling) + 1):
                    prefix = spelling[:end]
                    if bounds.get(prefix, -1e300) < value:
                        bounds[prefix] = value
            self._prefixes[as_bytes] = bounds
        return self._prefixes[as_bytes]

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model to a folder: ``ngram.arpa.gz``, and in ``ngram.json`` how texts are cut.

        Returns:
            The ARPA file.
        """
        from .arpa import write_arpa

        check_path(folder, "folder")
        place = Path(folder)
        written = write_arpa(self, place / FILE)
        values = {
            "unit": self.unit,
            "normalization": self.prepare.normalization,
            "lowercase": self.prepare.lowercase,
        }
        with replacing(place / SETTINGS) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        return written

    @staticmethod
    def open(path: str | os.PathLike[str]) -> NGramModel:
        """Return the model of a folder that `save` wrote, such as that of a run, or of an ARPA file.

        Raises:
            DataError: there is no such file, or it is damaged.
        """
        from .arpa import read_arpa

        check_path(path)
        place = Path(path)
        if not place.is_dir():
            return read_arpa(place)
        if not (place / FILE).is_file():
            raise DataError(
                f"the folder holds no {FILE}; expected that of a run of `rnnkit train ngram`", Place(str(path))
            )
        file = place / SETTINGS
        try:
            values = read_json(file.read_text(encoding="utf-8"))
            unit, form, lowercase = values["unit"], values["normalization"], values["lowercase"]
            if unit not in UNITS or form not in NORMALIZATIONS or not isinstance(lowercase, bool):
                raise ValueError(f"unit {unit!r}, normalization {form!r}, lowercase {lowercase!r}")
        except FileNotFoundError:
            return read_arpa(place / FILE)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"does not say how texts are cut ({error!r})", Place(str(file))) from None
        return read_arpa(place / FILE, unit=unit, normalization=form, lowercase=lowercase)

    def __repr__(self) -> str:
        count = len(self._parents) - 1
        return f"NGramModel(order {self.order}, {len(self.words):,} words, {count:,} n-grams, {self.unit})"
