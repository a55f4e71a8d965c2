"""Sound read in blocks, and cut at silences, as recordings that are larger than memory need it."""

import warnings
import weakref

import pytest
import torch

from rnnkit.data.audio import open_blocks, read_audio, write_wav
from rnnkit.data.audio.cutting import cut_at_silences, trim_silence
from rnnkit.data.audio.levels import Levels, faults
from rnnkit.errors import ConfigError, DataError, DataWarning

SOUND = 0.5 * torch.sin(torch.arange(20000) * 0.05)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_blocks_are_the_whole(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    if suffix == "wav":
        write_wav(file, torch.stack([SOUND, SOUND / 2]), 16000)
    else:
        pytest.importorskip("soundfile").write(file, torch.stack([SOUND, SOUND / 2], 1).numpy(), 16000)
    with open_blocks(file, seconds=0.3) as blocks:
        parts = list(blocks)
        assert blocks.rate == 16000
    assert len(parts) > 1
    assert torch.equal(torch.cat(parts), read_audio(file).samples)


def test_a_truncated_file_is_read_as_far_as_it_is_sound(tmp_path):
    write_wav(tmp_path / "a.wav", SOUND, 8000)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:20044])
    with open_blocks(tmp_path / "b.wav", seconds=0.5) as blocks, pytest.warns(DataWarning, match="truncated"):
        assert sum(map(len, blocks)) == 10000


def test_levels_in_blocks_are_those_of_the_whole():
    clipped = (3 * SOUND).clamp(-1, 1)
    clipped[:5000] *= 0.3  # its top is not that of the whole
    for sound in (SOUND, clipped, SOUND * 1e-3, SOUND * 1e-5, 0.3 + SOUND / 2, torch.zeros(1000)):
        levels = Levels()
        for block in sound.split(1500):
            levels.add(block)
        told, expected = levels.faults(), faults(sound)
        assert [phrase for phrase, _ in told] == [phrase for phrase, _ in expected]
    assert faults(clipped)[0][0][0] == "is clipped"
    assert faults(SOUND) == []


def test_a_warning_is_told_once_and_damage_is_named(tmp_path):
    write_wav(tmp_path / "a.wav", SOUND, 8000, bits=32)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    for at in (44, 44 + 4 * 10000):
        data[at : at + 4] = torch.tensor(2.0).numpy().tobytes()
    (tmp_path / "a.wav").write_bytes(data)
    with open_blocks(tmp_path / "a.wav", seconds=0.5) as blocks, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert max(float(block.abs().max()) for block in blocks) == 1
    assert len(caught) == 1
    data[44:48] = torch.tensor(float("nan")).numpy().tobytes()
    (tmp_path / "a.wav").write_bytes(data)
    with open_blocks(tmp_path / "a.wav") as blocks, pytest.raises(DataError, match="NaN"):
        list(blocks)
    (tmp_path / "empty.wav").write_bytes(data[:44])
    with open_blocks(tmp_path / "empty.wav") as blocks, pytest.raises(DataError, match="no samples"):
        list(blocks)


def test_pieces_are_cut_in_silences_and_are_the_sound():
    sound = torch.ones(40 * 1000)
    for second in (7, 13, 22, 31):
        sound[second * 1000 : second * 1000 + 400] = 0
    pieces = list(cut_at_silences(sound.split(777), 1000, least=4, most=10))
    assert torch.equal(torch.cat([piece.samples for piece in pieces]), sound)
    assert [round(piece.start) for piece in pieces] == [0, 7, 13, 22, 31]
    with pytest.raises(ConfigError, match="the smaller one first"):
        next(cut_at_silences([], 1000, least=5, most=2))


def test_no_more_than_some_blocks_are_in_memory():
    alive = weakref.WeakSet()

    def hour():
        for _ in range(360):
            block = torch.zeros(10 * 100)
            alive.add(block)
            yield block
            assert len(alive) <= 6

    assert sum(len(piece.samples) for piece in cut_at_silences(hour(), 100)) == 360_000


def test_channels_that_cancel_each_other_are_told(tmp_path):
    tone = torch.sin(torch.arange(4000) * 0.2) * 0.5
    write_wav(tmp_path / "opposite.wav", torch.stack([tone, -tone]), 8000)
    with pytest.warns(DataWarning, match="its channels cancel each other"):
        read_audio(tmp_path / "opposite.wav")
    with open_blocks(tmp_path / "opposite.wav", seconds=0.1) as blocks, pytest.warns(DataWarning, match="cancel"):
        list(blocks)
    assert blocks.levels.loudest < 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_audio(tmp_path / "opposite.wav", mono=False).channels == 2
        write_wav(tmp_path / "other.wav", torch.stack([tone, 0.5 * tone]), 8000)
        read_audio(tmp_path / "other.wav")
        write_wav(tmp_path / "silent.wav", torch.zeros(2, 4000), 8000)
        read_audio(tmp_path / "silent.wav")


def test_silence_is_cut_off_at_both_ends_alone():
    word = torch.sin(torch.arange(800) * 0.8)
    quiet = 0.01 * torch.sin(torch.arange(4000) * 0.8)
    sound = torch.cat([quiet, word, quiet[:400], word, quiet])
    trimmed = trim_silence(sound, 8000)
    assert 2000 <= len(trimmed) <= 2000 + 2 * 360
    assert float(trimmed.square().sum()) > 0.99 * float((2 * word).square().sum() / 2)
    assert len(trim_silence(sound, 8000, below=60)) == len(sound)
    assert torch.equal(trim_silence(word, 8000), word)
    for short in (torch.zeros(0), torch.ones(1), torch.ones(30), torch.zeros(500)):
        assert torch.equal(trim_silence(short, 8000), short)
    with pytest.raises(ConfigError, match="below"):
        trim_silence(sound, 8000, below=-1)
