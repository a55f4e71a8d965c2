"""From a network that was pretrained on series without labels to one that answers, for ``rnnkit finetune --task``."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError
from ..runs import REPORT, data_digests
from ..tasks import series
from ..tasks.network import Layers, build, build_on, make_learner
from .finetuning import FineTune, FineTuneWork, refuse_old_rows
from .pretraining_worth import Rows, TransferFineTune, draw_rows, tell_worth
from .series import PreparedSeries, SeriesRecipe

if TYPE_CHECKING:
    from ..data.preprocessing import Preprocessing
    from ..data.series import SeriesSet
    from ..training.history import History

DEFAULTS = TransferFineTune(
    epochs=60, lr=2e-3, schedule="warmup_cosine", replay=None, classes="replace", validation=0.0
)


@dataclass(frozen=True)
class SeriesTransferJob(FineTuneWork):
    """A pretrained network with a fresh head, and the rows that it has to learn.

    Attributes:
        prepared: the rows, read and divided, with the scales of the pretraining.
        predictor: the network and what its outputs mean.
        network: makes another one: with the pretrained layers, or (True) with fresh weights.
        told: what was found about the rows besides the pretraining, a sentence each.
    """

    prepared: PreparedSeries
    predictor: series.SeriesPredictor
    network: Callable[[bool], Any]
    told: tuple[str, ...] = ()

    def findings(self) -> list[str]:
        """Return what was found in the rows."""
        return [*self.prepared.findings(), *self.told]

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that have no meaning where there is no old task."""
        refuse_old_rows(settings, "the pretrained network has answered nothing yet")
        if isinstance(settings, TransferFineTune):
            held = self._held_back()
            settings.check_compare(len(self.prepared.parts.train), 0 if held is None else len(held), "rows")

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, judge on the held-out rows, and write the results into the folder."""
        from ..finetuning.adapters import merge_adapters

        prepared, predictor, parts = self.prepared, self.predictor, self.prepared.parts
        data_digests.record(folder, parts.digests)
        validation = None if parts.validation is None else self._pair(parts.validation)
        history = self._learn(predictor, self._pair(parts.train), validation=validation, **settings.arguments(folder))
        if settings.rank is not None:
            merge_adapters(predictor.model)
        prepared.conclude(predictor, folder)
        assert history.report is not None
        told = self._worth(settings) if history.stopped != "interrupted" else {}
        history.report = replace(history.report, method={**history.report.method, **told})
        history.report.to_json(folder / REPORT)
        return history

    def _pair(self, rows: Any) -> Any:
        return self.predictor.inputs(rows), self.prepared.task.encode_targets(rows, self.predictor.preprocessing)

    def _learn(self, predictor: series.SeriesPredictor, data: Any, **settings: Any) -> History:
        prepared = self.prepared
        learner = make_learner(prepared.task, predictor.model, prepared.recipe.fit, device=predictor.device)
        learner.extra = predictor.extra()
        predictor.history, predictor.learner = learner.fine_tune(data, **settings), learner
        return predictor.history

    def _held_back(self) -> SeriesSet | None:
        parts = self.prepared.parts
        return parts.validation if parts.test is None else parts.test

    def _worth(self, settings: FineTune) -> dict[str, str]:
        """Return what the pretraining is worth by the number of rows, in words."""
        held, train = self._held_back(), self.prepared.parts.train
        if not isinstance(settings, TransferFineTune) or held is None:
            return {}
        classes = None
        if self.predictor.preprocessing.classes is not None:
            assert train.targets is not None  # of classes there are some
            classes = list(map(str, train.targets))

        def draw(count: int) -> Rows:
            return draw_rows(count, classes, len(train), settings.seed)

        def learn(rows: Rows, fresh: bool) -> dict[str, float]:
            predictor = replace(self.predictor, model=self.network(fresh))
            chosen = settings.fresh() if fresh else settings.arguments()
            self._learn(predictor, self._pair(train[rows]), progress=False, **chosen)
            return predictor.evaluate(held)

        return tell_worth(settings.compare, draw, learn, f"{len(held):,} rows held back")


def make_job(recipe: SeriesRecipe, folder: Path, settings: FineTune) -> SeriesTransferJob:
    """Return the pretrained network of a folder with the rows of a recipe to learn.

    Args:
        recipe: what should be learned, and from which rows.
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
    stride = 1 if pretrained.front is None else pretrained.front.stride

    def network(fresh: bool) -> torch.nn.Module:
        torch.manual_seed(settings.seed)
        if fresh:
            return build(task, model, preprocessing.input_size, outputs, stride * model.max_steps)
        front, body = copy.deepcopy(pretrained.front), copy.deepcopy(pretrained.body)
        return build_on(task, model, Layers(front, body, SeriesAugment(model.jitter, model.scale, model.warp)), outputs)

    names = recipe.answer_names() or task.answer_names(outputs)
    return SeriesTransferJob(
        prepared,
        series.SeriesPredictor(network(False), preprocessing, task, tuple(names), settings.device),
        network,
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
    # Channels of other names are distinguished by their order alone.
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
