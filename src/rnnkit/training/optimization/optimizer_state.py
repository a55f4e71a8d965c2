"""The state of an optimizer, restored bit by bit."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


class OptimizerState:
    """`state_dict` and `load_state_dict` of any torch optimizer, PyTorch's or the user's own.

    PyTorch's own loading casts all but "step" to the dtype of the parameter. An optimizer that keeps float32 averages
    of bfloat16 weights would lose bits; this class restores their dtype.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for index, kept in state["state"].items():
            parameter = parameters[index]
            for name, value in kept.items():
                loaded = self.optimizer.state[parameter].get(name)
                if isinstance(value, Tensor) and isinstance(loaded, Tensor) and value.dtype != loaded.dtype:
                    self.optimizer.state[parameter][name] = value.to(parameter.device)
