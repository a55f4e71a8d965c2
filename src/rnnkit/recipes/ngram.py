"""An n-gram model of words or characters, for the search of a recogniser, and as what a network has to beat.

    text → words → counts of runs of 1 to n words → interpolated Kneser–Ney → ngram.arpa.gz

``ngram()`` counts words; each character of Chinese is a word. Without data it reads the help topics that every Python
brings along. A line is a sentence.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from rnnkit import runs
from rnnkit.errors import ConfigError
from rnnkit.recipes.base import PreparedRun, Recipe
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.text_source import TextSource
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, Range, Settings

if TYPE_CHECKING:
    from rnnkit.data.text.parts import TextParts
    from rnnkit.data.text.texts import Texts
    from rnnkit.generation import NGramModel

UNKNOWN_MANY = 0.05  # a share of unknown words from which on the report advises more text
MOST_COMPARED = 5_000_000  # n-grams of a model beyond which lower orders are not compared


@dataclass(frozen=True)
class Sentences(TextSource):
    """The texts, and how they are divided. A line is a sentence, and of .txt files each line is a text, too."""

    def texts(self) -> Texts:
        """Return all texts."""
        return super(Sentences, self._by_lines()).texts()

    def read(self, path: Path, encoding: str | None = None) -> Texts:
        """Return the texts of another file, read as these are as far as its format allows."""
        return super(Sentences, replace(self, unit=self.unit or "line")).read(path, encoding)

    def _by_lines(self) -> Sentences:
        from rnnkit.data.data_folder import find_data
        from rnnkit.data.text.files import find_files

        if self.path is None or self.unit is not None or find_files(find_data(self.path), self.format)[1] != "txt":
            return self
        return replace(self, unit="line")


@dataclass(frozen=True)
class Model(Settings):
    """The model.

    Attributes:
        order: the most words of a run that is counted; the model predicts a word by order - 1 words before.
    """

    group_name: ClassVar[str] = "model"

    order: Count = 3


@dataclass(frozen=True)
class Words(Settings):
    """The words that are counted; see :func:`rnnkit.generation.train_ngram`.

    Attributes:
        tokens: words (Chinese by characters), or characters.
        size: the largest number of words; none: all.
        minimum_count: words that come less often are unknown.
        lowercase: whether texts are written in small letters first.
        normalization: the Unicode form in which texts are written first.
    """

    group_name: ClassVar[str] = "vocabulary"

    tokens: Literal["word", "char"] = "word"
    size: Annotated[int, Range(least=4, whole=True)] | None = None
    minimum_count: Count = 1
    lowercase: bool = False
    normalization: Literal["NFC", "NFKC"] | None = "NFC"


@dataclass(frozen=True)
class Ngram(Recipe):
    """The whole run; ``rnnkit train ngram FILE --order 3 --set GROUP.FIELD=VALUE`` changes a field."""

    data_setting: ClassVar[str | None] = "data.path"
    reads_text: ClassVar[bool] = True
    model_file: ClassVar[str] = "ngram.arpa.gz"

    model: Model = Model()
    data: Sentences = field(default_factory=Sentences)
    vocabulary: Words = field(default_factory=Words)

    def prepare(self) -> PreparedRun:
        """Read and divide the texts.

        Raises:
            ConfigError, DataError: settings or texts that cannot be used.
        """
        self.data.check_use(self.data.open_shards())
        return PreparedNgram(self, self.data.parts())

    def run(self, folder: Path) -> runs.Metrics | None:
        """Count, measure, and write all of it into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return loss, perplexity and bits of the folder's model on its test text, or on another text."""
        from rnnkit.generation import NGramModel
        from rnnkit.tasks.ngrams import measure_ngram

        if data is None:
            parts = self.data.parts()
            texts = parts.test or parts.validation
            data_digests.check(folder, {self.data.named(): parts.train.fingerprint()}, "name a text: --data FILE")
            if texts is None:
                raise ConfigError(f"{folder} held no text back (data.test=0); name a text to measure: --data FILE")
            return measure_ngram(NGramModel.open(folder), texts)
        with self.data.wording(new=True):
            return measure_ngram(NGramModel.open(folder), self.data.read(data.path, data.encoding))

    def count_rows(self, count: int) -> str:
        """Return a number of sentences in words."""
        return f"{count:,} {'sentence' if count == 1 else 'sentences'}"


