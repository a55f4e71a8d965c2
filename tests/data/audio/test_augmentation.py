"""Variations of sound and of features: what each does, that seeds decide, and what is refused."""

import math

import pytest
import torch

from rnnkit.data.audio import (
    Features,
    FeatureSettings,
    SpecAugment,
    WaveAugment,
    Waveform,
    add_noise,
    add_room,
    change_speed,
    coloured_noise,
    make_room,
    tilt,
    warp_mel,
)
from rnnkit.errors import ConfigError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def tone(hertz, rate=8000, seconds=0.5):
    return 0.5 * torch.sin(2 * math.pi * hertz * torch.arange(int(rate * seconds)) / rate)


def pitch(samples, rate=8000):
    spectrum = torch.fft.rfft(samples * torch.hann_window(len(samples)), 1 << 15).abs()
    return float(spectrum.argmax()) * rate / (1 << 15)


def decibels(signal, noise):
    return float(10 * torch.log10(signal.square().mean() / noise.square().mean()))


ALL = WaveAugment(
    rate=8000,
    speed=(0.9, 1.1),
    room_probability=0.5,
    noise_probability=0.5,
    tilt_db=6.0,
    gain_db=(-10.0, 20.0),
)


def test_seeds_decide():
    samples = tone(440)
    for seed in range(4):
        made = ALL(samples, seeded(seed))
        assert torch.equal(made, ALL(samples, seeded(seed)))
        assert made.isfinite().all()
        assert made.abs().max() <= 1
    assert len({len(ALL(samples, seeded(seed))) for seed in range(8)}) > 3
    assert torch.equal(samples, tone(440))  # what arrived stays
    torch.manual_seed(5)
    first = ALL(samples)
    torch.manual_seed(5)
    assert torch.equal(first, ALL(samples))


def test_nothing_is_varied_by_default():
    samples = tone(440)
    assert torch.equal(WaveAugment()(samples), samples)
    assert ALL(torch.zeros(0)).shape == (0,)
    assert torch.equal(ALL(torch.zeros(800), seeded(1)), torch.zeros(len(ALL(torch.zeros(800), seeded(1)))))


def test_speed():
    faster = change_speed(tone(400), 1.1)
    assert len(faster) == math.ceil(4000 / 1.1)
    assert pitch(faster) == pytest.approx(440, abs=2)
    assert pitch(change_speed(tone(400), 0.9)) == pytest.approx(360, abs=2)
    lengths = [len(WaveAugment(rate=8000, speed=(0.9, 1.1))(tone(400), seeded(seed))) for seed in range(12)]
    assert 4000 / 1.11 <= min(lengths) < 3900 < 4100 < max(lengths) <= 4000 / 0.89


@pytest.mark.parametrize("db", [-5.0, 0.0, 20.0])
def test_noise_has_its_ratio(db):
    samples, noise = tone(440), torch.randn(4000, generator=seeded())
    made = add_noise(samples, noise, db)
    assert decibels(samples, made - samples) == pytest.approx(db, abs=1e-3)
    assert torch.equal(add_noise(torch.zeros(4000), noise, db), torch.zeros(4000))
    assert torch.equal(add_noise(samples, torch.zeros(4000), db), samples)
    with pytest.raises(ShapeError, match=r"noise has shape \[3\]; expected \[4000\]"):
        add_noise(samples, noise[:3], db)


def test_given_noises():
    hum = Waveform(tone(1000, 16000, 0.1), 16000)  # shorter than the sound, and at another rate
    augment = WaveAugment(rate=8000, noise_probability=1.0, noise_db=(10.0, 10.0), noises=[hum])
    samples = tone(200) * 0.5
    added = augment(samples, seeded()) - samples
    assert decibels(samples, added) == pytest.approx(10, abs=1e-2)
    assert pitch(added) == pytest.approx(1000, abs=12)


def test_coloured_noise():
    for exponent in (0.0, -1.0, -2.0):
        noise = coloured_noise(1 << 15, exponent, seeded())
        power = torch.fft.rfft(noise).abs().square()
        octaves = [power[size : 2 * size].mean() for size in (1024, 4096)]  # both above 0.5% of the rate
        assert float(torch.log2(octaves[1] / octaves[0])) == pytest.approx(2 * exponent, abs=0.2)
        assert noise.square().mean() == pytest.approx(1, abs=1e-3)


def test_room():
    room = make_room(8000, 0.3, 5.0, seeded())
    assert room[0] == 1
    assert torch.equal(room[1:16], torch.zeros(15))  # nothing comes back at once
    assert -10 * float(torch.log10(room[1:].square().sum())) == pytest.approx(5, abs=1e-3)
    early, late = room[16:400].square().mean(), room[-400:].square().mean()
    assert early > 1e4 * late
    click = torch.zeros(4000)
    click[100] = 0.5
    made = add_room(click, room)
    assert made.shape == click.shape
    assert torch.equal(
        made[:100].abs() < 1e-6, torch.ones(100, dtype=torch.bool)
    )  # the room answers, it does not foretell
    assert made.square().sum() == pytest.approx(0.25, rel=1e-4)
    assert made[100:2500] == pytest.approx(room.mul(made[100] / room[0])[:2400], abs=1e-5)


