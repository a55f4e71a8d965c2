"""How much time weights in 8 bits take beside float ones, on this processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch

from ..ops.backend import native_core
from ._recurrent import RecurrentLayer
from .quantized_dense import QuantizedEmbedding, QuantizedLinear
from .quantized_recurrent import QuantizedLayer

_ROWS, _STEPS = 32, 50
_ENOUGH = 0.02  # seconds that a measurement takes, at least
_MOST = 2000  # calls of a measurement


Pair = tuple[float, float]


class Speed(NamedTuple):
    """Processor time of the layers of two models, on one thread; each pair is float and 8 bits, in seconds.

    A pair is None where the model has no such layer in 8 bits.

    Attributes:
        sequences: all recurrent layers, a call on 32 rows of 50 steps.
        step: all recurrent layers, a streamed step of one row; None where a layer has two directions.
        linear: all linear layers, a call on 32 rows.
        linear_row: all linear layers, a call on one row.
        embedding: all embeddings, a call on 32 × 50 ids.
        processor: the instructions that multiply the whole numbers.
    """

    sequences: Pair | None
    step: Pair | None
    linear: Pair | None
    linear_row: Pair | None
    embedding: Pair | None
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
    made = dict(small.named_modules())
    recurrent, linear, embedding = (
        [(parts[name], one) for name, one in made.items() if isinstance(one, kind)]
        for kind in (QuantizedLayer, QuantizedLinear, QuantizedEmbedding)
    )

    def measured(pairs: list[tuple[Any, Any]], call: Callable[[Any], Callable[[], Any]]) -> Pair | None:
        found = [_in_turn(call(one), call(other), repeats) for one, other in pairs]
        return (sum(one for one, _ in found), sum(other for _, other in found)) if found else None

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), torch.random.fork_rng():
            streamed = not any(layer.bidirectional for layer, _ in recurrent)
            found = (
                measured(recurrent, _whole),
                measured(recurrent, _streamed) if streamed else None,
                measured(linear, partial(_rows, _ROWS)),
                measured(linear, partial(_rows, 1)),
                measured(embedding, _ids),
            )
    finally:
        torch.set_num_threads(threads)
    core = native_core()
    return Speed(*found, processor="reference" if core is None else core.cpu_info()["int8"])


def _whole(layer: RecurrentLayer) -> Callable[[], Any]:
    shape = (_ROWS, _STEPS) if layer.batch_first else (_STEPS, _ROWS)
    x = torch.randn(*shape, layer.input_size)
    return lambda: layer(x)


def _streamed(layer: RecurrentLayer) -> Callable[[], Any]:
    stream, x = layer.stream(1, reuse_output=True), torch.randn(1, layer.input_size)
    return lambda: stream(x)


def _rows(rows: int, layer: torch.nn.Linear) -> Callable[[], Any]:
    x = torch.randn(rows, layer.in_features)
    return lambda: layer(x)


def _ids(layer: torch.nn.Embedding) -> Callable[[], Any]:
    ids = torch.randint(layer.num_embeddings, (_ROWS, _STEPS))
    return lambda: layer(ids)


def _in_turn(one: Callable[[], Any], other: Callable[[], Any], repeats: int) -> Pair:
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
