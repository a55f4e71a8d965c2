"""What `make accuracy` trains, and the figures that each training must reach on test data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from statistics import mean
from typing import Any

Metrics = Mapping[str, Any]
SEEDS = (0, 1, 2)
MANY_SEEDS = tuple(range(8))
SERIES_SEEDS = tuple(range(5))


@dataclass(frozen=True)
class Goal:
    """A figure of a run, and where it must be.

    Attributes:
        name: of the figure, for the table.
        value: metrics of a run → the figure.
        least, most: its bounds; None: there is none, and without both the figure is only shown.
        each: whether each seed must be inside; else the mean over the seeds.
        form: how it is written.
    """

    name: str
    value: Callable[[Metrics], float]
    least: float | None = None
    most: float | None = None
    each: bool = False
    form: str = "{:.4g}"

    def met(self, values: list[float]) -> bool:
        judged = values if self.each else [mean(values)]
        return all(
            (self.least is None or one >= self.least) and (self.most is None or one <= self.most) for one in judged
        )

    @property
    def required(self) -> str:
        low, high = ("" if one is None else self.form.format(one) for one in (self.least, self.most))
        text = f"{low} … {high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else ""
        return f"each {text}" if self.each and text else text


@dataclass(frozen=True)
class Job:
    """A recipe, or a study of several trainings, and what it must reach.

    Attributes:
        recipe: the name of a recipe; of a study its module in `benchmarks`.
        goals: the figures.
        settings: what the recipe is given; ``{data}`` stands for the folder in RNNKIT_DATA.
        seeds: each is a training.
        study: whether `recipe` is a study; its `measure(seed)` returns metrics.
        needs: a file or folder of RNNKIT_DATA that the recipe reads, and that cannot be downloaded.
        program: one of the system that the recipe runs.
    """

    recipe: str
    goals: tuple[Goal, ...]
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    study: bool = False
    needs: str = ""
    program: str = ""


def at(*path: str) -> Callable[[Metrics], float]:
    """Return a function that finds a figure in metrics by its path."""
    return lambda metrics: float(reduce(lambda found, name: found[name], path, metrics))


def ratio(path: tuple[str, ...], *others: tuple[str, ...]) -> Callable[[Metrics], float]:
    """Return a function that divides a figure by the smallest of others."""
    return lambda metrics: at(*path)(metrics) / min(at(*other)(metrics) for other in others)


def _accuracy(least: float, *path: str, name: str = "accuracy") -> Goal:
    return Goal(name, at(*(path or ("test", "accuracy"))), least=least, form="{:.2%}")


def _series(name: str) -> Job:
    folder = f"{{data}}/ucr_uea/{name}/{name}"
    settings = (f"data.path={folder}_TRAIN.ts", f"data.test={folder}_TEST.ts")
    return Job("classify", (_accuracy(0.95),), settings, SERIES_SEEDS)


def _adding(steps: int) -> Job:
    error = Goal("mse", at("test", "mse"), most=1e-3, each=True, form="{:.1e}")
    return Job("adding", (error,), (f"data.steps={steps}",))


def _etth1(horizon: int, most: float, published: float) -> Job:
    """MSE in standard units; DLinear's from the same code is the check of the protocol."""
    linear = Goal("DLinear", at("baselines", "dlinear", "mse"), published - 0.015, published + 0.015, form="{:.3f}")
    goals = (Goal("mse", at("test", "mse"), most=most, form="{:.3f}"), linear)
    return Job("forecast-etth1", goals, (f"horizon={horizon}",), (0,))


def _mae(baseline: str) -> tuple[str, ...]:
    return "baselines", baseline, "mae"


def _weather(step: int) -> tuple[Goal, Goal]:
    """Of one step of the horizon: beside the better of the naive forecasts, and beside ridge regression."""
    own = ("ahead", str(step), "network", "mae")
    naive = [("ahead", str(step), name, "mae") for name in ("persistence", "climatology")]
    return (
        Goal(f"mae / naive, {step} ahead", ratio(own, *naive), most=0.9999, form="{:.3f}"),
        Goal(f"mae / ridge, {step} ahead", ratio(own, ("ahead", str(step), "ridge", "mae")), most=1.02, form="{:.3f}"),
    )


