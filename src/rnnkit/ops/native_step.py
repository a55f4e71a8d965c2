"""A training step on the native core: the gradients of recurrent layers under a linear head, and the update.

Each is one call, where PyTorch's autograd and optimizer take dozens. The core holds addresses, so these objects own the
tensors behind them; :meth:`NativeGradients.serves` says whether a model's tensors are still where they were.

Legend: B batch, T time, I input, H hidden, C outputs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from .backend import native_core
from .native_call import GATES, VARIANTS

Tensor = torch.Tensor


class StepLayer(NamedTuple):
    """One recurrent layer in one direction, without options.

    Attributes:
        kernel, variant: see :class:`rnnkit.ops.native_call.Flags`.
        weights: w_ih [G·H, I], w_hh [G·H, H], and b_ih, b_hh [G·H] where there are biases.
    """

    kernel: str
    variant: str
    weights: Sequence[Tensor]


class NativeGradients:
    """The mean loss of a batch with the gradients of all parameters, as one native call.

        z = W h_T + b,  L = mean cross-entropy(z, y) or mean (z − y)²,  and ∂L/∂θ into θ.grad

    Args:
        layers: from input to output, each reading the output of the one before.
        head: weight [C, H], and bias [C] or None.
        loss: "cross_entropy" or "mse".

    Attributes:
        parameters: in the order of the layers, the head's last.
        gradients: of each; :meth:`__call__` writes into them.
        by_parameter: the same, by parameter.
        outputs: C.
        products: of the head for each row, C·H.
    """

    def __init__(self, layers: Sequence[StepLayer], head: tuple[Tensor, Tensor | None], loss: str) -> None:
        core: Any = native_core()
        weight, bias = head
        single = weight.dtype == torch.float32
        self._step = core.GradientStepF32() if single else core.GradientStepF64()
        self.parameters = [one for layer in layers for one in layer.weights] + [one for one in head if one is not None]
        self.gradients = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in self.parameters]
        self.by_parameter = dict(zip(self.parameters, self.gradients, strict=True))
        self._lie = _places(self.parameters), _places(self.gradients)
        places = iter([one.data_ptr() for one in self.gradients])
        for layer in layers:
            assert layer.variant in VARIANTS[layer.kernel]
            w_ih, w_hh = layer.weights[:2]
            pointers = _four([one.data_ptr() for one in layer.weights])
            goals = _four([next(places) for _ in layer.weights])
            kernel, variant = getattr(core.Kernel, layer.kernel), getattr(core.Variant, layer.variant)
            self._step.add_layer(kernel, variant, w_ih.shape[1], w_hh.shape[1], pointers, goals)
        self.outputs, self.products = weight.shape[0], weight.numel()
        self.features = layers[0].weights[0].shape[1]
        self._dtype, self._labels = weight.dtype, loss == "cross_entropy"
        kind = core.Loss.cross_entropy if self._labels else core.Loss.squared_error
        self._step.set_head(
            kind, weight.shape[1], self.outputs, weight.data_ptr(), 0 if bias is None else bias.data_ptr(),
            next(places), next(places, 0),
        )  # fmt: skip

    @staticmethod
    def possible(layers: Sequence[StepLayer], head: tuple[Tensor, Tensor | None]) -> bool:
        """Whether the weights have the shapes that belong together, one dtype, and lie on the CPU.

        Where they do not, the layers raise the error.
        """
        weight, bias = head
        tensors = [*(one for layer in layers for one in layer.weights), *(one for one in head if one is not None)]
        if weight.dtype not in (torch.float32, torch.float64):
            return False
        if not all(one.dtype == weight.dtype and one.is_cpu for one in tensors):
            return False
        features = layers[0].weights[0].shape[1]
        for layer in layers:
            w_ih, w_hh, *biases = layer.weights
            hidden = w_hh.shape[1]
            rows = GATES[layer.kernel] * hidden
            if w_ih.shape != (rows, features) or w_hh.shape != (rows, hidden) or len(biases) not in (0, 2):
                return False
            if any(one.shape != (rows,) for one in biases):
                return False
            features = hidden
        return weight.shape[1] == features and (bias is None or bias.shape == weight.shape[:1])

    def serves(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are the parameters, and all lie where the core looks for them, as they were."""
        return _same(parameters, self.parameters) and self._in_place()

    def held(self) -> bool:
        """Whether the parameters have the gradients that were computed last, and all lie where they lay."""
        return _same([one.grad for one in self.parameters], self.gradients) and self._in_place()

    def _in_place(self) -> bool:
        # `one.data = …` and `one.set_(…)` put another memory into the same tensor.
        return (_places(self.parameters), _places(self.gradients)) == self._lie

    def fits(self, x: Tensor, lengths: Tensor | None, targets: Tensor) -> bool:
        """Whether the core can compute a batch: x [B, T, I], lengths int64 [B], labels int64 [B] or numbers [B, C]."""
        shape = x.shape
        if len(shape) != 3 or shape[2] != self.features or x.dtype != self._dtype or not x.is_cpu or 0 in shape:
            return False
        if x.stride(2) != 1 and shape[2] != 1:
            return False
        if lengths is not None and not (lengths.dtype == torch.int64 and lengths.is_cpu and lengths.is_contiguous()):
            return False
        if lengths is not None and lengths.shape != shape[:1]:
            return False
        if not targets.is_cpu or not targets.is_contiguous():
            return False
        if self._labels:
            return targets.dtype == torch.int64 and targets.shape == shape[:1]
        return targets.dtype == self._dtype and targets.shape == (shape[0], self.outputs)

    def __call__(self, x: Tensor, lengths: Tensor | None, targets: Tensor) -> tuple[float, Tensor] | None:
        """Compute a batch that fits.

        Returns:
            the loss and z [B, C]; None where a length or a label is out of range. Where the loss is NaN or infinite,
            no gradient is touched.
        """
        batch, time, _ = x.shape
        over_batch, over_time, _ = x.stride()
        output = torch.empty(batch, self.outputs, dtype=self._dtype, device="cpu")
        loss: float = self._step.run(
            x.data_ptr(), over_batch, over_time, batch, time, 0 if lengths is None else lengths.data_ptr(),
            targets.data_ptr(), output.data_ptr(), torch.get_num_threads(),
        )  # fmt: skip
        if loss < 0:
            return None
        if math.isfinite(loss):
            torch.autograd.graph.increment_version(self.gradients)
            for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
                if parameter.grad is not gradient:
                    parameter.grad = gradient
        return loss, output


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return len(some) == len(others) and not any(map(operator.is_not, some, others))


