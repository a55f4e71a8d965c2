"""`rnnkit forecast` and `rnnkit backtest`: what they write, and what they refuse."""

import csv
import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused, refused_alone
from forecast_runs import HORIZON, LOOKBACK, trained, write

from rnnkit.recipes import open_recipe
from rnnkit.runs import read_recipe
from rnnkit.runs.settings import override, restore
from rnnkit.tasks.forecasting import load_forecaster

pytest.importorskip("pandas")


def rows(file):
    with Path(file).open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("direct"))


@pytest.fixture(scope="module")
def deepar(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("deepar"), "deepar", "gaussian", baselines="naive")


@pytest.mark.usefixtures("whole_pictures")
def test_the_steps_to_come_are_written_with_a_picture_beside(run):
    write("latest.csv", ahead=HORIZON)
    result = call("forecast", run, "latest.csv", "--out", "out.csv", "--quantiles", "0.1,0.9")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Wrote 6 rows to out.csv\nPicture: out.png\n"
    found = rows("out.csv")
    assert list(found[0]) == ["unique_id", "ds", "forecast", "low_80", "high_80", "q0.1", "q0.9"]
    assert [(row["unique_id"], row["ds"]) for row in found[:4]] == [
        ("a", "2024-01-09 08:00"),
        ("a", "2024-01-09 09:00"),
        ("a", "2024-01-09 10:00"),
        ("b", "2024-01-09 08:00"),
    ]
    assert all(float(row["q0.1"]) <= float(row["forecast"]) <= float(row["q0.9"]) for row in found)
    assert Path("out.png").stat().st_size > 1_000
    told = call("predict", run, "latest.csv", "--out", "told.csv")
    assert told.exit_code == 0
    assert [row["forecast"] for row in rows("told.csv")] == [row["forecast"] for row in found]
    assert call("forecast", run, "latest.csv", "--out", "out.json", "--picture", "p.svg").exit_code == 0
    assert json.loads(Path("out.json").read_text())[0]["ds"] == "2024-01-09 08:00"
    assert Path("p.svg").exists()
    assert not Path("out.json.png").exists()


def test_fewer_steps_need_fewer_covariates(run):
    whole = call("forecast", run, write("whole.csv", ahead=3))
    cut = call("forecast", run, write("cut.csv", ahead=1), "--horizon", 1)
    assert cut.exit_code == 0, cut.output
    lines = whole.stdout.splitlines()
    assert [line.split() for line in cut.stdout.splitlines()] == [
        line.split() for line in (lines[0], lines[1], lines[4])
    ]
    assert "Up to 1 step behind the last target has covariates alone." in cut.stderr


def test_missing_covariates_are_named_with_their_time(run):
    result = call("forecast", run, write("latest.csv", ahead=1))
    assert refused(
        result,
        "'open' of the series 'a' has no value at 2024-01-09 09:00, step 2 of 3 to come",
        "add rows for the steps",
    )


def test_a_segment_reads_the_covariates_of_all_its_steps(tmp_path):
    import rnnkit
    from rnnkit.types import WindowLayout

    layout = WindowLayout(lookback=12, horizon=10, known=("open",))
    model = rnnkit.SegmentForecaster(layout, segment=4, hidden_size=8)
    assert [model.covariate_steps(steps) for steps in (1, 4, 5, 9, 10)] == [4, 4, 8, 10, 10]
    assert rnnkit.DirectForecaster(layout).covariate_steps(5) == 5


def test_standard_input_is_a_table(run):
    from typer.testing import CliRunner

    from rnnkit.cli.main import app

    text = write("latest.csv", ahead=3).read_text()
    named = call("forecast", run, "latest.csv")
    piped = CliRunner().invoke(app, ["forecast", str(run), "-"], input=text)
    assert piped.exit_code == 0, piped.output
    assert piped.stdout == named.stdout
    assert piped.stderr == named.stderr
    broken = CliRunner().invoke(app, ["forecast", str(run), "-"], input=text.replace("open", "shut"))
    assert refused_alone(broken, "standard input", "'open'")
    assert refused_alone(CliRunner().invoke(app, ["forecast", str(run), "-"], input=""), "nothing arrived", "a table")


