"""The network for series with fresh weights, and the learner that trains it.

views of the series → convolutions of three widths → bidirectional GRU(64) → last, max and mean over time → Linear
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..layers.augment import SeriesAugment
from ..layers.by_name import RECURRENT_LAYERS
from ..layers.conv import ConvFront
from ..training.learner import Learner
from ..types import Sequences
from .settings import Fit, Model
from .task import Task


class Layers(NamedTuple):
    """The layers of a network for series, without its head.

    Attributes:
        front: convolutions; None where the recurrence reads the series.
        body: the recurrence.
        augment: changes series while training.
    """

    front: ConvFront | None
    body: torch.nn.Module
    augment: SeriesAugment


def make_layers(model: Model, features: int, steps: int) -> Layers:
    """Return the layers with fresh weights.

    Args:
        model: the settings.
        features: numbers a step.
        steps: the usual length of a series; longer than ``model.max_steps``, several steps become one.
    """
    front = None
    if model.front == "conv":
        front = ConvFront(
            features,
            model.channels,
            model.kernel_sizes,
            stride=-(-steps // model.max_steps),
            dropout=model.front_dropout,
        )
    body = RECURRENT_LAYERS[model.cell](
        features if front is None else front.output_size,
        model.hidden_size,
        num_layers=model.num_layers,
        batch_first=True,
        bidirectional=model.bidirectional,
        dropout=model.dropout if model.num_layers > 1 else 0.0,
        init=model.init,
    )
    return Layers(front, body, SeriesAugment(model.jitter, model.scale, model.warp))


def build(task: Task, model: Model, features: int, outputs: int, steps: int) -> torch.nn.Module:
    """Return the network with fresh weights.

    Args:
        task: decides which model the network is.
        model, features, steps: as for `make_layers`.
        outputs: the task's outputs, such as classes.
    """
    return build_on(task, model, make_layers(model, features, steps), outputs)


def build_on(task: Task, model: Model, layers: Layers, outputs: int) -> torch.nn.Module:
    """Return the network of layers that are there, with a fresh head.

    Args:
        task, model, outputs: as for `build`.
        layers: without a head.
    """
    front, body, augment = layers
    return task.build(body, outputs, pooling=model.pooling, dropout=model.dropout, front=front, augment=augment)


def make_learner(task: Task, model: torch.nn.Module, fit: Fit, **others: Any) -> Learner:
    """Return the learner that trains `model` as `fit` says; `others` are further settings, or replace these."""
    return Learner(model, **(task.learner_settings(fit) | fit.learner_settings() | others))


def usual_steps(inputs: torch.Tensor | Sequences) -> int:
    """Return the median of the series' lengths."""
    return int(inputs.shape[1] if isinstance(inputs, torch.Tensor) else inputs.lengths.median())
