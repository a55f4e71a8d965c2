"""Vary waveforms and features while training, so that a network learns what does not change the words.

Speed: Ko et al. 2015. SpecAugment: Park et al. 2019. Mel warp: vocal tract length perturbation, Jaitly & Hinton 2013.
Rooms: noise that decays exponentially (Polack 1988) behind a direct sound.

Legend: N samples, T frames, M mel bands. Each object is called as ``(tensor, generator)``: equal seeds give equal
sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, ShapeError, check_number, check_whole
from .resampling import resample
from .waveforms import Waveform

_SPEED_STEP = 100  # speeds are rounded to hundredths, whose filters are kept


@dataclass(frozen=True, eq=False)
class WaveAugment:
    """Vary waveforms: speed, room, noise, tilt and gain, in this order; each is drawn again for each call.

    Attributes:
        rate: samples a second.
        speed: (lowest, highest) factor; length and pitch change. (1, 1): none.
        room_probability: how often there is a room.
        room_seconds: (shortest, longest) time in which the sound of the room falls by 60 dB.
        room_db: (lowest, highest) ratio of the direct sound to that of the room.
        noise_probability: how often there is noise.
        noise_db: (lowest, highest) ratio of the signal to the noise, by their energies over the whole waveform.
        noises: waveforms of noise, such as of a street; a part of one is drawn. Without any, noise is made: its power
            falls with the frequency as f to a power from 0 (white) to −2 (brown).
        tilt_db: the most that the highest frequencies are raised or lowered against the lowest.
        gain_db: (lowest, highest) gain. What then exceeds 1 is brought back to 1 as a whole.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> augment = WaveAugment(rate=8000, speed=(0.9, 1.1), noise_probability=1.0, noise_db=(10.0, 20.0))
        >>> samples = torch.sin(torch.arange(8000) * 0.2) / 2
        >>> varied = augment(samples, torch.Generator().manual_seed(1))
        >>> 7200 < len(varied) < 8900, bool(varied.abs().max() <= 1)
        (True, True)
        >>> torch.equal(varied, augment(samples, torch.Generator().manual_seed(1)))
        True
    """

    rate: int = 16000
    speed: tuple[float, float] = (1.0, 1.0)
    room_probability: float = 0.0
    room_seconds: tuple[float, float] = (0.1, 0.6)
    room_db: tuple[float, float] = (0.0, 15.0)
    noise_probability: float = 0.0
    noise_db: tuple[float, float] = (5.0, 30.0)
    noises: Sequence[Waveform] = ()
    tilt_db: float = 0.0
    gain_db: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_whole(self.rate, "rate")
        _check_range(self.speed, "speed", above=0.0)
        _check_range(self.room_seconds, "room_seconds", above=0.0)
        for name in ("room_db", "noise_db", "gain_db"):
            _check_range(getattr(self, name), name)
        for name in ("room_probability", "noise_probability"):
            _check_share(getattr(self, name), name)
        check_number(self.tilt_db, "tilt_db")
        for noise in self.noises:
            if not noise.samples.shape[-1]:
                raise ConfigError("a noise of 0 samples arrived; expected at least one")

    def __call__(self, samples: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return a varied waveform.

        Args:
            samples: [N], floats from −1 to 1.
            generator: of random numbers, on the CPU; None: the global one.

        Returns:
            [N'], from −1 to 1; N' differs from N where the speed does.

        Raises:
            ShapeError: samples are no floats [N].
        """
        if samples.ndim != 1 or not samples.is_floating_point():
            raise ShapeError.of("samples", list(samples.shape), f" and the type {samples.dtype}; expected floats [N]")
        if not len(samples):
            return samples
        samples = change_speed(samples, _between(self.speed, generator))
        if _happens(self.room_probability, generator):
            seconds, ratio = _between(self.room_seconds, generator), _between(self.room_db, generator)
            samples = add_room(samples, make_room(self.rate, seconds, ratio, generator))
        if _happens(self.noise_probability, generator):
            samples = add_noise(samples, self._noise(len(samples), generator), _between(self.noise_db, generator))
        if self.tilt_db:
            samples = tilt(samples, _between((-self.tilt_db, self.tilt_db), generator))
        gain = 10 ** (_between(self.gain_db, generator) / 20)
        samples = samples * gain
        return samples / samples.abs().max().clamp(min=1)

    def _noise(self, count: int, generator: torch.Generator | None) -> Tensor:
        if not self.noises:
            return coloured_noise(count, _between((-2.0, 0.0), generator), generator)
        noise = self.noises[int(torch.randint(len(self.noises), (), generator=generator))].resampled(self.rate).samples
        noise = noise if noise.ndim == 1 else noise.mean(0)
        begin = int(torch.randint(len(noise), (), generator=generator))
        repeats = -(-(begin + count) // len(noise))
        return noise.repeat(repeats)[begin : begin + count]


@dataclass(frozen=True)
class SpecAugment:
    """Hide bands and stretches of time of features, and warp the mel axis.

    Attributes:
        bands: how many stretches of bands are hidden.
        band_width: the most bands of one; each width from 0 is as likely.
        times: how many stretches of time are hidden.
        time_width: the most frames of one.
        time_share: the most of all frames of one, whatever `time_width` is.
        warp: (lowest, highest) factor by which frequencies are stretched: see `warp_mel`. (1, 1): none.
        low_hz, high_hz: what the bands reach from and to, for `warp`.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> augment = SpecAugment(bands=1, band_width=8, times=1, time_width=20)
        >>> features = torch.randn(100, 40)
        >>> varied = augment(features, torch.Generator().manual_seed(3))
        >>> varied.shape, bool((varied != features).any())
        (torch.Size([100, 40]), True)
    """

    bands: int = 2
    band_width: int = 10
    times: int = 2
    time_width: int = 40
    time_share: float = 0.2
    warp: tuple[float, float] = (1.0, 1.0)
    low_hz: float = 20.0
    high_hz: float = 8000.0

    def __post_init__(self) -> None:
        for name in ("bands", "band_width", "times", "time_width"):
            check_whole(getattr(self, name), name, 0)
        _check_share(self.time_share, "time_share")
        _check_range(self.warp, "warp", above=0.0)
        check_number(self.high_hz, "high_hz", above=0)
        check_number(self.low_hz, "low_hz", below=self.high_hz)

    def __call__(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return varied features.

        Args:
            features: [T, M].
            generator: of random numbers, on the CPU; None: the global one.

        Returns:
            [T, M]; what is hidden is the mean of each band over time.

        Raises:
            ShapeError: features are not [T, M].
        """
        if features.ndim != 2:
            raise ShapeError.of("features", list(features.shape), "; expected [T, M]")
        if not features.numel():
            return features
        factor = _between(self.warp, generator)
        if factor != 1:
            features = warp_mel(features, factor, self.low_hz, self.high_hz)
        frames, bands = features.shape
        hidden = torch.zeros(frames, bands, dtype=torch.bool)
        for _ in range(self.bands):
            begin, end = _stretch(bands, min(self.band_width, bands), generator)
            hidden[:, begin:end] = True
        for _ in range(self.times):
            begin, end = _stretch(frames, min(self.time_width, int(self.time_share * frames)), generator)
            hidden[begin:end] = True
        return torch.where(hidden.to(features.device), features.mean(0), features)


def change_speed(samples: Tensor, factor: float) -> Tensor:
    """Play samples faster or slower; the pitch changes with the speed.

    Args:
        samples: [..., N].
        factor: 1.1 is 10% faster and shorter; hundredths count.

    Returns:
        [..., ceil(N / factor)].

    Example:
        >>> change_speed(torch.randn(1100), 1.1).shape
        torch.Size([1000])
    """
    check_number(factor, "factor", above=0)
    steps = max(round(factor * _SPEED_STEP), 1)
    return samples if steps == _SPEED_STEP else resample(samples, steps, _SPEED_STEP)


def add_noise(samples: Tensor, noise: Tensor, db: float) -> Tensor:
    """Add noise of a signal-to-noise ratio: 10 log10 of the signal's energy by the noise's.

    Args:
        samples, noise: [N] both.
        db: the ratio in dB. Silence stays as it is, because there is no ratio to it.

    Raises:
        ShapeError: the lengths differ.

    Example:
        >>> signal, noise = torch.ones(1000), torch.randn(1000)
        >>> added = add_noise(signal, noise, 20.0) - signal
        >>> round(float(10 * torch.log10(signal.square().mean() / added.square().mean())), 3)
        20.0
    """
    if samples.shape != noise.shape:
        raise ShapeError.of("noise", list(noise.shape), f"; expected {list(samples.shape)} as the samples have")
    noise = noise.to(samples)
    signal, power = samples.double().square().mean(), noise.double().square().mean()
    if not signal > 0 or not power > 0:
        return samples
    scale = (signal / power / 10 ** (db / 10)).sqrt().to(samples)
    return samples + scale * noise


def coloured_noise(count: int, exponent: float, generator: torch.Generator | None = None) -> Tensor:
    """Make noise whose power falls with the frequency f as f to the `exponent`, [count], of energy 1 a sample.

    Args:
        count: the samples.
        exponent: 0 is white, −1 pink, −2 brown.
        generator: of random numbers; None: the global one.

    Example:
        >>> noise = coloured_noise(4096, -1.0, torch.Generator().manual_seed(0))
        >>> noise.shape, round(float(noise.square().mean()), 3)
        (torch.Size([4096]), 1.0)
    """
    points = 1 << max(count - 1, 1).bit_length()
    white = torch.randn(points, generator=generator)
    frequencies = torch.arange(points // 2 + 1, dtype=torch.float32) / points
    # Below 0.5% of the rate the power stays: brown noise would else be a swing that nobody hears.
    frequencies = (frequencies / 0.005).clamp(min=1)
    shaped: Tensor = torch.fft.irfft(torch.fft.rfft(white) * frequencies ** (exponent / 2), points)[:count]
    return shaped / shaped.square().mean().sqrt().clamp(min=1e-12)


def make_room(rate: int, seconds: float, db: float, generator: torch.Generator | None = None) -> Tensor:
    """Make the impulse response of a room: the direct sound 1, then noise that falls by 60 dB.

    Args:
        rate: samples a second.
        seconds: in which the sound falls by 60 dB.
        db: ratio of the energy of the direct sound to that of the rest.
        generator: of random numbers; None: the global one.

    Returns:
        [n], the first sample 1.

    Example:
        >>> room = make_room(8000, 0.2, 5.0, torch.Generator().manual_seed(0))
        >>> room.shape, float(room[0]), round(float(-10 * torch.log10(room[1:].square().sum())), 3)
        (torch.Size([1600]), 1.0, 5.0)
    """
    count = max(int(rate * seconds), 2)
    decay = torch.exp(-3 * math.log(10) / count * torch.arange(count))
    tail = torch.randn(count, generator=generator) * decay
    tail[: max(int(rate * 0.002), 1)] = 0  # the first wall is at least 70 cm away
    energy = tail.square().sum()
    if energy > 0:
        tail = tail * (10 ** (-db / 10) / energy).sqrt()
    tail[0] = 1
    return tail


def add_room(samples: Tensor, response: Tensor) -> Tensor:
    """Return the sound [N] in a room, by the convolution with its impulse response [n].

    The sound keeps its length and its energy; what a room adds behind the end is cut.

    Example:
        >>> add_room(torch.tensor([0.5, 0.0, 0.0]), torch.tensor([1.0, 0.0])).tolist()
        [0.5, 0.0, 0.0]
    """
    count = len(samples)
    points = 1 << (count + len(response) - 1).bit_length()
    spectrum = torch.fft.rfft(samples.double(), points) * torch.fft.rfft(response.to(samples).double(), points)
    made: Tensor = torch.fft.irfft(spectrum, points)[:count]
    energy = made.square().sum()
    if energy > 0:
        made = made * (samples.double().square().sum() / energy).sqrt()
    return made.to(samples)


def tilt(samples: Tensor, db: float) -> Tensor:
    """Raise or lower the high frequencies, as other microphones do, by y[n] = x[n] + c x[n − 1] of the same energy.

    Args:
        samples: [N].
        db: of the highest frequency against the lowest; above 0 the sound is brighter.

    Example:
        >>> bright = tilt(torch.tensor([1.0, 0.0, 0.0, 0.0]), 6.0)
        >>> spectrum = torch.fft.rfft(bright).abs()
        >>> round(float(20 * torch.log10(spectrum[2] / spectrum[0])), 3)
        6.0
    """
    ratio = 10 ** (db / 20)
    weight = (1 - ratio) / (1 + ratio)
    before = torch.cat([samples.new_zeros(1), samples[:-1]])
    made = samples + weight * before
    energy = made.square().sum()
    return made * (samples.square().sum() / energy).sqrt() if energy > 0 else made


def warp_mel(features: Tensor, factor: float, low_hz: float = 20.0, high_hz: float = 8000.0) -> Tensor:
    """Stretch the frequencies of mel features, as a shorter or a longer vocal tract does.

    What lay at the frequency f comes to `factor` f, up to 0.85 of the highest frequency; the rest is stretched the
    other way, so that the highest frequency stays. Between bands the features are interpolated linearly.

    Args:
        features: [..., M], log-mel; not MFCC.
        factor: above 1 frequencies rise.
        low_hz, high_hz: what the bands reach from and to.

    Returns:
        [..., M].

    Example:
        >>> features = torch.zeros(1, 40)
        >>> features[0, 10] = 1.0
        >>> int(warp_mel(features, 1.2, 20.0, 4000.0).argmax())
        12
    """
    check_number(factor, "factor", above=0)
    bands = features.shape[-1]
    low, high = (1127 * math.log1p(hertz / 700) for hertz in (low_hz, high_hz))
    step = (high - low) / (bands + 1)
    centres = 700 * torch.expm1((low + step * torch.arange(1, bands + 1, dtype=torch.float64)) / 1127)
    # The corner lies where both the source and the target stay below the highest frequency.
    corner = 0.85 * high_hz * min(1.0, 1 / factor) * factor
    rising = centres / factor
    slope = (high_hz - corner / factor) / (high_hz - corner)
    source = torch.where(centres <= corner, rising, high_hz - slope * (high_hz - centres))
    places = ((1127 * torch.log1p(source.clamp(min=0) / 700) - low) / step - 1).clamp(0, bands - 1)
    left = places.floor().long().clamp(max=max(bands - 2, 0))
    share = (places - left).to(features)
    right = (left + 1).clamp(max=bands - 1)
    left, right = left.to(features.device), right.to(features.device)
    return features[..., left] * (1 - share) + features[..., right] * share


def _between(ends: tuple[float, float], generator: torch.Generator | None) -> float:
    """Return a number between two; one is drawn even where both are alike, so that the others stay the same."""
    low, high = ends
    return low + (high - low) * float(torch.rand((), generator=generator))


def _happens(probability: float, generator: torch.Generator | None) -> bool:
    return float(torch.rand((), generator=generator)) < probability


def _stretch(size: int, most: int, generator: torch.Generator | None) -> tuple[int, int]:
    width = int(torch.randint(most + 1, (), generator=generator))
    begin = int(torch.randint(size - width + 1, (), generator=generator))
    return begin, begin + width


def _check_share(value: Any, name: str) -> None:
    check_number(value, name)
    if value > 1:
        raise ConfigError.of(name, value, "expected a number from 0 to 1")


def _check_range(value: Any, name: str, above: float | None = None) -> None:
    pair = isinstance(value, tuple | list) and len(value) == 2
    numbers = pair and all(isinstance(one, int | float) and math.isfinite(one) for one in value)
    if not numbers or value[0] > value[1] or (above is not None and value[0] <= above):
        least = "" if above is None else f" above {above:g}"
        raise ConfigError.of(name, value, f"expected (lowest, highest), two numbers{least}")