def test_a_longer_horizon_is_refused_with_the_command_that_trains_it(run):
    write("latest.csv", ahead=48)
    result = call("forecast", run, "latest.csv", "--horizon", 48, "--out", "out.csv")
    command = f"rnnkit train forecast {run.parent / 'load.csv'} --set horizon=48 --set lookback={LOOKBACK}"
    assert refused_alone(
        result, "--horizon 48 arrived", "was trained for 3 steps", "its last layer has outputs", f"`{command} "
    )
    typed = shlex.split(result.stderr.partition("type `")[2].partition("`")[0])
    stored = restore(open_recipe("forecast"), read_recipe(run).settings)
    again = override(open_recipe("forecast"), [*typed[5::2], f"data.path={typed[3]}"])
    assert again == replace(stored, horizon=48)
    assert not Path("out.csv").exists()


def test_deepar_goes_on_behind_its_horizon(deepar):
    write("latest.csv", ahead=7)
    short, long = "short.csv", "long.csv"
    assert call("forecast", deepar, "latest.csv", "--out", short).exit_code == 0
    result = call("forecast", deepar, "latest.csv", "--horizon", 7, "--out", long, "--quantiles", "0.1,0.9")
    assert result.exit_code == 0, result.output
    assert "goes on from its own draws to 7" in result.stderr
    assert "calibrated for 3 steps; behind them low and high are empty" in result.stderr
    found, first = rows(long), rows(short)
    assert len(found) == 14
    for row, same in zip(found[:3], first[:3], strict=True):
        assert float(row["forecast"]) == pytest.approx(float(same["forecast"]), rel=1e-4)
        assert float(row["high_80"]) == pytest.approx(float(same["high_80"]), rel=1e-4)
    assert [row["low_80"] for row in found[3:7]] == ["nan"] * 4
    assert all(float(row["q0.1"]) < float(row["q0.9"]) for row in found)
    predictor = load_forecaster(deepar)
    assert predictor.with_horizon(7).model.layout.horizon == 7
    assert predictor.model.layout.horizon == 3


def test_what_cannot_be_forecast_is_refused(run, tmp_path):
    write("short.csv", steps=5, ahead=3)
    assert refused(call("forecast", run, "short.csv"), "fewer than 8 observed steps", "the shortest has 5")
    lines = write("flat.csv", ahead=3).read_text().splitlines()
    flat = [
        ",".join([*line.split(",")[:2], "7" if line.split(",")[2] else "", line.split(",")[3]]) for line in lines[1:]
    ]
    Path("flat.csv").write_text("\n".join([lines[0], *flat]) + "\n")
    assert refused(call("forecast", run, "flat.csv"), "constant; there is nothing to forecast")
    Path("names.csv").write_text(lines[0].replace("y", "load") + "\n" + "\n".join(lines[1:]) + "\n")
    assert refused(call("forecast", run, "names.csv"), "there is no column 'y'")
    write("latest.csv", ahead=3)
    assert refused(call("forecast", run, "latest.csv", "--horizon", 0), "--horizon 0 arrived")
    assert refused(call("forecast", run, "latest.csv", "--quantiles", "10"), "between 0 and 1")
    assert refused(call("forecast", run, "latest.csv", "--out", "out.xlsx"), ".csv, .json, .parquet")
    assert refused(call("forecast", run, "latest.csv", "--picture", "p.bmp"), "--picture p.bmp", ".png")
    assert refused(call("forecast", run), "no file arrived", f"`rnnkit forecast {run} FILE`")
    assert refused(call("forecast", "latest.csv", run), "comes first")
    import rnnkit
    from rnnkit.serialization import save_module

    save_module(rnnkit.SequenceClassifier(rnnkit.GRU(2, 3), classes=2), tmp_path / "other.safetensors")
    assert refused(call("forecast", tmp_path / "other.safetensors", "latest.csv"), "forecasts no series")


