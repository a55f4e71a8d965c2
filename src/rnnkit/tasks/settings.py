"""The settings that recipes share, and those of the network for series and its training. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ..errors import ConfigError, Setting
from .ranges import Count, NotNegative, Positive, Range, Settings, Share

Cell = Literal["simple_rnn", "lstm", "gru"]
Schedule = Literal[
    "constant", "warmup_constant", "cosine", "warmup_cosine", "one_cycle", "slanted_triangular", "plateau"
]
Optimizer = Literal["adamw", "adam", "sgd", "rmsprop"]
Norm = Literal["layer", "batch"]
Average = Annotated[float, Range(above=0, below=1)] | None


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """What every recipe says of its network.

    Attributes:
        cell: the recurrence.
        hidden_size: units of a layer and direction.
    """

    group_name: ClassVar[str] = "model"

    cell: Cell = "gru"
    hidden_size: Count = 64

    def check_gates(self, *, init: str, chrono: bool) -> None:
        """Raise ConfigError for initial weights that the recurrence cannot have.

        Args:
            init: the name of the initial weights.
            chrono: whether gates start slow.
        """
        if self.cell != "simple_rnn" and init == "identity":
            raise ConfigError(f"model.init=identity is for model.cell=simple_rnn; {self.cell} starts as keras or torch")
        if chrono and self.cell == "simple_rnn":
            raise ConfigError(
                "model.chrono is for gates, which a simple_rnn lacks; add --set model.chrono=false, or take "
                "model.cell=gru or lstm"
            )


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """What every recipe says of its training; a recipe's own ``Fit`` derives from it and adds or narrows fields.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows of an optimizer step.
        lr: learning rate.
        schedule: how the rate changes over the steps; none keeps it.
        clip_norm: gradients whose norm is larger are scaled down to this norm; none never scales.
    """

    group_name: ClassVar[str] = "fit"

    epochs: Count | None = 10
    batch_size: Count | None = 32
    lr: Positive = 1e-3
    schedule: Schedule | None = "warmup_cosine"
    clip_norm: Positive | None = None

    def learner_settings(self) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` among these settings."""
        return {"lr": self.lr, "clip_norm": self.clip_norm}

    def fit_settings(self) -> dict[str, Any]:
        """Return the arguments of ``Learner.fit`` among these settings."""
        return {"epochs": self.epochs, "batch_size": self.batch_size, "schedule": self.schedule}


