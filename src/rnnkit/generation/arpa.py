"""ARPA files: n-gram models as text, which SRILM, KenLM and others read and write.

    \\data\\
    ngram 1=4
    ngram 2=3

    \\1-grams:
    -0.5    cat    -0.3        log10 p, the n-gram, log10 of the backoff weight

    \\end\\
"""

from __future__ import annotations

import gzip
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NoReturn

from ..data.text.decoding import decode_file, lines_of
from ..data.text.tokenizer import UNKNOWN, Preparation
from ..errors import DataError, Place
from ..serialization import replacing
from .ngram_texts import BEGIN, END, unit_of
from .ngrams import Level, NGramModel

_LN10 = math.log(10)
_NEVER = -99.0  # what SRILM writes for log10 of 0
_COUNT, _SECTION = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)"), re.compile(r"\\(\d+)-grams:")
_GAPS = re.compile(r"[ \t]+")  # other spaces, such as those of Chinese, may be in words
_SPELLINGS = {"<S>": BEGIN, "</S>": END, "<UNK>": UNKNOWN}


def read_arpa(
    path: str | os.PathLike[str],
    *,
    unit: Literal["auto", "word", "char"] = "auto",
    lowercase: bool = False,
    normalization: Literal["NFC", "NFKC"] | None = "NFC",
    encoding: str | None = None,
) -> NGramModel:
    """Read an n-gram model from an ARPA file, also one that is packed by gzip.

    Logarithms to the base 10 become natural ones. Files of SRILM and KenLM are read: text in front of ``\\data\\``,
    backoff weights that are left out, and pruned n-grams, whose probability is then that by backoff.

    Args:
        path: the file.
        unit: how texts are cut into the model's words, which the file does not say: "word" or "char". "auto" is "char"
            where every word is one character.
        lowercase: whether texts are written in small letters first.
        normalization: the Unicode form in which they are written first.
        encoding: of the file; None: UTF-8.

    Returns:
        The model.

    Raises:
        DataError: the file cannot be read, or a line is not what ARPA files hold; the message names the line.
        ConfigError: a setting has no such value.

    Example:
        >>> import pathlib, tempfile
        >>> from rnnkit.generation import train_ngram, write_arpa
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "cats.arpa.gz"
        >>> _ = write_arpa(train_ngram(["the cat sleeps", "the dog sleeps"], order=2), file)
        >>> read_arpa(file)
        NGramModel(order 2, 7 words, 13 n-grams, word)
    """
    file = Path(path)
    if file.is_dir():
        raise DataError(
            "is a folder; expected an ARPA file", Place(str(path)), f'type NGramModel.open("{path}") if a run wrote it'
        )
    if not file.is_file():
        raise DataError("there is no such file", Place(str(path)))
    prepare = Preparation(normalization, lowercase)
    unit_of((), unit)
    words, levels = _Reader(file, encoding).read()
    return NGramModel(words, levels, unit=unit_of(words, unit), prepare=prepare)


def write_arpa(model: NGramModel, path: str | os.PathLike[str]) -> Path:
    """Write an n-gram model to an ARPA file, whole or not at all.

    Args:
        model: the model.
        path: the file; one whose name ends in ``.gz`` is packed.

    Returns:
        The file.

    Example:
        >>> import pathlib, tempfile
        >>> from rnnkit.generation import train_ngram, write_arpa
        >>> file = write_arpa(train_ngram(["a b", "a c"], order=2), pathlib.Path(tempfile.mkdtemp()) / "small.arpa")
        >>> file.read_text("utf-8").splitlines()[:3]
        ['\\\\data\\\\', 'ngram 1=6', 'ngram 2=5']
    """
    file = Path(path)
    with replacing(file) as temporary:
        if file.suffix.lower() == ".gz":
            with temporary.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                _write(model, lambda text: packed.write(text.encode()))
        else:
            with temporary.open("w", encoding="utf-8", newline="\n") as plain:
                _write(model, plain.write)
    return file


def _write(model: NGramModel, write: Callable[[str], object]) -> None:
    write("\\data\\\n")
    for order, count in enumerate(model.counts(), 1):
        write(f"ngram {order}={count}\n")
    goes_on, node = model.goes_on(), 0
    for order in range(1, model.order + 1):
        write(f"\n\\{order}-grams:\n")
        for words, value, backoff in model.ngrams(order):
            node += 1
            end = f"\t{_shown(backoff)}" if backoff or node in goes_on else ""
            write(f"{_shown(value)}\t{' '.join(words)}{end}\n")
    write("\n\\end\\\n")


