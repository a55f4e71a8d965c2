"""The example on forecasts, with little data and few epochs."""

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from examples import forecasting


def test_the_example_judges_tunes_and_streams(tmp_path, capsys):
    found = forecasting.main(
        days=30, epochs=1, hidden_size=4, tuning=1, baselines="naive", picture=tmp_path / "forecast.png"
    )
    assert all(np.isfinite(value) for value in found.values())
    assert 0 <= found["inside"] <= 1
    assert (tmp_path / "forecast.png").stat().st_size > 1_000
    printed = capsys.readouterr().out
    assert "The column '电厂' names 2 series." in printed
    assert "The network is" in printed
    assert "SeriesStream('东厂', hourly" in printed
    assert "a state is carried on" in printed
