"""Every example answers --help and trains nothing then."""

import runpy
from pathlib import Path

import pytest

import rnnkit

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_help_is_given_without_training(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(example), "--help"])
    monkeypatch.setattr(rnnkit.data.mnist, "load", lambda *_: pytest.fail("it loads data"))
    monkeypatch.setattr(rnnkit.Learner, "fit", lambda *_, **__: pytest.fail("it trains"))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(example), run_name="__main__")
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
