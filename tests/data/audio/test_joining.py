"""Strings of clips: their words, their times, their gaps, and what is refused."""

from collections import Counter

import pytest
import torch

from rnnkit.data.audio import Clip, ClipSet, Waveform, join_clips, join_waveforms, read_clips, write_wav
from rnnkit.errors import ConfigError, DataError


@pytest.fixture
def clips(tmp_path):
    """Digits of two speakers: clip number n is a constant of its own level, with noise at its end."""
    for speaker, level in (("anna", 0.1), ("ben", 0.5)):
        for digit in range(5):
            samples = torch.full((800 + 80 * digit,), level + digit / 100)
            write_wav(tmp_path / f"{digit}_{speaker}_0.wav", samples, 8000)
    return read_clips(tmp_path)


def test_strings_say_what_lies_in_them(clips):
    strings = join_clips(clips, 6, words=(2, 4), gaps=(0.05, 0.1), edges=(0.1, 0.2), seed=3)
    assert len(strings) == 6
    for number, string in enumerate(strings):
        wave = strings.waveform(number)
        assert wave.rate == 8000
        assert wave.seconds == pytest.approx(string.seconds, abs=0.002)
        assert 2 <= len(string.numbers) <= 4
        assert string.text == " ".join(clips[one].label for one in string.numbers)
        assert {clips[one].speaker for one in string.numbers} == {string.speaker}
        assert 0.1 <= string.gaps[0] <= 0.2
        assert 0.1 <= string.gaps[-1] <= 0.2
        assert all(0.05 <= gap <= 0.1 for gap in string.gaps[1:-1])
        for one, start, end in zip(string.numbers, string.starts, string.ends, strict=True):
            middle = wave.samples[int((start + 0.01) * 8000) : int((end - 0.01) * 8000)]
            level = clips.waveform(one).samples.mean()
            assert (middle - level).abs().max() < 1e-3
        assert wave.samples[: int(string.starts[0] * 8000) - 20].abs().max() < 1e-3


def test_seeds_decide(clips):
    first, second = join_clips(clips, 5, seed=1), join_clips(clips, 5, seed=1)
    assert first.strings == second.strings
    assert torch.equal(first.waveform(2).samples, second.waveform(2).samples)
    assert first.strings != join_clips(clips, 5, seed=2).strings


def test_all_clips_are_used_before_one_comes_again(clips):
    mixed = join_clips(clips, 10, words=(2, 2), same_speaker=False)
    assert set(Counter(one for string in mixed for one in string.numbers).values()) == {2}
    assert mixed[0].speaker is None
    own = join_clips(clips, 20, words=(5, 5))
    assert all(len(set(string.numbers)) == 5 for string in own)
    assert len(join_clips(clips, words=(2, 2))) == 5  # each clip in about one


def test_without_gaps(clips):
    strings = join_clips(clips, 3, gaps=(0, 0), edges=(0, 0))
    for number, string in enumerate(strings):
        assert string.seconds == pytest.approx(sum(clips[one].seconds for one in string.numbers))
        assert strings.waveform(number).seconds == pytest.approx(string.seconds)


def test_another_rate_and_slices(clips):
    strings = join_clips(clips, 4)
    assert strings.waveform(1, 16000).seconds == pytest.approx(strings[1].seconds, abs=0.002)
    assert strings[1:3][0] == strings[1]
    assert "4 strings of" in repr(strings)


def test_gaps_are_as_quiet_as_the_clips():
    generator = torch.Generator().manual_seed(0)
    loud = torch.rand(1600, generator=generator) - 0.5
    loud[400:600] = 0.01 * torch.randn(200, generator=generator)
    joined = join_waveforms([Waveform(loud, 8000)] * 2, [0.0, 0.5, 0.0]).samples
    gap = joined[1600:5600]
    assert 0.007 < gap.std() < 0.013
    assert joined[0].abs() < loud.abs().max()
    assert torch.equal(joined[100:1500], loud[100:1500])
    silent = join_waveforms([Waveform(torch.zeros(3), 8000)], [0.1, 0.1]).samples
    assert torch.equal(silent, torch.zeros(1603))


def test_what_is_refused(clips):
    for name, value in (("words", (3, 2)), ("words", (0, 2)), ("gaps", (-1, 0)), ("edges", (0.2, 0.1)), ("count", 0)):
        with pytest.raises(ConfigError, match=name):
            join_clips(clips, **{name: value})
    with pytest.raises(DataError, match="no clips arrived"):
        join_clips(ClipSet(()))
    with pytest.raises(DataError, match=r"a\.wav: the clip has neither a transcript nor a label"):
        join_clips(ClipSet((Clip("a.wav", seconds=1.0),)))
    wave = Waveform(torch.zeros(8), 8000)
    with pytest.raises(ConfigError, match=r"gaps=\[0\.1\] arrived; expected 2 numbers"):
        join_waveforms([wave], [0.1])
    for waves in ([], [wave, Waveform(torch.zeros(8), 16000)], [Waveform(torch.zeros(2, 8), 8000)]):
        with pytest.raises(DataError, match="waveforms of one rate and one channel were expected"):
            join_waveforms(waves, [0.0] * (len(waves) + 1))
