"""Digits read row by row: a recurrent network sees the 28 rows of an MNIST image, one a step, and names the digit.

    images [B, 28 steps, 28 pixels] → SimpleRNN(128, relu) → last state → Linear(10) → softmax, cross-entropy

``mnist()`` is the run at its best, ``founding()`` the program that rnnkit began with. Both train the same network for
the same 10 epochs in batches of 32 with Adam at 0.001, and keep the last epoch's weights. They differ in two settings,
chosen on the last 10,000 of the 60,000 training images:

- Recurrent weights that start as the identity carry the first rows to the end from the first step on (Le, Jaitly &
  Hinton, arXiv:1504.00941); the input weights start as Glorot's, not as small as in that paper.
- The rate rises over the first tenth of the steps and then falls along a cosine to 0: the first steps cannot spoil the
  identity, and the last epochs do not wander.

On those 10,000 images, seeds 0, 1 and 2: 98.77, 98.76 and 98.73%; ``docs/decisions/0005-the-digit-recipe.md`` has the
alternatives.

Three more read them with gates: ``rows_gated()`` row by row, ``pixels()`` and ``permuted()`` one pixel a step
(sequential and permuted MNIST, Le, Jaitly & Hinton 2015), 784 steps each, where plain networks forget.
``docs/decisions/0013-long-sequences.md`` has what was tried.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy mnist` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError
from rnnkit.recipes.base import Recipe, no_validation, refuse_data
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.tasks.ranges import Count, NotNegative, Positive, Seed, Settings, Share, WholeNumber
from rnnkit.tasks.settings import Cell, NetworkSettings, OptimizerSettings

if TYPE_CHECKING:
    import torch

    from rnnkit.data.mnist import Split
    from rnnkit.recipes.finetuning import FineTune, FineTuneJob

DIGITS = tuple("0123456789")
MISTAKES_SHOWN = 40
# Of the training pixels, and the seed of the one permutation that every permuted run reads in.
MEAN, STD = 0.1307, 0.3081
PERMUTATION = 92916


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network.

    Attributes:
        num_layers: layers, one above the other.
        nonlinearity: of a simple_rnn; lstm and gru have their own.
        init: initial weights; "auto" is identity for a simple_rnn with relu, but Glorot's input weights; else keras.
        chrono: whether gates start so that units forget over 2 to all steps (:func:`rnnkit.chrono_`).
        bidirectional: whether the rows are read from the bottom up too.
        dropout: probability of dropping an output between layers, and a feature in front of the head.
        pooling: what of the 28 outputs the head sees.
    """

    cell: Cell = "simple_rnn"
    hidden_size: Count = 128
    num_layers: Count = 1
    nonlinearity: Literal["relu", "tanh", "sigmoid"] = "relu"
    init: Literal["auto", "identity", "keras", "torch"] = "auto"
    chrono: bool = False
    bidirectional: bool = False
    dropout: Share = 0.0
    pooling: Literal["last", "mean", "max", "concat"] = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell != "simple_rnn" and self.nonlinearity != "relu":
            raise ConfigError(
                f"model.nonlinearity={self.nonlinearity} is for model.cell=simple_rnn; {self.cell} has its own"
            )
        self.check_gates(init=self.init, chrono=self.chrono)


