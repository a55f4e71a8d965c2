import os
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_data.py"


@pytest.mark.parametrize("real", [False, True][: 1 + ("RNNKIT_DATA" in os.environ)])
def test_the_example_runs(monkeypatch, capsys, real):
    if not real:
        monkeypatch.delenv("RNNKIT_DATA", raising=False)
    figures = runpy.run_path(str(EXAMPLE))["main"](rows=16, steps=30)
    assert figures["classification"]["cross_entropy"] < 0.65  # of chance: 0.69
    assert 0 < figures["regression"]["rmse"] < 8
    assert "16 recordings to learn from, 16 to judge by" in capsys.readouterr().out
