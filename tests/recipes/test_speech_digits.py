"""The recipe for strings of digits, on made ones: a tone a digit."""

import json
import math
from dataclasses import replace

import pytest
import torch
from commands import call, refused_alone

from rnnkit.data.audio import write_wav
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import open_recipe
from rnnkit.recipes.speech_digits import free_spoken_digits, index_of, word_of

RATE = 8000


def digits(folder, speakers=("ann", "bob"), indices=(0, 5, 10, 11)):
    """A tone for each of two digits, three speakers and some indices."""
    folder.mkdir()
    for place, speaker in enumerate(speakers):
        for digit in (0, 7):
            for index in indices:
                time = torch.arange(900 + 20 * index) / RATE
                tone = 0.3 * torch.sin(2 * math.pi * (300 + 250 * digit + 20 * place) * time)
                write_wav(folder / f"{digit}_{speaker}_{index}.wav", tone, RATE)
    return folder


def recipe(folder, **data):
    found = open_recipe("speech-digits")
    data = {"strings": 8, "test_strings": 4, "path": str(folder)} | data
    return replace(found, data=replace(found.data, **data))


def test_recordings_are_divided_by_their_numbers(tmp_path):
    prepared = recipe(digits(tmp_path / "digits")).prepare()
    assert {name: len(part) for name, part in prepared.tests.items()} == {
        "isolated": 4, "strings": 4, "close": 4, "noise_10db": 4,
    }  # fmt: skip
    assert len(prepared.train.waveforms) == 8
    assert len(prepared.validation.waveforms) == 4
    assert all(3 <= len(text.split()) <= 7 for text in prepared.tests["close"].texts)
    assert set(prepared.tests["isolated"].texts) == {"zero", "seven"}
    # Recordings of index 0 are 900 samples long, and nothing else is in the strings to judge by.
    assert {len(one) for one in prepared.tests["strings"].waveforms} == {900}


def test_a_speaker_kept_out_judges_alone(tmp_path):
    folder = digits(tmp_path / "digits")
    prepared = recipe(folder, without="bob").prepare()
    assert len(prepared.tests["isolated"]) == 8
    assert len(prepared.train.waveforms) == 4
    with pytest.raises(ConfigError, match="expected one of ann, bob"):
        recipe(folder, without="eve").prepare()


def test_a_run_reports_isolated_digits_and_strings(tmp_path):
    folder = digits(tmp_path / "digits")
    small = (
        "data.strings=8 data.test_strings=3 features.bands=12 model.hidden_size=8 model.num_layers=1 model.channels=8 "
        "fit.epochs=1 fit.batch_size=8 fit.average=none"
    )
    settings = [part for one in small.split() for part in ("--set", one)]
    run = tmp_path / "run"
    result = call("train", "speech-digits", folder, *settings, "--out", run)
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["test"]) == {"isolated_accuracy", "strings_wer", "close_wer", "noise_10db_wer"}
    assert metrics["rows"] == {
        "train": 8, "validation": 3, "isolated": 4, "strings": 3, "close": 3, "noise_10db": 3,
    }  # fmt: skip
    result = call("evaluate", run, folder)
    assert "Words: 16" in result.stdout


def test_names_tell_digits_and_numbers(tmp_path):
    assert (word_of("0"), word_of("9")) == ("zero", "nine")
    assert index_of("a/7_jackson_32.wav") == 32
    digits(tmp_path / "digits")
    write_wav(tmp_path / "digits" / "x_ann_12.wav", torch.zeros(900), RATE)
    assert refused_alone(call("train", "speech-digits", tmp_path / "digits"), "the name tells no digit", "7_jackson_32")


def test_other_recordings_are_no_free_spoken_digits(tmp_path, monkeypatch):
    (tmp_path / "fsdd").mkdir()
    digits(tmp_path / "fsdd" / "recordings")
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    with pytest.raises(DataError, match="recordings is altered: expected 3,000 .wav files"):
        free_spoken_digits()


def test_what_is_forgotten_is_judged_on_the_speakers_that_were_learned(tmp_path):
    folder = digits(tmp_path / "digits")
    small = (
        "data.strings=8 data.test_strings=3 data.without=bob features.bands=12 model.hidden_size=8 model.num_layers=1 "
        "model.channels=8 fit.epochs=1 fit.batch_size=8 fit.average=none"
    )
    settings = [part for one in small.split() for part in ("--set", one)]
    assert call("train", "speech-digits", folder, *settings, "--out", tmp_path / "run").exit_code == 0
    (tmp_path / "minute").mkdir()
    for index in (10, 11):
        (tmp_path / "minute" / f"7_bob_{index}.wav").write_bytes((folder / f"7_bob_{index}.wav").read_bytes())
    result = call("finetune", tmp_path / "run", tmp_path / "minute", "--epochs", 1, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["old"]["rows"] == 3  # the strings of ann that choose, and none of bob's 8 recordings
