"""The properties that every recurrence has, one named check a property.

A check is ``check(make, **options)``, where ``make(input_size, hidden_size, **options)`` returns a layer in time-first
layout. A layer's test runs all of them, one test a property:

    @pytest.mark.parametrize("check", contract.checks(torch.float32, bidirectional=True))
    def test_contract(check):
        check(make, bidirectional=True)

All data is made here: random numbers from a fixed seed.
"""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from layer_inputs import check_same, gradients, lengths_for, random_state, resets_for, sequence
from tolerances import assert_close

from rnnkit.errors import BackendError, ShapeError
from rnnkit.ops.state import map_state, tensors

# (batch, time, input, hidden): one of each, vectors' widths and one beside them, more rows than a register tile has.
# Few steps, because each costs a reference as much as a large one; but more rows together than are summed at once, 128.
SIZES = [(1, 1, 1, 1), (3, 5, 2, 7), (2, 2, 16, 16), (5, 4, 3, 50), (33, 4, 20, 65)]


def check_reference(make, **options):
    """The backend that serves agrees with the written-out reference, over all sizes."""
    for layer, reference, batch, time in _beside_reference(make, options):
        check_same(layer, reference, batch=batch, time=time)


def check_reference_lengths(make, **options):
    """The same with lengths, from a given state."""
    for layer, reference, batch, time in _beside_reference(make, options):
        check_same(layer, reference, batch=batch, time=time, state=True, lengths=lengths_for(batch, time))


def check_reference_resets(make, **options):
    """The same with resets, from a given state."""
    for layer, reference, batch, time in _beside_reference(make, options):
        check_same(layer, reference, batch=batch, time=time, state=True, resets=resets_for(batch, time))


def check_reference_lengths_and_resets(make, **options):
    """The same with lengths and resets, from a given state."""
    for layer, reference, batch, time in _beside_reference(make, options):
        ragged = {"lengths": lengths_for(batch, time), "resets": resets_for(batch, time)}
        check_same(layer, reference, batch=batch, time=time, state=True, **ragged)


def _beside_reference(make, options):
    """Pairs of a layer and its copy on the reference, with a batch and a time."""
    for batch, time, inputs, hidden in SIZES:
        layer = make(inputs, hidden, **options)
        reference = copy.deepcopy(layer)
        reference.backend = "reference"
        yield layer, reference, batch, time


def check_steps(make, **options):
    """A whole sequence equals its steps: outputs, final state and gradients; also from a given state."""
    for batch, time, inputs, hidden in SIZES:
        layer = make(inputs, hidden, **options)
        for hx in (None, random_state(layer, batch)):
            x = sequence(layer, batch, time).requires_grad_()
            whole = layer(x, hx)
            state, outputs = hx, []
            for t in range(time):
                output, state = layer.step(x[t], state)
                outputs.append(output)
            steps = (torch.stack(outputs), state)
            assert_close(steps, whole)
            inputs_ = [x, *layer.parameters()]
            for actual, expected in zip(gradients(steps, inputs_), gradients(whole, inputs_), strict=True):
                assert_close(actual, expected)


def check_split(make, **options):
    """Carrying the state from one call to the next equals one call."""
    layer = make(3, 5, **options)
    x = sequence(layer, 4, 7)
    whole, last = layer(x)
    first, state = layer(x[:3])
    second, end = layer(x[3:], state)
    assert_close(torch.cat([first, second]), whole)
    assert_close(end, last)


