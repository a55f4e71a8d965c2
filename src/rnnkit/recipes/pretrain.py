"""Pretraining on series without labels: a network fills in stretches that were taken out of them.

    rnnkit train pretrain all.csv
    rnnkit finetune runs/pretrain few.csv --task classify

The network is that of ``classify`` and ``regress`` except its head. Those recipes, and ``forecast``, fine-tune its
convolutions and its recurrence. Stretches in the middle of a series are filled from both sides; in a share
of the series the end is taken out, and the network forecasts it. See :mod:`rnnkit.tasks.series_filling`. Labels that
the file may have are set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import rnnkit
from rnnkit.errors import ConfigError, DataError, check_choice
from rnnkit.recipes.base import PreparedRun, Recipe
from rnnkit.recipes.interface import DataRequest, InspectionData
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.recipes.series import divide_rows, read_new
from rnnkit.recipes.source import Source
from rnnkit.tasks.ranges import Count, Positive, Range, Seed, Settings, Share
from rnnkit.tasks.settings import AveragedSettings, Model

if TYPE_CHECKING:
    from rnnkit.data.preprocessing import Preprocessing
    from rnnkit.data.series import SeriesSet
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.recipes.series import Parts
    from rnnkit.tasks.series_filling import FillingBatches

_STORED = "filling"  # in the extra of a model's file
_INSPECTED = 64
_DRAWN = 6
_STEPS = 1500
_TASKS = ("classify", "regress", "forecast")


@dataclass(frozen=True)
class Filling(Settings):
    """What is taken out of series.

    Attributes:
        share: of a series that is taken out, on average.
        length: steps of a stretch in the middle, on average, in steps of the recurrence.
        ends: share of the series whose end is taken out, to be forecast, in place of stretches in the middle.
    """

    group_name: ClassVar[str] = "filling"

    share: Annotated[float, Range(above=0, below=1)] = 0.3
    length: Count = 8
    ends: Share = 0.25


@dataclass(frozen=True)
class PretrainFit(AveragedSettings):
    """The training.

    Attributes:
        epochs: passes over the series; none takes 20, and in small sets as many as make 1,500 steps.
        choose_by: what of the validation series chooses the epoch: the error of what was filled in (rmse), or the loss.
    """

    epochs: Count | None = None
    batch_size: Count = 32
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0
    choose_by: Literal["rmse", "loss"] = "rmse"

    def settled(self, rows: int) -> PretrainFit:
        """Return the settings with a number of epochs for this number of series.

        Example:
            >>> PretrainFit().settled(50).epochs, PretrainFit().settled(50_000).epochs
            (750, 20)
        """
        steps = -(-rows // self.batch_size)
        return self if self.epochs is not None else replace(self, epochs=max(20, -(-_STEPS // steps)))


@dataclass(frozen=True)
class Unlabelled(Source):
    """The series, and how they are divided.

    Attributes:
        test_share: share of the series held back for the test, where no `test` is given.
        validation: share of the series that choose the epoch.
        cut: steps of the pieces that longer series are cut into, so that a few long series are many; none keeps them.
    """

    cut: Annotated[int, Range(least=4, whole=True)] | None = None
    test_share: Share = 0.1
    validation: Share = 0.1


class Scores(NamedTuple):
    """What was measured.

    Attributes:
        figures: by their names.
    """

    figures: dict[str, float]


@dataclass(frozen=True)
class Pretrain(Recipe):
    """The whole run; ``rnnkit train pretrain FILE --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order, dropout and what is taken out.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"

    model: Model = field(default_factory=Model)
    filling: Filling = field(default_factory=Filling)
    fit: PretrainFit = field(default_factory=PretrainFit)
    data: Unlabelled = field(default_factory=Unlabelled)
    seed: Seed = 0
    device: str = "auto"

    def count_rows(self, count: int) -> str:
        """Return a number of series in words."""
        return f"{count:,} series"

    def prepare(self) -> PreparedRun:
        """Read and divide the series, and write nothing."""
        from rnnkit.data.preprocessing import Preprocessing
        from rnnkit.tasks.network import usual_steps

        parts = self._parts()
        preprocessing = Preprocessing.fit(parts.train, scale=self.data.scale, missing=self.data.missing)
        steps = usual_steps(preprocessing.transform(parts.train))
        stride = -(-steps // self.model.max_steps) if self.model.front == "conv" else 1
        return PreparedPretraining(
            [parts.read],
            parts.division,
            parts.digests,
            replace(self, fit=self.fit.settled(len(parts.train))),
            train=self.batches(preprocessing, parts.train, stride, self.fit.batch_size, shuffle=True),
            validation=None if parts.validation is None else self.batches(preprocessing, parts.validation, stride),
            tests={} if parts.test is None else {"test": self.batches(preprocessing, parts.test, stride)},
            preprocessing=preprocessing,
            steps=steps,
        )

    def run(self, folder: Path) -> Any:
        """Train, measure what is filled in of the test series, and write model, metrics and pictures."""
        return self.prepare().run(folder)

    def batches(
        self, preprocessing: Preprocessing, rows: SeriesSet, stride: int, size: int = 128, *, shuffle: bool = False
    ) -> FillingBatches:
        """Return batches of series with stretches taken out.

        Args:
            preprocessing: of the training series.
            rows: the series.
            stride: steps that the front makes one of.
            size: series of a batch.
            shuffle: false: the same stretches each time.
        """
        from rnnkit.tasks.series_filling import FillingBatches, Stretches

        filling = self.filling
        stretches = Stretches(filling.share, filling.length, filling.ends)
        return FillingBatches(
            preprocessing.transform(rows), size, stretches, stride=stride, shuffle=shuffle, seed=self.seed
        )

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return errors of what the folder's network fills in, of its test series or of a file's."""
        from rnnkit.tasks.series_filling import score_filling

        model, batches = self._to_judge(folder, data)
        return score_filling(model, batches)

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's network, and series with stretches taken out."""
        model, batches = self._to_judge(folder, data)
        batch = next(iter(batches))
        inputs = batch.inputs[:_INSPECTED]
        if batch.input_lengths is not None:
            from rnnkit.types import Sequences

            inputs = Sequences(inputs, batch.input_lengths[:_INSPECTED])
        return InspectionData(model, inputs, None, None)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Refuse: what the network should answer must be named."""
        raise ConfigError(
            f"{folder} was pretrained without labels; say what it shall learn of {data.path}: --task classify, --task "
            "regress or --task forecast"
        )

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune --task`` where the user sets none."""
        from rnnkit.recipes.series_transfer import DEFAULTS

        return DEFAULTS

    def successor(self, task: str, data: DataRequest) -> tuple[str, Recipe]:
        """Return the recipe that fine-tunes the folder's network: "classify", "regress" or "forecast"."""
        from rnnkit.recipes.classify import classify
        from rnnkit.recipes.forecast import forecast
        from rnnkit.recipes.regress import regress

        check_choice(task, "--task", _TASKS)
        recipes: dict[str, Any] = {"classify": classify, "regress": regress, "forecast": forecast}
        found = recipes[task]()
        encoding = {} if data.encoding is None else {"encoding": data.encoding}
        chosen = replace(found.data, path=str(data.path), **encoding)
        if task == "forecast":
            mine = self.model
            conv = mine.channels if mine.front == "conv" else 0
            same = {"cell": mine.cell, "hidden_size": mine.hidden_size, "num_layers": mine.num_layers}
            model = replace(found.model, conv_channels=conv, **same)
            return task, replace(found, model=model, data=chosen, device=self.device)
        return task, replace(found, model=self.model, data=chosen, device=self.device)

    def _parts(self) -> Parts:
        return divide_rows(self.data, None, "pretrain", self._pieces)

    def _pieces(self, rows: SeriesSet) -> SeriesSet:
        return rows if self.data.cut is None else rows.cut(self.data.cut)

    def _to_judge(self, folder: Path, data: DataRequest | None) -> tuple[Any, FillingBatches]:
        """Return the folder's network, and batches of its test series or of a file's."""
        from rnnkit.runs import data_digests

        model: Any = rnnkit.load(folder)
        preprocessing = stored_preprocessing(folder)
        if data is not None:
            rows = self._pieces(read_new(preprocessing, None, data))
        else:
            parts = self._parts()
            data_digests.check(folder, parts.digests, "judge on a file of other series: --data FILE")
            found = parts.validation if parts.test is None else parts.test
            if found is None:
                raise DataError(f"{folder} held no series back; name a file of series: --data FILE")
            rows = found
        return model, self.batches(preprocessing, rows, getattr(model.front, "stride", 1))


@dataclass(frozen=True)
class PreparedPretraining(PreparedTraining):
    """A run whose series were read and divided.

    Attributes:
        preprocessing: of the training series.
        steps: the usual number of steps of a series.
    """

    nouns: ClassVar[str] = "series"
    figure_names: ClassVar[Mapping[str, str]] = {"rmse": "root mean square error of what is filled in", "loss": "loss"}

    preprocessing: Preprocessing
    steps: int

    def training(self) -> Training:
        """Return learner and network with fresh weights, the batches to train on, and those that choose."""
        import torch

        from rnnkit.tasks.network import make_layers
        from rnnkit.tasks.series_filling import FillingObjective

        recipe, preprocessing = self.recipe, self.preprocessing
        torch.manual_seed(recipe.seed)
        # Series are not changed at random: what is asked for are their own values at their own steps.
        front, body, _ = make_layers(recipe.model, preprocessing.input_size, self.steps)
        outputs = preprocessing.input_size * self.train.stride
        model = rnnkit.SequenceTagger(body, outputs, dropout=recipe.model.dropout, front=front)
        learner = rnnkit.Learner(
            model, objective=FillingObjective(), metrics=(), device=recipe.device, **recipe.fit.learner_settings()
        )
        learner.extra = {_STORED: {"preprocessing": preprocessing.to_json()}}
        return Training(learner, model, self.train, self.validation)

    def judge_items(self, predictor: Any, items: FillingBatches) -> Judged:
        """Fill in series, and compare with what was there."""
        from rnnkit.tasks.series_filling import score_filling

        return Judged(items, [], Scores(score_filling(predictor, items)))

    def measured(self, predictor: Any) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that the error of what is filled in chooses."""
        from rnnkit.tasks.series_filling import score_filling

        return {"rmse": False}, lambda model: {"rmse": score_filling(predictor, self.validation)["rmse"]}

    def write_results(
        self, folder: Path, predictor: Any, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Draw some series with what was taken out and what was filled in, ``filling.png``."""
        from rnnkit.plotting.filling import Filled, filling_picture
        from rnnkit.tasks.series_filling import filled

        items = next((one.items for one in judged.values()), self.train)
        rows = [
            Filled(f"{self.preprocessing.channels[channel]}, {row}", true[:, channel], found[:, channel], out)
            for row, (true, found, out) in enumerate(filled(predictor, items, _DRAWN))
            for channel in range(min(true.shape[1], len(self.preprocessing.channels), 2 if row else 3))
        ][:_DRAWN]
        filling_picture(rows, folder / "filling.png")


def stored_preprocessing(folder: Path) -> Preprocessing:
    """Return the preprocessing of a pretrained network.

    Raises:
        DataError: the folder's network was not pretrained on series.
    """
    from rnnkit.data.preprocessing import Preprocessing
    from rnnkit.serialization import read_config

    extra = read_config(folder)["extra"]
    if _STORED not in extra:
        raise DataError(f"{folder} was not pretrained on series; expected a run of `rnnkit train pretrain`")
    return Preprocessing.from_json(extra[_STORED]["preprocessing"])


def pretrain() -> Pretrain:
    """Learn from series without labels (data.path) by filling in what was taken out, before classify or regress."""
    return Pretrain()