def _places(tensors: Sequence[Tensor]) -> list[tuple[int, torch.Size, torch.dtype]]:
    return [(one.data_ptr(), one.shape, one.dtype) for one in tensors]


def _four(addresses: list[int]) -> tuple[int, int, int, int]:
    first, second, third, fourth = (*addresses, 0, 0)[:4]
    return first, second, third, fourth


class NativeUpdate:
    """Clipping by norm, and the step of ``torch.optim.Adam``, ``AdamW`` or ``SGD``, as native calls.

    The optimizer keeps its state, which the core changes in place. The formulas are in ``native/kernels/update``.

    Args:
        optimizer: one that is :meth:`ready`.
        gradients: by parameter; those of parameters that the optimizer has not count for the clipping alone.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, gradients: dict[Tensor, Tensor]) -> None:
        core: Any = native_core()
        kind = core.UpdateF32 if next(iter(gradients)).dtype == torch.float32 else core.UpdateF64
        self._optimizer, self._adam = optimizer, _is_adam(optimizer)
        self._update, self._clipped = kind(), kind()
        groups = optimizer.param_groups
        self._held = [parameter for group in groups for parameter in group["params"]]
        self._momenta = [bool(group.get("momentum")) for group in groups]
        self._state = _states(optimizer)
        self._places = _addresses(self._state)
        ends = list(accumulate(len(group["params"]) for group in groups))
        self._groups = list(zip(groups, [0, *ends], ends, strict=False))
        for number, parameter in enumerate(self._held):
            places = self._places[3 * number : 3 * number + 3]
            self._update.add(parameter.data_ptr(), gradients[parameter].data_ptr(), *places, parameter.numel())
        for parameter, gradient in gradients.items():
            self._clipped.add(parameter.data_ptr(), gradient.data_ptr(), 0, 0, 0, parameter.numel())

    @staticmethod
    def problem(optimizer: torch.optim.Optimizer, gradients: dict[Tensor, Tensor]) -> str | None:
        """Return why the core cannot take this optimizer's steps, or None where it can."""
        kind = type(optimizer)
        if kind not in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD):
            return f"the optimizer is {kind.__name__}; Adam, AdamW and SGD have native steps"
        if any(_step_hooks(optimizer)) or "step" in vars(optimizer):
            return "something watches the optimizer's steps"
        for group in optimizer.param_groups:
            if group["maximize"] or group["differentiable"] or group.get("amsgrad") or group.get("capturable"):
                return "the optimizer has an option that the native step has not"
            if any(isinstance(one, Tensor) for one in (group["lr"], *group.get("betas", ()))):
                return "a setting of the optimizer is a tensor"
            if not all(parameter in gradients for parameter in group["params"]):
                return "the optimizer holds parameters that the step has no gradient of"
        return None

    @staticmethod
    def ready(optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimizer has its state, which its own first step makes."""
        kinds = ("m", "v", "step") if _is_adam(optimizer) else ("m",)
        return all(
            _plain(one, torch.float32 if kind == "step" else parameter.dtype)
            for group in optimizer.param_groups
            if group.get("momentum", True)
            for parameter in group["params"]
            for kind, one in zip(kinds, _state(optimizer, group, parameter), strict=False)
        )

    def serves(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether this is the optimizer, with the groups and the state whose addresses the core holds."""
        groups = optimizer.param_groups
        if optimizer is not self._optimizer or not _same(groups, [known for known, _, _ in self._groups]):
            return False
        if not _same([parameter for group in groups for parameter in group["params"]], self._held):
            return False
        if [bool(group.get("momentum")) for group in groups] != self._momenta:
            return False
        state = _states(optimizer)
        return _same(state, self._state) and _addresses(state) == self._places

    def clip(self, limit: float) -> float:
        """Clip all gradients together by norm, as ``clip_grad_norm_`` does, and return the norm before."""
        norm: float = self._clipped.clip(limit)
        return norm

    def __call__(self) -> None:
        """Take the optimizer's step."""
        threads = torch.get_num_threads()
        for group, begin, end in self._groups:
            lr, decay = group["lr"], group["weight_decay"]
            if self._adam:
                decoupled = group.get("decoupled_weight_decay", isinstance(self._optimizer, torch.optim.AdamW))
                self._update.adam(begin, end, lr, *group["betas"], group["eps"], decay, bool(decoupled), threads)
            else:
                momentum, dampening, nesterov = group["momentum"], group["dampening"], bool(group["nesterov"])
                self._update.sgd(begin, end, lr, momentum, dampening, decay, nesterov, threads)
        torch.autograd.graph.increment_version(self._held)


def _is_adam(optimizer: torch.optim.Optimizer) -> bool:
    return isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW)


def _step_hooks(optimizer: Any) -> tuple[Any, ...]:
    everyones = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    return (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks, *everyones)


def _state(optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: Tensor) -> tuple[Any, Any, Any]:
    """Return m, v and the count of steps of Adam, or the momentum of SGD; None for what is not there or not used."""
    found: dict[str, Any] = optimizer.state.get(parameter) or {}
    if _is_adam(optimizer):
        return found.get("exp_avg"), found.get("exp_avg_sq"), found.get("step")
    return found.get("momentum_buffer") if group["momentum"] else None, None, None


def _states(optimizer: torch.optim.Optimizer) -> list[Any]:
    """Return the state of all parameters, three entries each."""
    return [
        one for group in optimizer.param_groups for held in group["params"] for one in _state(optimizer, group, held)
    ]


def _addresses(tensors: Sequence[Any]) -> list[int]:
    return [0 if one is None else one.data_ptr() for one in tensors]


def _plain(tensor: Any, dtype: torch.dtype) -> bool:
    return isinstance(tensor, Tensor) and tensor.dtype == dtype and tensor.is_cpu and tensor.is_contiguous()
