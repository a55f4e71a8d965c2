"""Things in pictures, separated: a network finds each thing with its class and its pixels, such as cells or leaves.

    picture → U-shaped network with ReNet → classes, depth in a thing, borders between things → cores → things

The network is that of ``segment``; it also learns how deep each pixel lies in its thing, and where two things meet
(:mod:`rnnkit.tasks.growing`). Pixels that lie deep make cores, and cores grow to things by a watershed. The thresholds
are chosen on the validation part, or on training pictures where there is none, and are stored with the model. The
precision of whole things is counted as the Data Science Bowl 2018 does, and as COCO does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.prepared_training import Training
from rnnkit.recipes.segment import PreparedSegmentation, Segment
from rnnkit.recipes.segment_data import InstancesData
from rnnkit.tasks.ranges import NotNegative, WholeNumber
from rnnkit.tasks.segmentation_settings import InstancesFit, SegmentAugmentation, SegmenterNetwork, ThingsDecoding

if TYPE_CHECKING:
    from rnnkit.recipes.picture_data import PictureParts

_FILES = 20  # test pictures of nuclei
_NUCLEI = "dsb2018_nuclei"


@dataclass(frozen=True)
class Instances(Segment):
    """The whole run; ``rnnkit train instances FOLDER --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Separated things"
    command: ClassVar[str] = "instances"
    shapes: ClassVar[int] = 2

    model: SegmenterNetwork = field(default_factory=lambda: SegmenterNetwork(contrast="picture"))
    augment: SegmentAugmentation = field(
        default_factory=lambda: SegmentAugmentation(flip_vertical=0.5, quarter_turns=0.75, scale=0.25)
    )
    fit: InstancesFit = field(default_factory=InstancesFit)
    decode: ThingsDecoding = field(default_factory=ThingsDecoding)
    data: InstancesData = field(default_factory=InstancesData)

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pictures, and write nothing."""
        import torch

        from rnnkit.tasks.found_scores import score_found
        from rnnkit.tasks.growing import shapes_of

        # A missing library is reported before the network trains, not when it is judged.
        shapes_of(torch.zeros(1, 1, dtype=torch.int32))
        score_found([], [], ())
        return super().prepare()

    def prepared_class(self) -> type[PreparedSegmentation]:
        """Return the class of the prepared run."""
        return PreparedInstances


@dataclass(frozen=True)
class PreparedInstances(PreparedSegmentation):
    """A run whose pictures with things were read and divided."""

    figure_names: ClassVar[Mapping[str, str]] = {
        "bowl_map": "precision of things at IoU 0.5 to 0.95",
        "mean_iou": "mean IoU",
        "loss": "loss",
    }

    def growing(self) -> Any:
        """Return how things are grown before that is chosen."""
        from rnnkit.tasks.growing import Growing

        return Growing()

    def fit(self, training: Training, folder: Path) -> Any:
        """Train, and choose how things are grown.

        Returns:
            The history.
        """
        from rnnkit.recipes.instances_choice import choose_growing

        history = super().fit(training, folder)
        items = self.train if self.validation is None else self.validation
        segmenter = training.predictor
        segmenter.growing = choose_growing(segmenter, items)
        training.learner.extra = segmenter.to_extra()
        return history


@dataclass(frozen=True)
class NucleiData(InstancesData):
    """The nuclei of the Data Science Bowl 2018, of which 100 pictures of 256 × 256 pixels are known to be free.

    Attributes:
        path: a folder or an archive of pictures with masks. A name that is not here is looked for in the folder
            RNNKIT_DATA.
        test_pictures: number of the last pictures by name that are held back for the test.
        validation: share of the others to choose by.
    """

    path: str | None = _NUCLEI
    test_pictures: WholeNumber = _FILES
    validation: NotNegative = 0.1


@dataclass(frozen=True)
class Nuclei(Instances):
    """The whole run; ``rnnkit train nuclei --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Nuclei"
    command: ClassVar[str] = "nuclei"

    model: SegmenterNetwork = field(default_factory=lambda: SegmenterNetwork(colour="gray", contrast="picture"))
    fit: InstancesFit = field(default_factory=lambda: InstancesFit(crop=128, repeats=4, lr=3e-3))
    decode: ThingsDecoding = field(default_factory=lambda: ThingsDecoding(flips=True))
    data: NucleiData = field(default_factory=NucleiData)

    def divide(self) -> PictureParts:
        """Read the pictures, of which the last ones by name are the test."""
        from rnnkit.recipes.picture_data import divide_pictures

        data = self.data
        parts = divide_pictures(data, self.command, self._named_parts)
        if parts.test is None or data.test is not None:
            return parts
        before = f"test: {len(parts.test):,} pictures, as the data set itself divides them"
        told = f"test: the last {len(parts.test):,} pictures by name"
        return parts._replace(division=parts.division.replace(before, told))

    def _named_parts(self, pictures: Any) -> Any:
        """Return the usable pictures, the last ones by name as the test part."""
        pictures, findings = self.usable(pictures)
        count = self.data.test_pictures
        last = set(sorted(one.id for one in pictures)[-count:]) if count else set()
        marked = tuple(replace(one, part="test" if one.id in last else "train") for one in pictures)
        return replace(pictures, pictures=marked), findings


def instances() -> Instances:
    """Learn to separate things in pictures (data.path, with a mask a thing): ReNet, cores, watershed; AP, IoU."""
    return Instances()


def nuclei() -> Nuclei:
    """Nuclei of the Data Science Bowl 2018, separated: the last 20 pictures by name are the test; AP, IoU, Otsu."""
    return Nuclei()
