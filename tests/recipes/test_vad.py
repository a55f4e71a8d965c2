"""The recipe for voice activity, on tones in place of speech."""

import json

import pytest
import torch
from commands import call, refused, refused_alone, validates_again
from sounds import RATE, tone

from rnnkit.data.audio import write_wav
from rnnkit.tasks.voice_activity import load_voice_detector
from rnnkit.tasks.voice_stream import segments_of

SMALL = (
    "features.bands=8 model.hidden_size=8 scenes.count=12 scenes.held=4 scenes.seconds=2 scenes.noise_low=15 "
    "scenes.room=0 scenes.gain_low=0 scenes.gain_high=0 fit.epochs=4 fit.batch_size=4 fit.lr=0.03 fit.average=none "
    "data.test_share=0.2 data.validation=0.2"
)


def options(more=""):
    return [part for one in f"{SMALL} {more}".split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vad")
    (folder / "clean").mkdir()
    for number in range(20):
        voice = torch.cat([torch.zeros(600), tone("mid", 0.4, seed=number), torch.zeros(600)])
        write_wav(folder / "clean" / f"{number}.wav", voice, RATE)
    result = call("train", "vad", folder / "clean", *options(), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    sound = torch.zeros(3 * RATE) + 1e-3 * torch.randn(3 * RATE, generator=torch.Generator().manual_seed(0))
    sound[RATE : RATE + 3200] += tone("mid", 0.4)
    write_wav(folder / "talk.wav", sound, RATE)
    return folder / "run", folder


def test_a_run_learns_chooses_on_validation_and_reports(trained):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["validation"]["auc"] > 0.8
    assert "the AUC, and the thresholds, of validation (4 scenes" in metrics["chosen_on"]
    assert 0 < metrics["validation"]["threshold"] < 1
    names = {"auc", "missed_speech", "false_speech", "missed_segments", "false_alarms_per_hour", "noise_0db_auc"}
    assert names < set(metrics["test"])
    assert names < set(metrics["baselines"]["energy threshold"])
    assert metrics["rows"] == {
        "train": 12, "validation": 4, "test": 4, **dict.fromkeys(
            ("quiet", "noise_10db", "noise_0db", "tones_5db", "knocks_5db"), 1
        ),
    }  # fmt: skip
    page = (run / "report.html").read_text()
    for part in ("p(speech)", "data:audio/wav;base64", "the worst: ", "A threshold of energy has", "Learning curves"):
        assert part in page or part == "p(speech)"  # a word of a picture, which is drawn empty here
    assert "val_auc" in (run / "history.csv").read_text()


def test_predict_writes_segments(trained, tmp_path):
    run, folder = trained
    result = call("predict", run, folder / "talk.wav")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split() == ["start", "end", "confidence"]
    call("predict", run, folder / "talk.wav", "--out", tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text())
    detector = load_voice_detector(run)
    stream = detector.stream(rate=RATE)
    from rnnkit.data.audio import read_audio

    samples = read_audio(folder / "talk.wav").samples
    found = segments_of([event for one in samples.split(240) for event in stream.push(one)] + stream.flush())
    assert rows == [one.to_json() for one in found]
    assert any(one.start < 1.3 and one.end > 1.1 for one in found)
    result = call("predict", run, folder / "talk.wav", "--out", tmp_path / "a.txt")
    assert result.stdout == f"Wrote {tmp_path / 'a.txt'}\n"
    assert len((tmp_path / "a.txt").read_text().splitlines()) == len(found)
    result = call("predict", run, folder / "talk.wav", folder / "clean" / "1.wav", "--out", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().startswith("file,start,end,confidence\n")


def test_evaluate_gives_the_figures_again_and_takes_segments(trained, tmp_path):
    run, folder = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert f"Auc: {metrics['test']['auc']:.4g}" in result.stdout
    assert "Stream ms per 30ms: " in result.stdout
    (tmp_path / "talk.wav").write_bytes((folder / "talk.wav").read_bytes())
    (tmp_path / "talk.txt").write_text("1.0\t1.4\tvoice\n")
    result = call("evaluate", run, tmp_path)
    assert result.exit_code == 0, result.output
    assert "Auc: " in result.stdout
    result = call("evaluate", run, folder / "clean")
    assert result.exit_code == 0, result.output


def test_segments_of_the_user_are_learned(tmp_path):
    (tmp_path / "talks").mkdir()
    for number in range(6):
        sound = 1e-3 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(number))
        sound[4000:7200] += tone("mid", 0.4, seed=number)
        write_wav(tmp_path / "talks" / f"{number}.wav", sound, RATE)
        (tmp_path / "talks" / f"{number}.txt").write_text("0.5\t0.9\tvoice\n")
    run = tmp_path / "run"
    result = call("train", "vad", tmp_path / "talks", *options("fit.epochs=2 scenes.seconds=1"), "--out", run)
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["rows"] == {"train": 8, "validation": 2, "test": 2}
    assert "energy threshold" in metrics["baselines"]


def test_what_is_wrong_is_said(trained, tmp_path):
    run, folder = trained
    assert refused_alone(call("train", "vad"), "data.path is missing", "rnnkit train vad FOLDER")
    result = call("train", "vad", folder / "clean", "--set", "data.labels=segments")
    assert refused_alone(result, "holds no segments", "--set data.labels=energy")
    assert refused_alone(call("train", "vad", folder / "clean", "--set", "features.norm=utterance"), "as it comes")
    several = [folder / "talk.wav", folder / "clean" / "1.wav"]
    assert refused(call("predict", run, *several, "--out", tmp_path / "a.txt"), "labels of one sound file")
    assert refused_alone(call("predict", run, several[0], "--out", tmp_path / "a.xls"), ".txt (labels for Audacity)")
    (tmp_path / "noises").mkdir()
    write_wav(tmp_path / "noises" / "a.wav", torch.randn(4000).clamp(-1, 1), RATE)
    result = call("train", "vad", folder / "clean", "--set", f"scenes.noises={tmp_path / 'noises'}")
    assert refused_alone(result, "holds 1 recordings; expected 3 or more")
    assert refused_alone(call("transcribe", run, folder / "talk.wav"), "does not serve `rnnkit transcribe`")