def _shown(value: float) -> str:
    return f"{max(value / _LN10, _NEVER):.7g}"


class _Reader:
    """Reads one file. Nodes are numbered as `NGramModel` does it: the n-grams of one order after those before."""

    def __init__(self, file: Path, encoding: str | None) -> None:
        self.place = Place(str(file))
        self.line = 0
        self.lines = self._lines(file, encoding)
        self.ids: dict[str, int] = {}
        self.children: dict[tuple[int, int], int] = {}
        self.nodes = 1

    def read(self) -> tuple[list[str], list[Level]]:
        """Return the words and the n-grams of each order."""
        announced, text = self._counts()
        levels: list[Level] = []
        for order, count in enumerate(announced, 1):
            found = _SECTION.fullmatch(text)
            if found is None or int(found[1]) != order:
                self._fail(f"{text[:60]!r} arrived; expected \\{order}-grams:")
            level, text = self._level(order)
            if len(level.words) != count:
                self._fail(f"\\{order}-grams: holds {len(level.words):,} n-grams; \\data\\ announces {count:,}")
            levels.append(level)
        if text != "\\end\\":
            self._fail(f"{text[:60]!r} arrived; expected \\end\\")
        return list(self.ids), levels

    def _lines(self, file: Path, encoding: str | None) -> Iterator[str]:
        for line, number in lines_of(decode_file(file, encoding), file):
            self.line = number
            if text := line.strip(" \t\n"):
                yield text

    def _next(self, expected: str) -> str:
        found = next(self.lines, None)
        if found is None:
            self._fail(f"the file ends here; expected {expected}")
        return found

    def _fail(self, problem: str) -> NoReturn:
        raise DataError(problem, self.place.at(line=self.line))

    def _counts(self) -> tuple[list[int], str]:
        """Return the announced number of n-grams of each order, and the line behind."""
        while self._next("a line \\data\\, with which ARPA files begin") != "\\data\\":
            pass
        counts: list[int] = []
        while found := _COUNT.fullmatch(text := self._next("ngram 1=…")):
            if int(found[1]) != len(counts) + 1:
                self._fail(f"{text!r} arrived; expected ngram {len(counts) + 1}=…")
            counts.append(int(found[2]))
        if not counts:
            self._fail(f"{text[:60]!r} arrived; expected ngram 1=…, the number of words")
        return counts, text

    def _level(self, order: int) -> tuple[Level, str]:
        """Return the n-grams of a section, and the line behind."""
        parents: list[int] = []
        words: list[int] = []
        values: list[float] = []
        backoffs: list[float] = []
        before: list[str] = []
        parent = 0
        while not (text := self._next("\\end\\")).startswith("\\"):
            fields = _GAPS.split(text)
            if len(fields) not in (order + 1, order + 2):
                self._fail(
                    f"{len(fields)} fields arrived; expected {order + 1} or {order + 2}: log10 p, {order} "
                    f"{'word' if order == 1 else 'words'}, and the backoff weight where there is one"
                )
            value = self._number(fields[0], "log10 p")
            backoff = self._number(fields[-1], "the backoff weight") if len(fields) == order + 2 else 0.0
            if value > 0:
                self._fail(f"log10 p is {value:g}; expected at most 0, as no probability is above 1")
            if fields[1:order] != before:  # files are sorted, mostly
                before = fields[1:order]
                parent = self._parent(before)
            word = self._id(fields[order], order)
            if (parent, word) in self.children:
                self._fail(f"the n-gram {' '.join(fields[1 : order + 1])!r} comes twice")
            self.children[parent, word] = self.nodes
            self.nodes += 1
            parents.append(parent)
            words.append(word)
            values.append(value * _LN10)
            backoffs.append(backoff * _LN10)
        return Level(parents, words, values, backoffs), text

    def _number(self, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self._fail(f"{what} is {text!r}; expected a number")
        if value != value or value == math.inf:
            self._fail(f"{what} is {text!r}; expected a finite number")
        return max(value, _NEVER)

    def _id(self, word: str, order: int) -> int:
        word = _SPELLINGS.get(word, word)
        if order == 1:
            return self.ids.setdefault(word, len(self.ids))
        if word not in self.ids:
            self._fail(f"the word {word!r} is not among the 1-grams")
        return self.ids[word]

    def _parent(self, words: list[str]) -> int:
        node = 0
        for at, word in enumerate(words):
            found = self.children.get((node, self._id(word, 2)))
            if found is None:
                self._fail(
                    f"the n-gram goes on from {' '.join(words[: at + 1])!r}, which is not among the {at + 1}-grams"
                )
            node = found
        return node
