"""Several processes take the steps of one process with their batches joined."""

from __future__ import annotations

import os

import pytest
import together
import torch

from rnnkit.errors import ConfigError
from rnnkit.training import Exchange
from rnnkit.training.resuming.checkpoint import other_exchange


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What two processes and one found."""
    folder = tmp_path_factory.mktemp("together")
    with together.search_path():
        alone = together.start(together.run_cases, str(folder / "alone"))
        pair = together.start(run_ranked, str(folder), world=2)
        assert together.finish([*alone, *pair]) == [0, 0, 0]
    return [torch.load(folder / name, weights_only=False) for name in ("alone", "0", "1")]


def run_ranked(folder):
    together.run_cases(os.path.join(folder, os.environ["RANK"]))


def largest_error(found, expected):
    """The largest distance of a tensor from what is expected, in shares of the length of all."""
    assert found.keys() == expected.keys()
    whole = torch.cat([one.flatten() for one in expected.values()]).norm()
    return max(float((one - expected[name]).norm() / whole) for name, one in found.items())


@pytest.mark.parametrize(("case", "precision"), together.RUNS)
def test_two_processes_learn_as_one_with_batches_twice_as_large(trained, case, precision):
    alone, first, second = (one[case, precision] for one in trained)
    assert first["rows"] == second["rows"]
    assert largest_error(second["weights"], first["weights"]) == 0
    exact = precision == together.DOUBLE
    assert largest_error(first["gradients"], alone["gradients"]) <= (1e-14 if exact else 1e-6)
    assert largest_error(first["weights"], alone["weights"]) <= (
        1e-7 if exact else 2e-5
    )  # Adam magnifies what is next to 0
    assert len(first["rows"]) == len(alone["rows"])
    for ours, theirs in zip(first["rows"], alone["rows"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_accumulated_batches_are_exchanged_once_an_update(trained):
    """Updates of 3 batches of 2 rows a process, of 21 rows: two an epoch; three more messages are figures."""
    for precision in together.PRECISIONS:
        assert trained[1]["step", precision]["reductions"] == 2 * (2 + 3)


def test_figures_are_those_of_all_rows(trained):
    alone, first, second = (one["figures"] for one in trained)
    assert first == second == pytest.approx(alone, rel=1e-6)
    assert (alone["one"], alone["all"]) == (1, 5)


def test_fabric_is_for_other_precisions_and_devices(trained):
    """Its import takes two seconds of each process."""
    for one in trained:
        assert not one["fabric", "32-true"]
        assert one["fabric", "64-true"]


@pytest.mark.parametrize("way", ["exchanges", "wrapped"])
def test_other_exchanges_learn_the_same_in_all_processes(trained, way):
    _, first, second = (one.get(way) for one in trained)
    plain = first[""]
    for how, found in first.items():
        assert largest_error(second[how]["weights"], found["weights"]) == 0, how
        assert found["losses"] == pytest.approx(plain["losses"], rel=0.1), how
        if how:
            assert largest_error(found["weights"], plain["weights"]) > 0, how


def test_local_steps_send_a_third_of_three_tensors(trained):
    """Weights and two averages of Adam after each third step, and at the end of an epoch of 15 steps."""
    found = trained[1]["exchanges"]
    assert found["local_steps=3"]["bytes"] == pytest.approx(found[""]["bytes"], rel=0.03)


@pytest.mark.parametrize("text", ["", "fp16", "powersgd,rank=4,start=5", "local_steps=8,local_start=100"])
def test_an_exchange_is_written_as_it_is_read(text):
    assert str(Exchange.parse(text)) == text


def test_an_exchange_that_a_run_did_not_begin_with_is_answered_with_what_to_type(tmp_path):
    error = other_exchange(tmp_path, Exchange("powersgd", rank=4), Exchange())
    assert "exchanged RNNKIT_EXCHANGE=powersgd,rank=4, and these would exchange gradients as they are" in str(error)
    assert "; add --exchange powersgd,rank=4 (in Python exchange=Exchange.parse('powersgd,rank=4'))" in str(error)


def test_settings_of_an_exchange():
    assert Exchange.parse("") == Exchange()
    assert Exchange.parse("fp16").compress == "fp16"
    for wrong, match in (
        ("fp8", "expected fp16"),
        ("local_steps=many", "local_steps=8"),
        ("local_steps=0", "local_steps=0"),
        ("fp16,local_steps=4", "send no gradients"),
        ("rank=1,rank=2", "expected fp16"),
        ("powersgd,start=1", "start=1"),
    ):
        with pytest.raises(ConfigError, match=match):
            Exchange.parse(wrong)