def test_finer_rows_are_told_once_by_every_verb(run):
    lines = write("hours.csv", steps=60, ahead=3, first="2024-03-01").read_text().splitlines()
    cells = [line.split(",", 2) for line in lines[1:]]
    halves = [f"{name},{stamp}:{minute},{rest}" for minute in ("00", "30") for name, stamp, rest in cells]
    Path("halves.csv").write_text("\n".join([lines[0], *halves]) + "\n")
    told = "halves.csv: the rows are finer than the steps of the model, which are hourly: 252 of 252 rows are joined"
    for verb in ("forecast", "predict", "evaluate", "backtest"):
        result = call(verb, run, "halves.csv")
        assert result.exit_code == 0, result.output
        assert told in result.stderr.replace("\n", " ")
        assert result.stderr.count("rows are joined") == 1


@pytest.mark.usefixtures("whole_pictures")
def test_a_backtest_begins_behind_what_the_model_has_seen(run):
    file = run.parent / "load.csv"
    result = call("backtest", run, file, "--out", "bt")
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    stored = json.loads(Path("bt/backtest.json").read_text())
    assert stored["windows"] == metrics["rows"]["test"]
    assert stored["scores"]["network"]["figures"] == pytest.approx(metrics["test"], rel=1e-5)
    for name, figures in metrics["baselines"].items():
        assert stored["scores"][name]["figures"]["mae"] == pytest.approx(figures["mae"], rel=1e-5)
    assert {"ridge", "dlinear", "persistence", "seasonal_24", "drift"} <= set(stored["scores"])
    assert len(stored["scores"]["network"]["by_step"]["interval_80_coverage"]) == HORIZON
    assert list(stored["scores"]["network"]["by_series"]["mae"]) == ["a", "b"]
    assert "trained on steps up to 2024-01-06 19:00" in result.stderr
    assert "Leakage" not in result.stderr
    assert "MAE by step of the horizon" in result.stdout
    assert result.stdout.splitlines()[-2].startswith("The network is")
    table = rows("bt/backtest.csv")
    assert len(table) == HORIZON * stored["windows"]
    assert (table[0]["origin"], table[0]["step"], table[0]["ds"]) == ("2024-01-07 15:00", "1", "2024-01-07 16:00")
    errors = [abs(float(row["observed"]) - float(row["forecast"])) for row in table]
    assert np.mean(errors) == pytest.approx(metrics["test"]["mae"], rel=1e-5)
    assert all(Path("bt", name).stat().st_size > 1_000 for name in ("errors.png", "origins.png"))


def test_windows_that_the_model_has_seen_are_counted(run):
    file = run.parent / "load.csv"
    result = call("backtest", run, file, "--start", "2024-01-06 18:00", "--step", 1)
    assert result.exit_code == 0, result.output
    # Of each series two windows begin at 18:00 and 19:00, the last steps of the training; validation ends 20 later.
    assert "Leakage: 4 of 120 windows begin at steps up to the last one that the model was trained on" in result.stderr
    assert "Leakage: 44 of 120 windows begin at steps up to the last one that the model was chosen" in result.stderr
    assert refused(call("backtest", run, file, "--start", "soon"), "--start soon arrived", "2024-01-31")


def test_origins_are_spread_and_steps_are_kept(run):
    file = run.parent / "load.csv"
    some = call("backtest", run, file, "--origins", 3, "--out", "some")
    assert some.exit_code == 0, some.output
    origins = [row["origin"] for row in rows("some/backtest.csv") if row["unique_id"] == "a" and row["step"] == "1"]
    assert origins == ["2024-01-07 15:00", "2024-01-08 09:00", "2024-01-09 04:00"]
    every = call("backtest", run, file, "--step", 10, "--out", "every")
    assert "8 origins from 2024-01-07 15:00 to 2024-01-08 21:00 in 2 of 2 series, every 10 steps." in every.stderr
    assert refused(call("backtest", run, file, "--step", 2, "--origins", 2), "--origins 2", "expected one of them")


