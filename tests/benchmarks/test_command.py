"""Which workloads and parts a command line asks for."""

import pytest

from benchmarks.__main__ import LOADS, NEEDS, parse
from benchmarks.results import ONE_THREAD, ONNX, PEERS
from benchmarks.workloads import WORKLOADS, workload


def test_everything_by_default():
    assert parse([]).parts == LOADS
    assert {system for needed in NEEDS.values() for system in needed} == {*PEERS[1:], ONE_THREAD, ONNX}


def test_parts_are_picked_and_keep_their_order():
    assert list(parse(["--parts", "memory,steps"]).parts) == ["steps", "memory"]


def test_rows_leave_out_the_parts_that_have_none_of_them():
    found = parse(["--rows", "lstm_28,lstm_ragged"]).parts
    assert set(found) == {
        "around",
        "steps",
        "untuned",
        "loop",
        "processes",
        "ragged",
        "inference",
        "options",
        "errors",
        "memory",
    }
    assert found["steps"] == [workload("lstm_28")]
    assert found["untuned"] == found["ragged"] == [workload("lstm_ragged")]
    assert parse(["--rows", "lstm_512", "--parts", "around"]).parts == {"around": [workload("lstm_512")]}
    assert parse(["--parts", "around"]).parts == {"around": WORKLOADS}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "step"], "no part is called 'step'; there are around, busy, steps"),
        (["--rows", "lstm"], "no workload is called 'lstm'"),
        (["--rows", "lstm_75", "--write"], "leave --rows out, or --write"),
        (["--rows", "lstm_75", "--parts", "memory"], "none of these workloads belongs to these parts"),
    ],
)
def test_unknown_names_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    assert message in capsys.readouterr().err
