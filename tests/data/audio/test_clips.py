"""Sets of clips, and parts of them."""

import warnings

import pytest
import torch
from sounds import write_noise

from rnnkit.data.audio import Clip, ClipSet, leave_out_speaker, read_clips, split_clips
from rnnkit.errors import ConfigError, DataError


def make_set(count=24):
    return ClipSet(
        tuple(
            Clip(
                f"{number}.wav",
                label="ab"[number % 2],
                speaker="wxyz"[number % 4],
                seconds=0.5,
                rate=8000,
                id=str(number),
            )
            for number in range(count)
        ),
        "made",
    )


def test_splits():
    clips = make_set()
    first, second = split_clips(clips, (0.75, 0.25), seed=3)
    assert (len(first), len(second)) == (18, 6)
    assert [clip.label for clip in second].count("a") == 3
    assert split_clips(clips, (0.75, 0.25), seed=3)[1].clips == second.clips
    assert {clip.id for clip in first} | {clip.id for clip in second} == {clip.id for clip in clips}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = split_clips(clips, (0.5, 0.25, 0.25), by="speaker")
    assert [len(part) for part in parts] == [12, 6, 6]
    assert not set(parts[0].speakers) & set(parts[1].speakers)
    plain = ClipSet(tuple(Clip(f"{number}.wav", text="hello") for number in range(10)))
    assert [len(part) for part in split_clips(plain)] == [8, 2]
    with pytest.raises(DataError, match='10 of 10 clips have no speaker; type by="random"'):
        split_clips(plain, by="speaker")
    with pytest.raises(DataError, match="made: 4 speakers arrived; expected at least 5, one a part"):
        split_clips(clips, (0.2,) * 5, by="speaker")
    with pytest.raises(DataError, match="made: 1 clip arrived; expected at least 2"):
        split_clips(clips[:1])
    with pytest.raises(ConfigError, match="by='group' arrived"):
        split_clips(clips, by="group")


def test_one_speaker_is_left_out():
    others, own = leave_out_speaker(make_set(), "x")
    assert (others.speakers, own.speakers, len(own)) == (("w", "y", "z"), ("x",), 6)
    with pytest.raises(ConfigError, match="speaker='v' arrived"):
        leave_out_speaker(make_set(), "v")


def test_sets(folder):
    clips = make_set()
    assert (len(clips[3:6]), clips[-1].id, clips.labels, clips.seconds) == (3, "23", ("a", "b"), 12.0)
    assert len(clips.subset(lambda clip: clip.label == "a")) == 12
    assert [clip.id for clip in clips.subset(torch.tensor([5, 2]))] == ["5", "2"]
    assert repr(clips) == "ClipSet(24 clips, 12.0 s, 2 labels, 4 speakers)"
    write_noise(folder / "a.wav", rate=11025)
    one = read_clips(folder / "a.wav")
    assert one.waveform(0).rate == 11025
    assert one.waveform(0, 8000).samples.shape == (4000,)
    before = one.fingerprint()
    write_noise(folder / "a.wav", rate=11025, seed=5)
    assert read_clips(folder / "a.wav").fingerprint() != before
