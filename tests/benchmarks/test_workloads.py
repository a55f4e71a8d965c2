"""The arithmetic that shares of the peak are computed from."""

import numpy as np
import pytest

from benchmarks.workloads import ALL, BESIDE_BUSY, RAGGED, SMALL, STREAMED, UNTUNED, WORKLOADS, Workload, workload


def test_flops_of_one_layer_by_hand():
    load = Workload("made", "lstm", batch=2, time=3, inputs=5, hidden=7, target=1.0)
    gates = 4 * 7
    forward = 2 * 2 * 3 * gates * (5 + 7)
    weights = 2 * 2 * 3 * gates * (5 + 7)  # dW and dU
    state = 2 * 2 * 3 * gates * 7  # dh
    assert load.flops == forward + weights + state


def test_flops_of_a_second_layer_include_the_gradient_of_its_input():
    one = Workload("one", "simple_rnn", batch=2, time=3, inputs=5, hidden=7, target=1.0)
    two = Workload("two", "simple_rnn", batch=2, time=3, inputs=5, hidden=7, target=1.0, layers=2)
    products = 6  # W x and U h, dW and dU, dx and dh
    assert two.flops - one.flops == products * 2 * 2 * 3 * 7 * 7


def test_flops_of_both_directions():
    one, both = (Workload("made", "gru", 2, 3, 5, 7, layers=2, bidirectional=wanted).flops for wanted in (False, True))
    wider = 3 * 2 * 2 * 3 * 3 * 7 * 7  # the second layer reads twice the features: W x, dW and dx
    assert both == 2 * (one + wider)


def test_flops_of_ragged_rows_leave_the_padding_out():
    load = Workload("made", "lstm", 64, 100, 5, 7, ragged=True)
    lengths = load.made_lengths()
    assert 25 <= lengths.min() < lengths.max() <= 100
    assert load.flops * 6400 == load.dense().flops * lengths.sum()
    assert list(lengths) != sorted(lengths)
    x, _ = load.made_batch()
    assert all(x[row, :length].all() and not x[row, length:].any() for row, length in enumerate(lengths))


def test_flops_grow_with_the_gates():
    flops = [Workload("made", cell, 2, 3, 5, 7, target=1.0).flops for cell in ("simple_rnn", "gru", "lstm")]
    assert [value / flops[0] for value in flops] == [1, 3, 4]


@pytest.mark.parametrize("load", ALL.values(), ids=lambda load: load.name)
def test_the_made_batch_fits_its_network_and_never_changes(load):
    x, y = load.made_batch()
    again_x, again_y = load.made_batch()
    assert x.shape == (load.batch, load.time, load.inputs)
    assert x.dtype == np.float32
    assert y.shape == ((load.batch, 1) if load.outputs == 1 else (load.batch,))
    assert load.outputs == 1 or set(y) <= set(range(load.outputs))
    np.testing.assert_array_equal(x, again_x)
    np.testing.assert_array_equal(y, again_y)


def test_workloads_are_found_by_name():
    groups = (*WORKLOADS, *BESIDE_BUSY, *UNTUNED, *SMALL, *RAGGED, *STREAMED)
    assert [workload(load.name) for load in groups] == list(groups)
    assert all(workload(load.dense().name) == load.dense() for load in RAGGED)
    assert {load.name for load in groups} | {load.dense().name for load in RAGGED} == set(ALL)
    with pytest.raises(ValueError, match=r"no workload is called 'lstm'; there are .*lstm_28"):
        workload("lstm")