def check_padding(make, **options):
    """Values past a row's length, NaN too, change no result; each row gives the same as alone."""
    layer = make(4, 9, **options)
    batch, time = 5, 6
    lengths = lengths_for(batch, time)
    padding = torch.arange(time)[:, None] >= lengths[None, :]
    clean = sequence(layer, batch, time)
    outcomes = []
    for poison in (0.0, float("nan"), float("inf")):
        x = torch.where(padding[:, :, None], torch.tensor(poison, dtype=clean.dtype), clean).requires_grad_()
        output, state = layer(x, lengths=lengths)
        inputs = [x, *layer.parameters()]
        outcomes.append([output, *tensors(state), *gradients((output, state), inputs)])
        assert not output[padding].any()
        assert not outcomes[-1][1 + len(tensors(state))][padding].any(), "a gradient reached the padding"
    for actual, poisoned, infinite in zip(*outcomes, strict=True):
        assert torch.equal(actual, poisoned)
        assert torch.equal(actual, infinite)
    for row, length in enumerate(lengths.tolist()):
        output, state = layer(clean[:length, row : row + 1])
        assert_close(output[:, 0], outcomes[0][0][:length, row])
        for alone, together in zip(tensors(state), outcomes[0][1:], strict=False):
            assert_close(alone[:, 0], together[:, row])


def check_scratch(make, **options):
    """NaN in newly allocated memory changes no result: neither outputs nor states nor gradients."""
    layer = make(5, 21, **options)
    x = sequence(layer, 4, 6)
    lengths = torch.tensor([6, 2, 5, 1])
    results = []
    for _ in range(2):
        # The allocator hands these blocks to the next call's outputs and scratch.
        blocks = [torch.full((size,), float("nan")) for size in (64, 256, 1024, 2048, 4096, 8192) for _ in range(8)]
        del blocks
        outcome = layer(x, lengths=lengths)
        results.append([*tensors(outcome), *gradients(outcome, list(layer.parameters()))])
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        torch.set_deterministic_debug_mode("error")  # fills torch.empty with NaN, and imports no compiler
        outcome = layer(x, lengths=lengths)
        results.append([*tensors(outcome), *gradients(outcome, list(layer.parameters()))])
    finally:
        torch.set_deterministic_debug_mode("default")
    for once, twice, filled in zip(*results, strict=True):
        assert torch.equal(once, twice)
        assert torch.equal(once, filled)


def check_batch_first(make, **options):
    """Batch-first input gives the same outputs in that layout, and the same state."""
    layer = make(3, 6, **options)
    batch_first = copy.deepcopy(layer)
    batch_first.batch_first = True
    x = sequence(layer, 4, 5)
    output, state = layer(x)
    other, same_state = batch_first(x.transpose(0, 1).contiguous())
    assert_close(other.transpose(0, 1), output)
    assert_close(same_state, state)
    assert_close(batch_first(x.transpose(0, 1))[0].transpose(0, 1), output)


def check_strided_input(make, **options):
    """Non-contiguous and expanded inputs give what contiguous ones give."""
    layer = make(3, 6, **options)
    x = sequence(layer, 4, 5)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    assert_close(layer(strided), layer(x))
    expanded = x[:, :1].expand(5, 4, 3)
    assert_close(layer(expanded)[0], layer(expanded.contiguous())[0])


def check_unbatched(make, **options):
    """A sequence without a batch axis gives its row of the batch."""
    layer = make(3, 6, **options)
    x = sequence(layer, 4, 5)
    output, state = layer(x)
    alone, alone_state = layer(x[:, 2])
    assert_close(alone, output[:, 2])
    assert_close(alone_state, map_state(lambda leaf: leaf[:, 2], state))


def check_packed(make, **options):
    """A packed sequence gives what padded rows with lengths give, in its own order of rows."""
    layer = make(3, 6, **options)
    x = sequence(layer, 4, 5)
    lengths = torch.tensor([2, 5, 1, 5])
    padded, padded_state = layer(x, lengths=lengths)
    for order, sorted_ in ((torch.arange(4), False), (torch.tensor([1, 3, 0, 2]), True)):
        packed = torch.nn.utils.rnn.pack_padded_sequence(x[:, order], lengths[order], enforce_sorted=sorted_)
        packed_output, packed_state = layer(packed)
        unpacked, rows = torch.nn.utils.rnn.pad_packed_sequence(packed_output)
        assert rows.tolist() == lengths[order].tolist()
        assert_close(unpacked, padded[:, order])
        assert_close(packed_state, map_state(lambda leaf, at=order: leaf[:, at], padded_state))


