"""Lines of text in pictures: a network reads a picture of a line from left to right and writes what is in it.

    picture → ink on paper, scaled to a height → convolutions → LSTM(128) both ways → characters, by CTC

Shi et al. 2015 ("An end-to-end trainable neural network for image-based sequence recognition"). The network is trained
by connectionist temporal classification, which needs no places of characters. Pictures of unequal widths go together
by width. They are moved, scaled, slanted and given noise again in each epoch. The epoch with the lowest character error
rate of the validation part is kept. The test part chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import divide_pictures
from rnnkit.recipes.picture_run import PictureRecipe
from rnnkit.recipes.prepared_training import Judged, Training
from rnnkit.recipes.read_data import LineData, ReadData, equal_lines, hold_lines, with_texts, without_narrow
from rnnkit.recipes.read_network import build, learner_of
from rnnkit.recipes.recognition import (
    PreparedRecognition,
    confusions_of,
    draw_confusions,
    unknown_tokens,
)
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.decoding_settings import CTCDecoding
from rnnkit.tasks.ranges import Seed
from rnnkit.tasks.reading_settings import LineAugmentation, ReaderFit, ReaderNetwork

if TYPE_CHECKING:
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.reading import Reader
    from rnnkit.tasks.reading_batches import HeldLines

_INSPECTED = 64  # pictures that a network is measured on


@dataclass(frozen=True)
class Read(PictureRecipe):
    """The whole run; ``rnnkit train read FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and changes of the pictures, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Reading"

    model: ReaderNetwork = field(default_factory=ReaderNetwork)
    augment: LineAugmentation = field(default_factory=LineAugmentation)
    fit: ReaderFit = field(default_factory=ReaderFit)
    decode: CTCDecoding = field(default_factory=CTCDecoding)
    data: LineData = field(default_factory=ReadData)
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pictures, and write nothing."""
        from rnnkit.data import train_tokenizer
        from rnnkit.tasks.ctc_search import CTCSearch

        data = self.data
        assert isinstance(data, ReadData)
        parts = divide_pictures(data, "read", lambda pictures: with_texts(pictures, data))
        train = hold_lines(parts.train, data, self.model.height, part="train")
        tokenizer = train_tokenizer("char", train.lines.texts)
        train = without_narrow(train, tokenizer, self.model.stride)
        findings = [*parts.findings, *train.findings]
        held: dict[str, HeldLines] = {}
        parts_read = {"train": train}
        for name, pictures in (("validation", parts.validation), ("test", parts.test)):
            if pictures is not None:
                written = hold_lines(pictures, data, self.model.height, part=name)
                findings += written.findings + unknown_tokens(written.lines.texts, tokenizer, name)
                held[name], parts_read[name] = written.lines, written
        findings += equal_lines(parts_read)
        CTCSearch(self.decode, tokenizer)  # an invalid language model is reported before a run folder is made
        tests = {"test": held["test"]} if "test" in held else {}
        return PreparedReading(
            findings,
            parts.division,
            parts.digests,
            self,
            train=train.lines,
            validation=held.get("validation"),
            tests=tests,
            tokenizer=tokenizer,
        )

    def reader(self, folder: Path) -> Reader:
        """Return the folder's recogniser of lines.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.reading import load_reader

        decoding = {one.name: getattr(self.decode, one.name) for one in fields(self.decode)}
        reader = load_reader(folder, device=self.device).with_decoding(**decoding)
        assert reader.search  # a missing language model is reported before a picture is read
        return reader

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return exact match and error rates of the folder's model on its test part, or on other pictures.

        The confusions are drawn into the run folder: ``confusions.png``, ``confusions-NAME.png`` of other pictures.
        """
        from rnnkit.recipes.read_results import judge

        reader = self.reader(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedReading)
            prepared.check_data(folder)
            judged = prepared.judge_held(folder, reader)
            draw_confusions(confusions_of(judged), folder / "confusions.png", prepared.order)
            return prepared.figures(judged)
        path = data.without_encoding()
        pictures = self.data.read(path, new=True)
        written = hold_lines(pictures, self.data, reader.height)
        warn_of(pictures, written.findings)
        found = judge(reader, written.lines)
        draw_confusions(found.scores.confusions, folder / f"confusions-{path.stem}.png")
        return found.figures

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's reader on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedReading)
        return prepared.validated(folder, self.reader(folder))

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to what is written in it."""
        reader = self.reader(folder)

        def answer(data: DataRequest) -> Columns:
            found = reader.read(data.without_encoding())
            return {"prediction": [found.text], "confidence": [found.confidence]}

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a picture's file to what is written in it; it draws that, and writes it as JSON."""
        from rnnkit.recipes.read_results import write_reading

        reader = self.reader(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            found = reader.read(path)
            write_reading(found, path, out)
            return {"prediction": [found.text], "confidence": [found.confidence]}

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and pictures to measure it on: those of the test part, or of a path."""
        from rnnkit.data.line_pictures import columns_of
        from rnnkit.types import Sequences

        reader = self.reader(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedReading)
            lines = prepared.inspected()
        else:
            lines = hold_lines(self.data.read(data.without_encoding(), new=True), self.data, reader.height).lines
        pictures, widths = columns_of([lines.picture(row) for row in range(min(len(lines), _INSPECTED))])
        return InspectionData(reader.model, Sequences(pictures.transpose(1, 2).contiguous(), widths), None, None)

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, as JSON values."""
        return {
            "image": {
                "values": "ink 1 on paper 0: paper is what the border mostly shows, dark or light",
                "size": "scaled to `height` rows; the width follows",
                "steps": "the columns from the left, `height` numbers each from the top",
            }
        }

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with new pictures to learn; characters that it lacks get outputs."""
        from rnnkit.recipes.read_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.read_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedReading(PreparedRecognition):
    """A run whose pictures were read and divided."""

    nouns: ClassVar[str] = "pictures"
    order: ClassVar[tuple[str, ...]] = ()  # of characters in pictures of confusions

    def training(self) -> Training:
        """Return learner and reader with fresh weights, the batches to train on, and those that choose."""
        from dataclasses import asdict

        import torch

        from rnnkit.data.line_pictures import LineAugment
        from rnnkit.tasks.reading import Reader
        from rnnkit.tasks.reading_batches import LineBatches

        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, len(self.tokenizer))
        learner = learner_of(model, recipe.fit, recipe.device)
        reader = Reader(model, recipe.model.height, self.tokenizer, recipe.decode)
        learner.extra = reader.to_extra()
        size = recipe.fit.batch_size or 16
        batches = LineBatches(
            self.train,
            self.tokenizer,
            size,
            augment=LineAugment(**asdict(recipe.augment)),
            curriculum=recipe.fit.curriculum,
            plain=recipe.fit.plain,
            seed=recipe.seed,
        )
        validation = None
        if self.validation is not None:
            validation = LineBatches(self.validation, self.tokenizer, size, shuffle=False)
        return Training(learner, reader, batches, validation)

    def judge_items(self, predictor: Reader, items: Any) -> Judged:
        """Read pictures, and compare with their texts."""
        from rnnkit.recipes.read_results import judge

        return judge(predictor, items)

    def measured(self, predictor: Reader) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that exact match and character error rate choose, of the most probable token at each step."""
        greedy = predictor.with_decoding(**predictor.decoding.made_greedy())

        def measure(model: Any) -> dict[str, float]:
            figures = self.judge_items(greedy, self.validation).figures
            return {name: figures[name] for name in ("exact_match", "cer")}

        return {"exact_match": True, "cer": False}, measure

    def write_results(
        self, folder: Path, predictor: Reader, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Write predictions, confusions and the page of the run."""
        from rnnkit.recipes.read_results import write_results

        write_results(folder, self.recipe.title, predictor, judged, history, metrics, self.order)


def read() -> Read:
    """Learn to read lines of text in pictures (data.path, with their texts): convolutions, LSTM(128) both ways, CTC."""
    return Read()
