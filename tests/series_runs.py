"""Small runs on a small table of series, trained once, for the tests of the command line."""

import shutil

import pytest
import torch
from commands import call
from series_files import write_waves

import rnnkit

QUICK = ["--set", "data.path=my.csv", "--set", "model.hidden_size=6", "--set", "model.channels=6", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function of a number of epochs: the folder of such a run, trained once, and what the command said."""
    found = {}

    def of(epochs):
        if epochs not in found:
            folder = tmp_path_factory.mktemp("trained")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                write_waves("my.csv")
                result = call("train", "classify", *QUICK, "--set", f"fit.epochs={epochs}")
            assert result.exit_code == 0, result.output
            found[epochs] = folder, result
        return found[epochs]

    return of


@pytest.fixture
def train(trained):
    """Puts my.csv and a run of it, trained once, into the test's folder; returns what the command said."""

    def copy(out="runs/classify", epochs=4):
        folder, result = trained(epochs)
        shutil.copy2(folder / "my.csv", "my.csv")
        shutil.copytree(folder / "runs/classify", out)
        return result

    return copy


def weights(folder):
    return rnnkit.load(folder).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)