def ngram() -> Ngram:
    """Count runs of up to three words in texts of any language: a small, fast language model for a recogniser."""
    return Ngram()


@dataclass(frozen=True)
class PreparedNgram(PreparedRun):
    """A run whose texts were read and divided."""

    recipe: Ngram
    parts: TextParts

    def digests(self) -> dict[str, str]:
        """Return a digest of the training text by its name."""
        return {self.recipe.data.named(): self.parts.train.fingerprint()}

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on another text."""
        data_digests.check(folder, self.digests(), "train into a new folder")

    def run(self, folder: Path) -> runs.Metrics:
        """Count, measure and write; see `Ngram.run`."""
        from rnnkit.recipes.text_page import Sample, write_text_page
        from rnnkit.tasks.ngrams import measure_ngram, surprises

        begun, recipe = time.perf_counter(), self.recipe
        data_digests.record(folder, self.digests())
        model = self.train(recipe.model.order)
        seconds = time.perf_counter() - begun
        model.save(folder)
        texts = self.parts.named()
        held = {name: part for name, part in texts.items() if name != "train"}
        counts = ", ".join(f"{count:,} of order {order}" for order, count in enumerate(model.counts(), 1))
        metrics: runs.Metrics = {
            "split": self.parts.division,
            "chosen_on": "nothing was chosen",
            "seconds": seconds,
            "rows": {name: model.totals(part).sentences for name, part in held.items()},
            "summary": [f"n-grams: {counts}."],
            "troubles": list(model.notes),
            "stopped": "finished",
        }
        if "validation" in held:
            metrics["validation"] = measure_ngram(model, held["validation"])
        if "test" in held:
            metrics["test"] = measure_ngram(model, held["test"])
        judged = next(iter(held), None)
        if judged is not None:
            found = metrics["validation"] if judged == "validation" else metrics["test"]
            self._tell(metrics, model, judged, found)
        runs.write_json(folder / runs.METRICS, metrics)
        worst = [] if judged is None else surprises(model, held[judged])
        write_text_page(
            folder,
            title=f"An n-gram model of {recipe.data.named()}",
            lead=f"{model!r}. Text is divided {self.parts.division}. {' '.join(metrics['summary'])}",
            troubles=metrics["troubles"],
            worst=[Sample("", "", one.text, one.loss) for one in worst],
            quality="loss in nats a word",
            figures={name: metrics.get(name) for name in held},
        )
        return metrics

    def train(self, order: int) -> NGramModel:
        """Return the model of an order."""
        from rnnkit.generation import train_ngram

        chosen = self.recipe.vocabulary
        with self.recipe.data.wording():
            return train_ngram(
                self.parts.train,
                order,
                unit=chosen.tokens,
                size=chosen.size,
                minimum_count=chosen.minimum_count,
                lowercase=chosen.lowercase,
                normalization=chosen.normalization,
            )

    def _tell(self, metrics: runs.Metrics, model: NGramModel, part: str, found: dict[str, float]) -> None:
        """Add what the figures show: unknown words, and orders that are as good."""
        share = found["unknown"]
        if share >= UNKNOWN_MANY:
            metrics["troubles"].append(
                f"{share:.1%} of the words of {part} are unknown: add texts, or count characters "
                "(--set vocabulary.tokens=char)."
            )
        order, held = self.recipe.model.order, self.parts.named()[part]
        if sum(model.counts()) > MOST_COMPARED or order == 1:
            return
        by_order = {lower: self.train(lower).perplexity(held) for lower in range(1, order)}
        by_order[order] = found["perplexity"]
        shown = ", ".join(f"{one}: {value:,.4g}" for one, value in by_order.items())
        metrics["summary"].append(f"Perplexity of {part} by order: {shown}.")
        best = min(by_order, key=lambda one: by_order[one])
        if best < order:
            metrics["troubles"].append(
                f"Order {best} has a lower perplexity on {part} than order {order} ({by_order[best]:,.4g} and "
                f"{by_order[order]:,.4g}): train with --order {best}, or add texts."
            )
