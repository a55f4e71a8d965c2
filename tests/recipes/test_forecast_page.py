"""The page of a run of forecasts."""

import re

import numpy as np
import pytest
import torch
from pages import faults_of

import rnnkit
from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.plotting.page import Page
from rnnkit.recipes.forecast_page import _shown, write_forecast_page
from rnnkit.recipes.text_page import is_run_page
from rnnkit.tasks.forecast_baselines import score_naive, verdict
from rnnkit.tasks.forecasting import ForecastPredictor

ROWS = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.1 / epoch} for epoch in (1, 2)]


def page_of(
    folder, *, series=2, horizon=4, frequency="hour", output="quantile", verdict="The network is worth it: yes."
):
    random = np.random.default_rng(0)
    values = [100 + 10 * np.sin(np.arange(200) * 2 * np.pi / 24) + random.normal(size=200) for _ in range(series)]
    ids = ["a<b", "上海"][:series]
    made = TimeSeries.from_arrays(values, start="2024-01-01", frequency=frequency, ids=ids)
    parts = divide_time(made)
    preprocessing = ForecastPreprocessing.fit(parts, lookback=12, horizon=horizon)
    torch.manual_seed(0)
    model = rnnkit.DirectForecaster(preprocessing.layout, hidden_size=2, output=output)
    predictor = ForecastPredictor(model, preprocessing, seasonal_errors=dict.fromkeys(ids, 2.0))
    _, validation, test = preprocessing.divide(parts)
    predictor.calibrate(validation, (0.5,))
    return write_forecast_page(
        folder,
        predictor,
        test,
        *reversed(predictor.judge(test)),
        score_naive(test, seasonal_errors=predictor.errors_of(test)),
        verdict=verdict,
        metric="mase" if series > 1 else "mae",
        history=ROWS,
        read=["The steps are <hourly>."],
        table=predictor.table(made),
    )


def headings(text, level=2):
    return re.findall(f"<h{level}>(.*?)</h{level}>", text)


@pytest.mark.usefixtures("whole_pictures")
@pytest.mark.filterwarnings("ignore:no installed font")
def test_a_page_says_what_the_network_is_worth_and_where_it_errs(tmp_path):
    page = page_of(tmp_path)
    assert page == tmp_path / "report.html"
    text = page.read_text(encoding="utf-8")
    assert headings(text, 1) == ["Forecasts of 2 series, hourly, 4 steps ahead"]
    assert "<p>The network is worth it: yes.</p>" in text
    assert '<body class="well">' in text
    assert headings(text) == [
        "The network and forecasts that need none", "What the forecasts show", "Forecasts", "By step of the horizon",
        "By hour and weekday", "By series", "Training", "How the data was read",
    ]  # fmt: skip
    assert [title.split(":")[0] for title in headings(text, 3)] == [
        "Best", "In the middle", "Worst", "The steps to come", "Errors", "Coverage of the intervals",
        "Mean error by hour", "Mean error by weekday", "Learning curves",
    ]  # fmt: skip
    assert text.count("<img ") == 9
    assert "<td>上海</td>" in text
    assert "<td>a&lt;b</td>" in text
    assert "<td>seasonal naive, 24 steps back</td>" in text
    assert "<li>The steps are &lt;hourly&gt;.</li>" in text
    table = re.findall("<tr><td>(.*?)</td><td>(.*?)</td>", text)
    assert {"the network", "persistence", "drift", "mean of the lookback"} <= {name for name, _ in table}
    assert is_run_page(page)
    assert faults_of(text) == []
    captions = re.findall("<figcaption>(.*?)</figcaption>", text)
    assert all(("上海" in caption) or not re.search("#[0-9]", caption) for caption in captions)


def test_large_figures_are_written_without_powers_of_ten():
    assert [_shown(one) for one in (None, np.nan, 0.4792, 448310.2)] == ["", "", "0.4792", "448,310"]
    assert "12,346 is 17.7% below" in verdict(12345.6, {"persistence": 15000.0, "drift": 2e6})


def test_one_step_of_one_series_by_month(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Page, "picture", lambda self, draw, alt, *, title="", caption="": drawn.append(title))
    verdict = "The network is not worth it: no."
    text = page_of(tmp_path, series=1, horizon=1, frequency="month", output="point", verdict=verdict).read_text(
        encoding="utf-8"
    )
    assert headings(text, 1) == ["Forecasts of a&lt;b, monthly, 1 step ahead"]
    assert '<body class="ill">' in text
    assert headings(text) == [
        "The network and forecasts that need none", "What the forecasts show", "Forecasts", "Training",
        "How the data was read",
    ]  # fmt: skip
    assert "CRPS" not in text
    assert [title.split(":")[0] for title in drawn] == [
        "Best", "In the middle", "Worst", "The steps to come", "Learning curves"
    ]  # fmt: skip
