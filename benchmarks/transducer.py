"""The loss of a transducer beside a loop of PyTorch's operations: `python -m benchmarks.transducer`.

Loss and gradient of B 8, T 200, U 30, V 64, in float32, of the native core and of the loop over the diagonals of the
lattice in `rnnkit.ops.transducer`, which computes all rows and all nodes of a diagonal at once. They take turns. Errors
are against the same loop in float64. Memory is what is in use at most, more than before, divided by the logits, which
count, too, to a tenth: the system measures it for the whole process.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.turns import take_turns
from rnnkit.ops.machine import reset_peak, resident
from rnnkit.ops.transducer import transducer_loss, transducer_reference

FASTER, ERROR, MEMORY = 5.0, 1e-5, 2.0
"""At least so many times as fast as the loop, at most so far from float64, at most so many times the logits."""


@dataclass(frozen=True)
class Sizes:
    """B, T, U and V."""

    batch: int = 8
    frames: int = 200
    labels: int = 30
    vocabulary: int = 64


def make_batch(sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Return logits and labels."""
    generator = torch.Generator().manual_seed(0)
    shape = (sizes.batch, sizes.frames, sizes.labels + 1, sizes.vocabulary)
    logits = torch.randn(shape, generator=generator)
    return logits, torch.randint(1, sizes.vocabulary, (sizes.batch, sizes.labels), generator=generator)


def gradient_of(loss: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return losses [B] and the gradient of their sum."""
    z = logits.detach().requires_grad_()
    losses = loss(z)
    losses.sum().backward()
    assert z.grad is not None
    return losses.detach(), z.grad


def errors(targets: Tensor, logits: Tensor) -> tuple[float, float]:
    """Return the largest error of a loss, relative to it, and of a gradient."""
    losses, gradient = gradient_of(lambda z: transducer_loss(z, targets, reduction="none"), logits)
    expected, exact = gradient_of(lambda z: transducer_reference(z, targets), logits.double())
    return ((losses - expected).abs() / expected).max().item(), (gradient - exact).abs().max().item()


def memory(targets: Tensor, logits: Tensor) -> float | None:
    """Return how many times the logits, themselves among it, loss and gradient need; None where nothing tells."""

    def run(rows: int) -> None:
        gradient_of(lambda z: transducer_loss(z, targets[:rows], reduction="none"), logits[:rows])

    run(1)  # code is loaded, threads are made
    gc.collect()
    before = resident("VmRSS") if reset_peak() else None
    run(len(logits))
    most = resident("VmHWM")
    if before is None or most is None:
        return None
    return 1 + (most - before) / (logits.numel() * logits.element_size())


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> int:
    """Measure and print; 1 where a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transducer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args(arguments)
    sizes = sizes or Sizes()
    print(f"{machine.describe()['Processor']}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    logits, targets = make_batch(sizes)
    needed = memory(targets, logits)
    relative, absolute = errors(targets, logits)
    found = take_turns(
        {
            "rnnkit": lambda: gradient_of(lambda z: transducer_loss(z, targets, reduction="none"), logits),
            "loop": lambda: gradient_of(lambda z: transducer_reference(z, targets), logits),
        },
        wanted.rounds,
    )
    ratio = found["loop"] / found["rnnkit"]
    print(
        f"transducer loss and gradient: rnnkit {1e3 * found['rnnkit']:.1f} ms, loop {1e3 * found['loop']:.1f} ms, "
        f"{ratio:.1f} × (at least {FASTER:g})"
    )
    print(f"error of the loss {relative:.1e}, of the gradient {absolute:.1e} (at most {ERROR:g})")
    print(f"memory {'unknown' if needed is None else f'{needed:.1f}'} × the logits (at most {MEMORY:g})", flush=True)
    too_much = needed is not None and round(needed, 1) > MEMORY
    return int(ratio < FASTER or max(relative, absolute) > ERROR or too_much)


if __name__ == "__main__":
    raise SystemExit(main())
