"""What a recogniser of lines has to learn when it is fine-tuned: another print or hand, or new characters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.finetuning.heads import grow_linear_head
from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.prepared_training import Judged
from rnnkit.recipes.read import PreparedReading, Read
from rnnkit.recipes.read_data import hold_lines, without_narrow
from rnnkit.recipes.read_network import learner_of
from rnnkit.recipes.recognition import learn_new_tokens
from rnnkit.recipes.recognition_finetuning import MixedItems, RecognitionJob, job_parts

if TYPE_CHECKING:
    from rnnkit.tasks.reading_batches import HeldLines, LineBatches, Lines

DEFAULTS = FineTune(epochs=20, batch_size=8, lr=5e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)


@dataclass(frozen=True)
class ReadJob(RecognitionJob):
    """A recogniser of lines with pictures to learn, read and checked."""

    rates = ("exact_match", "cer")

    def mix(self, new: Lines, old: Lines | None, replay: float) -> MixedLines:
        """Return new pictures with some of the old ones."""
        return MixedLines(new, old, replay)

    def batches(self, items: Lines, settings: FineTune, *, shuffle: bool) -> LineBatches:
        """Return batches, changed at random where they are shuffled."""
        from dataclasses import asdict

        from rnnkit.data.line_pictures import LineAugment
        from rnnkit.tasks.reading_batches import LineBatches

        augment = LineAugment(**asdict(self.recipe.augment)) if shuffle else None
        tokenizer = self.recognizer.tokenizer
        return LineBatches(items, tokenizer, settings.batch_size, augment=augment, shuffle=shuffle, seed=settings.seed)

    def first(self, items: Lines, count: int) -> HeldLines:
        """Return the first pictures."""
        from rnnkit.tasks.reading_batches import HeldLines

        return HeldLines([items.picture(row) for row in range(count)], list(items.texts[:count]))

    def judge(self, items: Lines) -> Judged:
        """Read pictures, and compare with what is written in them."""
        from rnnkit.recipes.read_results import judge

        return judge(self.recognizer, items)


class MixedLines(MixedItems):
    """New pictures with some of the old ones; see :class:`MixedItems`."""

    def redraw(self, seed: int, epoch: int) -> None:
        """Draw other old ones."""
        super().redraw(seed, epoch)
        self.widths = self.joined("widths")

    @property
    def height(self) -> int:
        """Rows of each picture."""
        return int(self.new.height)

    def picture(self, index: int) -> Any:
        """Return a picture [H, W]."""
        items, row = self.place(index)
        return items.picture(row)


def make_job(recipe: Read, folder: Path, data: DataRequest, settings: FineTune) -> ReadJob:
    """Return the folder's recogniser with pictures to learn, whose characters it gets where it lacks them.

    Raises:
        DataError: no pictures with texts, or old ones that are wanted and are gone.
    """
    from rnnkit.tasks.reading import Reader, load_reader

    reader = load_reader(folder, device="cpu")
    pictures = recipe.data.read(data.without_encoding(), new=True)
    written = hold_lines(pictures, recipe.data, reader.height)
    tokenizer, sentence = learn_new_tokens(
        reader.model, reader.tokenizer, written.lines.texts, folder, grow_linear_head
    )
    written = without_narrow(written, tokenizer, reader.model.stride)
    told = [*pictures.findings, *written.findings, *([sentence] if sentence else [])]
    reader = Reader(reader.model, reader.height, tokenizer, reader.decoding)

    def read() -> PreparedReading:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedReading)
        return prepared

    old_from = f"pictures of {recipe.data.path or 'the first training'}"
    parts = job_parts(folder, settings, written.lines, written.lines.subset, read, old_from)
    learner = learner_of(reader.model, recipe.fit, settings.device)
    learner.extra = reader.to_extra()
    return ReadJob(recipe, learner, reader, parts, folder, told)