def check_gradient_layouts(make, **options):
    """Expanded and strided gradients of the output give what contiguous ones give."""
    layer = make(3, 40, **options)
    x = sequence(layer, 6, 5).requires_grad_()
    inputs = [x, *layer.parameters()]
    output, _ = layer(x)
    strided = torch.ones(*output.shape, 2, dtype=output.dtype)[..., 0] * 0.5
    for expanded in (torch.ones((), dtype=output.dtype).expand_as(output), strided):
        found, expected = (
            torch.autograd.grad(output, inputs, gradient, retain_graph=True, materialize_grads=True)
            for gradient in (expanded, expanded.contiguous())
        )
        assert_close(found, expected)


def check_empty_batch(make, **options):
    """A batch of no rows gives empty outputs and zero gradients."""
    layer = make(3, 6, **options)
    x = sequence(layer, 0, 4).requires_grad_()
    output, state = layer(x, lengths=[])
    assert output.shape == (4, 0, layer.output_size)
    assert [leaf.shape[1] for leaf in tensors(state)] == [0] * len(tensors(state))
    for gradient in gradients((output, state), list(layer.parameters())):
        assert not gradient.any()


def check_torch(make, make_torch, **options):
    """PyTorch's layer with the same state dict (loaded both ways) gives the same values, states and gradients."""
    for batch, time, inputs, hidden in SIZES:
        layer = make(inputs, hidden, **options)
        other = make_torch(inputs, hidden, **options).to(layer.weight_ih_l0.dtype)
        assert isinstance(layer, type(other))
        other.load_state_dict(layer.state_dict())
        layer.load_state_dict(other.state_dict())
        check_same(layer, other, batch=batch, time=time)
        check_same(layer, other, batch=batch, time=time, state=True)


