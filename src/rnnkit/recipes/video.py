"""Classes of clips: convolutions look at each frame, a recurrence joins the frames, and pooling over time decides.

    frames → one size → the frame and its change → convolutions → 96 features → LSTM(96) → mean over time → softmax

Donahue et al. 2015 ("Long-term recurrent convolutional networks for visual recognition and description"). Clips are
folders of frames, animated pictures or video files, in a folder a class or in a table. The network reads a clip from
its beginning on, so that it can answer after each frame. Clips are moved and lit differently in each epoch.
The epoch with the highest accuracy of the validation part is kept. The test part chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.clip_run import ClipRecipe
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import check_known, divide_pictures, of_classes
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.recipes.video_data import ClassData, equal_clips, hold_clips, with_classes
from rnnkit.recipes.video_network import build, learner_of
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.ranges import Seed
from rnnkit.tasks.video_settings import ClipAugmentation, ClipFit, ClipNetwork

if TYPE_CHECKING:
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.video import ClipClassifier
    from rnnkit.tasks.video_batches import HeldClips

_INSPECTED = 16  # clips that a network is measured on


@dataclass(frozen=True)
class Video(ClipRecipe):
    """The whole run; ``rnnkit train video FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and changes of the clips, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    before: ClassVar[dict[str, Any]] = {"model.chrono": False}

    model: ClipNetwork = field(default_factory=ClipNetwork)
    augment: ClipAugmentation = field(default_factory=ClipAugmentation)
    fit: ClipFit = field(default_factory=ClipFit)
    data: ClassData = field(default_factory=ClassData)
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the clips, and write nothing."""
        from rnnkit.data.labels import sorted_classes

        parts = divide_pictures(self.data, "video", with_classes)
        classes = sorted_classes([str(one.label) for one in parts.train])
        if len(classes) < 2:
            raise DataError(f"{self.data.path}: all clips are of the class {classes[0]!r}; expected two or more")
        classifier = self.untrained(classes)
        findings, held = list(parts.findings), {}
        for name, clips in parts.named().items():
            known, told = of_classes(clips, classes, name)
            held[name], damaged = hold_clips(known, classifier, part=name)
            findings += [*told, *damaged]
        findings += equal_clips(held)
        return PreparedVideo(
            findings,
            parts.division,
            parts.digests,
            self,
            train=held["train"],
            validation=held.get("validation"),
            tests={"test": held["test"]} if "test" in held else {},
            classes=classes,
        )

    def untrained(self, classes: tuple[str, ...]) -> ClipClassifier:
        """Return a classifier with fresh weights.

        Args:
            classes: their names.
        """
        import torch

        from rnnkit.tasks.video import ClipClassifier

        torch.manual_seed(self.seed)
        size = (self.model.size[0], self.model.size[1])
        model = build(self.model, classes, self.data.frames)
        return ClipClassifier(model, size, fit=self.model.fit, frames=self.data.frames, every=self.data.every)

    def classifier(self, folder: Path) -> ClipClassifier:
        """Return the folder's classifier.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.video import load_clip_classifier

        return load_clip_classifier(folder, device=self.device)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the accuracy of the folder's model on its test part, or on other clips."""
        from rnnkit.recipes.video_results import judge

        classifier = self.classifier(folder)
        if data is not None:
            return judge(classifier, self.other_clips(classifier, data)).figures
        prepared = self.prepare()
        assert isinstance(prepared, PreparedVideo)
        prepared.check_data(folder)
        check_known(folder, prepared.classes, classifier.classes, prepared.nouns)
        return prepared.figures(prepared.judge_held(folder, classifier))

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's classifier on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedVideo)
        return prepared.validated(folder, self.classifier(folder))

    def other_clips(self, classifier: ClipClassifier, data: DataRequest) -> HeldClips:
        """Return the clips of a path with their classes."""
        clips = self.data.read(data.without_encoding(), new=True)
        held, told = hold_clips(clips, classifier, known=classifier.classes)
        warn_of(clips, told)
        return held

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a clip to its class."""
        classifier = self.classifier(folder)

        def answer(data: DataRequest) -> Columns:
            found = classifier.classify(data.without_encoding())
            return {"prediction": [found.label], "confidence": [found.confidence]}

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a clip to its class; it draws frames and probabilities, and writes them as JSON."""
        from rnnkit.recipes.video_results import write_answer

        classifier = self.classifier(folder)

        def answer(data: DataRequest) -> Columns:
            found = write_answer(classifier, data.without_encoding(), out)
            return {"prediction": [found.label], "confidence": [found.confidence]}

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and clips to measure it on: those of the test part, or of a path."""
        from rnnkit.tasks.video_batches import ClipBatches
        from rnnkit.types import Sequences

        classifier = self.classifier(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedVideo)
            check_known(folder, prepared.classes, classifier.classes, prepared.nouns)
            held, which = prepared.inspected(), prepared.inspected_part()
        else:
            held, which = self.other_clips(classifier, data), ""
        count = min(len(held), _INSPECTED)
        [batch] = ClipBatches(held.subset(range(count)), classifier.classes, count, shuffle=False)
        assert batch.input_lengths is not None
        return InspectionData(
            classifier.model, Sequences(batch.inputs, batch.input_lengths), batch.targets, "cross_entropy", which
        )

    def describe_input(self) -> dict[str, Any]:
        """Return how a clip becomes an input, as JSON values."""
        return {
            "frames": {
                "values": "the byte of a pixel divided by 127.5, minus 1; gray where there is 1 channel, else RGB",
                "size": "scaled to `size`, height and width; fit pad adds black edges, crop cuts both ends off, "
                "stretch scales each side on its own",
                "choice": "every `every`-th frame; of more than `frames`, so many at equal distances",
            }
        }

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with new clips to learn; classes that it lacks get outputs."""
        from rnnkit.recipes.video_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.video_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedVideo(PreparedTraining):
    """A run whose clips were read and divided.

    Attributes:
        classes: of the training part.
    """

    nouns: ClassVar[str] = "clips"
    figure_names: ClassVar[Mapping[str, str]] = {
        "accuracy": "accuracy",
        "balanced_accuracy": "accuracy, a mean over the classes,",
        "loss": "loss",
    }
    figures_of_tests: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy")

    classes: tuple[str, ...]

    def training(self) -> Training:
        """Return learner and classifier with fresh weights, the batches to train on, and those that choose."""
        from rnnkit.tasks.video_batches import ClipBatches

        recipe = self.recipe
        classifier = recipe.untrained(self.classes)
        learner = learner_of(classifier.model, recipe.fit, recipe.device)
        learner.extra = classifier.to_extra()
        size = recipe.fit.batch_size or 8
        batches = ClipBatches(self.train, self.classes, size, augment=recipe.augment, seed=recipe.seed)
        validation = None
        if self.validation is not None:
            validation = ClipBatches(self.validation, self.classes, size, shuffle=False)
        return Training(learner, classifier, batches, validation)

    def judge_items(self, predictor: ClipClassifier, items: HeldClips) -> Judged:
        """Name the classes of clips, and compare with the true ones."""
        from rnnkit.recipes.video_results import judge

        return judge(predictor, items)

    def measured(self, predictor: ClipClassifier) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that accuracies choose, and a function that measures them."""
        names = ("accuracy", "balanced_accuracy")

        def measure(model: Any) -> dict[str, float]:
            figures = self.judge_items(predictor, self.validation).figures
            return {name: figures[name] for name in names}

        return dict.fromkeys(names, True), measure

    def write_results(
        self,
        folder: Path,
        predictor: ClipClassifier,
        judged: Mapping[str, Judged],
        history: Any,
        metrics: Mapping[str, Any],
    ) -> None:
        """Write predictions, confusions and the page of the run."""
        from rnnkit.recipes.video_results import write_results

        write_results(folder, predictor, judged, history, metrics, self.train)


def video() -> Video:
    """Learn to name the class of clips (data.path): convolutions over each frame, LSTM(96), mean over time."""
    return Video()
