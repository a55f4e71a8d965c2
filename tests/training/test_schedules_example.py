"""The example of schedules, on a slice of its data."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "schedules.py"


def test_it_runs_every_schedule_and_draws_the_sweep(tmp_path, capsys):
    errors = runpy.run_path(str(EXAMPLE))["main"](str(tmp_path / "rates.png"), epochs=1, rows=96)
    assert set(errors) == {
        "constant", "cosine", "warmup_cosine", "one_cycle", "slanted_triangular", "plateau", "tomorrow as today",
    }  # fmt: skip
    assert all(1 < error < 6 for error in errors.values())
    assert errors["constant"] != errors["one_cycle"]
    assert (tmp_path / "rates.png").stat().st_size > 5000
    assert "2015" in capsys.readouterr().out
