"""Recurrence over pictures and maps beside PyTorch: `python -m benchmarks.maps`.

A ReNet layer (GRU 64 over 60 × 80 pixels of 64 channels, 8 pictures) beside the same module with `torch.nn.GRU` in it,
and a ConvGRU (16 to 64 channels, 16 × 16, 8 rows, 10 steps) beside the usual loop: x and h are concatenated, one
convolution gives the gates, another one the candidate. Forward and backward pass, in turn, as ratios. With
`--processor` the time of the processor counts in place of the clock's, for a machine that has other work, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

import rnnkit
from benchmarks import machine

RENET, CONV_GRU = 2.5, 1.3
"""At least so many times as fast as PyTorch."""


@dataclass(frozen=True)
class Sizes:
    """Of the ReNet's pictures, and of the ConvGRU's sequences."""

    batch: int = 8
    channels: int = 64
    height: int = 60
    width: int = 80
    units: int = 64
    inputs: int = 16
    steps: int = 10
    side: int = 16


class Loop(nn.Module):
    """A ConvGRU as it is usually written, with the reset gate before the convolution."""

    def __init__(self, layer: rnnkit.ConvGRU) -> None:
        super().__init__()
        inputs, units = layer.input_size, layer.hidden_size
        self.gates = nn.Conv2d(inputs + units, 2 * units, 3, padding=1)
        self.candidate = nn.Conv2d(inputs + units, units, 3, padding=1)
        assert layer.bias_ih is not None
        assert layer.bias_hh is not None
        weight, bias = torch.cat([layer.weight_ih, layer.weight_hh], 1), layer.bias_ih + layer.bias_hh
        with torch.no_grad():
            for conv, rows in ((self.gates, slice(2 * units)), (self.candidate, slice(2 * units, None))):
                conv.weight.copy_(weight[rows])
                conv.bias.copy_(bias[rows])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x [B, T, C, h, w] to every h and the last."""
        h, outputs = x.new_zeros(len(x), self.candidate.out_channels, *x.shape[3:]), []
        for x_t in x.unbind(1):
            r, z = torch.sigmoid(self.gates(torch.cat([x_t, h], 1))).chunk(2, 1)
            n = torch.tanh(self.candidate(torch.cat([x_t, r * h], 1)))
            h = (1 - z) * n + z * h
            outputs.append(h)
        return torch.stack(outputs, 1), h


def ratios(runs: dict[str, Callable[[], Tensor]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Return how many times as long as each run the last one took, forward and backward, a median over rounds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):  # the first is not counted
        for name, run in runs.items():
            began = clock()
            y = run()
            y.backward(torch.ones_like(y))
            if round_:
                times[name].append(clock() - began)
    *_, last = times
    return {name: median(b / a for a, b in zip(each, times[last], strict=True)) for name, each in times.items()}


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> int:
    """Measure and print; 1 where a figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.maps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor", action="store_true", help="processor time, in one thread")
    wanted = parser.parse_args(arguments)
    sizes, clock = sizes or Sizes(), time.process_time if wanted.processor else time.perf_counter
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if wanted.processor else threads)
    try:
        print(f"{machine.describe()['Processor']}, {torch.get_num_threads()} threads, torch {torch.__version__}")
        torch.manual_seed(0)
        own, other = (rnnkit.ReNet(sizes.channels, sizes.units, layer=name) for name in ("gru", "torch.nn.GRU"))
        x = torch.randn(sizes.batch, sizes.channels, sizes.height, sizes.width, requires_grad=True)
        renet = ratios({"rnnkit": lambda: own(x), "PyTorch": lambda: other(x)}, wanted.rounds, clock)["rnnkit"]
        print(f"ReNet: {renet:.2f} × (at least {RENET:g})", flush=True)
        before = rnnkit.ConvGRU(sizes.inputs, sizes.units, reset_after=False)
        after, loop = rnnkit.ConvGRU(sizes.inputs, sizes.units), Loop(before)
        maps = torch.randn(sizes.batch, sizes.steps, sizes.inputs, sizes.side, sizes.side, requires_grad=True)
        runs = {"reset before": before, "reset after": after, "loop": loop}
        found = ratios({name: lambda layer=one: layer(maps)[0] for name, one in runs.items()}, wanted.rounds, clock)
        for name in ("reset before", "reset after"):
            print(f"ConvGRU, {name}: {found[name]:.2f} × (at least {CONV_GRU:g})", flush=True)
    finally:
        torch.set_num_threads(threads)
    return int(renet < RENET or found["reset before"] < CONV_GRU)


if __name__ == "__main__":
    raise SystemExit(main())
