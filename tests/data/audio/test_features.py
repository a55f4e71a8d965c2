"""Features: those of Kaldi, the same of the whole and of pieces, and settings that are refused."""

import math

import numpy as np
import pytest
import torch

from rnnkit.data.audio import Features, FeatureSettings
from rnnkit.errors import ConfigError, ShapeError


def speech_like(count, rate=16000, seed=0):
    """Tones that come and go, noise, and digital silence: bands of very unequal energy."""
    generator = torch.Generator().manual_seed(seed)
    seconds = torch.arange(count) / rate
    tones = torch.sin(2 * math.pi * 300 * seconds) * torch.sin(2 * math.pi * 3 * seconds).clamp(min=0)
    samples = 0.7 * tones + 0.001 * torch.randn(count, generator=generator)
    samples[count // 3 : count // 2] = 0
    return samples


def kaldi(samples, settings):
    knf = pytest.importorskip("kaldi_native_fbank", reason="pip install kaldi-native-fbank: the yardstick of features")
    options = knf.MfccOptions() if settings.kind == "mfcc" else knf.FbankOptions()
    frames = options.frame_opts
    frames.samp_freq, frames.dither, frames.snip_edges = settings.rate, 0, True
    frames.frame_length_ms, frames.frame_shift_ms = settings.window_ms, settings.hop_ms
    frames.preemph_coeff = settings.preemphasis
    options.mel_opts.num_bins, options.mel_opts.low_freq = settings.mel_bands, settings.low_hz
    options.mel_opts.high_freq = settings.top_hz
    if settings.kind == "mfcc":
        options.use_energy, options.num_ceps = False, settings.ceps
    online = (knf.OnlineMfcc if settings.kind == "mfcc" else knf.OnlineFbank)(options)
    online.accept_waveform(settings.rate, samples.tolist())
    online.input_finished()
    return torch.from_numpy(np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)]))


SETTINGS = [
    FeatureSettings(),
    FeatureSettings(rate=8000),
    FeatureSettings(rate=22050, bands=64, high_hz=7600.0),
    FeatureSettings(window_ms=32, hop_ms=8, low_hz=60.0, preemphasis=0.0),
    FeatureSettings(kind="mfcc", rate=8000, bands=23),
    FeatureSettings(kind="mfcc", bands=40, ceps=40),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: f"{one.kind}-{one.rate}-{one.mel_bands}")
def test_as_kaldi(settings):
    generator = torch.Generator().manual_seed(1)
    samples = 0.1 * torch.randn(settings.rate // 2, generator=generator) + 0.05
    features = Features(settings)
    made, expected = features(samples), kaldi(samples, settings)
    assert made.shape == expected.shape == (features.frames(len(samples)), features.size)
    # Kaldi's own computations are in float32.
    torch.testing.assert_close(made, expected, atol=2e-3 if settings.kind == "mfcc" else 5e-4, rtol=1e-4)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda one: f"{one.kind}-{one.rate}-{one.mel_bands}")
@pytest.mark.parametrize("size", [1, 79, 400, 16000])
def test_pieces_are_the_whole(settings, size):
    features = Features(settings)
    count = 900 if size == 1 else 9000
    samples = speech_like(count, settings.rate)
    whole = features(samples)
    stream = features.stream()
    for _ in range(2):  # flush begins anew
        pieces = [stream.push(piece) for piece in samples.split(size)] + [stream.flush()]
        torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-5, rtol=0)


def test_long_sound_is_the_same_in_one_piece_and_in_frames():
    features = Features(FeatureSettings(rate=8000))
    samples = speech_like(80 * 300 + 200, 8000)  # more frames than are computed at once
    whole = features(samples)
    assert whole.shape == (301, 40)
    torch.testing.assert_close(features(samples[80 * 260 :]), whole[260:], atol=1e-5, rtol=0)


def test_few_frames_are_computed_as_many(monkeypatch):
    features = Features(FeatureSettings(rate=8000))
    samples = speech_like(1000, 8000)
    many = features(samples)
    monkeypatch.setattr("rnnkit.data.audio.features._FEW", 1 << 40)
    torch.testing.assert_close(features(samples), many, atol=1e-6, rtol=0)


def test_frames():
    features = Features(FeatureSettings(rate=8000))
    counts = [0, 1, 199, 200, 279, 280, 360, 8000]
    expected = [0, 1, 1, 1, 1, 2, 3, 98]
    assert [features.frames(count) for count in counts] == expected
    assert features.frames(torch.tensor(counts)).tolist() == expected
    assert [len(features(torch.zeros(count))) for count in counts] == expected


def test_frames_look_at_nothing_behind_their_window():
    features = Features(FeatureSettings(rate=8000))
    samples = speech_like(1000, 8000)
    samples[400:] = float("nan")
    made = features(samples)
    assert made[:3].isfinite().all()  # frame 2 holds the samples 160 to 359
    assert made[3].isnan().any()


