"""What a detector has to learn when it is fine-tuned: other pictures, or new classes with a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes.detect import Detect, PreparedDetection
from rnnkit.recipes.detect_data import DetectItems, in_classes, with_boxes, without_judging
from rnnkit.recipes.detect_network import learner_of
from rnnkit.recipes.finetuning import FineTune, FineTuneWork, name_old, read_old, say_old, write_results
from rnnkit.recipes.finetuning_page import Shown
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.picture_data import readable
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.tasks.detection import Detector
    from rnnkit.training.history import History

DEFAULTS = FineTune(epochs=30, batch_size=8, lr=1e-3, schedule="warmup_cosine", replay=0.5, validation=0.2)
_RATES = ("map50", "map")


@dataclass(frozen=True)
class DetectJob(FineTuneWork):
    """A detector with pictures to learn, read and checked.

    Attributes:
        recipe: of the run.
        learner: of the network, which has outputs for the new classes, too.
        detector: with the old and the new classes.
        new, judged: pictures to learn, and those for the test; None: the same.
        old, old_test: what the run learned first, and what it held back; None where that is gone.
        old_from: where the old pictures come from, for the report.
        folder: of the run.
        told: sentences about the pictures.
    """

    recipe: Detect
    learner: rnnkit.Learner
    detector: Detector
    new: DetectItems
    judged: DetectItems | None
    old: DetectItems | None
    old_test: DetectItems | None
    old_from: str
    folder: Path
    told: list[str]

    def findings(self) -> list[str]:
        """Return what was found in the pictures."""
        return self.told

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that a detector cannot use, before there is a run folder."""
        from rnnkit.finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if settings.protect == "ewc":
            raise ConfigError(
                "protect=ewc arrived; a detector does not measure what its weights matter: type --set protect=l2-sp"
            )
        if settings.classes == "replace":
            raise ConfigError("classes=replace arrived; a detector keeps its classes: train anew for others")
        if settings.replay is not None and self.old is None:
            raise ConfigError(
                f"replay={settings.replay:g} needs the data of the first training, which is gone; add --set replay=none"
            )

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, calibrate again, and write the results into the folder."""
        from rnnkit.recipes.detect_results import calibrate_detector
        from rnnkit.training.fine_tuning.report import Quality

        judged = self.new if self.judged is None else self.judged
        before = self._rates(judged), self._rates(self.old_test)
        train = mixed(self.new.pictures, None if settings.replay is None else self.old, settings)
        chosen = settings.arguments(folder) | {"replay": None}
        history = self.learner.fine_tune(
            self._batches(train, settings, shuffle=True),
            validation=self._batches(judged.pictures, settings, shuffle=False),
            **chosen,
        )
        report = history.report
        assert report is not None
        calibrate_detector(self.detector, judged)
        self.learner.extra = self.detector.to_extra()
        after = self._rates(judged), self._rates(self.old_test)
        old = None if self.old_test is None else Quality(len(self.old_test), before[1], after[1])
        report = replace(report, new=Quality(len(judged), before[0], after[0]), old=old)
        if self.judged is None:
            report = replace(report, new_from="the training rows")
        if settings.replay is not None:
            report = replace(report, method={"replay": f"{settings.replay:g} of the new rows", **report.method})
        report = say_old(report, self.old_from, self.old)
        shown = Shown(self.told)
        return write_results(
            self.learner, report, history, settings, folder, self._save, old_test=old is not None, shown=shown
        )

    def _batches(self, pictures: PictureSet, settings: FineTune, *, shuffle: bool) -> Any:
        from rnnkit.data.images import PictureAugment
        from rnnkit.tasks.detection_batches import detection_batches

        augment = PictureAugment(**self.recipe.augment.arguments()) if shuffle else None
        return detection_batches(
            pictures,
            settings.batch_size,
            size=self.detector.size,
            multiple=self.detector.model.multiple,
            augment=augment,
            shuffle=shuffle,
            seed=settings.seed,
        )

    def _save(self, to: Path) -> None:
        self.learner.save(to)
        data_digests.carry(self.folder, to)

    def _rates(self, items: DetectItems | None) -> dict[str, float] | None:
        from rnnkit.recipes.detect_results import judge

        if items is None:
            return None
        figures = judge(self.detector, items).figures
        classes = [name for name in figures if name.startswith("ap50_")]
        return {name: figures[name] for name in (*_RATES, *classes) if name in figures}


def mixed(new: PictureSet, old: DetectItems | None, settings: FineTune) -> PictureSet:
    """Return new pictures with some of the old ones, the same in each epoch.

    Args:
        new: to learn.
        old: what the run learned first; None: nothing of it.
        settings: `replay` of them are mixed in.
    """
    import torch

    if old is None or settings.replay is None:
        return new
    wanted = round(settings.replay * len(new)) if settings.replay < 1 else int(settings.replay)
    generator = torch.Generator().manual_seed(settings.seed)
    rows = torch.randperm(len(old), generator=generator)[:wanted].tolist()
    return replace(new, pictures=(*new.pictures, *(old.pictures[row] for row in rows)))


def make_job(recipe: Detect, folder: Path, data: DataRequest, settings: FineTune) -> DetectJob:
    """Return the folder's detector with pictures to learn, whose classes it gets where it lacks them.

    Raises:
        DataError: no pictures with boxes, or old ones that are wanted and are gone.
    """
    from rnnkit.tasks.detection import load_detector

    detector = load_detector(folder, device="cpu")
    pictures, told = with_boxes(recipe.data.read(data.without_encoding(), new=True))
    pictures, damaged = readable(pictures, detector.size)
    told = [*pictures.findings, *told, *damaged]
    counts = pictures.box_counts
    more = [name for name in pictures.classes if name not in detector.classes and counts[name]]
    if more:
        detector = detector.with_classes(more)
        told.append(f"New classes to find ({len(more):,}): {', '.join(more)}.")
    absent = [number for number, name in enumerate(detector.classes) if not counts.get(name, 0)]
    if absent:
        names = ", ".join(detector.classes[number] for number in absent)
        told.append(f"No box of {names} is in the new pictures: nothing is learnt from them of where these are not.")
    pictures = without_judging(in_classes(pictures, detector.classes), absent)
    old_from, old, old_test = _old(recipe, folder, settings, detector.classes, len(more))
    new, judged = _divided(pictures, settings)
    learner = learner_of(detector.model, recipe.fit, settings.device)
    learner.extra = detector.to_extra()
    held = None if judged is None else DetectItems(judged)
    return DetectJob(recipe, learner, detector, DetectItems(new), held, old, old_test, old_from, folder, told)


def _divided(pictures: PictureSet, settings: FineTune) -> tuple[PictureSet, PictureSet | None]:
    """Return pictures to learn, and those for the test; None where there would be none."""
    import torch

    count = round(settings.validation * len(pictures))
    if not 0 < count < len(pictures):
        return pictures, None
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(settings.seed)).tolist()
    return pictures.subset(sorted(order[count:])), pictures.subset(sorted(order[:count]))


def _old(
    recipe: Detect, folder: Path, settings: FineTune, classes: Sequence[str], more: int
) -> tuple[str, DetectItems | None, DetectItems | None]:
    """Return where the old pictures come from, what the run learned, and what it held back, in the new classes.

    The last `more` classes are new: they are not labelled in old pictures.
    """

    def read() -> PreparedDetection:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedDetection)
        prepared.check_data(folder)
        return prepared

    old_from = name_old(folder, f"pictures of {recipe.data.path or 'the first training'}")
    prepared = read_old(folder, settings, read)
    if prepared is None:
        return old_from, None, None
    test = next(iter(prepared.tests.values()), prepared.validation)

    def known(items: DetectItems) -> DetectItems:
        new = range(len(classes) - more, len(classes))
        return DetectItems(without_judging(in_classes(items.pictures, classes), new))

    return old_from, known(prepared.train), None if test is None else known(test)
