"""From a network that was pretrained on series without labels to forecasts, for ``rnnkit finetune --task forecast``.

The forecaster is a :class:`rnnkit.DirectForecaster` with the convolutions and the recurrence of the pretraining and a
fresh head. The network of the pretraining reads one channel; covariates, the calendar and the flag of observed steps
are further inputs of the forecaster, whose weights begin at 0: before it learns, it reads a window as the pretraining
did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError
from ..runs import REPORT, data_digests, read_recipe
from .finetuning import FineTune, FineTuneWork, refuse_old_rows
from .forecast_run import PreparedForecast
from .pretraining_worth import Rows, TransferFineTune, draw_rows, tell_worth

if TYPE_CHECKING:
    from ..data.forecasting import ForecastWindows
    from ..models.forecast_direct import DirectForecaster
    from ..tasks.forecast_settings import Model
    from ..tasks.forecasting import ForecastPredictor
    from ..training.history import History
    from ..training.learner import Learner
    from ..types import WindowLayout
    from .forecast import Forecast

DEFAULTS = TransferFineTune(epochs=20, batch_size=64, lr=2e-3, schedule="warmup_cosine", replay=None, validation=0.0)


@dataclass(frozen=True)
class ForecastTransferJob(FineTuneWork):
    """A forecaster with pretrained layers, and the series that it has to learn.

    Attributes:
        prepared: the series, read and divided.
        predictor: the forecaster.
        forecaster: makes another one: with the pretrained layers, or (True) with fresh weights.
        told: what was found about the series besides the pretraining, a sentence each.
    """

    prepared: PreparedForecast
    predictor: ForecastPredictor
    forecaster: Callable[[bool], ForecastPredictor]
    told: tuple[str, ...]

    def findings(self) -> list[str]:
        """Return what was found in the series."""
        return [*self.prepared.findings(), *self.told]

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that have no meaning where there is no old task."""
        from ..finetuning.freeze import matching

        matching(self.predictor.model, settings.freeze)
        refuse_old_rows(settings, "the pretrained network has answered nothing yet")
        if settings.classes != "add":
            raise ConfigError(f"classes={settings.classes} arrived, but forecasts have no classes; leave it out")
        if isinstance(settings, TransferFineTune):
            train, _, test = self.prepared.windows
            settings.check_compare(len(train), len(test), "windows")

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, judge on the test part, and write the results into the folder."""
        from ..finetuning.adapters import merge_adapters

        prepared, predictor = self.prepared, self.predictor
        data_digests.record(folder, prepared.digests)
        learner, history = self._learn(predictor, prepared.windows[0], settings.arguments(folder))
        if settings.rank is not None:
            merge_adapters(learner.model)
        prepared.conclude(folder, predictor, learner, history)
        assert history.report is not None
        told = self._worth(settings) if history.stopped != "interrupted" else {}
        history.report = replace(history.report, method={**history.report.method, **told})
        history.report.to_json(folder / REPORT)
        return history

    def _learn(
        self, predictor: ForecastPredictor, train: ForecastWindows, chosen: dict[str, Any], **others: Any
    ) -> tuple[Learner, History]:
        from ..tasks.forecast_training import forecast_learner

        fit, batch = self.prepared.recipe.fit, chosen["batch_size"]
        learner = forecast_learner(predictor, fit)
        settings = {name: value for name, value in (fit.fit_settings() | chosen).items() if name != "batch_size"}
        history = learner.fine_tune(
            train.batches(batch, shuffle=True, seed=chosen["seed"]),
            validation=self.prepared.windows[1].batches(max(batch, 256)),
            **settings | others,
        )
        return learner, history

    def _worth(self, settings: FineTune) -> dict[str, str]:
        """Return what the pretraining is worth by the number of windows, in words."""
        if not isinstance(settings, TransferFineTune):
            return {}
        train, _, test = self.prepared.windows
        judged = self.prepared.recipe.in_units(test)

        def draw(count: int) -> Rows:
            return draw_rows(count, None, len(train), settings.seed)

        def learn(rows: Rows, fresh: bool) -> dict[str, float]:
            predictor = self.forecaster(fresh)
            chosen = settings.fresh() if fresh else settings.arguments()
            self._learn(predictor, train.select(rows), chosen, progress=False)
            return predictor.scores(judged).figures

        return tell_worth(settings.compare, draw, learn, f"{len(test):,} windows held back")


def make_job(recipe: Forecast, folder: Path, settings: FineTune) -> ForecastTransferJob:
    """Return the pretrained network of a folder as a forecaster, with the series of a recipe to learn.

    Args:
        recipe: what should be forecast, and from which series.
        folder: of the pretraining.
        settings: of the fine-tuning.

    Raises:
        DataError: the pretraining was on several channels.
        ConfigError: settings that keep a share of the steps twice.
    """
    import rnnkit

    from ..tasks.forecast_training import new_forecaster
    from .pretrain import stored_preprocessing

    if settings.validation:
        raise ConfigError(
            f"validation={settings.validation:g} arrived; name the shares of the time that are held back by --set "
            "data.validation and --set data.test"
        )
    channels = stored_preprocessing(folder).channels
    if len(channels) > 1:
        raise DataError(
            f"{folder} was pretrained on {len(channels)} channels ({', '.join(channels[:5])}), and a forecast reads "
            "one series at a time; expected a pretraining on one: `rnnkit train pretrain FILE --set data.values=COLUMN`"
        )
    prepared = recipe.prepare()
    assert isinstance(prepared, PreparedForecast)
    pretrained: Any = rnnkit.load(folder)
    parts, preprocessing = prepared.parts, prepared.preprocessing

    def forecaster(fresh: bool) -> ForecastPredictor:
        def build(layout: WindowLayout) -> DirectForecaster:
            return forecaster_on(pretrained.front, pretrained.body, recipe.model, layout, fresh=fresh)

        return new_forecaster(build, parts, preprocessing, seed=settings.seed, device=settings.device)

    return ForecastTransferJob(prepared, forecaster(False), forecaster, _same_file(recipe, folder))


def forecaster_on(
    front: Any, body: Any, model: Model, layout: WindowLayout, *, fresh: bool = False
) -> DirectForecaster:
    """Return a forecaster that reads a window by layers that are there, with a fresh head.

    Args:
        front: convolutions that read one channel (:class:`rnnkit.ConvFront`); None where the recurrence reads it.
        body: the recurrence.
        model: output, normalisation, dropout and the linear map of the forecaster.
        layout: of the windows; the target is its first channel.
        fresh: whether all weights are fresh, so that only the form is that of the layers.

    Example:
        >>> import rnnkit, torch
        >>> from rnnkit.tasks.forecast_settings import Model
        >>> from rnnkit.types import WindowLayout
        >>> body = rnnkit.GRU(1, 4, batch_first=True)
        >>> model = forecaster_on(None, body, Model(), WindowLayout(lookback=6, horizon=2, known=("hour",)))
        >>> model.body.weight_ih_l0[:, 1].abs().max().item(), torch.equal(model.body.weight_hh_l0, body.weight_hh_l0)
        (0.0, True)
    """
    import torch

    from ..layers.by_name import RECURRENT_LAYERS
    from ..models.forecast_direct import DirectForecaster

    cell: Any = next(name for name, kind in RECURRENT_LAYERS.items() if type(body) is kind)
    convolutions: dict[str, Any] = {}
    if front is not None:
        convolutions = {
            "conv_channels": front.output_size, "conv_kernels": front.kernel_sizes, "conv_stride": front.stride,
            "conv_views": True,
        }  # fmt: skip
    made = DirectForecaster(
        layout,
        cell,
        body.hidden_size,
        body.num_layers,
        output=model.output,
        norm=model.norm,
        linear=model.linear,
        dropout=model.dropout,
        bidirectional=body.bidirectional,
        **convolutions,
    )
    layers: list[tuple[Any, Any, int]] = [(made.front, front, 3), (made.body, body, 1)]
    with torch.no_grad():
        for new, old, views in layers:
            if old is not None and not fresh:
                held = new.state_dict()
                for name, values in old.state_dict().items():
                    _take_over(held[name], values, views)
    return made


def _take_over(new: Any, old: Any, views: int) -> None:
    """Write weights over those of a layer that has more inputs; those of the further inputs become 0.

    Args:
        new: [F, V I, ...] or a shape that both have.
        old: [F, V, ...].
        views: V, the views of an input that stand side by side.
    """
    if new.shape == old.shape:
        new.copy_(old)
        return
    new.zero_()
    new[:, :: new.shape[1] // views] = old


def _same_file(recipe: Forecast, folder: Path) -> tuple[str, ...]:
    """Return a sentence where the pretraining read the file whose latest steps are the test."""
    before = read_recipe(folder).settings.get("data", {}).get("path")
    path = recipe.data.path
    if before is None or path is None or Path(before).resolve() != Path(path).resolve():
        return ()
    return (
        f"{folder} was pretrained on all steps of {path}, those of the test part among them; for figures of steps that "
        "it has not seen keep them out of the pretraining.",
    )
