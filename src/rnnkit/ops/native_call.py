"""The native kernels' own calls: arguments are checked, laid out as the core takes them, and passed by name.

Legend: B batch, T time, I input, H hidden, G gates, S length of h (P with a projection, else H).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch

from ..errors import ShapeError
from .backend import native_core
from .memory import work_blocks, work_memory

Tensor = torch.Tensor

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
"""The kernels, with the gates of each."""
VARIANTS = {
    "simple_rnn": ("tanh", "relu", "sigmoid"),
    "lstm": ("standard",),
    "gru": ("reset_after", "reset_before"),
}
"""The variants of each kernel's equations."""
LSTM_SAVED = ("i", "f", "g", "o", "c")
"""The blocks of H elements that a saved row of the LSTM begins with; ``native/kernels/lstm/lstm.h`` has the layout."""


class Inputs(NamedTuple):
    """The tensors of a call, in the order in which the operator takes them; None is not given.

    x [T, B, I], or [B, T, I] with ``batch_first``; w_ih [G·H, I], w_hh [G·H, S], biases [G·H], w_hr [S, H], peephole
    [3, H], gain_ih and gain_hh [G·H], gain_c and shift_c [H], h0 [B, S] and c0 [B, H], reset_h and reset_c likewise for
    what resets go back to, mask [B, S], zones [B, T, S] and [B, T, H] (or expanded to that), lengths int64 [B], resets
    bool [B, T].
    """

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None
    peephole: Tensor | None = None
    gain_ih: Tensor | None = None
    gain_hh: Tensor | None = None
    gain_c: Tensor | None = None
    shift_c: Tensor | None = None
    h0: Tensor | None = None
    c0: Tensor | None = None
    reset_h: Tensor | None = None
    reset_c: Tensor | None = None
    mask: Tensor | None = None
    zone_h: Tensor | None = None
    zone_c: Tensor | None = None
    lengths: Tensor | None = None
    resets: Tensor | None = None


class Flags(NamedTuple):
    """What a call computes beside its tensors.

    ``kernel`` is one of GATES, ``variant`` one of its VARIANTS. With ``save_for_backward`` the forward call saves what
    the backward call reads.
    """

    kernel: str
    variant: str
    reverse: bool
    batch_first: bool
    save_for_backward: bool


ARGUMENTS = len(Inputs._fields) + len(Flags._fields)
DIFFERENTIABLE = Inputs._fields[: Inputs._fields.index("mask")]
COUNT = len(Inputs._fields)


def expand_zoneout(zone: Tensor | None, x: Tensor, batch_first: bool) -> Tensor | None:
    """Expand a zone [B, T, H], or a constant that broadcasts to [B, H], to [B, T, H]; constants are not copied."""
    if zone is None or zone.dim() == 3:
        return zone
    batch, time = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    zone = torch.atleast_1d(zone)
    return (zone if zone.dim() == 1 else zone[:, None]).expand(batch, time, -1)


class _Core(NamedTuple):
    problem: Any
    kernels: dict[str, Any]
    variants: dict[str, Any]
    elements: dict[torch.dtype, Any]


@cache
def _core() -> _Core:
    """The core's description of a call, and the members of its enumerations by name: a dict finds them faster."""
    core: Any = native_core()
    return _Core(
        core.RecurrentProblem,
        {name: getattr(core.Kernel, name) for name in GATES},
        {name: getattr(core.Variant, name) for names in VARIANTS.values() for name in names},
        {torch.float32: core.Element.float32, torch.float64: core.Element.float64},
    )


def saved_width(kernel: str, hidden: int, *, normed: bool, zoned: bool) -> int:
    """Return how many elements the core saves of each step for the backward call, beside the output."""
    core = _core()
    problem = core.problem(
        kernel=core.kernels[kernel], variant=core.variants[VARIANTS[kernel][0]],
        element=core.elements[torch.float32], batch=0, time=1, input=0, hidden=int(hidden), state=int(hidden),
        zoned_h=zoned, normed=normed,
    )  # fmt: skip
    width: int = problem.saved_width
    return width


class Sizes(NamedTuple):
    batch: int
    time: int
    input: int
    hidden: int
    state: int
    gates: int