def check_module(make, **options):
    """Copies and pickles compute the same and have the same config."""
    layer = make(3, 6, **options)
    x = sequence(layer, 2, 4)
    expected = layer(x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(again(x), expected)
        assert again.config() == layer.config()
    assert f"backend={layer.backend!r}" in repr(layer)


def check_autocast(make, **options):
    """Under autocast, inputs and states in half precision are accepted; gradients have the weights' dtype."""
    layer = make(4, 5, **options)
    x = sequence(layer, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = layer(x.bfloat16())
        carried, _ = layer(x.bfloat16(), state, lengths=[3, 6])
    (output.float().sum() + carried.float().sum()).backward()
    torch.testing.assert_close(output.to(x.dtype), layer(x)[0], rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in layer.parameters())


def check_deterministic(make, **options):
    """The same bits from run to run, gradients included."""
    layer = make(7, 33, **options)
    runs = []
    for _ in range(3):
        x = sequence(layer, 16, 12).requires_grad_()
        outcome = layer(x)
        runs.append([*tensors(outcome), *gradients(outcome, [x, *layer.parameters()])])
    for results in zip(*runs, strict=True):
        assert all(torch.equal(results[0], other) for other in results[1:])


def check_bad_input(make):
    """Every wrong call raises an error that says what arrived and what was expected."""
    layer = make(3, 6)
    x = torch.zeros(5, 4, 3)
    cases = [
        (lambda: layer(torch.zeros(5, 4, 2)), r"\(5, 4, 2\).*expected 3 features"),
        (lambda: layer(torch.zeros(5, 4, 3, 1)), r"expected \(time, batch, features\)"),
        (lambda: layer(torch.zeros(0, 4, 3)), "no time step"),
        (lambda: layer(x.double()), "float64.*weights are torch.float32"),
        (lambda: layer(x.long()), "int64.*weights are torch.float32"),
        (lambda: layer(x.to("meta")), "input is on meta"),
        (lambda: layer(x, lengths=[5, 5, 5]), r"lengths has shape \(3,\).*expected \(4,\)"),
        (lambda: layer(x, lengths=[5, 5, 5, 6]), "from 5 to 6; expected 1 to 5"),
        (lambda: layer(x, lengths=[5, 5, 5, 0]), "from 0 to 5; expected 1 to 5"),
        (lambda: layer(x, lengths=torch.ones(4)), "float32; expected"),
        (lambda: layer(x, resets=torch.zeros(5, 4, dtype=torch.bool)), r"expected \(batch, time\) = \(4, 5\)"),
        (lambda: layer(x, resets=torch.zeros(4, 5)), "resets.bool"),
        (lambda: layer(x, layer.initial_state(3)), "for a batch of 4"),
        (lambda: layer(x, map_state(torch.Tensor.double, layer.initial_state(4))), "hx is torch.float64"),
        (lambda: layer(x.numpy()), "input is a ndarray; expected a tensor"),
        (lambda: layer(x, lengths="abcd"), "expected 4 integers"),
        (lambda: layer(x, lengths=torch.ones(4, 5, dtype=torch.bool)), r"pass .*lengths=mask.sum\(1\)"),
        (lambda: layer(x, lengths=torch.arange(20).view(4, 5) % 5 > 1), "not right-padded"),
        (lambda: layer(x, 5), "hx is int; expected"),
        (lambda: layer.step(torch.zeros(4, 3, dtype=torch.float64)), "x is torch.float64"),
        (lambda: layer(x, (torch.zeros(1, 4, 6),) * 3), "expected"),
        (lambda: layer.step(torch.zeros(4, 2)), r"\(4, 2\); a step takes \(batch, 3\)"),
        (lambda: layer.step(torch.zeros(4, 3), layer.initial_state(2)), "for a batch of 4"),
    ]
    for call, message in cases:
        with pytest.raises(ShapeError, match=message):
            call()
    both = make(3, 6, bidirectional=True)
    with pytest.raises(ShapeError, match="no meaning for a bidirectional"):
        both(x, resets=torch.zeros(4, 5, dtype=torch.bool))
    with pytest.raises(BackendError, match="needs the whole sequence"):
        both.step(torch.zeros(4, 3))


REFERENCE_CHECKS = (check_reference, check_reference_lengths)
RESET_CHECKS = (check_reference_resets, check_reference_lengths_and_resets)
CHECKS = (
    *REFERENCE_CHECKS,
    check_padding,
    check_scratch,
    check_batch_first,
    check_strided_input,
    check_unbatched,
    check_packed,
    check_gradient_layouts,
    check_empty_batch,
    check_module,
    check_deterministic,
)
ONE_DIRECTION_CHECKS = (*RESET_CHECKS, check_steps, check_split)


def checks(dtype, **options):
    """The checks for layers of this dtype with these options: resets and steps need a single direction."""
    found = [*CHECKS, *([check_autocast] if dtype == torch.float32 else [])]
    return found if options.get("bidirectional") else [*found, *ONE_DIRECTION_CHECKS]


def cases(*settings):
    """One ``pytest.param(*setting, check)`` for each property of each setting; ids name the property.

    A setting is a tuple whose first entry is a dtype and whose last one is a dictionary of options.
    """
    return [
        pytest.param(*setting, check, id="-".join([*map(_shown, setting), check.__name__.removeprefix("check_")]))
        for setting in settings
        for check in checks(setting[0], **setting[-1])
    ]


DTYPES = (torch.float32, torch.float64)


def alternating(*settings):
    """The cases of settings without their dtype: each property of each setting is met in one dtype, turn by turn.

    So each dtype meets each property, and each setting. All options together meet both dtypes in
    tests/ops/test_native.py.
    """
    properties, found = [*CHECKS, *ONE_DIRECTION_CHECKS], []
    for number, setting in enumerate(settings):
        for dtype in DTYPES:
            for one in cases((dtype, *setting)):
                check = one.values[-1]
                if check not in properties or DTYPES[(number + properties.index(check)) % 2] == dtype:
                    found.append(one)
    return found


def _shown(value):
    return value.__name__ if isinstance(value, type) else str(value)
