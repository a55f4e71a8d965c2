"""Things in pictures: a network finds each of them, with a box, a class and a score that says how sure it is.

    picture → scaled → convolutions → ReNet (a GRU over rows and columns) → centres and boxes → calibrated scores

With ``model.head=dense`` each place of a map predicts whether the centre of a thing is there, and its box (Zhou et al.
2019, "Objects as points"). With ``model.head=set`` an LSTM predicts the things of each cell of a grid one by one
(Stewart et al. 2016, "End-to-end people detection in crowded scenes"), and nothing is suppressed afterwards. Both learn
from scratch on some hundred pictures. Pictures are changed at random in each epoch. The epoch with the highest average
precision on the validation part is kept; there, scores are calibrated, and for each class the score from which on
things are shown and counted is chosen. The test part chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import ConfigError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.detect_data import DetectData, DetectItems, in_classes, most_in_a_cell, with_boxes
from rnnkit.recipes.detect_network import build, learner_of
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import UNTAUGHT, divide_pictures, readable
from rnnkit.recipes.picture_run import PictureRecipe
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.detection_settings import DetectorAugmentation, DetectorDecoding, DetectorFit, DetectorNetwork
from rnnkit.tasks.ranges import Seed

if TYPE_CHECKING:
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.detection import Detector

_INSPECTED = 8  # pictures that a network is measured on


@dataclass(frozen=True)
class Detect(PictureRecipe):
    """The whole run; ``rnnkit train detect FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and changes of the pictures.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Detection"
    command: ClassVar[str] = "detect"
    before: ClassVar[dict[str, Any]] = {"model.norm": "layer"}

    model: DetectorNetwork = field(default_factory=DetectorNetwork)
    augment: DetectorAugmentation = field(default_factory=DetectorAugmentation)
    fit: DetectorFit = field(default_factory=DetectorFit)
    decode: DetectorDecoding = field(default_factory=DetectorDecoding)
    data: DetectData = field(default_factory=DetectData)
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise ConfigError for settings that do not go together."""
        if self.decode.flips and self.model.head == "set":
            raise ConfigError(
                "decode.flips=true arrived with model.head=set, whose cells tell the things of a mirror image in "
                "another order; leave decode.flips out, or train with --set model.head=dense"
            )

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pictures, and write nothing."""
        from rnnkit.data.images import picture_findings

        parts = divide_pictures(self.data, self.command, with_boxes)
        classes = parts.train.classes
        if parts.test is not None and parts.test.classes != classes:
            parts = parts._replace(test=in_classes(parts.test, classes, UNTAUGHT))
        findings, read = list(parts.findings), {}
        for name, part in parts.named().items():
            read[name], told = readable(part, self.model.size, part=name)
            findings += told
        findings += [one for one in picture_findings(*read.values(), most=500) if one not in findings]
        items = {name: DetectItems(part) for name, part in read.items()}
        return PreparedDetection(
            findings,
            parts.division,
            parts.digests,
            self,
            train=items["train"],
            validation=items.get("validation"),
            tests={"test": items["test"]} if "test" in items else {},
            classes=tuple(classes),
        )

    def detector(self, folder: Path) -> Detector:
        """Return the folder's detector.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.detection import load_detector

        detector = load_detector(folder, device=self.device)
        return detector.with_least(self.decode.least).with_flips(self.decode.flips)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return average precision, errors of counts and of scores of the folder's model, on its test part or others.

        The table of the classes and precision over recall are written into the run folder: ``classes.csv`` and
        ``precision_recall.png``; of other pictures with their name behind.
        """
        from rnnkit.recipes.detect_results import judge, write_judged

        detector = self.detector(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedDetection)
            prepared.check_data(folder)
            [one] = prepared.judge_held(folder, detector).values()
            name = ""
        else:
            one, name = judge(detector, self.other_items(detector, data)), f"-{data.path.stem}"
        write_judged(one.scores, folder, name)
        return one.figures

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's detector on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedDetection)
        return prepared.validated(folder, self.detector(folder))

    def other_items(self, detector: Detector, data: DataRequest) -> DetectItems:
        """Return the pictures of a path with what is true of them."""
        pictures, told = with_boxes(self.data.read(data.without_encoding(), new=True))
        pictures, damaged = readable(pictures, detector.size)
        warn_of(pictures, [*told, *damaged])
        return DetectItems(in_classes(pictures, detector.classes))

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to how many things of each class are in it."""
        from rnnkit.recipes.detect_results import counted

        detector = self.detector(folder)

        def answer(data: DataRequest) -> Columns:
            found = detector.shown(detector.read(data.without_encoding()))
            return {"prediction": [counted(found, detector.classes)]}

        return answer

    def table_predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to a table of the things in it, a row a thing."""
        from rnnkit.recipes.detect_results import table_of

        detector = self.detector(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            found = detector.shown(detector.read(path))
            return {"file": [str(path)] * len(found), **table_of(found, detector.classes)}

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a picture's file to what is in it; it draws that, and writes COCO's results."""
        from rnnkit.recipes.detect_results import counted, write_detection

        detector = self.detector(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            found = detector.shown(detector.read(path))
            write_detection(found, detector, path, out)
            return {"prediction": [counted(found, detector.classes)]}

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the network, and pictures to measure it on: of the test part, or of a path."""
        from rnnkit.recipes.detect_network import looked_into
        from rnnkit.tasks.detection_batches import detection_batches

        detector = self.detector(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedDetection)
            items = prepared.inspected()
        else:
            items = self.other_items(detector, data)
        few = items.subset(range(min(len(items), _INSPECTED)))
        model = detector.model
        batches = detection_batches(few.pictures, len(few), size=detector.size, multiple=model.multiple, shuffle=False)
        return looked_into(model, next(iter(batches)).inputs)

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, as JSON values."""
        return {
            "image": {
                "values": "the bytes of the picture divided by 255: red, green and blue",
                "size": "scaled so that the longer side has `size` pixels, then filled with 0.5 at the right and at "
                "the bottom to multiples of the network's `multiple`",
            },
            "outputs": "boxes are in pixels of the scaled picture; a score is 1 / (1 + e^−(a z + b)) of the logit z of "
            "a thing's probability, `calibration` has a and b of each class; scores below `least` of their class are "
            "left out",
        }

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with new pictures to learn; classes that it lacks get outputs."""
        from rnnkit.recipes.detect_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.detect_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedDetection(PreparedTraining):
    """A run whose pictures were read and divided.

    Attributes:
        classes: names.
    """

    nouns: ClassVar[str] = "pictures"
    figure_names: ClassVar[Mapping[str, str]] = {
        "map50": "mean average precision at IoU 0.5",
        "map": "mean average precision over IoU 0.5 to 0.95",
        "loss": "loss",
    }

    classes: tuple[str, ...]

    def training(self) -> Training:
        """Return learner and detector with fresh weights, the batches to train on, and those that choose."""
        import torch

        from rnnkit.data.images import PictureAugment
        from rnnkit.tasks.detection import Detector
        from rnnkit.tasks.detection_batches import detection_batches

        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, len(self.classes), self.steps())
        learner = learner_of(model, recipe.fit, recipe.device)
        detector = Detector(model, self.classes, recipe.model.size, flips=recipe.decode.flips)
        learner.extra = detector.to_extra()
        form = {"size": recipe.model.size, "multiple": model.multiple}
        size = recipe.fit.batch_size or 4
        augment = PictureAugment(**recipe.augment.arguments())
        batches = detection_batches(self.train.pictures, size, augment=augment, seed=recipe.seed, **form)
        validation = None
        if self.validation is not None:
            validation = detection_batches(self.validation.pictures, size, shuffle=False, **form)
        return Training(learner, detector, batches, validation)

    def steps(self) -> int:
        """Return the things that a cell of the head "set" predicts."""
        settings = self.recipe.model
        if settings.head != "set" or settings.steps is not None:
            return settings.steps or 1
        return (
            most_in_a_cell(self.train.pictures, settings.size, 2 ** (1 + len(settings.channels) + len(settings.deep)))
            + 1
        )

    def judge_items(self, predictor: Detector, items: Any) -> Judged:
        """Find what is in pictures, and compare with what is there."""
        from rnnkit.recipes.detect_results import judge

        return judge(predictor, items)

    def measured(self, predictor: Detector) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that average precision chooses, and a function that measures it."""
        import math

        from rnnkit.tasks.found_scores import score_found

        validation, names = self.validation, ("map50", "map")

        def measure(model: Any) -> dict[str, float]:
            figures = score_found(validation.truth, predictor.find(validation.pictures), self.classes).figures
            return {name: 0.0 if math.isnan(figures[name]) else figures[name] for name in names}

        return dict.fromkeys(names, True), measure

    def fit(self, training: Training, folder: Path) -> Any:
        """Train, keep the best epoch, calibrate the scores, and choose from which score on things are counted."""
        from rnnkit.recipes.detect_results import calibrate_detector

        history = super().fit(training, folder)
        if self.validation is not None:
            calibrate_detector(training.predictor, self.validation)
            training.learner.extra = training.predictor.to_extra()
        return history

    def write_results(
        self, folder: Path, predictor: Detector, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Write what was found, the table of classes and the page of the run."""
        from rnnkit.recipes.detect_results import write_results

        write_results(folder, self.recipe.title, predictor, judged, history, metrics)


def detect() -> Detect:
    """Learn to find things in pictures (data.path, with their boxes): convolutions, ReNet, a map of centres or sets."""
    return Detect()