def sizes_of(inputs: Inputs, flags: Flags) -> Sizes:
    first, second, features = inputs.x.shape
    batch, time = (first, second) if flags.batch_first else (second, first)
    gates = GATES[flags.kernel]
    width, state = inputs.w_hh.shape
    return Sizes(batch, time, features, width // gates, state, gates)


def empty_sequence(like: Tensor, sizes: Sizes, features: int, batch_first: bool) -> Tensor:
    """Return an unset sequence with so many features, of the call's layout, and of the dtype and device of ``like``."""
    shape = (sizes.batch, sizes.time) if batch_first else (sizes.time, sizes.batch)
    return like.new_empty(*shape, features)


def _rows(tensor: Tensor | None) -> Tensor | None:
    """Return the array with adjacent features; it is copied only where they are not."""
    return tensor if tensor is None or tensor.stride(-1) == 1 else tensor.contiguous()


def _sequence(tensor: Tensor, batch_first: bool) -> tuple[int, int, int]:
    """Return the address, the stride over the batch and the stride over time."""
    first, second, _ = tensor.stride()
    return (tensor.data_ptr(), first, second) if batch_first else (tensor.data_ptr(), second, first)


_DTYPES = {"lengths": torch.int64, "resets": torch.bool}  # all others have that of x


_MATRICES = ("w_ih", "w_hh", "w_hr")


def check(inputs: Inputs, flags: Flags, sizes: Sizes, *, matrices: torch.dtype | None = None) -> None:
    """Check every tensor: the kernel takes addresses, and a wrong shape would read memory of others.

    Args:
        inputs, flags, sizes: of the call.
        matrices: the type of its matrices; None: that of x.
    """
    x = inputs.x
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64) or not x.is_cpu:
        raise ShapeError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected float32 or float64, three axes, on the CPU"
        )
    batch, time, features, hidden, state, gates = sizes
    wide = gates * hidden
    shapes = {  # in the order of the inputs
        "w_ih": (wide, features), "w_hh": (wide, hidden if inputs.w_hr is None else state),
        "b_ih": (wide,), "b_hh": (wide,), "w_hr": (state, hidden), "peephole": (3, hidden),
        "gain_ih": (wide,), "gain_hh": (wide,), "gain_c": (hidden,), "shift_c": (hidden,),
        "h0": (batch, state), "c0": (batch, hidden), "reset_h": (batch, state), "reset_c": (batch, hidden),
        "mask": (batch, state), "zone_h": (batch, time, state), "zone_c": (batch, time, hidden),
        "lengths": (batch,), "resets": (batch, time),
    }  # fmt: skip
    types = _DTYPES if matrices is None else _DTYPES | dict.fromkeys(_MATRICES, matrices)
    _fit(zip(shapes, inputs[1:], shapes.values(), strict=True), x.dtype, types)


def check_added(added: Tensor, inputs: Inputs, sizes: Sizes) -> None:
    """Check what a step adds to W x, as `check` does the other tensors."""
    _fit([("added", added, (sizes.batch, sizes.gates * sizes.hidden))], inputs.x.dtype)
    if added.stride(-1) != 1:
        raise ShapeError("the numbers that are added to W x have gaps; expected rows of adjacent ones")


def _fit(
    tensors: Iterable[tuple[str, Tensor | None, tuple[int, ...]]],
    dtype: torch.dtype,
    types: dict[str, torch.dtype] = _DTYPES,
) -> None:
    """Raise ShapeError unless the tensors have the shapes beside them and lie on the CPU; None fits."""
    for name, tensor, shape in tensors:
        if tensor is None:
            continue
        wanted = types.get(name, dtype)
        if tensor.shape != shape or tensor.dtype != wanted or not tensor.is_cpu:
            raise ShapeError(
                f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}; "
                f"expected {wanted} of shape {tuple(shape)} on the CPU"
            )


_SEQUENCES = ("x", "zone_h", "zone_c")


def compact(inputs: Inputs) -> Inputs:
    """Return the tensors as the kernel takes them: adjacent features, and all but sequences contiguous."""
    changed: dict[str, Any] = {}
    for name, tensor in zip(Inputs._fields, inputs, strict=True):
        if tensor is None or tensor.is_contiguous() or name == "resets":
            continue
        changed[name] = _rows(tensor) if name in _SEQUENCES else tensor.contiguous()
    return inputs._replace(**changed) if changed else inputs


def recurrent_problem(inputs: Inputs, flags: Flags, sizes: Sizes) -> Any:
    """Return the core's description of a call."""
    core, lengths, resets = _core(), inputs.lengths, inputs.resets
    return core.problem(
        kernel=core.kernels[flags.kernel],
        variant=core.variants[flags.variant],
        element=core.elements[inputs.x.dtype],
        batch=sizes.batch,
        time=sizes.time,
        input=sizes.input,
        hidden=sizes.hidden,
        state=sizes.state,
        reverse=flags.reverse,
        masked=inputs.mask is not None,
        zoned_h=inputs.zone_h is not None,
        zoned_c=inputs.zone_c is not None,
        peepholes=inputs.peephole is not None,
        normed=inputs.gain_hh is not None,
        threads=torch.get_num_threads(),
        lengths=0 if lengths is None else lengths.data_ptr(),
        resets=(0, 0, 0) if resets is None else (resets.data_ptr(), *resets.stride()),
    )


_POINTERS = Inputs._fields[1 : Inputs._fields.index("mask") + 1]  # all contiguous arrays but the lengths
_GRADIENTS = tuple(f"d{name}" for name in DIFFERENTIABLE)


