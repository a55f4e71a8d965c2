"""The native boundary: a problem with named fields, and arrays by name. What does not fit is refused.

All data is made here.
"""

import pytest
import torch

from rnnkit.ops import native_call
from rnnkit.ops.backend import native_core


def inputs_and_flags(kernel="lstm", variant="standard", **more):
    wide = native_call.GATES[kernel] * 5
    inputs = native_call.Inputs(torch.zeros(4, 3, 2), torch.zeros(wide, 2), torch.zeros(wide, 5), **more)
    return inputs, native_call.Flags(kernel, variant, False, False, True)


def forward_arrays(kernel="lstm", variant="standard", **more):
    """A problem, the arrays of its forward call, and the tensors that own the memory."""
    inputs, flags = inputs_and_flags(kernel, variant, **more)
    sizes = native_call.sizes_of(inputs, flags)
    problem = native_call.recurrent_problem(inputs, flags, sizes)
    out, hn, cn = torch.zeros(4, 3, 5), torch.zeros(3, 5), torch.zeros(3, 5)
    scratch = torch.zeros(problem.scratch(False), dtype=torch.uint8)
    owners = (inputs, out, hn, cn, scratch)
    return problem, native_call.forward_arrays(inputs, out, hn, cn, scratch.data_ptr(), False), owners


@pytest.mark.parametrize("name", ["x", "w_ih", "w_hh", "out", "hn", "scratch"])
def test_a_missing_array_is_refused(name):
    problem, arrays, _owners = forward_arrays()
    problem.forward(arrays)
    del arrays[name]
    with pytest.raises(ValueError, match=f"the array '{name}' is missing"):
        problem.forward(arrays)


def test_a_backward_call_needs_what_was_saved():
    problem, arrays, owners = forward_arrays()
    scratch = torch.zeros(problem.scratch(True), dtype=torch.uint8)
    arrays = {name: arrays[name] for name in ("x", "w_ih", "w_hh", "out")} | {"scratch": scratch.data_ptr()}
    with pytest.raises(ValueError, match="the array 'saved' is missing"):
        problem.backward(arrays)
    del owners


def test_an_unknown_array_is_refused():
    problem, arrays, _owners = forward_arrays()
    with pytest.raises(ValueError, match="no array is called 'w_hidden'"):
        problem.forward(arrays | {"w_hidden": arrays["w_hh"]})


@pytest.mark.parametrize("value", ["address", 1.5, (0, 0), (0, 0, "stride")], ids=str)
def test_an_array_is_an_address_with_strides(value):
    problem, arrays, _owners = forward_arrays()
    with pytest.raises(ValueError, match="x: expected"):
        problem.forward(arrays | {"x": value})


@pytest.mark.parametrize(
    "options",
    [
        {"mask": torch.ones(3, 5)},
        {"peephole": torch.ones(3, 5)},
        {"zone_h": torch.ones(3, 4, 5)},
        {"zone_c": torch.ones(3, 4, 5)},
        {"gain_ih": torch.ones(20), "gain_hh": torch.ones(20), "gain_c": torch.ones(5), "shift_c": torch.ones(5)},
    ],
    ids=lambda options: ",".join(options),
)
def test_an_option_and_its_arrays_go_together(options):
    problem, arrays, _owners = forward_arrays(**options)
    plain, plain_arrays, _plain_owners = forward_arrays()
    problem.forward(arrays)
    for name in options:
        with pytest.raises(ValueError, match=f"the array '{name}' is missing"):
            problem.forward({other: value for other, value in arrays.items() if other != name})
        with pytest.raises(ValueError, match=f"the array '{name}' is given"):
            plain.forward(plain_arrays | {name: arrays[name]})


@pytest.mark.parametrize("kernel", native_call.VARIANTS)
def test_a_variant_belongs_to_its_kernel(kernel):
    for other, variants in native_call.VARIANTS.items():
        for variant in variants:
            inputs, flags = inputs_and_flags(kernel, variant)
            sizes = native_call.sizes_of(inputs, flags)
            if other == kernel:
                native_call.recurrent_problem(inputs, flags, sizes)
                continue
            with pytest.raises(ValueError, match="the kernel has no such variant"):
                native_call.recurrent_problem(inputs, flags, sizes)


@pytest.mark.parametrize(
    "sizes", [{"batch": -1}, {"time": 0}, {"input": -1}, {"hidden": 0}, {"state": 0}, {"state": 6}], ids=str
)
def test_sizes_out_of_range_are_refused(sizes):
    inputs, flags = inputs_and_flags()
    with pytest.raises(ValueError, match="a size is out of range"):
        native_call.recurrent_problem(inputs, flags, native_call.sizes_of(inputs, flags)._replace(**sizes))


@pytest.mark.parametrize("lengths", [[4, 5, 0], [4, -1, 0]], ids=str)
def test_lengths_out_of_range_are_refused(lengths):
    inputs, flags = inputs_and_flags(lengths=torch.tensor(lengths))
    with pytest.raises(ValueError, match="a length lies outside"):
        native_call.recurrent_problem(inputs, flags, native_call.sizes_of(inputs, flags))


@pytest.mark.parametrize("kernel", native_call.GATES)
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("zoned", [False, True])
def test_the_core_tells_what_it_saves(kernel, normed, zoned):
    """The width for tracing and for costs is that of the rows which a call saves."""
    wide = native_call.GATES[kernel] * 5
    options = {"zone_h": torch.ones(3, 4, 5)} if zoned else {}
    if normed:
        options |= {"gain_ih": torch.ones(wide), "gain_hh": torch.ones(wide)}
        options |= {"gain_c": torch.ones(5), "shift_c": torch.ones(5)} if kernel == "lstm" else {}
    inputs, flags = inputs_and_flags(kernel, native_call.VARIANTS[kernel][0], **options)
    saved = native_call.forward_call(inputs, flags)[3]
    assert saved.shape[-1] == native_call.saved_width(kernel, 5, normed=normed, zoned=zoned)


def test_a_stream_takes_numbers_of_its_own_type():
    problem, arrays, _owners = forward_arrays()
    with pytest.raises(ValueError, match="numbers are of another type"):
        native_core().StreamF64().add(problem, arrays)
    with pytest.raises(ValueError, match="take one step"):
        native_core().StreamF32().add(problem, arrays)
