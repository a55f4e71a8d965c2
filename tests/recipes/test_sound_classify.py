"""The recipe for classes of sounds, on tones."""

import json
from dataclasses import replace

import pytest
import torch
from commands import call, refused_alone, validates_again
from sounds import RATE, tone

from rnnkit.data.audio import Clip, ClipSet, spoken_words, write_wav
from rnnkit.data.audio.spoken_words import SpokenWord
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import open_recipe
from rnnkit.recipes.labelled_sounds import without_long


def test_a_run_learns_classes_of_sounds_and_answers(tmp_path):
    for word in ("low", "high"):
        (tmp_path / "sounds" / word).mkdir(parents=True)
        for number in range(20):
            write_wav(tmp_path / "sounds" / word / f"{number}.wav", tone(word, seed=number), RATE)
    run = tmp_path / "run"
    small = (
        "features.bands=12 features.norm=training model.hidden_size=8 model.channels=8 model.kernel_sizes=3 "
        "model.strides=2 fit.epochs=4 fit.batch_size=8 fit.lr=0.02 fit.average=none augment.time_masks=0 "
        "data.test_share=0.2 data.validation=0.2"
    )
    settings = [part for one in small.split() for part in ("--set", one)]
    result = call("train", "sound-classify", tmp_path / "sounds", *settings, "--out", run)
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["accuracy"] > 0.8
    assert metrics["rows"] == {"train": 24, "validation": 8, "test": 8}
    assert (run / "confusion.png").exists()
    assert "Learning curves" in (run / "report.html").read_text()
    result = call("predict", run, tmp_path / "sounds" / "low" / "3.wav")
    assert result.stdout.split("\t")[1] == "low"
    result = call("evaluate", run, tmp_path / "sounds")
    assert "Accuracy:" in result.stdout
    for word in ("mid", "low"):
        (tmp_path / "others" / word).mkdir(parents=True)
        write_wav(tmp_path / "others" / word / "0.wav", tone(word), RATE)
    assert refused_alone(call("evaluate", run, tmp_path / "others"), "the class 'mid'", "high, low")
    assert refused_alone(
        call("transcribe", run, tmp_path / "sounds" / "low" / "3.wav"), "does not serve `rnnkit transcribe`"
    )


def test_a_speaker_is_kept_out_and_made_voices_are_learned_from(tmp_path, monkeypatch):
    for place, speaker in enumerate(("ann", "bob", "cid")):
        for label, word in enumerate(("low", "high")):
            for number in range(3):
                write_wav(tmp_path / f"{label}_{speaker}_{number}.wav", tone(word, seed=10 * place + number), RATE)
    monkeypatch.setattr(
        spoken_words, "make_words", lambda words, voices, rate: [SpokenWord(one, "x", tone("low")) for one in words * 2]
    )
    recipe = open_recipe("sound-classify")
    data = replace(recipe.data, path=str(tmp_path), without="bob", validation=0.0, voices=2)
    prepared = replace(recipe, data=data).prepare()
    assert len(prepared.held["test"]) == 6
    assert list(prepared.train.texts) == ["0"] * 6 + ["1"] * 6 + ["0", "1", "0", "1"]
    assert "all 6 recordings of bob" in prepared.division
    assert "2 voices of espeak-ng" in prepared.division
    with pytest.raises(ConfigError, match="--set data.without=eve"):
        replace(recipe, data=replace(data, without="eve")).prepare()
    (tmp_path / "labels").mkdir()
    for word in ("low", "high"):
        (tmp_path / "labels" / word).mkdir()
        write_wav(tmp_path / "labels" / word / "0.wav", tone(word), RATE)
    with pytest.raises(ConfigError, match=r"no recording of .* has a speaker; name the column"):
        replace(recipe, data=replace(data, path=str(tmp_path / "labels"))).prepare()
    with pytest.raises(ConfigError, match="each says what judges"):
        replace(data, test=str(tmp_path))
    (tmp_path / "bob").mkdir()
    for file in tmp_path.glob("*_bob_*"):
        file.rename(tmp_path / "bob" / file.name)
    with pytest.raises(DataError, match="all recordings are of bob"):
        replace(recipe, data=replace(data, path=str(tmp_path / "bob"))).prepare()


