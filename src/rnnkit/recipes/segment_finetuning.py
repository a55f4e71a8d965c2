"""What a network that names pixels learns when it is fine-tuned: other pictures, or new classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.heads import grow_linear_head
from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.picture_data import readable
from rnnkit.recipes.prepared_training import Judged
from rnnkit.recipes.recognition_finetuning import MixedItems, RecognitionJob, job_parts
from rnnkit.recipes.segment import PreparedSegmentation, Segment, batches_of
from rnnkit.recipes.segment_data import in_names_of, items_of
from rnnkit.recipes.segment_network import learner_of

if TYPE_CHECKING:
    from rnnkit.data.images import Sample
    from rnnkit.data.images.picture_files import Mode
    from rnnkit.recipes.segment_data import PixelItems

_UNLIKELY = 5.0  # of a logit
DEFAULTS = FineTune(epochs=20, batch_size=4, lr=5e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)


@dataclass(frozen=True)
class SegmentJob(RecognitionJob):
    """A network that names pixels with pictures to learn, read and checked."""

    noun: ClassVar[str] = "segmenter"
    kept: ClassVar[str] = "classes"
    rates: ClassVar[tuple[str, ...]] = ("mean_iou", "foreground_iou")

    def mix(self, new: PixelItems, old: PixelItems | None, replay: float) -> MixedPictures:
        """Return new pictures with some of the old ones."""
        return MixedPictures(new, old, replay)

    def batches(self, items: Any, settings: FineTune, *, shuffle: bool) -> Any:
        """Return batches, changed at random where they are shuffled."""
        seed = settings.seed if shuffle else None
        return batches_of(items, self.recognizer, self.recipe, settings.batch_size, seed)

    def first(self, items: PixelItems, count: int) -> PixelItems:
        """Return the first pictures."""
        return items.subset(range(count))

    def judge(self, items: PixelItems) -> Judged:
        """Find what is in pictures, and compare with what is there."""
        from rnnkit.recipes.segment_results import judge

        return judge(self.recognizer, items, baselines=False)


@dataclass(frozen=True)
class InstancesJob(SegmentJob):
    """A network that separates things, with pictures to learn, read and checked."""

    rates: ClassVar[tuple[str, ...]] = ("bowl_ap50", "bowl_map", "mean_iou")

    def settle(self) -> None:
        """Choose how things are grown, on the new pictures to learn."""
        from rnnkit.recipes.instances_choice import choose_growing

        self.recognizer.growing = choose_growing(self.recognizer, self.parts.new)
        self.learner.extra = self.recognizer.to_extra()


class MixedPictures(MixedItems):
    """New pictures with some of the old ones; see :class:`MixedItems`."""

    def redraw(self, seed: int, epoch: int = 0) -> None:
        """Draw other old ones."""
        import numpy as np

        count = 0 if self.old is None else len(self.old)
        self._rows = np.random.default_rng(seed).permutation(count)[: self.count]

    @property
    def source(self) -> str:
        """Where the new pictures came from."""
        return str(self.new.source)

    def sample(self, index: int, mode: Mode) -> Sample:
        """Return a picture with what is true of it."""
        items, row = self.place(index)
        found: Sample = items.sample(row, mode)
        return found


def make_job(recipe: Segment, folder: Path, data: DataRequest, settings: FineTune) -> SegmentJob:
    """Return the folder's network with pictures to learn, whose classes it gets where it lacks them.

    Raises:
        DataError: no pictures with masks, or old ones that are wanted and are gone.
    """
    from rnnkit.tasks.segmentation import Segmenter, load_segmenter

    loaded = load_segmenter(folder, device="cpu", decoding=recipe.decode)
    pictures = recipe.data.read(data.without_encoding(), new=True)
    pictures, told = recipe.usable(in_names_of(pictures, loaded.classes))
    pictures, damaged = readable(pictures, loaded.reading.longest, loaded.reading.mode)
    told = [*pictures.findings, *told, *damaged]
    classes = (*loaded.classes, *(name for name in pictures.classes if name not in loaded.classes))
    more = classes[len(loaded.classes) :]
    if more:
        import torch

        try:
            grow_linear_head(loaded.model, len(classes) + 1, torch.Generator().manual_seed(0))
            with torch.no_grad():  # so that at first no pixel is named so
                loaded.model.head.bias[-len(more) :] -= _UNLIKELY
        except ConfigError as error:
            raise DataError(f"{folder} cannot learn new classes ({', '.join(more[:5])}): {error}") from error
        told.append(f"New classes ({len(more)}): {', '.join(more[:8])}{' …' if len(more) > 8 else ''}.")
    segmenter = Segmenter(loaded.model, classes, loaded.reading, loaded.growing, recipe.decode)
    new = items_of(pictures, classes)

    def read() -> PreparedSegmentation:
        from dataclasses import replace

        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedSegmentation)

        def known(items: PixelItems | None) -> PixelItems | None:
            return None if items is None else items_of(items.pictures, classes)

        tests = {name: items_of(one.pictures, classes) for name, one in prepared.tests.items()}
        return replace(prepared, train=known(prepared.train), validation=known(prepared.validation), tests=tests)

    old_from = f"pictures of {recipe.data.path or 'the first training'}"
    parts = job_parts(folder, settings, new, new.subset, read, old_from)
    learner = learner_of(segmenter.model, recipe.fit, settings.device)
    learner.extra = segmenter.to_extra()
    kind = SegmentJob if segmenter.growing is None else InstancesJob
    return kind(recipe, learner, segmenter, parts, folder, told)
