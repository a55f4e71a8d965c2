"""Rules that find what is wrong with a network: each with its threshold, its sentence and what usually helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .activity import Activity
from .gradients import GradientFlow
from .memory import Horizon
from .seen_pixels import ReceptiveField
from .spectrum import Spectrum


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    Attributes:
        title: what is wrong, in a few words.
        measure: what is measured, and how it is compared.
        threshold: the figure from which it is wrong.
        problem: the sentence about it; ``{figure}``, ``{where}`` and other facts are filled in.
        helps: what usually helps.
    """

    title: str
    measure: str
    threshold: float
    problem: str
    helps: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the rule's name, the layer or parameter, the figure and the sentences."""

    rule: str
    where: str
    figure: float
    problem: str

    def __repr__(self) -> str:
        return f"Finding({self.rule}, {self.where}: {self.figure:.3g}, threshold {self.threshold:g})"

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""
        return RULES[self.rule].title

    @property
    def threshold(self) -> float:
        """The figure from which it is wrong."""
        return RULES[self.rule].threshold

    @property
    def helps(self) -> str:
        """What usually helps."""
        return RULES[self.rule].helps

    def __str__(self) -> str:
        return f"{self.title} ({self.where}). {self.problem} {self.helps}"


# The worst first: a page begins with it. These are all sentences of a diagnosis.
RULES: dict[str, Rule] = {
    "not_finite": Rule(
        "Numbers overflowed", "NaN or infinite weights, losses or gradients, at least", 1,
        "{what}, so the network can neither be used nor trained further.",
        "Go back to the last good checkpoint, lower the learning rate (a tenth), and clip gradients: clip_norm=1.",
    ),
    "exploding": Rule(
        "Gradients explode",
        "norm of ∂L/∂h at the far end of time over that at the near end, at least (and at least the number of steps, "
        "which a sum over steps reaches by itself)", 100,
        "On its way back through {steps} steps the gradient of {where} grows {figure:.2g}-fold{cause}.",
        "Clip gradients (clip_norm=1); start from orthogonal or identity recurrent weights (init=\"keras\" or "
        "\"identity\"); take a gated layer (LSTM, GRU); lower the learning rate; or cut the sequences shorter (bptt=).",
    ),
    "vanishing": Rule(
        "Gradients vanish",
        "steps that the output sees, as a share of the sequence (of 20 steps or more), at most", 0.25,
        "The output sees {seen} of {steps} steps: further back the gradient by the input stays below 1% of its "
        "largest{decay}{cause}.",
        "If what decides lies further back: take a gated layer (LSTM, GRU) with its memory open from the start "
        "(rnnkit.chrono_(layer, T), or a forget gate's bias of 1 or more), or identity or orthogonal recurrent weights "
        "in a SimpleRNN; shorten the sequences (pool, take every n-th step, convolve first); or pool over all steps "
        "(pooling=\"mean\").",
    ),
    "saturated": Rule(
        "Units are saturated", "share of values within 0.01 of an end of their tanh or sigmoid, at least", 0.5,
        "{figure:.0%} of the values of {gate} in {where} lie at an end of their range, where hardly any "
        "gradient passes.",
        "Scale the inputs to mean 0 and variance 1 (fitted on the training part); use smaller initial weights; lower "
        "the learning rate; clip gradients; or normalise inside the layer (layer_norm=True).",
    ),
    "closed": Rule(
        "Gates stay shut", "share of values of a gate below 0.01 (of a GRU's z: above 0.99), at least", 0.5,
        "{figure:.0%} of the values of gate {gate} in {where} are shut, so that {effect}.",
        "Scale the inputs to mean 0 and variance 1; give that gate's bias a larger start (a GRU's z a smaller one); "
        "lower the learning rate; clip gradients.",
    ),
    "dead": Rule(
        "Units are dead", "share of ReLU units that are 0 at every step of every row, at least", 0.25,
        "{figure:.0%} of the units of {where} are 0 on all rows and never learn again.",
        "Lower the learning rate or warm it up; start from the identity (init=\"identity\") with biases of 0; clip "
        "gradients; or use tanh or a gated layer.",
    ),
    "constant": Rule(
        "Units do nothing", "share of units whose output does not vary over rows and steps, at least", 0.25,
        "{figure:.0%} of the units of {where} output the same number for every input.",
        "Check that the inputs vary and are scaled; raise the learning rate or lower the weight decay; or take fewer "
        "units.",
    ),
    "large_inputs": Rule(
        "Inputs are large", "largest root mean square of an input feature, at least", 10,
        "Feature {where} of the inputs has a root mean square of {figure:.3g}.",
        "Scale the inputs to mean 0 and variance 1, fitted on the training part and kept with the model.",
    ),
    "small_inputs": Rule(
        "Inputs are small", "root mean square of all inputs, at most", 1e-3,
        "The inputs have a root mean square of {figure:.2g}, which is small beside the biases.",
        "Scale the inputs to mean 0 and variance 1, fitted on the training part and kept with the model.",
    ),
    "fast": Rule(
        "Weights move fast", "update-to-weight ratio ‖Δw‖/‖w‖ a step, median over the epochs, at least", 0.05,
        "A step changes {where} by {figure:.1%} of its size; about 0.1% is usual.",
        "Lower the learning rate (a tenth), warm it up (schedule=\"warmup_cosine\"), or clip gradients.",
    ),
    "slow": Rule(
        "Weights hardly move", "the same, largest over the epochs, at most", 1e-6,
        "A step changes {where} by {figure:.1g} of its size; about 0.001 is usual.",
        "Raise the learning rate (ten times; a rate finder shows how far), check that nothing is frozen by mistake, "
        "and look for vanishing gradients.",
    ),
    "spikes": Rule(
        "Gradients spike", "largest gradient norm of a step over the epoch's median, at least", 100,
        "In epoch {epoch} one step's gradient was {figure:.0f} times the median.",
        "Clip gradients at a few times the median norm (clip_norm=), warm the learning rate up, and look at the rows "
        "of that step.",
    ),
    "not_learning": Rule(
        "The loss does not fall", "last training loss over the first epoch's, after 3 epochs or more, at least", 0.99,
        "After {epochs} epochs the training loss is {last:.4g}, and it began at {first:.4g}.",
        "Try other learning rates (a rate finder shows the range); check that targets belong to their rows; see "
        "whether the network can overfit 20 rows.",
    ),
    "overfitting": Rule(
        "The network overfits", "last validation loss over its lowest, at least", 1.2,
        "The validation loss has risen from {lowest:.4g} (epoch {epoch}) to {last:.4g}, while the training loss "
        "fell.",
        "Stop earlier (early_stopping=, restore_best=True); more dropout or weight decay; fewer units; more data.",
    ),
}  # fmt: skip

