"""Where somebody speaks: by energy, by label files, by tables."""

import numpy as np
import pytest
import torch

from rnnkit.data.audio import read_spoken_clips, write_wav
from rnnkit.data.audio.speech_segments import (
    Segment,
    find_speech,
    frame_energies,
    frame_labels,
    merged,
    read_labels,
    write_labels,
)
from rnnkit.errors import DataError

RATE = 8000


def spoken(*segments, seconds=3.0, noise=1e-4):
    """Silence with tones in some segments."""
    sound = noise * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(0))
    for start, end in segments:
        time = torch.arange(round((end - start) * RATE)) / RATE
        sound[round(start * RATE) :][: len(time)] += 0.3 * torch.sin(2 * torch.pi * 300 * time)
    return sound


def test_energy_finds_speech_and_joins_short_pauses():
    found = find_speech(spoken((0.5, 1.0), (1.1, 1.5), (2.2, 2.6)), RATE)
    assert [(round(one.start, 1), round(one.end, 1)) for one in found] == [(0.5, 1.5), (2.2, 2.6)]
    assert find_speech(torch.zeros(RATE), RATE) == find_speech(torch.zeros(0), RATE) == []
    assert find_speech(spoken((0.5, 0.51), (1.0, 2.0)), RATE)[0].start > 0.9  # a click


def test_energies_are_those_of_each_frame_alone():
    sound = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    sound[:200] *= 1000
    frames = sound.unfold(0, 200, 80)
    expected = 10 * torch.log10(frames.double().square().mean(1))
    assert torch.allclose(frame_energies(sound, 200, 80).double(), expected, atol=1e-4)
    assert len(frame_energies(sound[:10], 200, 80)) == 1


def test_labels_of_frames_are_those_of_their_middles():
    labels = frame_labels([Segment(0.0, 0.05), Segment(0.2, 9.0)], 40, rate=RATE, window=200, hop=80)
    middles = (np.arange(40) * 80 + 100) / RATE
    assert labels.tolist() == ((middles < 0.05) | (middles >= 0.2)).astype(float).tolist()


def test_label_files_are_read_as_they_were_written(tmp_path):
    file = tmp_path / "a.txt"
    write_labels(file, [(0.5, 1.25), (2.0, 3.0)], ["speech 0.9", "speech 0.8"])
    assert read_labels(file) == [Segment(0.5, 1.25), Segment(2.0, 3.0)]
    file.write_text("0.5\t1.0\tvoice\n\\\t200\t3000\n2\t3\tdoor\n")
    assert read_labels(file, ["voice"]) == [Segment(0.5, 1.0)]
    for text, said in (("yes no\n", "'yes no' is no label"), ("3\t2\tvoice\n", "from 3 to 2 seconds")):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            read_labels(file)


def test_segments_come_from_label_files_beside_the_recordings(tmp_path):
    for name in ("a", "b", "c"):
        write_wav(tmp_path / f"{name}.wav", spoken(), RATE)
    (tmp_path / "a.txt").write_text("0.5\t1.0\tvoice\n0.9\t1.5\tvoice\n2\t2.5\tdoor\n2.9\t9\tvoice\n")
    (tmp_path / "b.txt").write_text("")
    clips = read_spoken_clips(tmp_path, names=("voice",))
    assert [(clip.id, clip.segments) for clip in clips] == [
        ("a", (Segment(0.5, 1.5), Segment(2.9, 3.0))),
        ("b", ()),
    ]
    assert clips.labelled
    told = " ".join(clips.findings)
    assert "1 of 3 clips has no label file, and is left out: c." in told
    assert "a segment that ends behind the sound: a." in told
    (tmp_path / "a.txt").write_text("yes\n")  # a transcript
    assert not read_spoken_clips(tmp_path).labelled
    with pytest.raises(DataError, match="holds no segments"):
        read_spoken_clips(tmp_path, labels="segments")


def test_segments_come_from_a_table(tmp_path):
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", spoken(), RATE)
    (tmp_path / "t.csv").write_text("path,start,end,speaker\na.wav,2,2.5,ann\nb.wav,,,ben\na.wav,0.5,1,ann\n")
    clips = read_spoken_clips(tmp_path / "t.csv")
    assert [(clip.id, clip.speaker, clip.segments) for clip in clips] == [
        ("a", "ann", (Segment(0.5, 1.0), Segment(2.0, 2.5))),
        ("b", "ben", ()),
    ]
    other = tmp_path / "u.csv"
    other.write_text("path,start,end,speaker\na.wav,2,2.6,ann\nb.wav,,,ben\na.wav,0.5,1,ann\n")
    assert read_spoken_clips(other).fingerprint() != clips.fingerprint()
    assert not read_spoken_clips(tmp_path / "t.csv", labels="energy").labelled


def test_overlapping_segments_become_one():
    assert merged([Segment(1, 2), Segment(1.5, 1.7), Segment(2, 3)]) == [Segment(1, 3)]
