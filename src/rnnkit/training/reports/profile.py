"""The time of a training step by layer, forward and backward, compared with the machine's peak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import nn

from ...errors import check_whole
from ...ops.machine import matrix_peak
from ..batching.iterables import check_rereadable
from ..resuming.preserve import preserve_session
from ..session import Session
from .clocks import BETWEEN, DATA, LOSS, OPTIMIZER, WARM, Clock, WholeSteps, layer_part, opened
from .tables import aligned, html, quantity, size

_HEADER = ("part", "kind", "forward ms", "backward ms", "share", "FLOPs", "GFLOP/s", "of the peak")
_OTHERS = {
    BETWEEN: "between the layers",
    LOSS: "loss, metrics",
    OPTIMIZER: "optimizer, clipping",
    DATA: "batch, loop",
}
# A part's share of the peak below which its products are not what takes the time.
_SLOW = 0.05


@dataclass(frozen=True)
class Part:
    """A layer, or another part of a step: the work between the layers, the loss, the optimizer, the data.

    Attributes:
        name, kind: a layer's as in `Summary`; the kind of others is "".
        forward, backward: milliseconds of a step, medians. Other parts than layers have ``forward`` alone.
        flops: operations of a step; None: not counted.
        gflops: their 10⁹ a second in this part's time.
        share: of the step's time.
        peak_share: ``gflops`` beside the machine's best matrix product; None as ``flops``.
        level: 1 for a layer of a recurrent stack, whose numbers are contained in those of the stack above it.
    """

    name: str
    kind: str
    forward: float
    backward: float
    share: float = 0.0
    flops: float | None = None
    gflops: float | None = None
    peak_share: float | None = None
    level: int = 0

    @property
    def ms(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


@dataclass(frozen=True)
class Profile:
    """Times of a training step; print it, or read it.

    Attributes:
        parts: layers in the order of the model, then what is no layer.
        step_ms: milliseconds of a whole step as `fit` takes it, nothing else measured: the median over ``steps``.
        watched_ms: the same while the parts were timed, which takes the step operation by operation.
        way: a sentence on how `fit` computes a step: as a few native calls, or operation by operation and why.
        sequences, tokens: rows and valid time steps a second, at ``step_ms``.
        peak: FLOP/s of the best matrix product of PyTorch in the model's dtype, measured in this call; of the fastest
            part where that was faster, as on a machine with other work.
        threads: PyTorch's threads; device: where it ran.
        peak_memory: bytes at most during the steps: on CUDA of all tensors, on Linux of the whole process; else None.
        memory_rise: by how much that is above what was held just before; what the process had free within it is not
            seen, so this is a lower bound.

    Example:
        >>> import rnnkit, torch
        >>> x = torch.randn(64, 5, 2)
        >>> learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 8)))
        >>> profile = learner.profile((x, x.sum((1, 2))), steps=2)
        >>> any(part.name == "body" for part in profile.parts)
        True
    """

    parts: tuple[Part, ...]
    steps: int
    step_ms: float
    watched_ms: float
    way: str
    sequences: float
    tokens: float
    peak: float
    threads: int
    device: str
    peak_memory: int | None
    memory_rise: int | None

    @property
    def steps_per_second(self) -> float:
        """Training steps a second."""
        return 1e3 / self.step_ms

    @property
    def flops(self) -> float:
        """Operations of a step, as far as they are counted."""
        return sum(part.flops or 0 for part in self.parts if part.level == 0)

    @property
    def gflops(self) -> float:
        """10⁹ counted operations a second over the whole step."""
        return self.flops / self.step_ms / 1e6

    @property
    def peak_share(self) -> float:
        """`gflops` beside the machine's peak."""
        return self.gflops * 1e9 / self.peak

    @property
    def sentence(self) -> str:
        """A sentence that says which parts take the time."""
        return _sentence(self)

    def __repr__(self) -> str:
        return (
            f"Profile({self.step_ms:.3g} ms a step, {self.sequences:,.0f} sequences a second; print it for the table)"
        )

    def __str__(self) -> str:
        return "\n".join([aligned(_HEADER, [*self._cells(), self._totals()], left=2, total=True), *self._below()])

    def _repr_html_(self) -> str:
        return html(_HEADER, [*self._cells(), self._totals()], self._below(), left=2)

    def _cells(self) -> list[list[str]]:
        return [
            [
                "  " * part.level + part.name,
                part.kind,
                f"{part.forward:.3f}",
                f"{part.backward:.3f}" if part.kind or part.level or part.backward else "",
                f"{part.share:.0%}",
                quantity(part.flops, "FLOP") if part.flops is not None else "not counted" if part.kind else "",
                f"{part.gflops:.1f}" if part.gflops else "",
                f"{part.peak_share:.0%}" if part.peak_share else "",
            ]
            for part in self.parts
        ]

    def _totals(self) -> list[str]:
        forward, backward = (
            sum(getattr(part, way) for part in self.parts if part.level == 0) for way in ("forward", "backward")
        )
        speed = [quantity(self.flops, "FLOP"), f"{self.gflops:.1f}", f"{self.peak_share:.0%}"]
        return ["step", "", f"{forward:.3f}", f"{backward:.3f}", "100%", *speed]

    def _below(self) -> list[str]:
        rates = f"{self.steps_per_second:,.0f} steps, {self.sequences:,.0f} sequences, {self.tokens:,.0f} time steps"
        lines = [
            self.sentence,
            f"A step takes {self.step_ms:.3f} ms, {self.watched_ms:.3f} while its parts are timed (medians of "
            f"{self.steps}): {rates} a second",
            self.way,
            f"Peak: {self.peak / 1e9:.0f} GFLOP/s, PyTorch's best matrix product on {_where(self)}",
        ]
        if self.peak_memory is not None:
            what = "tensors" if self.device.startswith("cuda") else "the process"
            lines.append(f"Memory: {what} held {size(self.peak_memory)} at most, {size(self.memory_rise or 0)} more "
                         "than before the steps")  # fmt: skip
        return lines


