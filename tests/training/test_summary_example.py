"""The example runs, on MNIST's shape and without MNIST."""

import runpy
from pathlib import Path

import pytest
from digits import made_mnist

from rnnkit.errors import DownloadError

EXAMPLE = Path(__file__).parents[2] / "examples" / "summary_and_profile.py"


def without(root=None):
    raise DownloadError("no network")


@pytest.mark.parametrize("load", [lambda root=None: made_mnist(64, 8), without], ids=["digits", "without"])
def test_the_example(load, monkeypatch, capsys):
    monkeypatch.setattr("rnnkit.data.mnist.load", load)
    shares = runpy.run_path(str(EXAMPLE))["main"](images=48, steps=2, hidden=8)
    text = capsys.readouterr().out
    assert list(shares) == ["LSTM, two layers", "GRU, both directions"]
    assert all(0 < share < 1 for share in shares.values())
    assert text.count("layer 0") == 2  # of the stack, in its summary and in its profile
    assert ("made images" in text) is (load is without)
