"""What is timed of any library of torch modules: the training step, the layers alone, inference."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.workers.protocol import Step
from benchmarks.workloads import Workload, workload


@dataclass(frozen=True)
class Library:
    """How a library makes a workload's recurrent layers and its whole network, and runs the layers.

    `run(layers, x, lengths)` gives `(outputs, state)`; the network is called with x, and the lengths where there are
    any, and gives the head's outputs.
    """

    body: Callable[[Workload], nn.RNNBase]
    model: Callable[[Workload], nn.Module]
    run: Callable[[nn.Module, Tensor, Tensor | None], tuple[Any, Any]]

    @functools.cache  # noqa: B019  (one library a process)
    def build(self, what: str, on: str) -> Step:
        """The step to time, built once."""
        load = workload(on)
        if what == "step":
            return training_step(self.model(load), load)
        if what == "layer":
            body = self.body(load)
            initialise(body)
            return layer_step(body, load, self.run)
        if what == "inference":
            return inference_step(loaded(self.body(load), load), load, self.run)
        raise ValueError(f"cannot time {what!r}")

    def outputs(self, on: str) -> list[float]:
        """What inference gives, to be compared between the systems."""
        load = workload(on)
        body = loaded(self.body(load), load)
        with torch.no_grad():
            return sample(last_hidden(self.run(body, *batch(load))[1], load.directions))


def batch(load: Workload) -> tuple[Tensor, Tensor | None]:
    """x, and the lengths of a ragged workload."""
    return torch.from_numpy(load.made_batch()[0]), torch.from_numpy(load.made_lengths()) if load.ragged else None


def last_hidden(state: Any, directions: int) -> Tensor:
    """The top layer's state after each row's last step, both directions side by side: [B, D·H]."""
    h = state[0] if isinstance(state, tuple) else state
    return h[-1] if directions == 1 else torch.cat((h[-2], h[-1]), -1)


def sample(last: Tensor) -> list[float]:
    """A hundred entries, spread over all of it."""
    values: list[float] = last.flatten()[:: max(1, last.numel() // 100)].tolist()
    return values


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


def loaded(body: nn.RNNBase, load: Workload) -> nn.RNNBase:
    """The layers with the weights that all systems share, ready for inference."""
    body.load_state_dict({name: torch.from_numpy(weight) for name, weight in load.made_weights().items()})
    return body.eval()


def training_step(model: nn.Module, load: Workload) -> Step:
    """The plain loop's body that everybody writes."""
    initialise(model)
    x, lengths = batch(load)
    inputs = (x,) if lengths is None else (x, lengths)
    y = torch.from_numpy(load.made_batch()[1])
    criterion = F.cross_entropy if load.outputs > 1 else F.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(*inputs), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def layer_step(body: nn.Module, load: Workload, run: Callable[..., tuple[Any, Any]]) -> Step:
    """The recurrent layers alone, forward and backward: the last state has a gradient, x needs none."""
    x, lengths = batch(load)
    parameters = list(body.parameters())
    gradient = torch.randn_like(last_hidden(run(body, x, lengths)[1], load.directions)) / load.batch

    def step() -> None:
        torch.autograd.grad(last_hidden(run(body, x, lengths)[1], load.directions), parameters, gradient)

    return step


def inference_step(body: nn.Module, load: Workload, run: Callable[..., tuple[Any, Any]]) -> Step:
    """Whole sequences through the recurrent layers, nothing kept for a backward pass."""
    x, lengths = batch(load)

    def step() -> None:
        with torch.no_grad():
            run(body, x, lengths)

    return step