@dataclass(frozen=True)
class Fit(OptimizerSettings):
    """The training; see ``rnnkit.Learner`` for what each setting does.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of an optimizer step.
        eps: what Adam adds to the root of the mean square; none is PyTorch's 1e-8. Keras adds 1e-7.
        recurrent_l2: coefficient of the sum of squares of the recurrent weights, added to what is minimised.
        early_stopping: end after this number of epochs without a lower loss on the images held out (`data.holdout`),
            and keep the best epoch's weights; none trains to the end and keeps the last.
    """

    epochs: Count = 10
    batch_size: Count = 32
    eps: Positive | None = None
    recurrent_l2: NotNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eps is not None and self.optimizer not in ("adam", "adamw"):
            raise ConfigError(f"fit.eps={self.eps} arrived for {self.optimizer}; it is a setting of adam and adamw")

    def learner_settings(self) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` among these settings."""
        groups = None if self.eps is None else {"*": {"eps": self.eps}}
        return {**super().learner_settings(), "recurrent_l2": self.recurrent_l2, "parameter_groups": groups}


@dataclass(frozen=True)
class Data(Settings):
    """The images.

    Attributes:
        root: a folder with MNIST's four files; none looks for them, see ``rnnkit.data.mnist.load``.
        holdout: this number of the last training images are kept from training, to choose settings on.
        order: what a step reads: a row of 28 pixels, or one pixel of 784, row by row or in one fixed permutation.
        shift: with single pixels, by how many pixels each training image is moved at random, at most.
        limit: use only this number of the first images of each split, for a quick look; none uses all.
    """

    group_name: ClassVar[str] = "data"

    root: str | None = None
    holdout: WholeNumber = 0
    order: Literal["rows", "pixels", "permuted"] = "rows"
    shift: WholeNumber = 0
    limit: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shift and self.order == "rows":
            raise ConfigError(
                f"data.shift={self.shift} arrived with data.order={self.order}; expected 0, or data.order=pixels"
            )


@dataclass(frozen=True)
class Mnist(Recipe):
    """The whole run; ``rnnkit train mnist --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order of the images and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.root"
    one_answer_a_file: ClassVar[bool] = True

    model: Model = Model()
    fit: Fit = Fit()
    data: Data = Data()
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        judging = "fit.schedule=plateau" if self.fit.schedule == "plateau" else "fit.early_stopping"
        if not self.data.holdout and (self.fit.schedule == "plateau" or self.fit.early_stopping is not None):
            raise ConfigError(f"{judging} needs images to judge by; add data.holdout=5000")

    def run(self, folder: Path) -> runs.Metrics:
        """Train, evaluate on the test images, and write model, metrics, history and pictures into the folder."""
        learner = self.learner()
        train, validation, test = self.splits()
        history = learner.fit(
            train,
            validation=validation,
            seed=self.seed,
            checkpoint=folder,
            callbacks=[rnnkit.Diagnostics(every=100, inputs=train.images[:64], file=folder / "diagnostics.json")],
            resume=True,  # of a new folder there is nothing to resume
            **self.fit.fit_settings(),
        )
        learner.save(folder)
        metrics: runs.Metrics = {"test": learner.evaluate(test)}
        if validation is not None:
            metrics["validation"] = learner.evaluate(validation)
        judged = (
            None if self.fit.early_stopping is None else f"validation ({self.data.holdout} held-out training images)"
        )
        draw(folder, test, learner.predict(test.images).softmax(1))
        return runs.record(folder, history, metrics, chosen_on=judged, final=metrics["test"])

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return loss and accuracy of the folder's model on the test images."""
        refuse_data(data, folder)
        learner = rnnkit.Learner(rnnkit.load(folder), device=self.device)
        return learner.evaluate(self.splits()[2])

    def validate(self, folder: Path) -> dict[str, float]:
        """Return loss and accuracy of the folder's model on the training images that were held out."""
        validation = self.splits()[1]
        if validation is None:
            raise no_validation(folder, "images", "data.holdout")
        return rnnkit.Learner(rnnkit.load(folder), device=self.device).evaluate(validation)

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and images with their digits: test images, or x and y of an .npz file."""
        from rnnkit.recipes.inspection import read_npz

        images, labels = self.splits()[2] if data is None else read_npz(data.without_encoding())
        return InspectionData(rnnkit.load(folder), images, labels, "cross_entropy", "the test images")

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with new images to learn: a folder with a folder of images for each digit."""
        from rnnkit.data.images import read_digits
        from rnnkit.recipes.finetuning import FineTuneJob, divide, name_old

        new, validation = divide(*read_digits(data.without_encoding()), settings)
        train, _, test = self.splits()
        fit = self.fit
        learner = rnnkit.Learner(rnnkit.load(folder), lr=fit.lr, clip_norm=fit.clip_norm, device=settings.device)
        return FineTuneJob(
            learner=learner,
            new=new,
            save=learner.save,
            validation=validation,
            old=lambda: train,
            old_test=test,
            old_from=name_old(folder, "MNIST's images"),
        )

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the digit that an image shows, and its probability."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from an image file to its digit and the digit's probability."""
        import torch

        from rnnkit.data.images import prepare_digit
        from rnnkit.training.execution import find_device

        device = find_device(self.device)
        model = rnnkit.load(folder).to(device)

        def answer(data: DataRequest) -> Columns:
            image = torch.from_numpy(prepare_digit(data.without_encoding()))[None]
            with torch.inference_mode():
                shares = model(image.to(device)).softmax(1)[0]
            best = int(shares.argmax())
            return {"prediction": [DIGITS[best]], "confidence": [float(shares[best])]}

        return answer

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, as JSON values."""
        return {
            "image": {
                "height": 28,
                "width": 28,
                "values": "0 where the paper is, 1 where the ink is: the byte of a pixel divided by 255",
                "steps": "the rows from the top, 28 numbers each",
                "layout": "the digit fits into 20 x 20 pixels, with its centre of mass in the middle, as MNIST's are",
            },
            "classes": list(DIGITS),
        }

    def learner(self) -> rnnkit.Learner:
        """Return a learner with a network whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(self.seed)
        return rnnkit.Learner(build(self.model, self.data), device=self.device, **self.fit.learner_settings())

    def splits(self) -> tuple[Split, Split | None, Split]:
        """Return the images and labels to train on, those held out if any, and the test set's."""
        train, test = rnnkit.data.mnist.load(self.data.root)
        held_out, total = self.data.holdout, len(train.labels)
        if held_out >= total:
            raise ConfigError(f"data.holdout={held_out} arrived; expected less than the {total} training images")

        def part(split: Split, rows: slice) -> Split:
            images, labels = split.images[rows], split.labels[rows]
            return split._replace(images=images[: self.data.limit], labels=labels[: self.data.limit])

        validation = part(train, slice(total - held_out, total)) if held_out else None
        return part(train, slice(total - held_out)), validation, part(test, slice(None))


def mnist() -> Mnist:
    """Read MNIST's digits row by row with a SimpleRNN(128, relu): 10 epochs, batch 32, Adam, cosine decay."""
    return Mnist()


def founding() -> Mnist:
    """Return the founding program's settings: Keras's initial weights and Adam, a constant rate of 0.001."""
    return replace(mnist(), model=Model(init="keras"), fit=Fit(schedule=None, eps=1e-7))


def rows_gated() -> Mnist:
    """Read MNIST's digits row by row with a GRU(128): 10 epochs, batch 32, Adam, cosine decay from 0.002."""
    return replace(mnist(), model=Model(cell="gru"), fit=Fit(lr=2e-3))


def pixels() -> Mnist:
    """Read MNIST's digits one pixel a step, 784 steps, by a GRU(128) whose gates start slow; about half an hour."""
    model = Model(cell="gru", chrono=True, pooling="concat", dropout=0.2)
    fit = Fit(epochs=22, batch_size=64, lr=3e-3, clip_norm=1.0)
    return replace(mnist(), model=model, fit=fit, data=Data(order="pixels", shift=1))


def permuted() -> Mnist:
    """Read MNIST's 784 pixels in one fixed random order, by a GRU(128); about 35 minutes."""
    recipe = pixels()
    return replace(recipe, fit=replace(recipe.fit, epochs=36), data=Data(order="permuted"))


def build(settings: Model, data: Data = Data()) -> rnnkit.SequenceClassifier:
    """Return the network with fresh weights, for images read in the order that `data` names."""
    import torch

    from rnnkit.layers.by_name import RECURRENT_LAYERS

    single = data.order != "rows"
    front = None
    if single:
        front = rnnkit.PixelFront(
            28, 28, PERMUTATION if data.order == "permuted" else None, MEAN, STD, shift=data.shift
        )
    automatic = settings.init == "auto"
    init = "keras" if automatic else settings.init
    options: dict[str, Any] = {
        "num_layers": settings.num_layers,
        "bidirectional": settings.bidirectional,
        "dropout": settings.dropout if settings.num_layers > 1 else 0.0,
        "batch_first": True,
        "init": init,
    }
    if settings.cell == "simple_rnn":
        options["nonlinearity"] = settings.nonlinearity
    body = RECURRENT_LAYERS[settings.cell](1 if single else 28, settings.hidden_size, **options)
    if settings.chrono:
        rnnkit.chrono_(body, 784 if single else 28)
    model = rnnkit.SequenceClassifier(
        body, len(DIGITS), pooling=settings.pooling, dropout=settings.dropout, front=front
    )
    if automatic and settings.cell == "simple_rnn" and settings.nonlinearity == "relu":
        for name, weight in body.named_parameters():
            if name.startswith("weight_hh"):
                torch.nn.init.eye_(weight)
    if init == "keras":  # its dense layers start so, too
        torch.nn.init.xavier_uniform_(model.head.weight)
        torch.nn.init.zeros_(model.head.bias)
    return model


def draw(folder: Path, test: Split, shares: torch.Tensor) -> None:
    """Draw the confusion matrix, and the mistakes the network was surest of.

    Args:
        shares: its probabilities for the test images [N, 10].
    """
    import torch

    from rnnkit.diagnostics import pictures

    sureness, predicted = shares.max(1)
    pairs = test.labels * len(DIGITS) + predicted
    matrix = torch.bincount(pairs, minlength=len(DIGITS) ** 2).view(len(DIGITS), len(DIGITS))
    pictures.confusion(matrix.numpy(), DIGITS, folder / "confusion.png")

    wrong = (predicted != test.labels).nonzero()[:, 0]
    surest = wrong[sureness[wrong].argsort(descending=True, stable=True)][:MISTAKES_SHOWN]
    pictures.grid(
        test.images[surest].numpy(),
        [f"{test.labels[i]} → {predicted[i]}  {sureness[i]:.1%}" for i in surest],
        folder / "mistakes.png",
        title=f"The surest {len(surest)} of {len(wrong)} mistakes among {len(predicted):,} test images: "
        "true → predicted, confidence",
    )
