"""The nodes of a model: which layer is called on which tensors, and in which order.

Keras 3 describes a call by its arguments, in which tensors stand as ``{"class_name": "__keras_tensor__", "config":
{"keras_history": [layer, call, output]}}``. Older versions list ``[layer, call, output, {arguments}]`` for each input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .settings import Location, short

MAX_LAYERS = 4096
Tensor = tuple[str, int, int]
"""A layer's name, the number of its call, and which of the call's outputs."""
MODELS = ("Functional", "Model", "Sequential")


@dataclass
class Call:
    """One call of a layer.

    Attributes:
        layer: its name.
        inputs: tensors in order; behind the first input the initial states of a recurrent layer.
        operands: of an operation: None for a tensor, or a number.
        mask: a tensor that was passed as the mask.
        masked: whether the mask of the first input reaches the layer where none was passed.
    """

    layer: str
    inputs: list[Tensor]
    operands: list[Any] = field(default_factory=list)
    mask: Tensor | None = None
    masked: bool = True


@dataclass
class Plan:
    """The calls of a model in an order in which they can be computed.

    Attributes:
        inputs: names of the input layers.
        calls: each with the tensor key that it makes, (layer, number).
        results: what comes out.
        names: of the results.
    """

    inputs: list[str]
    calls: list[tuple[tuple[str, int], Call]]
    results: list[Tensor]
    names: list[str]


def plan_functional(config: Mapping[str, Any], layers: Iterable[Mapping[str, Any]], place: Location) -> Plan:
    """Return the plan of a functional model.

    Args:
        config: of the model.
        layers: its descriptions of layers.
        place: of the model.

    Raises:
        DataError: calls that are not read, tensors that there are not, or a circle.
    """
    calls: dict[tuple[str, int], Call] = {}
    kinds: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for layer in layers:
        name = layer["name"]
        kinds[name] = layer["class_name"]
        inbound = layer.get("inbound_nodes") or []
        if not isinstance(inbound, list) or len(inbound) > MAX_LAYERS:
            raise place.inside(f"layer {name!r}").problem("inbound_nodes is no list of calls")
        numbers[name] = len(inbound)
        for number, node in enumerate(inbound):
            calls[name, number] = _call(name, node, place.inside(f"layer {name!r} ({kinds[name]})"))
    results, names = _ends(config.get("output_layers"), place, "output_layers")
    inputs = [tensor[0] for tensor in _ends(config.get("input_layers"), place, "input_layers")[0]]
    for name in inputs:
        if kinds.get(name) != "InputLayer":
            raise place.problem(f"the input {short(name)} is no InputLayer")
    _number_from_zero(calls, results, kinds, numbers)
    for tensor in results:
        _check_known(tensor, calls, kinds, place)
    for call in calls.values():
        for tensor in (*call.inputs, *([] if call.mask is None else [call.mask])):
            _check_known(tensor, calls, kinds, place.inside(f"layer {call.layer!r}"))
    ordered = list(_ordered(calls, results, kinds, place))
    used = {tensor[0] for _, call in ordered for tensor in call.inputs} | {tensor[0] for tensor in results}
    missing = [name for name, kind in kinds.items() if kind == "InputLayer" and name in used and name not in inputs]
    if missing:
        raise place.problem(f"the input layer {missing[0]!r} is used but is not among the model's inputs")
    return Plan(inputs, ordered, results, names)


def _ends(value: Any, place: Location, what: str) -> tuple[list[Tensor], list[str]]:
    """Tensors of ``input_layers`` or ``output_layers``, which are one, a list or named, with their names."""
    if isinstance(value, dict):
        pairs = [(str(name), value[name]) for name in sorted(value, key=str)]
        found = [_ends(one, place, what)[0] for _, one in pairs]
        if any(len(one) != 1 for one in found):
            raise place.problem(f"{what} is nested deeper than rnnkit reads")
        return [one[0] for one in found], [name for name, _ in pairs]
    if _is_history(value):
        tensor = _history(value)
        return [tensor], [tensor[0]]
    if not isinstance(value, list) or not value or len(value) > MAX_LAYERS or not all(map(_is_history, value)):
        raise place.problem(f"{what} is {short(value)}; expected layers with the numbers of call and output")
    tensors = [_history(one) for one in value]
    return tensors, [tensor[0] for tensor in tensors]


def _is_history(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= MAX_LAYERS for one in value[1:])
    )


def _history(value: Any) -> Tensor:
    return value[0], value[1], value[2]


def _call(name: str, node: Any, place: Location) -> Call:
    if isinstance(node, dict):
        return _new_call(name, node, place)
    if isinstance(node, list):
        return _old_call(name, node, place)
    raise place.problem(f"a call is {short(node)}; expected its arguments")


def _new_call(name: str, node: Mapping[str, Any], place: Location) -> Call:
    arguments, named = node.get("args", []), node.get("kwargs", {})
    if not isinstance(arguments, list) or not isinstance(named, dict):
        raise place.problem("a call has no list of args and no object of kwargs")
    inputs: list[Tensor] = []
    operands: list[Any] = []
    for argument in _flat(arguments, place):
        tensor = _keras_tensor(argument)
        if tensor is not None:
            inputs.append(tensor)
            operands.append(None)
        elif isinstance(argument, int | float):
            operands.append(argument)
        elif argument is not None:
            raise place.problem(f"a call has the argument {short(argument)}, which is not read")
    call = Call(name, inputs, operands)
    for key, value in named.items():
        _named(call, str(key), value, _keras_tensor, place)
    if not call.inputs:
        raise place.problem("a call has no tensor among its arguments")
    # Keras 3 hands a mask over by itself only where a single argument has tensors: not beside initial states.
    filled = [one for one in (*arguments, named.get("initial_state")) if _has_tensor(one, place)]
    call.masked = call.mask is not None or len(filled) < 2
    return call


def _old_call(name: str, node: list[Any], place: Location) -> Call:
    call = Call(name, [])
    entries = [node] if node and isinstance(node[0], str) else node
    for entry in entries:
        if not isinstance(entry, list) or len(entry) not in (3, 4) or not _is_history(entry[:3]):
            raise place.problem(f"a call has the input {short(entry)}, which is not read")
        call.inputs.append(_history(entry[:3]))
        call.operands.append(None)
    for entry in entries:
        named = entry[3] if len(entry) == 4 else {}
        if not isinstance(named, dict):
            raise place.problem(f"a call has the arguments {short(named)}, which are not read")
        for key, value in named.items():
            _named(call, str(key), value, _old_tensor, place)
    if not call.inputs:
        raise place.problem("a call has no input")
    return call


def _named(call: Call, key: str, value: Any, read: Any, place: Location) -> None:
    """Take over a named argument of a call."""
    if value is None or (key == "training" and value is False):
        return
    if key == "initial_state":
        tensors = [read(value)] if read(value) is not None else [read(one) for one in _flat([value], place)]
        if any(one is None for one in tensors):
            raise place.problem(f"a call has initial_state={short(value)}; expected tensors of the model")
        call.inputs += tensors
        call.operands += [None] * len(tensors)
        return
    if key == "mask":
        tensor = read(value)
        if tensor is not None:
            call.mask = tensor
            return
        if isinstance(value, list) and len(call.inputs) > 1:
            return  # of a merge: the masks of its inputs, which travel with them
        raise place.problem(f"a call has mask={short(value)}; expected a tensor of the model")
    raise place.problem(f"a call has the argument {short(key)}={short(value)}, which is not read")


def _flat(value: Any, place: Location) -> Iterator[Any]:
    """Arguments with those in lists, of at most three levels."""
    for level in range(4):
        if not any(isinstance(one, list) for one in value):
            break
        if level == 3:
            raise place.problem("a call has lists in lists in lists among its arguments")
        value = [inner for one in value for inner in (one if isinstance(one, list) else [one])]
    yield from value


def _has_tensor(argument: Any, place: Location) -> bool:
    return any(_keras_tensor(one) is not None for one in _flat([argument], place))


def _keras_tensor(value: Any) -> Tensor | None:
    if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
        return None
    config = value.get("config")
    history = config.get("keras_history") if isinstance(config, dict) else None
    return _history(history) if _is_history(history) else None


def _old_tensor(value: Any) -> Tensor | None:
    if isinstance(value, list) and len(value) == 4 and value[3] == {}:
        value = value[:3]
    return _history(value) if _is_history(value) else None


def _number_from_zero(
    calls: dict[tuple[str, int], Call], results: list[Tensor], kinds: Mapping[str, str], numbers: Mapping[str, int]
) -> None:
    """Count the calls of inner models from 0: Keras counts the call that built them, too."""
    mentioned: dict[str, set[int]] = {}
    every = [(call.inputs, call) for call in calls.values()]
    for inputs, call in every:
        for tensor in (*inputs, *([] if call.mask is None else [call.mask])):
            mentioned.setdefault(tensor[0], set()).add(tensor[1])
    for tensor in results:
        mentioned.setdefault(tensor[0], set()).add(tensor[1])
    shifted = {
        name
        for name, found in mentioned.items()
        if kinds.get(name) in MODELS and 0 not in found and (max(found) >= numbers[name] or kinds[name] != "Sequential")
    }

    def moved(tensor: Tensor) -> Tensor:
        return (tensor[0], tensor[1] - 1, tensor[2]) if tensor[0] in shifted else tensor

    for inputs, call in every:
        inputs[:] = [moved(tensor) for tensor in inputs]
        call.mask = None if call.mask is None else moved(call.mask)
    results[:] = [moved(tensor) for tensor in results]


def _check_known(
    tensor: Tensor, calls: Mapping[tuple[str, int], Call], kinds: Mapping[str, str], place: Location
) -> None:
    if tensor[:2] not in calls and not (kinds.get(tensor[0]) == "InputLayer" and tensor[1] == 0):
        raise place.problem(f"call {tensor[1]} of the layer {short(tensor[0])} is used, which the model does not have")


def _ordered(
    calls: Mapping[tuple[str, int], Call], results: Iterable[Tensor], kinds: Mapping[str, str], place: Location
) -> Iterator[tuple[tuple[str, int], Call]]:
    """Calls that the results need, each behind those that it needs."""
    done: set[tuple[str, int]] = set()
    open_: set[tuple[str, int]] = set()
    stack = [(tensor[:2], False) for tensor in reversed(list(results))]
    while stack:
        key, ready = stack.pop()
        if key not in calls or (key in done and not ready):
            continue
        call = calls[key]
        if ready:
            if key not in done:
                done.add(key)
                open_.discard(key)
                yield key, call
            continue
        if key in open_:
            raise place.problem(f"the layers form a circle through {key[0]!r}")
        open_.add(key)
        stack.append((key, True))
        needed = [*call.inputs, *([] if call.mask is None else [call.mask])]
        stack += [(tensor[:2], False) for tensor in reversed(needed) if tensor[:2] not in done]