def test_batches():
    features = Features(FeatureSettings(rate=8000))
    samples = torch.stack([speech_like(1000, 8000, seed) for seed in range(3)])
    made = features(samples)
    for row, one in zip(samples, made, strict=True):
        torch.testing.assert_close(features(row), one, atol=1e-5, rtol=0)
    short = torch.zeros(2, 1000)
    short[0, :120] = samples[0, :120]
    torch.testing.assert_close(features(short)[0, :1], features(samples[0, :120]), atol=1e-5, rtol=0)
    assert features(torch.zeros(2, 0)).shape == (2, 0, 40)


def test_short_sound_is_padded_in_streams_too():
    features = Features(FeatureSettings(rate=8000))
    stream = features.stream()
    assert stream.push(speech_like(120, 8000)).shape == (0, 40)
    torch.testing.assert_close(stream.flush(), features(speech_like(120, 8000)), atol=1e-5, rtol=0)
    assert stream.flush().shape == (0, 40)  # no sound, no frame


def test_hops_longer_than_the_window():
    features = Features(FeatureSettings(rate=8000, window_ms=10, hop_ms=25, bands=10))
    samples = speech_like(1000, 8000)
    for size in (1, 30, 500):
        stream = features.stream()
        pieces = [stream.push(piece) for piece in samples.split(size)] + [stream.flush()]
        torch.testing.assert_close(torch.cat(pieces), features(samples), atol=1e-5, rtol=0)


def test_a_stream_goes_on_elsewhere():
    features = Features(FeatureSettings(rate=8000))
    samples = speech_like(900, 8000)
    first, second = features.stream(), features.stream()
    begun = first.push(samples[:333])
    second.load_state_dict(first.state_dict())
    made = torch.cat([begun, second.push(samples[333:]), second.flush()])
    torch.testing.assert_close(made, features(samples), atol=1e-5, rtol=0)


def test_silence_is_finite_and_at_the_floor():
    made = Features()(torch.zeros(1000))
    assert torch.equal(made, torch.full_like(made, math.log(1.1920928955078125e-07)))


def test_dither_and_half_precision_models():
    torch.manual_seed(0)
    samples = speech_like(1000)
    plain = Features()(samples)
    assert not torch.equal(Features(FeatureSettings(dither=1e-4))(samples), plain)
    half = Features().half()  # the constants stay what they are
    torch.testing.assert_close(half(samples), plain, atol=1e-5, rtol=0)
    assert not Features().state_dict()


def test_gradients_reach_the_samples():
    samples = speech_like(600).requires_grad_()
    Features()(samples).sum().backward()
    assert samples.grad.isfinite().all()


def test_settings_travel():
    settings = FeatureSettings("mfcc", 8000, ceps=20, high_hz=3800.0)
    assert FeatureSettings.from_json(settings.to_json()) == settings
    with pytest.raises(ConfigError, match="no setting 'band' of features; did you mean 'bands'"):
        FeatureSettings.from_json({"band": 3})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "fbank"}, "kind='fbank' arrived; expected one of"),
        ({"rate": 0}, "rate=0"),
        ({"window_ms": 0}, "window_ms=0"),
        ({"window_ms": 0.01}, "window_ms=0.01 arrived; expected at least the time of two samples"),
        ({"hop_ms": 0.01}, "hop_ms=0.01 arrived; expected at least the time of one"),
        ({"bands": 1}, "bands=1"),
        ({"rate": 8000, "high_hz": 5000.0}, "high_hz=5000.0 arrived; expected at most 4000"),
        ({"low_hz": 9000.0}, "low_hz=9000.0"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"floor": 0}, "floor=0"),
        ({"kind": "mfcc", "ceps": 90}, "ceps=90 arrived; expected at most 80"),
        ({"dither": -1}, "dither=-1"),
    ],
)
def test_settings_that_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        FeatureSettings(**arguments)


def test_bands_that_hold_nothing_are_refused():
    with pytest.raises(ConfigError, match=r"bands=200 arrived; expected fewer, or a longer window_ms: \d+ bands hold"):
        Features(FeatureSettings(rate=8000, bands=200))


def test_samples_that_are_refused():
    features = Features()
    with pytest.raises(ShapeError, match=r"torch\.int16; expected floats from -1 to 1: type samples / 32768"):
        features(torch.zeros(1000, dtype=torch.int16))
    with pytest.raises(ShapeError, match=r"shape \[1, 1, 1000\]; expected \[N\] or \[B, N\]"):
        features(torch.zeros(1, 1, 1000))
    with pytest.raises(ShapeError, match=r"expected \[n\]"):
        features.stream().push(torch.zeros(1, 1000))
    with pytest.raises(ShapeError, match=r"samples are a ndarray; .* type torch\.as_tensor"):
        features(np.zeros(1000))