@dataclass(frozen=True)
class OptimizerSettings(TrainingSettings):
    """The training, with the choice of the optimizer and of the epoch whose weights are kept.

    Attributes:
        optimizer: the optimizer's name.
        weight_decay: decay of the weights, decoupled from the gradient.
        early_stopping: end after this number of epochs without a lower loss on the validation rows, and keep the best
            epoch's weights; none trains to the end and keeps the last.
    """

    optimizer: Optimizer = "adam"
    weight_decay: NotNegative = 0.0
    early_stopping: Count | None = None

    def learner_settings(self) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` among these settings."""
        return {**super().learner_settings(), "optimizer": self.optimizer, "weight_decay": self.weight_decay}

    def fit_settings(self) -> dict[str, Any]:
        """Return the arguments of ``Learner.fit`` among these settings."""
        stopping = {"early_stopping": self.early_stopping, "restore_best": self.early_stopping is not None}
        return {**super().fit_settings(), **stopping}


@dataclass(frozen=True)
class AveragedSettings(OptimizerSettings):
    """The training, with a moving average of the weights.

    Attributes:
        average: the moving average of the weights that is kept, by its decay; none keeps the last weights.
    """

    average: Average = None

    def fit_settings(self) -> dict[str, Any]:
        """Return the arguments of ``Learner.fit`` among these settings."""
        from ..training import EMA

        return super().fit_settings() | ({} if self.average is None else {"average": EMA(self.average)})


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network for series: augmented series, convolutions, a recurrence, pooling over time, a linear head.

    Attributes:
        num_layers: layers, one above the other.
        bidirectional: whether the steps are read from the end too.
        init: the recurrence's initial weights.
        pooling: what of the outputs the head sees; concat is last, max and mean side by side.
        dropout: probability of dropping a feature in front of the head, and an output between layers.
        front: whether convolutions come before the recurrence (:class:`rnnkit.ConvFront`), or it reads the series.
        channels: the convolutions' features, as many as kernels or more.
        kernel_sizes: widths of the convolutions' kernels in steps, each at least 1.
        front_dropout: probability of dropping one of the convolutions' features, for all steps of a series.
        max_steps: series are shortened to about so many steps in front of the recurrence (needs the convolutions).
        jitter: noise that is added to series while training (:class:`rnnkit.SeriesAugment`).
        scale: how much the height of series is changed at random while training.
        warp: how much the speed of series is changed at random while training.
    """

    num_layers: Count = 1
    bidirectional: bool = True
    init: Literal["keras", "torch"] = "keras"
    pooling: Literal["concat", "last", "mean", "max"] = "concat"
    dropout: Share = 0.3
    front: Literal["conv", "none"] = "conv"
    channels: Count = 48
    kernel_sizes: tuple[int, ...] = (3, 9, 27)
    front_dropout: Share = 0.1
    max_steps: Count = 160
    jitter: NotNegative = 0.05
    scale: NotNegative = 0.1
    warp: Annotated[float, Range(least=0, below=0.5)] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        shown = ",".join(map(str, self.kernel_sizes))
        if not self.kernel_sizes or min(self.kernel_sizes) < 1:
            raise ConfigError.about(
                Setting("model.kernel_sizes"), f"={shown} arrived; expected one or several widths of at least 1"
            )
        if self.front == "conv" and self.channels < len(self.kernel_sizes):
            raise ConfigError.about(
                Setting("model.channels"), f"={self.channels} and ", Setting("model.kernel_sizes"),
                f"={shown} arrived; expected as many channels as kernels, or more",
            )  # fmt: skip


@dataclass(frozen=True)
class Fit(OptimizerSettings):
    """The training on series.

    Attributes:
        epochs: passes over the training rows; none takes as many as make `steps` steps.
        steps: optimizer steps, rounded up to whole epochs; none takes 600, and more for large sets, see
            :meth:`schedule_for`. Not with `epochs`.
        batch_size: rows of an optimizer step; none takes 16, and more where there are many rows.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016); for classes alone.
        loss: for numbers alone; of the targets in units of their spread on the training rows.
        class_weights: balanced counts each class as often as the others, however many rows it has; for classes alone.
    """

    epochs: Count | None = None
    steps: Count | None = None
    batch_size: Count | None = None
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine"] | None = "warmup_cosine"
    optimizer: Optimizer = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive | None = 1.0
    label_smoothing: Share = 0.1
    loss: Literal["mse", "huber", "l1"] = "mse"
    class_weights: Literal["balanced"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None and self.steps is not None:
            raise ConfigError.about(
                Setting("fit.epochs"), f"={self.epochs} and ", Setting("fit.steps"),
                f"={self.steps} arrived; expected one of them",
            )  # fmt: skip

    def check_validation(self, present: bool) -> None:
        """Raise ConfigError where early stopping is asked for and there are no validation rows."""
        if self.early_stopping is not None and not present:
            raise ConfigError(
                "fit.early_stopping needs rows to judge by; add data.validation=0.2 (in Python: pass validation=)"
            )

    def schedule_for(self, rows: int) -> tuple[int, int]:
        """Return batch size and epochs for so many training rows.

        Batches hold about 16 rows, more (a twentieth of the rows, up to 128) in large sets, and are of equal size as
        far as that goes: one of a row or two at the end would disturb the batch normalisation. By
        default, tiny sets get 600 steps however few rows make an epoch, and large ones 15 epochs, but no more than
        10,000 steps.

        Example:
            >>> Fit().schedule_for(50), Fit().schedule_for(20_000), Fit(epochs=3, batch_size=8).schedule_for(50)
            ((17, 200), (129, 15), (8, 3))
        """
        batch = self.batch_size
        if batch is None:
            wanted = min(128, max(16, rows // 20))
            batch = -(-rows // max(1, round(rows / wanted)))
        each = -(-rows // batch)
        steps = self.steps or max(600, min(15 * each, 10_000))
        return batch, self.epochs or max(1, -(-steps // each))
