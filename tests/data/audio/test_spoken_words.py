"""Words in many voices, by a synthesizer that is made up."""

import pytest
import torch

from rnnkit.data.audio import Waveform
from rnnkit.data.audio.spoken_words import make_words
from rnnkit.errors import ConfigError


def hum(text, voice, speed, pitch):
    generator = torch.Generator().manual_seed(1000 * speed + pitch)
    sound = torch.sin(torch.arange(3000 + 5 * speed) * 0.01 * pitch) + 0.01 * torch.randn(
        3000 + 5 * speed, generator=generator
    )
    return Waveform(torch.cat([torch.zeros(2000), 0.1 * sound, torch.zeros(2000)]), 16000)


def test_each_voice_says_each_word_once():
    made = make_words(["yes", "no"], 40, synthesize=hum)
    assert [one.word for one in made] == ["yes", "no"] * 40
    voices = [one.voice for one in made[::2]]
    assert len(set(voices)) == 40
    variants = [voice.partition("+")[2] for voice in voices]
    assert len(set(variants[:30])) == 30  # before one comes again
    assert {voice.partition("+")[0] for voice in voices} > {"en-us", "en-gb"}
    for one in made:
        assert abs(float(one.samples.abs().max()) - 0.5) < 1e-5
        assert len(one.samples) < 2700  # 16,000 samples a second became 8,000, without silence


def test_the_same_seed_says_the_same():
    first, again = (make_words(["yes"], 5, seed=1, synthesize=hum) for _ in range(2))
    assert all(torch.equal(one.samples, other.samples) for one, other in zip(first, again, strict=True))
    other = make_words(["yes"], 5, seed=2, synthesize=hum)
    assert [one.voice for one in first] != [one.voice for one in other]


def test_more_voices_than_there_are_are_refused():
    with pytest.raises(ConfigError, match=r"voices=1000 arrived; expected at most \d+, which espeak-ng has"):
        make_words(["yes"], 1000, synthesize=hum)
    with pytest.raises(ConfigError, match="voices"):
        make_words(["yes"], 0, synthesize=hum)