_EFFECTS = {
    "i": "nothing new enters the memory", "f": "the memory is cleared at every step", "o": "the memory cannot be read",
    "z": "the state is never renewed",
}  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """All that was measured; what is missing is None or empty."""

    flow: GradientFlow | None = None
    activity: tuple[Activity, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    horizon: Horizon | None = None
    features: tuple[float, ...] = ()
    records: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, float]] = ()
    problems: tuple[str, ...] = ()
    field: ReceptiveField | None = None

    def __repr__(self) -> str:
        return f"Evidence({', '.join(name for name, value in vars(self).items() if value not in (None, (), []))})"


def findings(evidence: Evidence) -> tuple[Finding, ...]:
    """Apply every rule to what was measured; the worst come first."""
    found = [one for check in _CHECKS for one in check(evidence)]
    order = list(RULES)
    return tuple(sorted(found, key=lambda one: order.index(one.rule)))


def _finding(rule: str, where: str, figure: float, **known: Any) -> Finding:
    return Finding(rule, where, figure, RULES[rule].problem.format(figure=figure, where=where, **known))


def _above(rule: str, figure: float) -> bool:
    return figure >= RULES[rule].threshold


def _not_finite(evidence: Evidence) -> Iterator[Finding]:
    if evidence.problems:
        yield _finding("not_finite", "the model", len(evidence.problems), what="; ".join(evidence.problems))


def _gradients(evidence: Evidence) -> Iterator[Finding]:
    seen = evidence.horizon
    layers = [] if evidence.flow is None else [one for one in evidence.flow.layers if not math.isnan(one.far_to_near)]
    layers.sort(key=lambda one: one.far_to_near)
    if layers:
        most = layers[-1]
        ratio, steps = most.far_to_near, most.rows.shape[1]
        if _above("exploding", ratio) and ratio >= steps:
            cause = _cause(evidence, most.layer, lambda radius: radius > 1)
            yield _finding("exploding", most.layer, ratio, steps=steps, cause=cause)
    if seen is not None and seen.length >= 20 and seen.steps > 0 and seen.share <= RULES["vanishing"].threshold:
        decay, where = "", "the output"
        if layers and not seen.per_step:
            least = layers[0]
            if least.far_to_near > 0.1:  # the state carries its gradient: it is the input that matters little there
                return
            where = least.layer
            decay = f", and the gradient at the first step is {least.far_to_near:.1g} of what it is at the last"
        cause = _cause(evidence, where, lambda radius: radius < 1)
        yield _finding("vanishing", where, seen.share, seen=seen.steps, steps=seen.length, decay=decay, cause=cause)


