"""Callbacks that time training steps: whole steps, or each part of a step."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...layers._recurrent import RecurrentLayer
from ...layers.costs import Call, count
from ...ops.machine import reset_peak, resident, synchronise
from ..history import History
from ..watching.callbacks import Callback
from .calls import call_of, units

WARM = 3
"""Steps before those that count."""
# Parts of a step that are no layer. No module has such a name.
BETWEEN, DATA, LOSS, OPTIMIZER = " between", " data", " loss", " optimizer"


class WholeSteps(Callback):
    """Times whole steps, from the end of one to the end of the next within an epoch, and the memory they take.

    Attributes:
        seconds: of each step behind the first `WARM`.
        before, peak: bytes held before the first step and at most; of an accelerator's tensors, else of the process.
        way: a sentence on how the steps were computed.
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self.device, self.steps = device, steps
        self.seconds: list[float] = []
        self.before = 0
        self.peak: int | None = None
        self.way = ""
        self._run: Any = None
        self._began: float | None = None

    def now(self) -> float:
        synchronise(self.device)
        return time.perf_counter()

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        self._run = run
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        elif reset_peak():
            self.before = resident("VmRSS") or 0
        self._began = self.now()

    def on_epoch_end(self, learner: Any, row: Any) -> None:
        self._began = self.now()  # what happens between two epochs belongs to no step

    def on_step_end(self, learner: Any, step: int) -> None:
        ended = self.now()
        if step >= WARM and self._began is not None:
            self.seconds.append(ended - self._began)
        if len(self.seconds) >= self.steps:
            learner.stop()
        self._began = self.now()

    def on_fit_end(self, learner: Any, history: History) -> None:
        self.way = self._run.native.describe(self._run)
        if self.device.type == "cuda":
            self.peak = torch.cuda.max_memory_allocated(self.device)
        elif self.before:
            self.peak = resident("VmHWM")