def _input_arrays(inputs: Inputs, batch_first: bool) -> dict[str, Any]:
    """Return what both of the core's calls read, by name; arrays that are not given are left out."""
    arrays: dict[str, Any] = {
        name: tensor.data_ptr() for name, tensor in zip(_POINTERS, inputs[1:], strict=False) if tensor is not None
    }
    arrays["x"] = _sequence(inputs.x, batch_first)
    if inputs.zone_h is not None:
        arrays["zone_h"] = _sequence(inputs.zone_h, True)
    if inputs.zone_c is not None:
        arrays["zone_c"] = _sequence(inputs.zone_c, True)
    return arrays


def forward_arrays(
    inputs: Inputs, out: Tensor, hn: Tensor, cn: Tensor | None, scratch: int, batch_first: bool
) -> dict[str, Any]:
    """Return the arrays of a forward call that saves nothing, by name; ``scratch`` is an address."""
    arrays = _input_arrays(inputs, batch_first)
    arrays["out"], arrays["hn"] = _sequence(out, batch_first), hn.data_ptr()
    if cn is not None:
        arrays["cn"] = cn.data_ptr()
    arrays["scratch"] = scratch
    return arrays


def forward_call(inputs: Inputs, flags: Flags) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Return output, last h, last c (None but for the LSTM) and the saved rows (empty where none are kept)."""
    sizes = sizes_of(inputs, flags)
    check(inputs, flags, sizes)
    inputs = compact(inputs)
    problem = recurrent_problem(inputs, flags, sizes)
    weight, batch_first = inputs.w_hh, flags.batch_first
    out = empty_sequence(weight, sizes, sizes.state, batch_first)
    hn = weight.new_empty(sizes.batch, sizes.state)
    cn = weight.new_empty(sizes.batch, sizes.hidden) if flags.kernel == "lstm" else None
    width = problem.saved_width if flags.save_for_backward else 0
    saved = work_memory((*out.shape[:2], width), weight.dtype)
    scratch = work_blocks.take(problem.scratch(False))
    arrays = forward_arrays(inputs, out, hn, cn, scratch.address, batch_first)
    if width:
        arrays["saved"] = _sequence(saved, batch_first)
    try:
        problem.forward(arrays)
    finally:
        work_blocks.give_back(scratch)
    return out, hn, cn, saved


def backward_call(
    grads: tuple[Tensor | None, ...], out: Tensor, saved: Tensor, inputs: Inputs, flags: Flags, needs: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of the tensors that DIFFERENTIABLE names, None for those that ``needs`` does not ask for.

    Args:
        grads: those of a forward call's four results.
        out, saved: results of that call; they may have passed through hooks of the user's.
        inputs, flags: those of that call, checked there.
        needs: whether each gradient is needed.
    """
    inputs = compact(inputs)
    sizes, batch_first, dtype = sizes_of(inputs, flags), flags.batch_first, inputs.x.dtype
    problem = recurrent_problem(inputs, flags, sizes)
    shape, width = tuple(inputs.x.shape[:2]), problem.saved_width if flags.save_for_backward else 0
    dout, dhn, dcn, dsaved = [None if grad is None or grad.numel() == 0 else grad for grad in grads]
    at_each_step, saved_rows = (*shape, sizes.state), (*shape, width)
    _fit(
        (
            ("out", out, at_each_step),
            ("saved", saved, saved_rows),
            ("the gradient of out", dout, at_each_step),
            ("the gradient of saved", dsaved, saved_rows),
            ("the gradient of hn", dhn, (sizes.batch, sizes.state)),
            ("the gradient of cn", dcn, (sizes.batch, sizes.hidden)),
        ),
        dtype,
    )
    # Every tensor whose address is taken keeps a name until the call is over.
    out = out if out.stride(-1) == 1 else out.contiguous()
    sequences = (
        ("saved", saved.contiguous() if width else None),
        ("dout", _rows(dout)),
        ("dcells", None if dsaved is None else _rows(cell_states(dsaved, sizes.hidden))),
    )
    # Contiguous, so sequences lie in memory as the output does.
    found = [
        torch.empty(tensor.shape, dtype=dtype, device="cpu") if tensor is not None and need else None
        for tensor, need in zip(inputs, needs, strict=False)
    ]
    others = (
        ("dhn", None if dhn is None else dhn.contiguous()),
        ("dcn", None if dcn is None else dcn.contiguous()),
        *zip(_GRADIENTS, found, strict=True),
    )
    arrays = _input_arrays(inputs, batch_first)
    arrays["out"] = _sequence(out, batch_first)
    for name, sequence in sequences:
        if sequence is not None:
            arrays[name] = _sequence(sequence, batch_first)
    for name, tensor in others:
        if tensor is not None:
            arrays[name] = tensor.data_ptr()
    if found[0] is not None:
        arrays["dx"] = _sequence(found[0], batch_first)
    scratch = work_blocks.take(problem.scratch(True))
    arrays["scratch"] = scratch.address
    try:
        problem.backward(arrays)
    finally:
        work_blocks.give_back(scratch)
    return found


def cell_states(saved: Tensor, hidden: int) -> Tensor:
    """Return the c of every step from the saved rows of an LSTM."""
    first = LSTM_SAVED.index("c") * hidden
    return saved[..., first : first + hidden]
