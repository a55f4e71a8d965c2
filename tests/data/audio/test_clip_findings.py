"""What is told about the files of clips: by their headers, their tables and their samples."""

import json
import warnings

import pytest
import torch
from sounds import write_noise

from rnnkit.data.audio import clip_findings, read_clips, write_wav


def test_findings_of_headers(folder):
    write_noise(folder / "a/good.wav")
    write_noise(folder / "a/other_rate.wav", rate=11025)
    write_noise(folder / "a/long.wav", 3.0)
    write_noise(folder / "a/short.wav", 0.005)
    (folder / "a/empty.wav").write_bytes(b"")
    (folder / "a/text.wav").write_text("hello")
    (folder / "a/no_samples.wav").write_bytes((folder / "a/good.wav").read_bytes()[:44])
    (folder / "a/cut.wav").write_bytes((folder / "a/good.wav").read_bytes()[:4000])
    (folder / "a/wrong.mp3").write_bytes((folder / "a/good.wav").read_bytes())
    clips = read_clips(folder, layout="labels", longest=2.5)
    assert [clip.id for clip in clips] == [
        f"a/{name}" for name in ("cut", "good", "long", "other_rate", "short", "wrong")
    ]
    assert clips.findings == (
        "1 of 9 clips is truncated, and is read as far as it goes: cut.wav.",
        "2 of 9 clips cannot be read, and are left out: empty.wav (the file is empty: it has 0 bytes), text.wav (the "
        "file is no sound: it begins with the text 'hello'; expected WAV, FLAC, OGG, MP3, AIFF or AU).",
        "1 of 9 clips is longer than 2.5 seconds: a/long (3 s).",
        "1 of 9 clips holds no samples, and is left out: no_samples.wav.",
        "1 of 9 clips is shorter than 20 ms: a/short.",
        "1 of 9 clips has the suffix of another format, and is read by its content: wrong.mp3 (WAV).",
        "The clips have different rates: 8,000 Hz (5), 11,025 Hz (1). They are brought to one rate where they are "
        "read.",
    )
    assert clips.rate == 8000


def test_findings_of_tables(folder):
    write_noise(folder / "a.wav", 1.0)
    rows = [
        ("a.wav", "x" * 80, 0, 1),
        ("a.wav", "早上好早上好早上好早上好", 0, 1),
        ("a.wav", "hello", 0, 1),
        ("a.wav", "hello", 0.5, 2),
        ("a.wav", "hello", 5, 6),
        ("a.wav", "hello", 0.5, 0.25),
    ]
    keys = ("path", "text", "start", "end")
    (folder / "a.jsonl").write_text("\n".join(json.dumps(dict(zip(keys, row, strict=True))) for row in rows))
    clips = read_clips(folder / "a.jsonl")
    assert len(clips) == 4
    said = " ".join(clips.findings)
    assert "2 of 6 clips are too short for their transcripts" in said
    assert "1 of 6 clips ends behind the end of its file, and is cut there" in said
    assert "1 of 6 clips begins behind the end of its file, and is left out" in said
    assert "1 of 6 clips ends before it begins, and is left out" in said
    assert clips[3].end == 1.0


def test_findings_of_samples(folder):
    tone = torch.sin(torch.arange(4000) * 0.1)
    write_wav(folder / "good.wav", tone * 0.5, 8000)
    write_wav(folder / "again.wav", tone * 0.5, 8000)
    write_wav(folder / "clipped.wav", tone * 1.5, 8000)
    write_wav(folder / "silent.wav", torch.zeros(4000), 8000)
    write_wav(folder / "faint.wav", tone * 0.002, 8000)
    write_wav(folder / "offset.wav", tone * 0.2 + 0.3, 8000)
    write_wav(folder / "full.wav", tone * 0.9999, 8000)  # loud, and not clipped
    (folder / "cut.wav").write_bytes((folder / "faint.wav").read_bytes()[:4000])
    rows = [f"{file.name},{file.name[0]}\n" for file in sorted(folder.glob("*.wav"))]
    (folder / "a.csv").write_text("path,label\n" + "".join(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = clip_findings(read_clips(folder / "a.csv"))
    assert said == [
        "1 of 8 clips is clipped: clipped (53% of its samples).",
        "1 of 8 clips is read with a warning: cut (the file is truncated or damaged: it holds 1,978 of the 4,000 "
        "samples that its header says. What is sound was read).",
        "2 of 8 clips are faint: cut (at most -54 dB), faint (at most -54 dB).",
        "1 of 8 clips has an offset: offset (a mean of +0.30).",
        "1 of 8 clips is silent: silent.",
        "2 clips have the same sound as another one: again = good. Keep them in one part of a split, or remove them.",
        "1 sound has different transcripts or labels: again = good.",
    ]
    assert clip_findings(read_clips(folder / "good.wav")) == []
    assert len(clip_findings(read_clips(folder / "a.csv"), most=2)) <= 2


def test_a_damaged_file_is_named(folder):
    soundfile = pytest.importorskip("soundfile", reason="pip install 'rnnkit[audio]'")
    soundfile.write(folder / "a.flac", torch.rand(30_000).sub(0.5).numpy(), 16000)
    soundfile.write(folder / "b.flac", torch.rand(3_000).sub(0.5).numpy(), 16000)
    for name, size in (("a.flac", 30_000), ("b.flac", 3_000)):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    assert clip_findings(read_clips(folder)) == [
        "1 of 2 clips is read with a warning: a (the file is truncated or damaged: it holds 8,192 of the 30,000 "
        "samples that its header says. What is sound was read).",
        "1 of 2 clips cannot be read: b (the FLAC file is damaged or truncated (flac decoder lost sync)).",
    ]
