"""The page, from a made run."""

import pytest

from benchmarks.report import milliseconds, render, table
from benchmarks.results import Figure, Row, Run, Timing
from benchmarks.workloads import workload

LOAD = workload("simple_rnn_28")


def timing(*rounds: list[float], tuning: str = "default") -> Timing:
    return Timing(tuning, list(rounds))


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
    assert cells[5:8] == ["0.400", f"{layers:.0f}", f"{layers / 330:.0%}"]
    assert cells[8] == "—"


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
