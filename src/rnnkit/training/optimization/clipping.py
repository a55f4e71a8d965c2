"""Clipping of gradients, by value and by norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Clipping:
    """Clips gradients between the backward pass and the step: first by value, then by norm.

    By value: each entry g becomes min(max(g, −v), v) (Mikolov 2012), which changes the direction of the gradient. By
    norm: g ← g · min(1, c / ‖g‖) with the norm ‖g‖ over all parameters together (Pascanu et al. 2013), which keeps the
    direction.

    Args:
        model: the model with the gradients.
        norm, value: c and v; None: no clipping of that kind.
        fabric, module, optimizer: what Lightning Fabric needs to undo its scaling of gradients first.

    Attributes:
        norm_before: the norm in the last call, before clipping by norm; None without clipping by norm.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        norm: float | None,
        value: float | None,
        *,
        fabric: Fabric | None = None,
        module: Any = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.model, self.norm, self.value = model, norm, value
        self.fabric, self.module, self.optimizer = fabric, module, optimizer
        self.norm_before: Tensor | None = None

    def __call__(self) -> None:
        if self.fabric is None:
            parameters = list(self.model.parameters())  # anew: a callback may have replaced a layer
            if self.value is not None:
                clip_grad_value_(parameters, self.value)
            if self.norm is not None:
                self.norm_before = clip_grad_norm_(parameters, self.norm)
            return
        clip: Any = self.fabric.clip_gradients
        if self.value is None:
            self.norm_before = clip(self.module, self.optimizer, max_norm=self.norm, error_if_nonfinite=False)
            return
        clip(self.module, self.optimizer, clip_val=self.value)
        if self.norm is not None:  # a second call of Fabric's would undo the scaling of float16 twice
            self.norm_before = clip_grad_norm_(list(self.model.parameters()), self.norm)


def gradient_norm(model: torch.nn.Module) -> float:
    """Return the norm of all gradients of a model together; NaN if there are none."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).item() if gradients else float("nan")