def _coverage(least: float, most: float) -> Goal:
    return Goal("80% intervals", at("test", "interval_80_coverage"), least, most, form="{:.1%}")


def _bleu(least: float | None = None) -> Goal:
    return Goal("BLEU", at("test", "bleu"), least=least, form="{:.1f}")


def _rouge(kind: str) -> Goal:
    own, random = ("test", kind), ("baselines", "random sentence", kind)
    return Goal(f"{kind} / random", ratio(own, random), least=1.0001, form="{:.3f}")


_TATOEBA = "tatoeba_cmn_eng/cmn.txt"
_CHINESE_TO_ENGLISH = ("data.source=1", "data.target=0", "data.tokenizer=char", "data.target_tokenizer=bpe")

JOBS = {
    "mnist-founding": Job("mnist-founding", (_accuracy(0.965),), seeds=MANY_SEEDS),
    "mnist": Job("mnist", (_accuracy(0.985),)),
    "GunPoint": _series("GunPoint"),
    "ItalyPowerDemand": _series("ItalyPowerDemand"),
    "BasicMotions": _series("BasicMotions"),
    "mnist-gru": Job("mnist-gru", (_accuracy(0.990),)),
    "adding-400": _adding(400),
    "adding-1000": _adding(1000),
    "mnist-pixels": Job("mnist-pixels", (_accuracy(0.985),), seeds=(0,)),
    "mnist-permuted": Job("mnist-permuted", (_accuracy(0.92),), seeds=(0,)),
    "forecast-etth1-96": _etth1(96, 0.375, 0.386),
    "forecast-etth1-192": _etth1(192, 0.415, 0.437),
    "forecast-etth1-336": _etth1(336, 0.450, 0.481),
    "forecast-etth1-720": _etth1(720, 0.455, 0.519),
    "forecast-energy": Job(
        "forecast-energy",
        (
            Goal(
                "mae / naive",
                ratio(("test", "mae"), _mae("seasonal_24"), _mae("seasonal_168")),
                most=0.65,
                form="{:.3f}",
            ),
            Goal("mae / ridge", ratio(("test", "mae"), _mae("ridge")), most=0.9999, form="{:.3f}"),
            _coverage(0.77, 0.83),
        ),
        seeds=(0,),
    ),
    "forecast-weather": Job("forecast-weather", (*_weather(1), *_weather(3), *_weather(7), _coverage(0.74, 0.86))),
    "few-observations": Job(
        "few_observations", (Goal("gain", at("gain"), least=0.10, form="{:.1%}"),), seeds=(0,), study=True
    ),
    "lm-tinyshakespeare": Job(
        "lm-tinyshakespeare",
        (
            Goal("loss", at("test", "loss"), most=1.47, form="{:.3f}"),
            Goal("dynamic loss", at("dynamic_evaluation", "loss"), most=1.45, form="{:.3f}"),
        ),
        seeds=(0,),
    ),
    "intents-snips": Job(
        "intents-snips",
        (
            _accuracy(0.98, "test", "intent_accuracy", name="intent"),
            _accuracy(0.93, "test", "slot_f1", name="slot F1"),
        ),
        seeds=(0,),
        needs="snips",
    ),
    "spoken-intents": Job("spoken-intents", (_accuracy(0.90),), seeds=(0,), program="espeak-ng"),
    "translate-multi30k": Job("translate-multi30k", (_bleu(35),), seeds=(0,), needs="multi30k"),
    "translate-tatoeba-zh": Job("translate-tatoeba", (_bleu(),), seeds=(0,), needs=_TATOEBA),
    "translate-tatoeba-en": Job("translate-tatoeba", (_bleu(),), _CHINESE_TO_ENGLISH, (0,), needs=_TATOEBA),
    "summarize-scitldr": Job(
        "summarize-scitldr", tuple(map(_rouge, ("rouge1", "rouge2", "rougeL"))), seeds=(0,), needs="scitldr_a"
    ),
}