class Clock(WholeSteps):
    """Times each part of a step.

    Layers report when their forward pass begins and ends. The backward pass of a layer begins when the gradient of its
    output is there and ends when that of its input is: hooks on these tensors see both and change nothing of the
    graph. If no gradient flows to the input, it ends when the next layer's begins, or when the whole pass ends. The
    time of the hooks themselves is left out.

    Attributes:
        times: seconds in each step by part and way: ("body", "forward").
        flops: operations of all steps by layer; None: not counted. Of a recurrent stack also "body/0", "body/1" …
        rows, tokens: of all steps, tokens being valid time steps.
    """

    def __init__(self, model: nn.Module, steps: int, device: torch.device) -> None:
        super().__init__(steps, device)
        self.model, self.units = model, units(model)
        self.times: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.flops: dict[str, float | None] = {}
        self.rows = self.tokens = 0
        self._step: dict[tuple[str, str], float] = defaultdict(float)
        self._calls: list[tuple[str, Call | None]] = []
        self._whole: Call | None = None
        self._place: dict[str, int] = {}
        self._part = (DATA, "forward")
        self._since = 0.0
        self._backward = False
        self._undo: list[Callable[[], object]] = []

    # --- the run's events

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        hooks = [self.model.register_forward_pre_hook(self._enter_model)]
        for name, unit in self.units.items():
            hooks += [
                unit.register_forward_pre_hook(partial(self._enter, name)),
                unit.register_forward_hook(partial(self._leave, name), with_kwargs=True),
            ]
            if isinstance(unit, RecurrentLayer) and opened(unit):
                # An attribute of the object, in front of its class's method.
                unit.__dict__["_run_direction"] = partial(self._run_layer, name, unit, unit._run_direction)
                self._undo.append(partial(unit.__dict__.pop, "_run_direction"))
        hooks.append(self.model.register_forward_hook(self._leave_model, with_kwargs=True))
        self._undo += [hook.remove for hook in hooks]
        super().on_fit_begin(learner, run)
        self._since = self.now()

    def on_epoch_end(self, learner: Any, row: Any) -> None:
        self._step.clear()
        super().on_epoch_end(learner, row)
        self._since = self.now()

    def on_backward_end(self, learner: Any, step: int) -> None:
        self._to(OPTIMIZER)

    def on_step_end(self, learner: Any, step: int) -> None:
        self._to(DATA)
        if step >= WARM:
            for key in {*self.times, *self._step}:
                missed = len(self.seconds) - len(self.times[key])
                self.times[key] += [0.0] * missed + [self._step.get(key, 0.0)]
            self._count()
        self._step.clear()
        self._calls.clear()
        self._whole, self._backward = None, False
        super().on_step_end(learner, step)
        self._since = self.now()

    def on_fit_end(self, learner: Any, history: History) -> None:
        for undo in self._undo:
            undo()
        super().on_fit_end(learner, history)

    # --- the model's events; a layer that is computed again in the backward pass causes them there too, to be ignored

    def _enter_model(self, *_: Any) -> None:
        if not self._backward:
            self._to(BETWEEN)

    def _leave_model(self, model: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._backward:
            return
        self._to(LOSS)
        self._whole = self._whole or call_of(model, args, kwargs, output)
        for tensor in _tensors(output):
            tensor.register_hook(self._reach_model)
        self._backward = True
        self._since = self.now()

    def _reach_model(self, _: Tensor) -> None:
        if self._part[0] == LOSS:
            self._to(BETWEEN, "backward")

    def _enter(self, name: str, *_: Any) -> None:
        if not self._backward:
            self._place[name] = 0
            self._to(name)

    def _leave(self, name: str, unit: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._backward:
            return
        self._to(BETWEEN)
        self._calls.append((name, call_of(unit, args, kwargs, output)))
        self._watch(name, BETWEEN, (*args, *kwargs.values()), output)

    def _run_layer(self, name: str, unit: RecurrentLayer, run: Callable[..., Any], direction: Any, *args: Any) -> Any:
        """One direction of one layer of a stack; they come in their order."""
        if self._backward:
            return run(direction, *args)
        part = layer_part(name, self._place[name] // unit.num_directions)
        self._place[name] += 1
        self._to(part)
        made = run(direction, *args)
        self._to(name)
        self._watch(part, name, direction.x, made)
        return made

    def _watch(self, part: str, outside: str, given: Any, made: Any) -> None:
        """Tell by hooks when a part's backward pass begins and end; ``outside`` is the part that it lies in."""

        def begin(_: Tensor) -> None:
            self._to(part, "backward")

        def end(_: Tensor) -> None:
            if self._part == (part, "backward"):
                self._to(outside, "backward")

        for tensor in _tensors(made):
            tensor.register_hook(begin)
        for tensor in _tensors(given):
            tensor.register_hook(end)
        self._since = self.now()

    # --- sums

    def _to(self, part: str, way: str = "forward") -> None:
        """Add the time until now to the last part, and start that of the given part."""
        now = self.now()
        self._step[self._part] += now - self._since
        self._part, self._since = (part, way), now

    def _count(self) -> None:
        """Operations of the step's calls, and its rows and valid steps."""
        of_step: dict[str, float | None] = {}
        for name, call in self._calls:
            costs = None if call is None else count(self.units[name], call)
            _add(of_step, name, None if costs is None else sum(cost.step for cost in costs))
            for index, cost in enumerate(costs or () if opened(self.units[name]) else ()):
                _add(of_step, layer_part(name, index), cost.step)
        for name, flops in of_step.items():
            _add(self.flops, name, flops)
        if self._whole is not None:
            shape = self._whole.input
            self.rows += shape[0]
            self.tokens += math.prod(shape[:2]) if self._whole.valid is None else self._whole.valid


def opened(unit: nn.Module) -> int:
    """How many layers of a recurrent stack are timed one by one; 0 where they are not."""
    one_by_one = isinstance(unit, RecurrentLayer) and unit.num_layers > 1 and unit.options.recompute is None
    return int(unit.num_layers) if one_by_one else 0  # type: ignore[arg-type]


def layer_part(name: str, index: int) -> str:
    """What `Clock` calls a layer of a recurrent stack."""
    return f"{name}/{index}"


def _add(sums: dict[str, float | None], name: str, number: float | None) -> None:
    before = sums.get(name, 0.0)
    sums[name] = None if before is None or number is None else before + number


def _tensors(nested: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and mappings that gradients flow through."""
    if isinstance(nested, PackedSequence):
        nested = nested.data
    if isinstance(nested, Tensor):
        if nested.requires_grad:
            yield nested
    elif isinstance(nested, tuple | list | dict):
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _tensors(part)
