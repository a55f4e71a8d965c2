"""The measurement of speakers who were kept out, on tones."""

import json

import pytest
from empty_pictures import empty_pictures
from sounds import RATE, tone

from benchmarks import kept_out
from rnnkit.data.audio import write_wav

__all__ = ["empty_pictures"]

SMALL = (
    "features.bands=12 model.hidden_size=8 model.channels=8 model.kernel_sizes=3 model.strides=2 fit.epochs=4 "
    "fit.batch_size=8 fit.lr=0.02 fit.average=none augment.time_masks=0 data.voices=0"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("digits")
    for label, word in enumerate(("low", "high")):
        for place, speaker in enumerate(("ann", "bob", "cid")):
            for number in range(5):
                sound = tone(word, seed=10 * place + number)
                write_wav(found / f"{label}_{speaker}_{number}.wav", sound, RATE)
    return found


def test_each_speaker_is_kept_out_once_and_runs_are_used_again(folder, tmp_path, capsys):
    settings = [part for one in SMALL.split() for part in ("--set", one)]
    command = [str(folder), "--out", str(tmp_path), *settings]
    assert kept_out.main(command) == 0
    printed = capsys.readouterr()
    figures = json.loads((tmp_path / kept_out.FIGURES).read_text())
    assert set(figures["accuracy"]) == {"ann", "bob", "cid"}
    assert figures["all"]["mean"] >= kept_out.REQUIRED
    assert f"({figures['all']['worst_speaker']})" in printed.out
    assert set(figures["accuracy"]["bob"]) == {"all", "ten", "alone"}
    assert printed.err.count("training into") == 3
    metrics = json.loads((tmp_path / "bob-0" / "metrics.json").read_text())
    assert metrics["rows"] == {"train": 20, "test": 10}
    assert metrics["test"]["accuracy"] == figures["accuracy"]["bob"]["all"]
    assert "all 10 recordings of bob" in metrics["split"]
    assert kept_out.main(command) == 0
    assert "training into" not in capsys.readouterr().err
    assert kept_out.main([str(folder), "--out", str(tmp_path), "--speakers", "eve"]) == 2
    assert "data.without=eve" in capsys.readouterr().err


def test_the_worst_speaker_is_named():
    text = kept_out.render(
        {"ann": {"all": 0.9, "ten": 0.8, "alone": 0.7}, "ben": {"all": 0.75, "ten": 0.85, "alone": 0.6}}
    )
    assert "| worst | 75.0% (ben) | 80.0% (ann) | 60.0% (ben) |" in text
    assert "| 82.5% | 82.5% | 65.0% |" in text
    assert "**not met**" in text
