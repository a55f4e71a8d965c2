"""The page, from a made run."""

import dataclasses

import pytest

from benchmarks.report import render
from benchmarks.results import Figure, Line, Part, Row, Run, Timing
from benchmarks.tables import milliseconds, table
from benchmarks.workloads import Workload, workload

LOAD = workload("simple_rnn_28")


def timing(*rounds: list[float], tuning: str = "default") -> Timing:
    return Timing(tuning, list(rounds))


def made_row(ours: float, load: Workload = LOAD, **more: object) -> Row:
    steps = {"rnnkit": timing([ours]), "PyTorch": timing([3.0])}
    return Row(load, steps, layers={"rnnkit": timing([0.4])}, **more)


def made_run(ours: float = 0.5, **row: object) -> Run:
    steps = {
        "rnnkit": timing([ours, ours, 9.0]),
        "PyTorch": timing([3.0], [2.0], tuning="one thread"),
        "Keras on JAX": timing([1.2], [1.2]),
    }
    return Run(
        date="2030-01-02",
        machine={"Processor": "Made Model 1", "Cores": "2"},
        versions={"rnnkit": "1.2.3", "jax": "4.5.6"},
        rounds=2,
        peaks=[300.0, 330.0, 340.0],
        rows=[Row(LOAD, steps, layers={"rnnkit": timing([0.4])}, **row)],
        figures=[Figure("Start", 0.4, 0.5, "median of 7", " s"), Figure("Share", 0.4, 0.6, "", at_least=True)],
    )


def row_of(page: str, heading: str) -> list[str]:
    """The cells of the first data row under a heading."""
    lines = [line for line in page.partition(heading)[2].splitlines() if line.startswith("|")]
    return [cell.strip() for cell in lines[2].strip("|").split("|")]


def test_a_timing_is_the_median_of_all_and_its_spread_that_of_the_rounds():
    measured = timing([1.0, 2.0, 3.0], [4.0, 5.0, 90.0])
    assert measured.ms == 3.5
    assert measured.spread == (2.0, 5.0)


def test_the_ratio_is_to_the_best_peer():
    row = made_run().rows[0]
    assert row.best_peer == "Keras on JAX"
    assert row.ratio == pytest.approx(2.4)


def test_a_met_target():
    cells = row_of(render(made_run()), "## One training step")
    assert cells[:4] == ["SimpleRNN relu", "32, 28, 28, 128", "**0.500** (0.500–0.500)", "2.50 (2.00–3.00)"]
    assert cells[4:7] == ["—", "1.20 (1.20–1.20)", "—"]
    assert cells[7] == milliseconds(LOAD.flops / 330e6)
    assert cells[8:] == ["2.40", "≥ 2", "met"]


def test_a_lost_row_is_shown_as_lost():
    cells = row_of(render(made_run(ours=1.5)), "## One training step")
    assert cells[2] == "1.50 (1.50–1.50)"
    assert cells[5] == "**1.20** (1.20–1.20)"
    assert cells[8:] == ["0.80", "≥ 2", "**not met**"]


def test_the_share_of_the_peak():
    cells = row_of(render(made_run()), "## Against the machine")
    step, layers = (LOAD.flops / ms / 1e6 for ms in (0.5, 0.4))
    assert cells[3:5] == [f"{step:.0f}", f"{step / 330:.0%}"]
    assert cells[5] == "—"
    assert cells[6:9] == ["0.400", f"{layers:.0f}", f"{layers / 330:.0%}"]
    assert cells[9:] == ["≥ 50%", "met"]


@pytest.mark.parametrize(
    ("load", "ms", "verdict"),
    [
        ("simple_rnn_55mf", 0.3, ["≥ 50%", "met"]),
        ("simple_rnn_55mf", 0.4, ["≥ 50%", "**not met**"]),
        ("lstm_11mf", 0.6, ["≥ 5%", "met"]),
        ("lstm_11mf", 0.7, ["≥ 5%", "**not met**"]),
        ("gru_alone", 9.0, ["—", ""]),
    ],
)
def test_what_the_layers_alone_must_reach(load, ms, verdict):
    small = Row(workload(load), {}, layers={"rnnkit": timing([ms])})
    page = render(dataclasses.replace(made_run(), rows=[], small=[small]))
    assert row_of(page, "## Against the machine")[-2:] == verdict
    assert "## One training step" not in page


def test_shapes_nobody_tuned_for_are_judged_by_row_and_median():
    untuned = [made_row(ours, workload("lstm_75")) for ours in (1.0, 2.0, 3.5)]
    page = render(dataclasses.replace(made_run(), untuned=untuned))
    assert row_of(page, "## Shapes nobody tuned for")[8:] == ["3.00", "≥ 1", "met"]
    assert "| 0.86 | ≥ 1 | **not met** |" in page
    assert "| Median of best peer ÷ rnnkit over these rows | 1.50 | ≥ 1.5 |  | met |" in page


def test_a_part_shows_its_text_its_figures_and_what_failed():
    lines = [
        Line(("1.0", "2.0"), Figure("fast", 2.0, 1.5, unit=" ×", at_least=True)),
        Line(("—", "2.0"), Figure("gone", None, 1.5, unit=" ×", at_least=True)),
    ]
    part = Part("Some part", "How it was.\n", ("ours", "theirs"), "ratio", lines, {"ours, gone": "no memory"})
    run = dataclasses.replace(made_run(), parts=[part])
    page = render(run)
    assert "## Some part\n\nHow it was.\n" in page
    assert "| fast | 1.0 | 2.0 | 2.00 × | ≥ 1.5 × | met |" in page
    assert "| gone | — | 2.0 | — | ≥ 1.5 × | **not met** |" in page
    assert "- ours, gone: not measured, no memory" in page
    assert run.problems
    assert not made_run().problems


def test_figures_have_their_limit_and_verdict():
    page = render(made_run())
    assert "| Start | 0.40 s | ≤ 0.5 s | median of 7 | met |" in page
    assert "| Share | 0.40 | ≥ 0.6 |  | **not met** |" in page


def test_the_page_says_where_it_comes_from_and_what_went_wrong():
    page = render(made_run(note="runs through torch", problems={"JAX by hand, step": "out of memory"}))
    for text in ("2030-01-02", "Made Model 1", "rnnkit 1.2.3, jax 4.5.6", "330 GFLOP/s", "in 2 rounds"):
        assert text in page
    assert "SimpleRNN relu (32, 28, 28, 128), rnnkit: runs through torch" in page
    assert "JAX by hand, step: not measured, out of memory" in page
    assert "  - SimpleRNN relu (32, 28, 28, 128): PyTorch with one thread\n" in page


def test_a_system_of_ours_that_failed_has_no_verdict_but_not_met():
    run = made_run()
    del run.rows[0].steps["rnnkit"], run.rows[0].layers["rnnkit"]
    assert row_of(render(run), "## One training step")[8:] == ["—", "≥ 2", "**not met**"]


@pytest.mark.parametrize(
    ("ms", "text"), [(0.4634, "0.463"), (1.0, "1.00"), (7.914, "7.91"), (20.44, "20.4"), (1957.3, "1957")]
)
def test_milliseconds(ms, text):
    assert milliseconds(ms) == text


def test_table():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
