"""Records a model's forward pass: the calls of its layers, and matrix products outside of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ...layers.costs import Call, rule_of


def units(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a summary by their names in the model.

    These are layers with a known cost (including their children), layers without children, and layers that have
    parameters of their own beside children. A layer that is used in several places appears once.
    """
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()

    def visit(name: str, module: nn.Module) -> None:
        if id(module) in seen:
            return
        seen.add(id(module))
        children = [] if rule_of(module) else list(module.named_children())
        if not children or any(True for _ in module.parameters(recurse=False)):
            found[name] = module
        for part, child in children:
            visit(f"{name}.{part}" if name else part, child)

    visit("", model)
    return found


class Watch:
    """While it is entered, notes the calls of the model's `units`.

    Attributes:
        calls: by the name of a unit, its calls in their order.
        products: operations of matrix products by the name of the module in whose forward they were computed, as
            torch.utils.flop_counter counts them; counted only with `count_products`, and only outside of units whose
            cost is known. It sends every operation through Python: nothing to be timed.
    """

    def __init__(self, model: nn.Module, *, count_products: bool = False) -> None:
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.products: dict[str, int] = defaultdict(int)
        self._units = units(model)
        inside = {id(part) for unit in self._units.values() if rule_of(unit) for part in unit.modules()}
        self._modules = [
            (name, module)
            for name, module in model.named_modules()
            if name in self._units or id(module) not in inside
        ]  # fmt: skip
        self._stack: list[str] = []
        self._known = {name for name, unit in self._units.items() if rule_of(unit)}
        self._hooks: list[Any] = []
        self._counter = _Products(self._product) if count_products else None

    def __enter__(self) -> Self:
        for name, module in self._modules:
            self._hooks += [
                module.register_forward_pre_hook(lambda *_, name=name: self._stack.append(name)),
                module.register_forward_hook(
                    lambda module, args, kwargs, output, name=name: self._leave(name, module, args, kwargs, output),
                    with_kwargs=True,
                ),
            ]
        if self._counter is not None:
            self._counter.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._counter is not None:
            self._counter.__exit__(*exception)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def _leave(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._stack.pop()
        if name in self._units:
            call = call_of(module, args, kwargs, output)
            if call is not None:
                self.calls[name].append(call)

    def _product(self, flops: int) -> None:
        place = self._stack[-1] if self._stack else ""
        if place not in self._known:
            self.products[place] += flops


class _Products(TorchDispatchMode):
    """Calls `found` with the operations of each matrix product."""

    def __init__(self, found: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        formula: Any = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.found(formula(*args, **(kwargs or {}), out_val=result))
        return result


def call_of(module: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> Call | None:
    """A call as `layers.costs` takes it, or None where no tensor came in or went out."""
    given, made = first_tensor((*args, *kwargs.values())), first_tensor(output)
    if given is None or made is None:
        return None
    lengths = kwargs.get("lengths")
    if isinstance(given, PackedSequence):
        counts = given.batch_sizes
        batch_first = getattr(module, "batch_first", False)
        lead = (int(counts[0]), len(counts)) if batch_first else (len(counts), int(counts[0]))
        out = made.data if isinstance(made, PackedSequence) else made
        shapes = ((*lead, *given.data.shape[1:]), (*lead, *out.shape[1:]))
        return Call(*shapes, valid=len(given.data), input_gradient=given.data.requires_grad)
    return Call(
        tuple(given.shape),
        tuple((made.data if isinstance(made, PackedSequence) else made).shape),
        valid=None if lengths is None else int(torch.as_tensor(lengths).sum()),
        input_gradient=given.requires_grad,
    )


def first_tensor(nested: Any) -> Tensor | PackedSequence | None:
    """The first tensor or packed sequence in nested tuples, lists and mappings."""
    if isinstance(nested, Tensor | PackedSequence):
        return nested
    parts = nested.values() if isinstance(nested, Mapping) else nested if isinstance(nested, tuple | list) else ()
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)
