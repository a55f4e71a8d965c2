"""How far float32 results lie from the same computation in float64, for rnnkit and for PyTorch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.workers.torch_steps import loaded
from benchmarks.workloads import Workload

Body = Callable[[Workload], nn.RNNBase]


def errors(ours: Body, theirs: Body, load: Workload) -> list[float]:
    """Largest errors of outputs and of gradients: ours, then PyTorch's in float32.

    An error is the largest difference to PyTorch's float64 run within a tensor, as a share of the tensor's largest
    entry. Outputs are those of all steps; gradients those of x and of every weight, where each output has one.
    """
    truth = results(theirs, load, torch.float64)
    return [
        *compared(results(ours, load, torch.float32), truth),
        *compared(results(theirs, load, torch.float32), truth),
    ]


def results(body: Body, load: Workload, dtype: torch.dtype) -> list[Tensor]:
    """Outputs, then the gradients of x and of the weights in the order of their names."""
    layers = loaded(body(load), load).to(dtype).train()
    x = torch.from_numpy(load.made_batch()[0]).to(dtype).requires_grad_()
    output, _ = layers(x)
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(output.shape, generator=generator).to(dtype)
    weights = dict(sorted(layers.named_parameters()))
    return [output.detach(), *torch.autograd.grad(output, [x, *weights.values()], gradient)]


def compared(found: list[Tensor], truth: list[Tensor]) -> list[float]:
    """The error of the outputs, and the largest of the gradients."""
    first, *others = (
        float((one.double() - exact).abs().max() / exact.abs().max()) for one, exact in zip(found, truth, strict=True)
    )
    return [first, max(others)]