def test_tilt():
    for db in (-6.0, 6.0):
        made = tilt(torch.cat([torch.zeros(10), torch.ones(1), torch.zeros(53)]), db)
        spectrum = torch.fft.rfft(made).abs()
        assert float(20 * torch.log10(spectrum[-1] / spectrum[0])) == pytest.approx(db, abs=1e-3)
        assert made.square().sum() == pytest.approx(1, abs=1e-5)


def test_gain_keeps_the_form():
    samples = tone(440)
    quiet = WaveAugment(gain_db=(-20.0, -20.0))(samples)
    torch.testing.assert_close(quiet, samples * 0.1)
    loud = WaveAugment(gain_db=(40.0, 40.0))(samples)
    torch.testing.assert_close(loud, samples / samples.abs().max())


def test_spec_augment():
    features = torch.randn(100, 40, generator=seeded(9)) + 5
    augment = SpecAugment(bands=2, band_width=8, times=2, time_width=30)
    mean = features.mean(0)
    widths, lengths = set(), set()
    for seed in range(20):
        made = augment(features, seeded(seed))
        assert torch.equal(made, augment(features, seeded(seed)))
        changed = made != features
        assert torch.equal(made[changed], mean.expand_as(made)[changed])
        bands, times = changed.all(0), changed.all(1)
        assert torch.equal(changed, bands | times[:, None])
        widths.add(int(bands.sum()))
        lengths.add(int(times.sum()))
    assert max(widths) <= 16
    assert max(lengths) <= 40  # a fifth of 100 frames, twice
    assert len(widths) > 5
    assert len(lengths) > 5
    assert SpecAugment()(torch.zeros(0, 40)).shape == (0, 40)
    assert SpecAugment()(torch.zeros(1, 3), seeded()).shape == (1, 3)
    assert torch.equal(SpecAugment(bands=0, times=0)(features), features)


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_warp_moves_tones(factor):
    features = Features(FeatureSettings(rate=8000, bands=60, window_ms=64))
    warped = warp_mel(features(tone(1000)), factor, 20.0, 4000.0)[3]
    expected = features(tone(1000 * factor))[3]
    assert abs(int(warped.argmax()) - int(expected.argmax())) <= 1
    plain = features(tone(1000))
    torch.testing.assert_close(warp_mel(plain, 1.0, 20.0, 4000.0), plain, atol=1e-4, rtol=1e-4)
    made = SpecAugment(bands=0, times=0, warp=(0.85, 1.15), high_hz=4000.0)(plain, seeded())
    assert made.shape == plain.shape
    assert not torch.equal(made, plain)


def test_warp_keeps_the_ends():
    bands = torch.arange(40.0)[None]
    for factor in (0.8, 1.25):
        made = warp_mel(bands, factor)[0]
        assert (made.diff() >= 0).all()
        assert made[-1] == pytest.approx(39, abs=2)
        assert made[0] == pytest.approx(0, abs=0.5)
    assert warp_mel(torch.zeros(2, 5, 1), 1.1).shape == (2, 5, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"speed": (1.1, 0.9)}, r"speed=\(1\.1, 0\.9\) arrived; expected \(lowest, highest\), two numbers above 0"),
        ({"speed": (0.0, 1.0)}, "speed"),
        ({"speed": 1.1}, "speed=1.1"),
        ({"noise_db": (1.0, float("nan"))}, "noise_db"),
        ({"noise_probability": 1.5}, "noise_probability=1.5 arrived; expected a number from 0 to 1"),
        ({"room_seconds": (0.0, 1.0)}, "room_seconds"),
        ({"tilt_db": -1.0}, "tilt_db"),
        ({"rate": 0}, "rate"),
        ({"noises": [Waveform(torch.zeros(0), 8000)]}, "a noise of 0 samples"),
    ],
)
def test_waveform_settings_that_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        WaveAugment(**arguments)


def test_other_arguments_that_are_refused():
    for arguments in ({"bands": -1}, {"time_share": 2.0}, {"warp": (0.0, 1.0)}, {"low_hz": 9000.0}):
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            SpecAugment(**arguments)
    with pytest.raises(ShapeError, match=r"expected floats \[N\]"):
        WaveAugment()(torch.zeros(2, 100))
    with pytest.raises(ShapeError, match=r"expected \[T, M\]"):
        SpecAugment()(torch.zeros(2, 10, 4))
    with pytest.raises(ConfigError, match="factor=0"):
        change_speed(torch.zeros(3), 0)
