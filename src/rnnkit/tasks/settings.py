"""The settings of the default recipe for series: what network, how it is trained. Importing this loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError, check_number


@dataclass(frozen=True)
class Model:
    """The network: views of the series, convolutions, a recurrence, pooling over time, a linear head.

    Attributes:
        cell: the recurrence.
        hidden_size: units of a layer and direction.
        num_layers: layers, one above the other.
        bidirectional: whether the steps are read from the end too.
        init: the recurrence's initial weights.
        pooling: what of the outputs the head sees; concat is last, max and mean side by side.
        dropout: probability of dropping a feature in front of the head, and an output between layers.
        front: whether convolutions stand before the recurrence (:class:`rnnkit.ConvFront`), or it reads the series.
        channels, kernel_sizes: the convolutions' features, and the widths of their kernels in steps.
        front_dropout: probability of dropping one of their features, for all steps of a series.
        max_steps: series are shortened to about so many steps in front of the recurrence (needs the convolutions).
        jitter, scale, warp: how much series are changed at random while training (:class:`rnnkit.SeriesAugment`).
    """

    cell: Literal["gru", "lstm", "simple_rnn"] = "gru"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = True
    init: Literal["keras", "torch"] = "keras"
    pooling: Literal["concat", "last", "mean", "max"] = "concat"
    dropout: float = 0.3
    front: Literal["conv", "none"] = "conv"
    channels: int = 48
    kernel_sizes: tuple[int, ...] = (3, 9, 27)
    front_dropout: float = 0.1
    max_steps: int = 160
    jitter: float = 0.05
    scale: float = 0.1
    warp: float = 0.1

    def __post_init__(self) -> None:
        at_least_one("model.", self, "hidden_size", "num_layers", "channels", "max_steps")
        for name in ("dropout", "front_dropout"):
            check_number(getattr(self, name), f"model.{name}", below=1)
        zero_or_more("model.", self, "jitter", "scale", "warp")
        check_number(self.warp, "model.warp", below=0.5)
        shown = ",".join(map(str, self.kernel_sizes))
        if not self.kernel_sizes or min(self.kernel_sizes) < 1:
            raise ConfigError(f"model.kernel_sizes={shown} arrived; expected one or several widths of at least 1")
        if self.front == "conv" and self.channels < len(self.kernel_sizes):
            raise ConfigError(
                f"model.channels={self.channels} and model.kernel_sizes={shown} arrived; expected as many channels as "
                "kernels, or more"
            )


@dataclass(frozen=True)
class Fit:
    """The training; see ``rnnkit.Learner`` and its ``fit`` for what each setting does.

    Attributes:
        epochs: passes over the data; none takes as many as make `steps` steps.
        steps: optimizer steps, rounded up to whole epochs; none takes 600, and more for large sets, see
            :meth:`schedule_for`. Not with `epochs`.
        batch_size: none takes 16, and more where there are many rows.
        lr, schedule, optimizer, weight_decay, clip_norm: the learner's.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016); of classes alone.
        loss: of a regression; of the targets in units of their spread on the training data.
        class_weights: balanced counts each class as often as the others, however many rows it has.
        early_stopping: end after so many epochs without a lower loss on the validation rows, and keep the best
            epoch's weights; none trains to the end and keeps the last.
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    lr: float = 2e-3
    schedule: Literal["warmup_cosine", "cosine"] | None = "warmup_cosine"
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    weight_decay: float = 1e-2
    clip_norm: float | None = 1.0
    label_smoothing: float = 0.1
    loss: Literal["mse", "huber", "l1"] = "mse"
    class_weights: Literal["balanced"] | None = None
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        at_least_one("fit.", self, "epochs", "steps", "batch_size", "early_stopping")
        if self.epochs is not None and self.steps is not None:
            raise ConfigError(f"fit.epochs={self.epochs} and fit.steps={self.steps} arrived; expected one of them")
        more_than_zero("fit.", self, "lr", "clip_norm")
        zero_or_more("fit.", self, "weight_decay")
        check_number(self.label_smoothing, "fit.label_smoothing", below=1)

    def check(self, kind: str, *, validated: bool) -> None:
        """Raises ConfigError for settings that the kind of task, or a run without validation rows, cannot use."""
        if self.early_stopping is not None and not validated:
            raise ConfigError(
                "fit.early_stopping needs rows to judge by; add data.validation=0.2 (in Python: pass validation=)"
            )
        if kind == "regress" and self.class_weights is not None:
            raise ConfigError(f"fit.class_weights={self.class_weights} is for classes; a regression has none")
        if kind == "classify" and self.loss != "mse":
            raise ConfigError(f"fit.loss={self.loss} is for numbers; classes are learned by the cross-entropy")

    def schedule_for(self, rows: int) -> tuple[int, int]:
        """Batch size and epochs for so many training rows.

        Batches hold about 16 rows, more (a twentieth of the rows, up to 128) in large sets, and are of equal size as
        far as that goes: one of a row or two at the end would spoil the batch normalisation. Unless told
        otherwise, tiny sets get 600 steps however few rows make an epoch, and large ones 15 epochs, but no more than
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


def at_least_one(prefix: str, settings: object, *names: str) -> None:
    """Raises ConfigError for a setting below 1, NaN or infinite; none is no setting."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 1 <= value < math.inf:
            raise ConfigError.of(f"{prefix}{name}", value, "expected at least 1")


def more_than_zero(prefix: str, settings: object, *names: str) -> None:
    """Raises ConfigError for a setting of 0 or less, NaN or infinite; none is no setting."""
    for name in names:
        if getattr(settings, name) is not None:
            check_number(getattr(settings, name), f"{prefix}{name}", above=0)


def zero_or_more(prefix: str, settings: object, *names: str) -> None:
    """Raises ConfigError for a setting below 0, NaN or infinite; none is no setting."""
    for name in names:
        value = getattr(settings, name)
        if value is not None:
            check_number(value, f"{prefix}{name}")
