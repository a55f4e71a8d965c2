"""PyTorch: torch.nn.RNN, LSTM and GRU, eager, with fused Adam. Also measures the machine's sgemm peak.

Denormals are flushed to zero, which PyTorch does not do unless told: over 784 steps the gradients shrink
into them, and the plain recurrence takes ten times longer.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.workers.protocol import Step, serve
from benchmarks.workloads import Workload, workload

ALL_THREADS = torch.get_num_threads()


class LastStep(nn.Module):
    """A recurrent body and a linear head on its last state."""

    def __init__(self, body: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.hidden_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(last_hidden(self.body, x))


def last_hidden(body: nn.Module, x: Tensor) -> Tensor:
    """The top layer's state after the last step, [B, H]."""
    _, state = body(x)
    return (state[0] if isinstance(state, tuple) else state)[-1]


def torch_body(load: Workload) -> nn.RNNBase:
    sizes = {"num_layers": load.layers, "batch_first": True}
    if load.cell == "simple_rnn":
        return nn.RNN(load.inputs, load.hidden, nonlinearity=load.nonlinearity, **sizes)
    return {"lstm": nn.LSTM, "gru": nn.GRU}[load.cell](load.inputs, load.hidden, **sizes)


def torch_model(load: Workload) -> nn.Module:
    return LastStep(torch_body(load), load.outputs)


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Start as Keras does, so that no system is timed on tamer numbers than the rest."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            nn.init.orthogonal_(parameter)
        elif "weight" in name:
            nn.init.xavier_uniform_(parameter)
        else:
            parameter.zero_()


def training_step(model: nn.Module, load: Workload) -> Step:
    """The plain loop's body that everybody writes."""
    initialise(model)
    x, y = (torch.from_numpy(array) for array in load.made_batch())
    criterion = F.cross_entropy if load.outputs > 1 else F.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def layer_step(body: nn.Module, load: Workload) -> Step:
    """The recurrent layers alone, forward and backward: the last state has a gradient, x needs none."""
    initialise(body)
    x = torch.from_numpy(load.made_batch()[0])
    parameters = list(body.parameters())
    gradient = torch.randn(load.batch, load.hidden) / load.batch

    def step() -> None:
        torch.autograd.grad(last_hidden(body, x), parameters, gradient)

    return step


def sgemm(size: int) -> Step:
    a, b, out = (torch.rand(size, size) for _ in range(3))

    def step() -> None:
        torch.mm(a, b, out=out)

    return step


def preparer(
    body: Callable[[Workload], nn.Module], model: Callable[[Workload], nn.Module]
) -> Callable[[str, str], Step]:
    """`build(what, on)` for a library of torch modules, each built once."""

    @functools.cache
    def build(what: str, on: str) -> Step:
        if what == "sgemm":
            return sgemm(int(on))
        load = workload(on)
        return training_step(model(load), load) if what == "step" else layer_step(body(load), load)

    return build


def main() -> None:
    # Before the first operation: the threads of the pool take the mode from the one that starts them.
    torch.set_flush_denormal(True)
    build = preparer(torch_body, torch_model)

    def prepare(what: str, on: str, tuning: str) -> Step:
        torch.set_num_threads(1 if tuning == "one thread" else ALL_THREADS)
        return build(what, on)

    serve(prepare, tunings=lambda load: ["default", "one thread"], versions={"torch": torch.__version__})


if __name__ == "__main__":
    main()