def _cause(evidence: Evidence, layer: str, fits: Callable[[float], bool]) -> str:
    """The recurrent weights of a simple layer, where they explain it."""
    radii = [one.radius for one in evidence.spectra if one.layer == layer and one.gate == "h"]
    if radii and fits(radii[0]):
        return f"; its recurrent weights have a spectral radius of {radii[0]:.2g}"
    return ""


def _units(evidence: Evidence) -> Iterator[Finding]:
    for one in evidence.activity:
        for gate in ("h", "g", "n"):
            if gate in one.low and _above("saturated", one.saturated[gate]):
                name = "the state" if gate == "h" else f"the candidate {gate}"
                yield _finding("saturated", one.layer, one.saturated[gate], gate=name)
        for gate, effect in _EFFECTS.items():
            shut = one.high if gate == "z" else one.low
            if gate in shut and _above("closed", shut[gate]):
                yield _finding("closed", one.layer, shut[gate], gate=gate, effect=effect)
        if one.kind == "relu" and _above("dead", one.dead_share):
            yield _finding("dead", one.layer, one.dead_share)
        alive = one.constant & ~one.dead
        share = float(alive.double().mean())
        if _above("constant", share):
            yield _finding("constant", one.layer, share)


def _inputs(evidence: Evidence) -> Iterator[Finding]:
    sizes = evidence.features
    if not sizes:
        return
    largest = max(range(len(sizes)), key=lambda place: sizes[place])
    whole = math.sqrt(sum(size * size for size in sizes) / len(sizes))
    if _above("large_inputs", sizes[largest]):
        yield _finding("large_inputs", str(largest), sizes[largest])
    elif whole <= RULES["small_inputs"].threshold:
        yield _finding("small_inputs", "all features", whole)


def _training(evidence: Evidence) -> Iterator[Finding]:
    ratios: dict[str, list[float]] = {}
    for record in evidence.records:
        for name, ratio in record.get("updates", {}).items():
            # Biases and gains begin near 0 or are few: their ratio says little.
            if ratio is not None and ("weight" in name.rpartition(".")[2]):
                ratios.setdefault(name, []).append(ratio)
    if ratios:
        fastest = max(ratios, key=lambda name: median(ratios[name]))
        if _above("fast", median(ratios[fastest])):
            yield _finding("fast", fastest, median(ratios[fastest]))
        slowest = min(ratios, key=lambda name: max(ratios[name]))
        if max(ratios[slowest]) <= RULES["slow"].threshold:
            yield _finding("slow", slowest, max(ratios[slowest]))
    peaks = [(record["gradient_peak"], record["epoch"]) for record in evidence.records if record.get("gradient_peak")]
    if peaks and _above("spikes", max(peaks)[0]):
        peak, epoch = max(peaks)
        yield _finding("spikes", f"epoch {epoch}", peak, epoch=epoch)


def _curves(evidence: Evidence) -> Iterator[Finding]:
    losses = _column(evidence.history, "loss")
    if len(losses) >= 3 and losses[0] > 0 and _above("not_learning", losses[-1] / losses[0]):
        yield _finding(
            "not_learning", "the loss", losses[-1] / losses[0], epochs=len(losses), first=losses[0], last=losses[-1]
        )
    both = [
        row for row in evidence.history if all(math.isfinite(row.get(name, math.nan)) for name in ("loss", "val_loss"))
    ]
    if not both:
        return
    best, last = min(both, key=lambda row: row["val_loss"]), both[-1]
    ratio = last["val_loss"] / best["val_loss"] if best["val_loss"] > 0 else 1.0
    after = [row["loss"] for row in both[both.index(best) :]]
    kept = after[-1] < after[0] and after[-1] <= (after[0] + min(after)) / 2
    if _above("overfitting", ratio) and kept:  # a training loss that lost half of its fall rises: nothing is learned
        yield _finding(
            "overfitting", "the validation loss", ratio, lowest=best["val_loss"], last=last["val_loss"],
            epoch=both.index(best) + 1,
        )  # fmt: skip


def _column(rows: Iterable[Mapping[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if name in row and math.isfinite(row[name])]


_CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    _not_finite, _gradients, _units, _inputs, _training, _curves,
)  # fmt: skip