def test_it_is_told_what_features_are_normalised_by(tmp_path):
    rows = ["path,label,speaker"]
    for place, speaker in enumerate(("ann", "bob", "cid")):
        for word in ("low", "high"):
            for number in range(3):
                name = f"{word}{speaker}{number}.wav"
                write_wav(tmp_path / name, tone(word, seed=10 * place + number), RATE)
                rows.append(f"{name},{word},{speaker if number else ''}")
    (tmp_path / "all.csv").write_text("\n".join(rows))
    (tmp_path / "known.csv").write_text("\n".join(row for row in rows if row[-1] != ","))
    small = (
        "features.bands=12 features.norm=speaker data.without=bob data.validation=0 model.hidden_size=4 "
        "model.channels=4 fit.epochs=1 fit.average=none"
    )
    settings = [part for one in small.split() for part in ("--set", one)]
    run = tmp_path / "run"
    result = call("train", "sound-classify", tmp_path / "all.csv", *settings, "--out", run)
    assert result.exit_code == 0, result.output
    assert "6 recordings without a speaker may be of bob, and are not kept out" in result.output
    assert "6 of 18 recordings name no speaker" in result.output
    assert "normalised by all recordings of a speaker" in json.loads((run / "metrics.json").read_text())["split"]
    assert "6 of 18 recordings name no speaker" in call("evaluate", run, tmp_path / "all.csv").stderr
    assert "name no speaker" not in call("evaluate", run, tmp_path / "known.csv").stderr
    told = call("predict", run, tmp_path / "lowann0.wav", tmp_path / "lowann1.wav").stderr
    assert told.count("each recording is normalised by itself alone") == 1


def test_a_run_with_made_voices_is_judged_without_them(tmp_path, monkeypatch):
    for word in ("low", "high"):
        for number in range(5):
            write_wav(tmp_path / f"{word}_ann_{number}.wav", tone(word, seed=number), RATE)
    made = [SpokenWord(word, "x", tone(word)) for word in ("low", "high")]
    monkeypatch.setattr(spoken_words, "make_words", lambda words, voices, rate: made)
    small = "features.bands=12 data.voices=1 data.validation=0.2 model.hidden_size=4 model.channels=4 fit.epochs=1"
    settings = [part for one in small.split() for part in ("--set", one)]
    run = tmp_path / "run"
    result = call("train", "sound-classify", tmp_path, "--set", "data.layout=digits", *settings, "--out", run)
    assert result.exit_code == 0, result.output
    monkeypatch.setattr(spoken_words, "make_words", None)
    assert call("evaluate", run).exit_code == 0
    assert validates_again(run)


def test_silence_around_recordings_does_not_matter_where_it_is_cut_off(tmp_path):
    from rnnkit.data.audio import Features, FeatureSettings
    from rnnkit.data.audio.normalisation import FeatureNorm
    from rnnkit.tasks.speech_batches import SpeechFront

    features = Features(FeatureSettings(rate=RATE, bands=12))
    front = SpeechFront(features, FeatureNorm(12, "utterance"), tail=0.0, trim=25.0)
    sound = torch.cat([torch.zeros(800), tone("low"), torch.zeros(800)])
    alone, around = front([sound])[0], front([torch.cat([torch.zeros(4000), sound, torch.zeros(4000)])])[0]
    torch.testing.assert_close(alone, around)
    again = SpeechFront.from_json(front.to_json())
    torch.testing.assert_close(again([sound])[0], alone)
    assert SpeechFront(features, FeatureNorm(12, "utterance")).trim is None


def test_recordings_that_are_too_long_to_train_on_are_named():
    clips = ClipSet((Clip("a.wav", seconds=1.0, id="a"), Clip("b.wav", seconds=9.0, id="b")), source="sounds")
    kept, told = without_long(clips, 5.0)
    assert [clip.id for clip in kept] == ["a"]
    assert told == ["train: 1 recording longer than data.longest=5 seconds is left out: b."]
    assert without_long(kept, 5.0)[1] == []
    with pytest.raises(DataError, match=r"sounds: all recordings are longer than .*; take a larger data\.longest"):
        without_long(clips, 0.5)
