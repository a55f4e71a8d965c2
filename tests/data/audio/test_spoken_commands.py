"""Spoken commands: texts by patterns, clips by espeak-ng where it is installed, and by tones where it is not."""

import json
import random
import re
import shutil

import pytest
import torch

from rnnkit.data import read_tagged_texts
from rnnkit.data.audio import Waveform, read_audio, read_clips
from rnnkit.data.audio.command_texts import PATTERNS, draw_commands, spoken_number
from rnnkit.data.audio.espeak import speak
from rnnkit.data.audio.spoken_commands import TEST_VARIANTS, TRAIN_VARIANTS, CommandSettings, main, make_commands
from rnnkit.errors import ConfigError, DataError

SMALL = {"count": 8, "test_count": 4, "rate": 8000}
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed (apt install espeak-ng); tones stand for it"
)


def beep(text, voice, speed, pitch):
    count = 400 * len(text.split())
    return Waveform(torch.sin(torch.arange(count) * random.Random(voice).uniform(0.1, 1)) / 2, 8000)


def test_commands_have_all_intents_alike_and_a_tag_a_word():
    found = draw_commands(220, seed=3)
    counts = {name: sum(one.intent == name for one in found) for name in PATTERNS}
    assert set(counts.values()) == {10}
    for command in found:
        assert len(command.words) == len(command.tags)
        assert re.fullmatch(r"[a-z' ]+", command.text)
    assert draw_commands(220, seed=3) == found
    assert draw_commands(220, seed=4) != found
    with pytest.raises(ConfigError, match=r"lights_on"):
        draw_commands(3, intents=["lights"])


def test_no_text_of_one_part_is_drawn_for_the_other():
    learned = {(one.intent, one.text) for one in draw_commands(2200, seed=1, part="train")}
    judged = {(one.intent, one.text) for one in draw_commands(2200, seed=1, part="test")}
    assert not {text for _, text in learned} & {text for _, text in judged}
    for part in (learned, judged):
        counts = [sum(intent == name for intent, _ in part) for name in PATTERNS]
        assert min(counts) >= 6
    with pytest.raises(ConfigError, match="part='training' arrived"):
        draw_commands(3, part="training")


def test_numbers_are_words():
    assert [spoken_number(number) for number in (0, 13, 20, 99, 100)] == [
        "zero", "thirteen", "twenty", "ninety nine", "one hundred",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="0 to 100"):
        spoken_number(101)


def test_made_commands_are_read_by_all_that_learns_from_them(tmp_path):
    folder = make_commands(tmp_path / "made", CommandSettings(**SMALL), synthesize=beep)
    clips, texts = read_clips(folder / "test.jsonl"), read_tagged_texts(folder / "test.jsonl").texts
    assert (len(clips), len(texts), clips.rate) == (4, 4, 8000)
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    for clip, text, row in zip(clips, texts, rows, strict=True):
        assert clip.text == text.text == row["text"]
        assert clip.label == text.intent == row["intent"]
        assert list(text.tags) == row["slots"]
        assert clip.speaker == row["speaker"]
    assert set(clips.speakers) <= set(TEST_VARIANTS)
    assert set(read_clips(folder / "train.jsonl").speakers) <= set(TRAIN_VARIANTS)
    assert not set(TRAIN_VARIANTS) & set(TEST_VARIANTS)


def test_a_seed_makes_the_same_clips_and_another_one_makes_others(tmp_path):
    folders = [
        make_commands(tmp_path / str(at), CommandSettings(**SMALL, seed=seed), synthesize=beep)
        for at, seed in enumerate((5, 5, 6))
    ]
    first, same, other = (read_clips(folder / "train.jsonl").fingerprint() for folder in folders)
    assert first == same
    assert first != other
    assert make_commands(folders[0], CommandSettings(**SMALL, seed=5), synthesize=beep) == folders[0]
    with pytest.raises(DataError, match="other settings"):
        make_commands(folders[0], CommandSettings(**SMALL, seed=6), synthesize=beep)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="name a new folder"):
        make_commands(tmp_path / "full", CommandSettings(**SMALL), synthesize=beep)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_texts_to_judge_by_are_learned_where_that_is_asked(tmp_path):
    shared = {}
    for unseen in (True, False):
        settings = CommandSettings(60, 20, intents=("volume_up",), unseen_texts=unseen)
        folder = make_commands(tmp_path / str(unseen), settings, synthesize=beep)
        learned, judged = ({clip.text for clip in read_clips(folder / f"{part}.jsonl")} for part in ("train", "test"))
        shared[unseen] = learned & judged
    assert not shared[True]
    assert shared[False]


def test_nothing_is_left_of_a_making_that_fails(tmp_path):
    def fail(text, voice, speed, pitch):
        raise DataError("no sound")

    with pytest.raises(DataError, match="no sound"):
        make_commands(tmp_path / "made", CommandSettings(**SMALL), synthesize=fail)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"made cannot be made \(.*\); name another folder"):
        make_commands(tmp_path / "file" / "made", CommandSettings(**SMALL), synthesize=fail)


def test_a_variant_in_both_parts_is_refused():
    with pytest.raises(ConfigError, match="no variant in both parts"):
        CommandSettings(train_variants=("m1", "f1"), test_variants=("f1",))


def test_without_the_program_the_error_says_what_to_type(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"apt install espeak-ng"):
        speak("light")
    assert main([str(tmp_path / "made"), "--count", "3", "--test-count", "2"]) == 2
    assert "apt install espeak-ng" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


@needs_espeak
def test_espeak_speaks_the_same_clips_for_the_same_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    settings = CommandSettings(count=3, test_count=2, rate=8000)
    first, cached = make_commands(tmp_path / "made", settings), make_commands(settings=settings)
    assert cached.parent == tmp_path / "cache" / "commands"
    assert make_commands(settings=settings) == cached
    for name in ("train/00000.wav", "test/00001.wav"):
        assert (first / name).read_bytes() == (cached / name).read_bytes()
    sound = read_audio(first / "train" / "00000.wav")
    assert sound.rate == 8000
    assert 0.04 < float(sound.samples.abs().max()) < 0.6
    with pytest.raises(DataError, match="none of nobody"):
        make_commands(tmp_path / "other", CommandSettings(3, 2, test_variants=("nobody",)))


@needs_espeak
def test_espeaks_voices_speeds_and_pitches_differ():
    plain = speak("open the window", "en-us", speed=120)
    assert len(plain.samples) > len(speak("open the window", "en-us", speed=220).samples)
    other = speak("open the window", "en-us+f3", speed=120)
    assert len(other.samples) != len(plain.samples) or not torch.equal(other.samples, plain.samples)
    with pytest.raises(DataError, match="made no sound"):
        speak("")
    with pytest.raises(ConfigError, match="pitch=100"):
        speak("light", pitch=100)
