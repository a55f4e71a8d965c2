"""Other rates: the right samples, nothing of what a lower rate cannot hold, and pieces that are the whole."""

import math

import pytest
import torch

from rnnkit.data.audio import Resampler, resample
from rnnkit.errors import ConfigError, ShapeError

RATES = [(8000, 16000), (16000, 8000), (44100, 16000), (48000, 16000), (11025, 8000), (16000, 17600), (997, 1009)]


def tone(rate, hertz, seconds=0.5):
    return torch.sin(2 * math.pi * hertz * torch.arange(int(rate * seconds), dtype=torch.float64) / rate).float()


@pytest.mark.parametrize(("before", "after"), RATES)
def test_tones_pass(before, after):
    lowest = min(before, after)
    for share in (0.05, 0.3, 0.85):
        made = resample(tone(before, share * lowest / 2), before, after)
        expected = tone(after, share * lowest / 2)[: len(made)]
        middle = slice(len(made) // 4, -len(made) // 4)
        assert (made[: len(expected)] - expected)[middle].abs().max() < 1e-3, share


@pytest.mark.parametrize(("before", "after"), [(16000, 8000), (44100, 16000), (48000, 8000)])
def test_what_the_lower_rate_cannot_hold_is_taken_out(before, after):
    for share in (1.03, 1.3, 1.9):
        made = resample(tone(before, min(share * after / 2, before * 0.49)), before, after)
        assert made[len(made) // 4 : -len(made) // 4].abs().max() < 2e-3, share


@pytest.mark.parametrize(("before", "after"), RATES)
@pytest.mark.parametrize("size", [1, 77, 1000])
def test_pieces_are_the_whole(before, after, size):
    count = 150 if size == 1 else 3001
    samples = torch.rand(count, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = resample(samples, before, after)
    assert len(whole) == math.ceil(len(samples) * after / before)
    resampler = Resampler(before, after)
    for _ in range(2):  # flush begins anew
        pieces = [resampler.push(piece) for piece in samples.split(size)] + [resampler.flush()]
        torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-6, rtol=0)


def test_a_stream_answers_soon():
    resampler = Resampler(16000, 8000)
    made = sum(len(resampler.push(piece)) for piece in torch.randn(1600).split(160))
    assert 800 - 52 <= made < 800


def test_a_stream_goes_on_elsewhere():
    samples = torch.rand(500)
    first, second = Resampler(8000, 11025), Resampler(8000, 11025)
    begun = first.push(samples[:321])
    second.load_state_dict(first.state_dict())
    made = torch.cat([begun, second.push(samples[321:]), second.flush()])
    torch.testing.assert_close(made, resample(samples, 8000, 11025), atol=1e-6, rtol=0)


def test_a_constant_stays_and_short_sound_keeps_its_length():
    made = resample(torch.full((4000,), 0.25), 44100, 16000)
    assert (made[200:-200] - 0.25).abs().max() < 1e-6
    assert resample(torch.ones(1), 8000, 16000).shape == (2,)
    assert resample(torch.zeros(3, 0), 8000, 16000).shape == (3, 0)
    assert Resampler(8000, 16000).flush().shape == (0,)


def test_batches_types_and_gradients():
    samples = torch.randn(2, 3, 200, dtype=torch.float64)
    made = resample(samples, 8000, 16000)
    assert made.dtype == torch.float64
    torch.testing.assert_close(made[1, 2], resample(samples[1, 2], 8000, 16000))
    torch.testing.assert_close(made.float(), resample(samples.float(), 8000, 16000), atol=1e-5, rtol=1e-5)
    samples = torch.randn(50, requires_grad=True)
    resample(samples, 8000, 16000).sum().backward()
    assert samples.grad is not None
    same = torch.randn(5)
    assert torch.equal(resample(same, 16000, 16000), same)
    assert torch.equal(Resampler(16000, 16000).push(same), same)


def test_errors():
    for rate in (0, -8000, 8000.5, None):
        with pytest.raises(ConfigError, match="to_rate"):
            resample(torch.zeros(3), 8000, rate)
        with pytest.raises(ConfigError, match="from_rate"):
            Resampler(rate, 8000)
    with pytest.raises(ShapeError, match=r"torch\.int16; expected floats"):
        resample(torch.zeros(3, dtype=torch.int16), 8000, 16000)
    with pytest.raises(ShapeError, match=r"expected \[n\]"):
        Resampler(8000, 16000).push(torch.zeros(1, 3))