def profile(
    session: Session, given: Any, fit: Callable[..., Any], data: Any, *, steps: int = 20, batch_size: int = 32
) -> Profile:
    """Time training steps and leave everything as it was; see `Learner.profile`.

    Args:
        session: of the learner.
        given: its optimizer setting.
        fit: trains on the data, with the settings of `Learner.fit`.
        data: see the Learner.
        steps, batch_size: see `Learner.profile`.
    """
    check_whole(steps, "steps")
    check_rereadable(data, "profile reads the data twice", "pass (X, y)")
    device, dtype = session.execution.device, session.execution.dtype
    peak = matrix_peak(device, dtype)

    def run(watch: WholeSteps) -> None:
        """Train for as many epochs as it takes; the callback ends the run."""
        with preserve_session(session, given, data):
            fit(data, epochs=WARM + steps, batch_size=batch_size, seed=0, callbacks=[watch], progress=False)

    bare, clock = WholeSteps(steps, device), Clock(session.model, steps, device)
    run(bare)
    run(clock)
    parts = _parts(clock)
    # Another process may have slowed one measurement; no part is faster than the machine.
    peak = max(peak, matrix_peak(device, dtype), *(1e9 * part.gflops for part in parts if part.gflops))
    step = median(bare.seconds)
    return Profile(
        parts=tuple(replace(one, peak_share=one.gflops and one.gflops * 1e9 / peak) for one in parts),
        steps=len(bare.seconds),
        step_ms=step * 1e3,
        watched_ms=median(clock.seconds) * 1e3,
        way=bare.way,
        sequences=clock.rows / len(clock.seconds) / step,
        tokens=clock.tokens / len(clock.seconds) / step,
        peak=peak,
        threads=torch.get_num_threads(),
        device=str(device),
        peak_memory=bare.peak,
        memory_rise=None if bare.peak is None else max(0, bare.peak - bare.before),
    )


# --- results ---------------------------------------------------------------------------------------------------------


def _parts(clock: Clock) -> list[Part]:
    def times(name: str) -> tuple[float, float]:
        forward, backward = (clock.times.get((name, way)) for way in ("forward", "backward"))
        return (median(forward) * 1e3 if forward else 0.0), (median(backward) * 1e3 if backward else 0.0)

    parts: list[Part] = []
    for name, unit in clock.units.items():
        kind = nn.utils.parametrize.type_before_parametrizations(unit).__name__
        if form := getattr(unit, "form", ""):  # how it computes, where it can in several ways
            kind = f"{kind} ({form})"
        layers = [layer_part(name, index) for index in range(opened(unit))]
        inside = [_part(f"  layer {at}", "", times(one), clock, one) for at, one in enumerate(layers)]
        own = times(name)
        both = own[0] + sum(one.forward for one in inside), own[1] + sum(one.backward for one in inside)
        parts.append(_part(name or "(model)", kind, both, clock, name))
        parts += [replace(one, level=1) for one in inside if one.ms]
    parts += [Part(text, "", *times(key)) for key, text in _OTHERS.items()]
    whole = sum(part.ms for part in parts if part.level == 0)
    return [replace(part, share=part.ms / whole) for part in parts]


def _part(name: str, kind: str, times: tuple[float, float], clock: Clock, key: str) -> Part:
    part, flops = Part(name.strip(), kind, *times), clock.flops.get(key, 0.0)
    if flops is None or not part.ms:
        return part
    speed = flops / len(clock.seconds) / part.ms / 1e6
    return replace(part, flops=flops / len(clock.seconds), gflops=speed)


def _where(found: Profile) -> str:
    cpu = found.device.startswith("cpu")
    return f"{found.threads} thread{'s' if found.threads > 1 else ''}" if cpu else found.device


def _sentence(found: Profile) -> str:
    whole = [part for part in found.parts if part.level == 0]
    layers = sorted((part for part in whole if part.kind), key=lambda part: -part.ms)
    others = sorted((part for part in whole if not part.kind), key=lambda part: -part.ms)
    first, rest = layers[0], sum(part.share for part in others)
    text = (
        f"{first.name} ({first.kind}) takes {first.share:.0%} of a step, {first.forward:.3f} ms forward and "
        f"{first.backward:.3f} backward"
    )
    if first.peak_share:
        text += f", at {first.peak_share:.0%} of the machine's matrix-product peak"
    text += f"; what is no layer takes {rest:.0%}, most of it {others[0].name} ({others[0].share:.0%})."
    if rest > 0.5:
        text += " A step this small costs more around its layers than in them: larger batches would help."
    elif first.peak_share is not None and 0 < first.peak_share < _SLOW:
        text += f" The products of {first.name} are small: larger batches or wider layers would use the machine better."
    return text
