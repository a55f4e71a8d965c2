"""Recognisers with an attention decoder beside CTC, on made sound: tones as words."""

import json
from pathlib import Path

import pytest
import torch
from commands import call, refused_alone
from sounds import RATE, SMALL, sentence, write_folder
from tolerances import assert_close

from rnnkit.data.audio import write_wav
from rnnkit.errors import ConfigError
from rnnkit.tasks.speech import load_transcriber

ATTENTION = (
    f"{SMALL} model.head=attention model.decoder_size=24 model.ctc_weight=0.5 model.layer_norm=false fit.epochs=24 "
    "fit.plain=24 fit.curriculum=0 fit.schedule=none"
)


def settings(text):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on tones as words, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("attention")
    write_folder(folder / "sounds", 50)
    result = call("train", "speech", folder / "sounds", *settings(ATTENTION), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "sounds"


def test_a_run_learns_and_reports(trained):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["wer"] < 0.4  # of 11 words
    page = (run / "report.html").read_text()
    assert "What the network heard" in page
    assert "What the decoder attended to" in page
    assert "seconds that were heard" not in page  # no partial results
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert f"Word error rate: {metrics['test']['wer']:.4g}" in result.stdout
    assert "Real time factor" not in result.stdout


@pytest.mark.parametrize("width", [1, 4])
def test_words_have_times_within_their_tones(trained, width):
    run, sounds = trained
    result = call("transcribe", run, sounds, "--json", "--width", width)
    assert result.exit_code == 0, result.output
    right = 0
    for line in result.stdout.splitlines():
        found = json.loads(line)
        if found["text"] != Path(found["file"]).with_suffix(".txt").read_text().lower().rstrip("."):
            continue
        right += 1
        for number, word in enumerate(found["words"]):
            begin = 0.06 + 0.22 * number  # of the tone
            assert begin - 0.06 <= word["start"] < word["end"] <= begin + 0.32
            assert 0 < word["confidence"] <= 1
    assert right >= 15


def test_without_ctc_times_are_those_of_attention(trained):
    run, _ = trained
    transcriber = load_transcriber(run)
    transcriber.model.ctc = None
    sound = sentence("low high mid", seed=3)
    found = transcriber([sound])[0]
    times = [(word.start, word.end) for word in found.words]
    assert times == sorted(times)
    assert all(0 <= start <= end <= found.seconds for start, end in times)
    shares = transcriber.log_probs(sound).exp()
    assert_close(shares.sum(1), shares.new_ones(len(shares)))


def test_nothing_but_silence_is_no_error(trained):
    run, _ = trained
    transcriber = load_transcriber(run)
    short, long = transcriber([torch.zeros(80), torch.zeros(8000)])
    assert short.seconds == 0.01
    assert len(long.words) <= 30


def test_it_takes_no_stream_and_says_so(trained, monkeypatch):
    run, _ = trained
    with pytest.raises(ConfigError, match="the whole utterance before the first token: train with model.head=ctc"):
        load_transcriber(run).stream()
    assert refused_alone(call("transcribe", run, "--live"), "reads the whole utterance", "model.head=transducer")


def test_what_it_cannot_search_with_is_refused(trained):
    run, sounds = trained
    result = call("transcribe", run, sounds / "003.wav", "--hot-word", "low")
    assert refused_alone(result, "decode.hot_words=low", "model.head=ctc")
    assert refused_alone(call("transcribe", run, sounds / "003.wav", "--lm", "x.arpa"), "decode.lm=x.arpa")


def test_settings_of_other_heads_are_refused(tmp_path):
    write_folder(tmp_path / "sounds", 12)
    line = ["train", "speech", tmp_path / "sounds", "--out", tmp_path / "run"]
    assert refused_alone(call(*line, "--set", "fit.sampling=0.5"), "fit.sampling=0.5", "model.head=attention")
    dot = settings("model.head=attention model.attention=dot model.decoder_size=7")
    assert refused_alone(call(*line, *dot), "model.attention=dot", "model.decoder_size=192")
    assert not (tmp_path / "run").exists()


def test_fine_tuning_learns_a_new_word(trained, tmp_path):
    run, _ = trained
    sounds = tmp_path / "new"
    sounds.mkdir()
    for number in range(8):
        noise = 0.2 * torch.randn(1600, generator=torch.Generator().manual_seed(number))
        write_wav(sounds / f"{number}.wav", torch.cat([torch.zeros(400), noise, torch.zeros(400)]), RATE)
        (sounds / f"{number}.txt").write_text("hiss")
    chosen = settings("epochs=15 lr=0.01 batch_size=2")
    result = call("finetune", run, sounds, *chosen, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert "New words to write (1): hiss" in result.output
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["before"]["wer"] == 1
    assert report["new"]["after"]["wer"] < 0.5
    before, after = load_transcriber(run).model, load_transcriber(tmp_path / "tuned").model
    assert after.vocabulary == before.vocabulary + 1 == after.ctc.out_features
    assert call("transcribe", tmp_path / "tuned", sounds / "0.wav").stdout == "hiss\n"