def test_a_file_of_unseen_series_is_judged_whole(run):
    result = call("backtest", run, write("other.csv", steps=40, series=("c",), first="2023-01-01"), "--out", "bt")
    assert result.exit_code == 0, result.output
    assert "The series was not in the training, so all steps of it count; its scale is measured on" in result.stderr
    stored = json.loads(Path("bt/backtest.json").read_text())
    assert stored["windows"] == 40 - LOOKBACK - HORIZON + 1


def test_what_cannot_be_backtested_is_refused(run):
    seen = write("seen.csv", steps=150)
    assert refused(
        call("backtest", run, seen), "0 steps are behind", "at least 3, the horizon", "--start '2024-01-01 08:00'"
    )
    assert refused(call("backtest", run, write("short.csv", steps=9)), "9 steps", "at least 11, 8 of lookback")
    Path("file").write_text("")
    assert refused(call("backtest", run, seen, "--out", "file"), "--out file is a file")
    assert refused(call("backtest", run), "no file arrived")


def test_a_table_for_the_forecasts_has_the_rest_beside_it(run):
    file = run.parent / "load.csv"
    result = call("backtest", run, file, "--origins", 2, "--out", "results/bt.csv", "--units", "standard")
    assert result.exit_code == 0, result.output
    assert "Wrote bt-backtest.json, bt.csv, bt-errors.png and bt-origins.png to results" in result.stdout
    assert sorted(one.name for one in Path("results").iterdir()) == [
        "bt-backtest.json", "bt-errors.png", "bt-origins.png", "bt.csv"
    ]  # fmt: skip
    assert rows("results/bt.csv")[0]["unique_id"] == "a"
    assert "MSE by step of the horizon" in result.stdout
    assert json.loads(Path("results/bt-backtest.json").read_text())["units"] == "standard"
    for name, folder in (("bt.xlsx", "bt"), ("bt.PNG", "bt"), ("run.txt", "run")):
        assert refused(call("backtest", run, file, "--out", name), f"--out {name} arrived", f"such as --out {folder},")
        assert not Path(name).exists()
    Path("bt.csv").mkdir()
    assert call("backtest", run, file, "--origins", 1, "--out", "bt.csv").exit_code == 0
    assert Path("bt.csv/backtest.csv").is_file()  # a folder that was there is taken for one
    before = file.read_bytes()
    assert refused(call("backtest", run, file, "--out", file), "is data")
    assert file.read_bytes() == before
    assert refused(call("backtest", run, file, "--units", "km"), "--units km", "own or standard")


def test_the_figures_of_a_backtest_are_in_the_units_of_the_run(run, tmp_path):
    settings = json.loads((run / "recipe.json").read_text())
    settings["settings"]["units"] = "standard"
    copied = shutil.copytree(run, tmp_path / "standard")
    (copied / "recipe.json").write_text(json.dumps(settings))
    file = run.parent / "load.csv"
    result = call("backtest", copied, file, "--origins", 2)
    assert "The scores count the scales of the series" in result.stderr
    assert "scales of the series" not in call("backtest", copied, file, "--origins", 2, "--units", "own").stderr


def test_a_run_without_linear_models_says_so(deepar):
    result = call("backtest", deepar, deepar.parent / "load.csv", "--origins", 2)
    assert result.exit_code == 0, result.output
    assert "stores no linear models, so ridge and DLinear are not compared with" in result.stderr
    assert "ridge" not in result.stdout


def test_a_run_is_inspected_on_its_test_windows_or_on_a_file(run):
    result = call("inspect", run, "--rows", 8, "--out", "page.html")
    assert result.exit_code == 0, result.output
    assert f"of {LOOKBACK} steps back" in result.stdout
    assert Path("page.html").stat().st_size > 10_000
    other = call("inspect", run, write("other.csv", steps=40, series=("c",)), "--out", "other.html")
    assert other.exit_code == 0, other.output
    short = call("inspect", run, write("short.csv", steps=9))
    assert refused(short, "no window fits", "expected at least 11")
