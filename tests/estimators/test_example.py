"""The example runs, on small data. The guide's code runs in tests/docs/test_documents.py."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_runs(capsys):  # on real series where RNNKIT_DATA has them
    found = runpy.run_path(str(ROOT / "examples" / "scikit_learn.py"))["main"](rows=12, steps=6)
    assert 0.3 < found["accuracy"] <= 1
    assert found["kept"] > 10_000
    printed = capsys.readouterr().out
    assert printed.count("cell=lstm") == 2
    assert "accuracy, ends cut off" in printed
