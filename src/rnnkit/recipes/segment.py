"""Pixels of pictures: a network names the class of each one, such as leaf, road or wound.

    picture → convolutions down → ReNet at the coarsest map → convolutions up → a class for each pixel

A U-shaped network (Ronneberger et al. 2015) with a recurrence that has read the whole picture at its coarsest map, as
in ReSeg (Visin et al. 2016). It learns from pictures with masks next to them, or from outlines of COCO. In each epoch,
parts of pictures are cut out, turned, scaled and recoloured, and their masks with them. Whole pictures are answered,
large ones in overlapping tiles. The epoch with the highest intersection over union (IoU) of the validation part is
kept. The test part chooses nothing. Otsu's threshold, which learns nothing, is measured for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import UNTAUGHT, divide_pictures, readable
from rnnkit.recipes.picture_run import PictureRecipe
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.recipes.segment_data import PixelItems, SegmentData, check_classes, in_names_of, items_of, with_masks
from rnnkit.recipes.segment_network import build, learner_of
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.ranges import Seed
from rnnkit.tasks.segmentation_settings import SegmentAugmentation, SegmenterDecoding, SegmenterFit, SegmenterNetwork

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.recipes.picture_data import PictureParts
    from rnnkit.tasks.segmentation import PictureReading, Segmenter

_INSPECTED = 4  # pictures that a network is measured on


@dataclass(frozen=True)
class Segment(PictureRecipe):
    """The whole run; ``rnnkit train segment FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and changes of the pictures, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Segmentation"
    command: ClassVar[str] = "segment"
    shapes: ClassVar[int] = 0  # of things, which the network learns besides the classes

    model: SegmenterNetwork = field(default_factory=SegmenterNetwork)
    augment: SegmentAugmentation = field(default_factory=SegmentAugmentation)
    fit: SegmenterFit = field(default_factory=SegmenterFit)
    decode: SegmenterDecoding = field(default_factory=SegmenterDecoding)
    data: SegmentData = field(default_factory=SegmentData)
    seed: Seed = 0
    device: str = "auto"

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the pictures in a folder, without the masks next to them."""
        from rnnkit.data.images.mask_folders import is_mask

        files = super().files_in(folder) or []
        return [file for file in files if not is_mask(file, folder)] or files

    def divide(self) -> PictureParts:
        """Read and divide the pictures."""
        return divide_pictures(self.data, self.command, self.usable)

    def usable(self, pictures: PictureSet) -> tuple[PictureSet, list[str]]:
        """Return the pictures that the run can learn from, and sentences about the others."""
        return with_masks(pictures, things=bool(self.shapes))

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pictures, and write nothing."""
        from rnnkit.data.images import picture_findings

        parts = self.divide()
        classes = check_classes(parts.train)
        findings, read, mode = list(parts.findings), {}, self.reading().mode
        for name, part in parts.named().items():
            read[name], told = readable(part, self.model.longest, mode, part=name)
            findings += told
        doubtful = picture_findings(*read.values(), most=500, mode=mode)
        findings += [one for one in doubtful if one not in findings]
        items = {name: items_of(pictures, classes, UNTAUGHT) for name, pictures in read.items()}
        return self.prepared_class()(
            findings,
            parts.division,
            parts.digests,
            self,
            train=items["train"],
            validation=items.get("validation"),
            tests={"test": items["test"]} if "test" in items else {},
        )

    def prepared_class(self) -> type[PreparedSegmentation]:
        """Return the class of the prepared run."""
        return PreparedSegmentation

    def reading(self) -> PictureReading:
        """Return how pictures come to the network."""
        from rnnkit.tasks.segmentation import PictureReading

        model = self.model
        return PictureReading(model.longest, model.colour == "gray", model.contrast == "picture")

    def segmenter(self, folder: Path) -> Segmenter:
        """Return what the folder's run learned.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.segmentation import load_segmenter

        return load_segmenter(folder, device=self.device, decoding=self.decode)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return IoU, Dice and more of the folder's model on its test part, or on other pictures with masks."""
        from rnnkit.recipes.segment_results import judge

        segmenter = self.segmenter(folder)
        if data is not None:
            return judge(segmenter, self.other_items(segmenter, data)).figures
        prepared = self.prepare()
        assert isinstance(prepared, PreparedSegmentation)
        prepared.check_data(folder)
        return prepared.figures(prepared.judge_held(folder, segmenter))

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's segmenter on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedSegmentation)
        return prepared.validated(folder, self.segmenter(folder))

    def other_items(self, segmenter: Segmenter, data: DataRequest) -> PixelItems:
        """Return the pictures of a path with what is true of them."""
        pictures, told = self.usable(self.data.read(data.without_encoding(), new=True))
        reading = segmenter.reading
        pictures, damaged = readable(in_names_of(pictures, segmenter.classes), reading.longest, reading.mode)
        warn_of(pictures, [*told, *damaged])
        return items_of(pictures, segmenter.classes)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to what is in it."""
        from rnnkit.recipes.segment_results import answer_of

        segmenter = self.segmenter(folder)

        def answer(data: DataRequest) -> Columns:
            return answer_of(segmenter.read(data.without_encoding()), segmenter)

        return answer

    def table_predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to a table: a row a thing, or a row a class that it shows."""
        from rnnkit.recipes.segment_results import table_of

        segmenter = self.segmenter(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            table = table_of(segmenter.read(path), segmenter)
            return {"file": [str(path)] * len(table["prediction"]), **table}

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a picture's file to what is in it; it writes a mask and JSON, and draws it."""
        from rnnkit.recipes.segment_results import answer_of, write_found

        segmenter = self.segmenter(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            found = segmenter.read(path)
            write_found(found, segmenter, path, out)
            return answer_of(found, segmenter)

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the network, and parts of pictures to measure it on: of the test part, or of a path."""
        from rnnkit.recipes.segment_inspection import looked_into

        segmenter = self.segmenter(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedSegmentation)
            items = prepared.inspected()
        else:
            items = self.other_items(segmenter, data)
        return looked_into(segmenter, items.subset(range(min(len(items), _INSPECTED))))

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, and what the outputs are, as JSON values."""
        image = {
            "values": "the bytes of the picture divided by 255; one channel where `gray` is true, else RGB",
            "size": "pictures whose longer side has more than `longest` pixels are scaled down to it",
        }
        if self.model.contrast == "picture":
            image["contrast"] = (
                "each picture's values are scaled so that its 1% and its 99.8% quantile become 0 and 1, and cut there"
            )
        return {"image": image, "outputs": "class 0 is the background, class n the n-th name of classes"}

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with new pictures to learn; classes that it lacks get outputs."""
        from rnnkit.recipes.segment_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.segment_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedSegmentation(PreparedTraining):
    """A run whose pictures were read and divided."""

    nouns: ClassVar[str] = "pictures"
    figure_names: ClassVar[Mapping[str, str]] = {"mean_iou": "mean IoU", "loss": "loss"}

    def training(self) -> Training:
        """Return learner and segmenter with fresh weights, the batches to train on, and those that choose."""
        import torch

        from rnnkit.tasks.segmentation import Segmenter

        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, len(self.train.classes) + 1, shapes=recipe.shapes, device=recipe.device)
        learner = learner_of(model, recipe.fit, recipe.device)
        segmenter = Segmenter(model, self.train.classes, recipe.reading(), self.growing(), recipe.decode)
        learner.extra = segmenter.to_extra()
        parts = self.train.subset([*range(len(self.train))] * recipe.fit.repeats)
        batches = batches_of(parts, segmenter, recipe, recipe.fit.batch_size or 4, recipe.seed)
        validation = None
        if self.validation is not None:
            validation = batches_of(self.validation, segmenter, recipe, recipe.fit.batch_size or 4, None)
        return Training(learner, segmenter, batches, validation)

    def growing(self) -> Any:
        """Return how things are grown before that is chosen; None: pixels are named alone."""
        return None

    def judge_items(self, predictor: Segmenter, items: Any) -> Judged:
        """Find what is in pictures, and compare with what is there."""
        from rnnkit.recipes.segment_results import judge

        return judge(predictor, items)

    def measured(self, predictor: Segmenter) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that the mean IoU chooses, of whole pictures."""
        from rnnkit.recipes.segment_results import judge

        names = [name for name in self.figure_names if name != "loss"]

        def measure(model: Any) -> dict[str, float]:
            figures = judge(predictor, self.validation, baselines=False).figures
            return {name: figures.get(name, 0.0) for name in names}

        return dict.fromkeys(names, True), measure

    def write_results(
        self, folder: Path, predictor: Segmenter, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Write tables of pictures and classes, and the page of the run."""
        from rnnkit.recipes.segment_page import write_segment_page
        from rnnkit.recipes.segment_results import write_tables

        write_tables(folder, judged)
        write_segment_page(folder, self.recipe.title, predictor, judged, history, metrics)


def batches_of(items: Any, segmenter: Segmenter, recipe: Segment, batch_size: int, seed: int | None) -> Any:
    """Return batches of parts of pictures, changed at random where they have a seed.

    Args:
        items: the pictures, such as `PixelItems`.
        segmenter: defines how they are prepared for the network.
        recipe: of the run.
        batch_size: B.
        seed: of order and changes; None: the middle of each picture, in order.
    """
    from rnnkit.data.images import PictureAugment
    from rnnkit.tasks.segmentation_batches import PixelBatches

    return PixelBatches(
        items,
        batch_size,
        recipe.fit.crop,
        mode=segmenter.reading.mode,
        shapes=bool(segmenter.model.shapes),
        augment=None if seed is None else PictureAugment(**recipe.augment.arguments(), fill=0.0),
        contrast=segmenter.reading.contrast,
        shuffle=seed is not None,
        seed=seed or 0,
    )


def segment() -> Segment:
    """Learn to name the pixels of pictures (data.path, with masks): convolutions, ReNet, classes; IoU, Dice, Otsu."""
    return Segment()
