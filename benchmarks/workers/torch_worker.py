"""PyTorch: torch.nn.RNN, LSTM and GRU, eager, with fused Adam. Also measures the machine's sgemm peak.

Denormals are flushed to zero, which PyTorch does not do unless told: over 784 steps the gradients shrink
into them, and the plain recurrence takes ten times longer.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.workers.protocol import Step, serve
from benchmarks.workers.torch_steps import Library, last_hidden
from benchmarks.workloads import STREAM_STEPS, Workload, workload
from rnnkit.ops.machine import matrix_product

ALL_THREADS = torch.get_num_threads()


class LastStep(nn.Module):
    """A recurrent body and a linear head on each row's last state."""

    def __init__(self, body: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.directions = 2 if body.bidirectional else 1
        self.head = nn.Linear(body.hidden_size * self.directions, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.head(last_hidden(run(self.body, x, lengths)[1], self.directions))


def run(body: nn.Module, x: Tensor, lengths: Tensor | None) -> tuple[Any, Any]:
    """Ragged rows are packed, which is part of the work."""
    return body(x if lengths is None else pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))


def torch_body(load: Workload) -> nn.RNNBase:
    sizes = {"num_layers": load.layers, "batch_first": True, "bidirectional": load.bidirectional}
    if load.cell == "simple_rnn":
        return nn.RNN(load.inputs, load.hidden, nonlinearity=load.nonlinearity, **sizes)
    return {"lstm": nn.LSTM, "gru": nn.GRU}[load.cell](load.inputs, load.hidden, **sizes)


def torch_model(load: Workload) -> nn.Module:
    return LastStep(torch_body(load), load.outputs)


LIBRARY = Library(torch_body, torch_model, run)


sgemm = functools.cache(matrix_product)


@functools.cache
def streamed(module: str, on: str) -> Step:
    """`STREAM_STEPS` single steps at batch 1, each from the state of the one before, by `nn.LSTMCell` or `nn.LSTM`."""
    load = workload(on)
    layer: Any = {"cell": nn.LSTMCell, "layer": nn.LSTM}[module](load.inputs, load.hidden)
    x = torch.rand(1, load.inputs) if module == "cell" else torch.rand(1, 1, load.inputs)

    @torch.no_grad()
    def step() -> None:
        state: Any = None
        for _ in range(STREAM_STEPS):
            if module == "cell":
                state = layer(x, state)
            else:
                _, state = layer(x, state)

    return step


def main() -> None:
    # Before the first operation: the threads of the pool take the mode from the one that starts them.
    torch.set_flush_denormal(True)

    def prepare(what: str, on: str, tuning: str) -> Step:
        torch.set_num_threads(1 if tuning == "one thread" else ALL_THREADS)
        if what == "sgemm":
            return sgemm(int(on))
        if what.startswith("streamed "):
            return streamed(what.removeprefix("streamed "), on)
        return LIBRARY.build(what, on)

    serve(
        prepare,
        tunings=lambda load: ["default", "one thread"],
        versions={"torch": torch.__version__},
        values={"outputs": LIBRARY.outputs},
    )


if __name__ == "__main__":
    main()
