"""Classes of pictures of any sizes: convolutions, and a recurrent network that reads the rows and columns of their map.

    picture → scaled as a whole into 64 × 64 → convolutions to 16 × 16 → ReNet(48) → mean and maximum → softmax

ReNet (Visin et al. 2015) reads each row of a map from both ends and then each column, so that each place has seen the
whole picture. ``model.context=conv`` puts convolutions with as many parameters in its place, ``none`` nothing. While
training, pictures are turned, scaled, moved, mirrored and lit otherwise in each step. The epoch with the highest
accuracy of the validation part is kept. The test part chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.classify_images_data import ClassData, check_classes, divide, hold_new
from rnnkit.recipes.classify_images_network import build, learner_of
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import check_known
from rnnkit.recipes.picture_run import PictureRecipe
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.tasks.picture_settings import PictureChanges, PictureFit, PictureNetwork
from rnnkit.tasks.ranges import Seed

if TYPE_CHECKING:
    from rnnkit.data.images.held import HeldPictures
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.picture_classes import Form, PictureNamer

_INSPECTED = 64  # pictures that a network is measured on
_RANKED = 5  # classes of an answer


@dataclass(frozen=True)
class ClassifyImages(PictureRecipe):
    """The whole run; ``rnnkit train classify-images FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and changes of the pictures, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Classes of pictures"

    model: PictureNetwork = field(default_factory=PictureNetwork)
    augment: PictureChanges = field(default_factory=PictureChanges)
    fit: PictureFit = field(default_factory=PictureFit)
    data: Any = field(default_factory=ClassData)
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pictures, and write nothing."""
        parts = divide(self.data, self.model)
        return PreparedClasses(
            parts.findings, parts.division, parts.digests, self, train=parts.train, validation=parts.validation,
            tests={} if parts.test is None else {"test": parts.test}, classes=parts.classes,
        )  # fmt: skip

    def namer(self, folder: Path) -> PictureNamer:
        """Return the folder's classifier.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.picture_classes import load_picture_namer

        return load_picture_namer(folder, device=self.device)

    def new_pictures(self, path: Path, namer: PictureNamer, *, known: bool = True) -> tuple[HeldPictures, list[str]]:
        """Return pictures with classes that a trained run is given, and the names of all classes.

        Args:
            path: where they lie.
            namer: of the run.
            known: whether a class that the network lacks is an error; else it joins the classes after them.
        """
        from rnnkit.data.images import read_pictures

        pictures = self.data.read(path, new=True)
        if pictures.layout == "plain" and path.is_dir():
            with suppress(DataError):  # where there is no folder of a class; one alone is not taken for it by itself
                pictures = read_pictures(path, layout="labels")
        return hold_new(pictures, namer, known=known)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return accuracy and F1 of the folder's model on its test part, or on other pictures.

        Confusions are drawn into the run folder and a table of the classes is written there: ``confusion.png`` and
        ``classes.csv``; ``confusion-NAME.png`` and ``classes-NAME.csv`` of other pictures.
        """
        from rnnkit.recipes.classify_images_results import judge, write_classes

        namer = self.namer(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedClasses)
            prepared.check_data(folder)
            check_known(folder, prepared.classes, namer.classes, prepared.nouns)
            [found] = prepared.judge_held(folder, namer).values()
            write_classes(found.scores, folder)
            return found.figures
        path = data.without_encoding()
        held, _ = self.new_pictures(path, namer)
        found = judge(namer, held)
        write_classes(found.scores, folder, f"-{path.stem}")
        return found.figures

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's network on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedClasses)
        return prepared.validated(folder, self.namer(folder))

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to its class."""
        namer = self.namer(folder)

        def answer(data: DataRequest) -> Columns:
            found = namer.read(data.without_encoding(), _RANKED)
            return {"prediction": [found.name], "confidence": [found.confidence]}

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a picture's file to its class; it draws that, and writes the most probable as JSON."""
        from rnnkit.recipes.classify_images_results import write_answer

        namer = self.namer(folder)

        def answer(data: DataRequest) -> Columns:
            path = data.without_encoding()
            found = namer.read(path, _RANKED)
            write_answer(found, path, out)
            return {"prediction": [found.name], "confidence": [found.confidence]}

        return answer

    def table_predictor(self, folder: Path) -> Predictor:
        """Return a function from a picture's file to a row of a table: its class, and the five most probable."""
        namer = self.namer(folder)
        count = min(_RANKED, len(namer.classes))

        def answer(data: DataRequest) -> Columns:
            found = namer.read(data.without_encoding(), count)
            columns: Columns = {"prediction": [found.name], "confidence": [found.confidence]}
            for place, (name, share) in enumerate(found.ranked, 1):
                columns |= {f"class_{place}": [name], f"probability_{place}": [share]}
            return columns

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and pictures to measure it on: those of the test part, or of a path."""
        namer = self.namer(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedClasses)
            check_known(folder, prepared.classes, namer.classes, prepared.nouns)
            held, which = prepared.inspected(), prepared.inspected_part()
        else:
            which = ""
            held, _ = self.new_pictures(data.without_encoding(), namer)
        images, labels = held.subset(range(min(len(held), _INSPECTED))).rows()
        return InspectionData(namer.model, images, labels, "cross_entropy", which)

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, as JSON values."""
        return {
            "image": {
                "values": "the bytes of the picture divided by 255, red, green and blue where there are 3 channels",
                "size": "the picture is set upright and scaled to the height and the width of the input",
            }
        }

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with new pictures to learn; classes that it lacks get outputs."""
        from rnnkit.recipes.classify_images_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.classify_images_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedClasses(PreparedTraining):
    """A run whose pictures were read and divided.

    Attributes:
        classes: of the training part.
        form: what is done with a picture of a file before the network sees it.
    """

    nouns: ClassVar[str] = "pictures"
    figure_names: ClassVar[Mapping[str, str]] = {"accuracy": "accuracy", "macro_f1": "macro F1", "loss": "loss"}

    classes: tuple[str, ...]
    form: Form = "plain"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classes(self.classes, self.recipe.data.path)

    def training(self) -> Training:
        """Return learner and classifier with fresh weights, the pictures to train on, and those that choose."""
        import torch

        from rnnkit.tasks.picture_classes import PictureNamer

        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        mean, std = self.train.statistics()
        model = build(recipe.model, self.classes, mean=mean, std=std, augment=recipe.augment)
        learner = learner_of(model, recipe.fit, recipe.device)
        namer = PictureNamer(model, self.form)
        learner.extra = namer.to_extra()
        validation = None if self.validation is None else self.validation.rows()
        return Training(learner, namer, self.train.rows(), validation)

    def judge_items(self, predictor: PictureNamer, items: HeldPictures) -> Judged:
        """Name the classes of pictures, and compare with what they are."""
        from rnnkit.recipes.classify_images_results import judge

        return judge(predictor, items)

    def measured(self, predictor: PictureNamer) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that the mean F1 of the classes may choose, beside the accuracy and the loss that a learner gives."""

        def measure(model: Any) -> dict[str, float]:
            return {"macro_f1": self.judge_items(predictor, self.validation).figures["macro_f1"]}

        return {"macro_f1": True}, measure

    def write_results(
        self,
        folder: Path,
        predictor: PictureNamer,
        judged: Mapping[str, Judged],
        history: Any,
        metrics: Mapping[str, Any],
    ) -> None:
        """Write predictions, confusions, the table of the classes, and the page of the run."""
        from rnnkit.recipes.classify_images_results import write_results

        write_results(folder, self.recipe.title, predictor, judged, history, metrics)


def classify_images() -> ClassifyImages:
    """Learn classes of pictures (data.path: a folder a class, or a table), of any sizes: convolutions and ReNet(48)."""
    return ClassifyImages()
