"""From a network that was pretrained on series without labels to one that answers, for ``rnnkit finetune --task``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError
from ..runs import data_digests
from ..tasks import series
from ..tasks.network import Layers, build_on, make_learner
from .finetuning import FineTune, FineTuneWork, refuse_old_rows
from .series import PreparedSeries, SeriesRecipe

if TYPE_CHECKING:
    from ..data.preprocessing import Preprocessing
    from ..training.history import History

DEFAULTS = FineTune(epochs=60, lr=2e-3, schedule="warmup_cosine", replay=None, classes="replace", validation=0.0)


@dataclass(frozen=True)
class SeriesTransferJob(FineTuneWork):
    """A pretrained network with a fresh head, and the rows that it has to learn.

    Attributes:
        prepared: the rows, read and divided, with the scales of the pretraining.
        predictor: the network and what its outputs mean.
        told: what was found about the rows beside the pretraining, a sentence each.
    """

    prepared: PreparedSeries
    predictor: series.SeriesPredictor
    told: tuple[str, ...] = ()

    def findings(self) -> list[str]:
        """Return what was found in the rows."""
        return [*self.prepared.findings(), *self.told]

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that have no meaning where there is no old task."""
        refuse_old_rows(settings, "the pretrained network has answered nothing yet")

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, judge on the held-out rows, and write the results into the folder."""
        prepared, predictor = self.prepared, self.predictor
        recipe, parts = prepared.recipe, prepared.parts
        data_digests.record(folder, parts.digests)
        learner = make_learner(prepared.task, predictor.model, recipe.fit, device=settings.device)
        learner.extra = predictor.extra()

        def pair(rows: Any) -> Any:
            return predictor.inputs(rows), prepared.task.encode_targets(rows, predictor.preprocessing)

        validation = None if parts.validation is None else pair(parts.validation)
        history = learner.fine_tune(pair(parts.train), validation=validation, **settings.arguments())
        predictor.history, predictor.learner = history, learner
        prepared.conclude(predictor, folder)
        return history


def make_job(recipe: SeriesRecipe, folder: Path, settings: FineTune) -> SeriesTransferJob:
    """Return the pretrained network of a folder with the rows of a recipe to learn.

    Args:
        recipe: what shall be learned, and from which rows.
        folder: of the pretraining.
        settings: of the fine-tuning.

    Raises:
        DataError: rows with other channels than those of the pretraining.
        ConfigError: settings that keep a share of the rows twice.
    """
    import torch

    import rnnkit

    from ..layers.augment import SeriesAugment
    from .pretrain import stored_preprocessing

    if settings.validation:
        raise ConfigError(
            f"validation={settings.validation:g} arrived; name the shares that are held back by --set data.validation "
            "and --set data.test_share"
        )
    prepared = recipe.prepare()
    assert isinstance(prepared, PreparedSeries)
    before = stored_preprocessing(folder)
    preprocessing = with_inputs_of(before, prepared.preprocessing, folder)
    prepared = replace(prepared, preprocessing=preprocessing)
    pretrained: Any = rnnkit.load(folder)
    model, task = recipe.model, prepared.task
    outputs = task.output_size(preprocessing)
    torch.manual_seed(settings.seed)
    layers = Layers(pretrained.front, pretrained.body, SeriesAugment(model.jitter, model.scale, model.warp))
    names = recipe.answer_names() or task.answer_names(outputs)
    network = build_on(task, model, layers, outputs)
    return SeriesTransferJob(
        prepared,
        series.SeriesPredictor(network, preprocessing, task, tuple(names), settings.device),
        other_names(before, preprocessing, folder),
    )


def other_names(pretrained: Preprocessing, found: Preprocessing, folder: Path) -> tuple[str, ...]:
    """Return a sentence where channels stand for those of other names; none where the names are the same.

    Args:
        pretrained: of the pretraining.
        found: of the new rows, as `with_inputs_of` returns it.
        folder: of the pretraining.
    """
    pairs = [(one, other) for one, other in zip(found.channels, pretrained.channels, strict=True) if one != other]
    if not pairs:
        return ()
    shown = ", ".join(f"{one} for {other}" for one, other in pairs[:5]) + (" …" if len(pairs) > 5 else "")
    return (f"The channels have other names than those that {folder} was pretrained on: {shown}.",)


def with_inputs_of(pretrained: Preprocessing, found: Preprocessing, folder: Path) -> Preprocessing:
    """Return the preprocessing of new rows with the scales that a pretrained network knows.

    Args:
        pretrained: of the pretraining; the order of its channels, too, where the rows have them by the same names.
        found: of the new rows; its classes or the scale of its targets stay.
        folder: of the pretraining, for the message.

    Raises:
        DataError: the channels differ.
    """
    if len(found.channels) != len(pretrained.channels):
        raise DataError(
            f"{folder} was pretrained on {_channels(pretrained)}, and the rows have {_channels(found)}; expected the "
            "same"
        )
    # Channels of other names are told apart by their order alone.
    alike = set(found.channels) == set(pretrained.channels)
    return replace(
        found,
        channels=pretrained.channels if alike else found.channels,
        scale=pretrained.scale,
        missing=pretrained.missing,
        center=pretrained.center,
        spread=pretrained.spread,
        mean=pretrained.mean,
        median_step=pretrained.median_step,
    )


def _channels(preprocessing: Preprocessing) -> str:
    names = preprocessing.channels
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return f"{len(names)} {'channel' if len(names) == 1 else 'channels'} ({shown})"
