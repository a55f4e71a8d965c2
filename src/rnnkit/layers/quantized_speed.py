"""How much time weights in 8 bits take beside float ones, on this processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch

from ..ops.backend import native_core
from ._recurrent import RecurrentLayer
from .quantized import QuantizedLayer

_ROWS, _STEPS = 32, 50
_ENOUGH = 0.02  # seconds that a measurement takes, at least
_MOST = 2000  # calls of a measurement


class Speed(NamedTuple):
    """Processor time of the recurrent layers of two models, on one thread; each pair is float and 8 bits.

    Attributes:
        sequences: seconds of a call on 32 rows of 50 steps.
        step: seconds of a streamed step of one row; None where a layer has two directions.
        processor: the instructions that multiply the whole numbers.
    """

    sequences: tuple[float, float]
    step: tuple[float, float] | None
    processor: str


def measure_speed(plain: torch.nn.Module, small: torch.nn.Module, *, repeats: int = 5) -> Speed:
    """Measure the layers in 8 bits of a model beside those that they were made from, on made inputs.

    Args:
        plain: the float model.
        small: what :func:`rnnkit.quantize` made of it.
        repeats: runs of each, in turn; their medians are taken.

    Example:
        >>> import rnnkit
        >>> layer = rnnkit.GRU(8, 16)
        >>> speed = measure_speed(layer, rnnkit.quantize(layer), repeats=1)
        >>> speed.sequences[1] > 0, speed.step[1] > 0
        (True, True)
    """
    parts: dict[str, Any] = dict(plain.named_modules())
    pairs: list[tuple[RecurrentLayer, RecurrentLayer]] = [
        (parts[name], one) for name, one in small.named_modules() if isinstance(one, QuantizedLayer)
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), torch.random.fork_rng():
            sequences = _sum(_in_turn(_whole(one), _whole(other), repeats) for one, other in pairs)
            streamed = not any(layer.bidirectional for layer, _ in pairs)
            step = None
            if streamed:
                step = _sum(_in_turn(_streamed(one), _streamed(other), repeats) for one, other in pairs)
    finally:
        torch.set_num_threads(threads)
    core = native_core()
    return Speed(sequences, step, "reference" if core is None else core.cpu_info()["int8"])


def _sum(pairs: Any) -> tuple[float, float]:
    found = list(pairs)
    return sum(one for one, _ in found), sum(other for _, other in found)


def _whole(layer: RecurrentLayer) -> Callable[[], Any]:
    shape = (_ROWS, _STEPS) if layer.batch_first else (_STEPS, _ROWS)
    x = torch.randn(*shape, layer.input_size)
    return lambda: layer(x)


def _streamed(layer: RecurrentLayer) -> Callable[[], Any]:
    stream, x = layer.stream(1, reuse_output=True), torch.randn(1, layer.input_size)
    return lambda: stream(x)


def _in_turn(one: Callable[[], Any], other: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median seconds of processor time of a call of each."""
    calls = [max(1, min(_MOST, round(_ENOUGH / max(_seconds(call, 1), 1e-7)))) for call in (one, other)]
    found: list[list[float]] = [[], []]
    for _ in range(repeats):
        for place, call in enumerate((one, other)):
            found[place].append(_seconds(call, calls[place]))
    return median(found[0]), median(found[1])


def _seconds(call: Callable[[], Any], count: int) -> float:
    call()
    began = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began) / count
