"""Log-mel energies and cepstral coefficients of sound, of the whole or of pieces as they come, by the same code.

The features are those of Kaldi (Povey et al. 2011; `compute-fbank-feats`, `compute-mfcc-feats`) with its frames
(`snip_edges`): frame t holds the samples from t hop on, and none behind its window. So a stream waits for no more than
one window. Each frame loses its mean, is pre-emphasised, and is multiplied by Povey's window, a Hann window to the
power 0.85. The mel scale is 1127 ln(1 + f / 700).

Legend: B batch, N samples, T frames, M mel bands or coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from ...errors import ConfigError, ShapeError, check_choice, check_number, check_whole, suggest

_BLOCK = 256  # frames that are computed at once
_FEW = 500_000  # multiplications up to which a product is faster than a Fourier transform


@dataclass(frozen=True)
class FeatureSettings:
    """What features are made of sound.

    Attributes:
        kind: "logmel", the logarithms of the energies of mel bands; or "mfcc", the cosine transform of these.
        rate: samples a second of the sound.
        window_ms: the length of a frame in milliseconds.
        hop_ms: from one frame to the next, in milliseconds.
        bands: M, the number of mel bands; None: 80, and 40 for rates below 16,000.
        low_hz: where the lowest band begins.
        high_hz: where the highest band ends; None: half of the rate.
        preemphasis: x[n] − preemphasis x[n − 1] replaces x[n] within a frame.
        dither: the standard deviation of noise that is added to the samples, such as 1 / 32768. Streams then differ
            from the whole, because the noise does.
        floor: the least energy. The default is that of Kaldi; for samples from −1 to 1 it is about the noise of 16
            bits, so that digital silence does not differ from silence.
        ceps: the coefficients of "mfcc", the zeroth among them.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> settings = FeatureSettings(rate=8000)
        >>> settings.size, settings.window, settings.hop
        (40, 200, 80)
        >>> FeatureSettings.from_json(settings.to_json()) == settings
        True
    """

    kind: Literal["logmel", "mfcc"] = "logmel"
    rate: int = 16000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    bands: int | None = None
    low_hz: float = 20.0
    high_hz: float | None = None
    preemphasis: float = 0.97
    dither: float = 0.0
    floor: float = 1.1920928955078125e-07
    ceps: int = 13

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", ("logmel", "mfcc"))
        check_whole(self.rate, "rate")
        check_number(self.window_ms, "window_ms", above=0)
        check_number(self.hop_ms, "hop_ms", above=0)
        check_whole(self.bands, "bands", 2, optional=True)
        check_number(self.high_hz, "high_hz", above=0, optional=True)
        check_number(self.low_hz, "low_hz", below=self.top_hz)
        check_number(self.preemphasis, "preemphasis", below=1)
        check_number(self.dither, "dither")
        check_number(self.floor, "floor", above=0)
        check_whole(self.ceps, "ceps")
        if self.top_hz > self.rate / 2:
            raise ConfigError.of("high_hz", self.high_hz, f"expected at most {self.rate / 2:g}, half of the rate")
        if self.window < 2:
            raise ConfigError.of("window_ms", self.window_ms, "expected at least the time of two samples")
        if self.hop < 1:
            raise ConfigError.of("hop_ms", self.hop_ms, "expected at least the time of one sample")
        if self.kind == "mfcc" and self.ceps > self.mel_bands:
            raise ConfigError.of("ceps", self.ceps, f"expected at most {self.mel_bands}, the number of bands")

    @property
    def window(self) -> int:
        """The samples of a frame."""
        return int(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """The samples from one frame to the next."""
        return int(self.rate * self.hop_ms / 1000)

    @property
    def mel_bands(self) -> int:
        """The number of mel bands, also behind "mfcc"."""
        return self.bands if self.bands is not None else 40 if self.rate < 16000 else 80

    @property
    def top_hz(self) -> float:
        """Where the highest band ends."""
        return self.rate / 2 if self.high_hz is None else self.high_hz

    @property
    def size(self) -> int:
        """M, the numbers a frame."""
        return self.ceps if self.kind == "mfcc" else self.mel_bands

    def to_json(self) -> dict[str, Any]:
        """Return the settings as values of JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FeatureSettings:
        """Return the settings that `to_json` wrote.

        Raises:
            ConfigError: a name or a value that does not exist.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError(f"there is no setting {name!r} of features{suggest(name, known)}")
        return cls(**values)


class Features(nn.Module):
    """Compute features of waveforms; `stream` does the same with pieces as they come.

    Args:
        settings: what is computed; None: the defaults, 80 log-mel bands at 16 kHz.

    Raises:
        ConfigError: the bands are so narrow that one holds no frequency of the spectrum.

    Example:
        >>> features = Features(FeatureSettings(rate=8000))
        >>> features(torch.randn(8000)).shape, features(torch.randn(4, 8000)).shape, features.frames(8000)
        (torch.Size([98, 40]), torch.Size([4, 98, 40]), 98)
    """

    def __init__(self, settings: FeatureSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or FeatureSettings()
        steps = torch.arange(settings.window, dtype=torch.float64) / (settings.window - 1)
        hann = 0.5 - 0.5 * torch.cos(2 * math.pi * steps)
        self._points = 1 << (settings.window - 1).bit_length()
        self._bins = self._points // 2  # the last one, of half the rate, belongs to no band
        window = hann**0.85
        # Both parts of a frequency have its weight in a band.
        mel = mel_bank(settings, self._points).repeat_interleave(2, 0)
        # The spectrum is linear in the samples: those of single samples make that of a few frames, by one product.
        waves = self._spectrum(torch.eye(settings.window, dtype=torch.float64), window).flatten(-2)
        # No buffers: model.half() must not round them, and the settings make them again.
        self._constants = (window, mel, _cosine_transform(settings), waves)
        self._on_device: dict[torch.device, tuple[Tensor, ...]] = {}

    @property
    def size(self) -> int:
        """M, the numbers a frame."""
        return self.settings.size

    @overload
    def frames(self, samples: int) -> int: ...

    @overload
    def frames(self, samples: Tensor) -> Tensor: ...

    def frames(self, samples: int | Tensor) -> int | Tensor:
        """Return the number of frames of a number of samples, or of each of several.

        Sound shorter than a window has one frame, no sound none.
        """
        window, hop = self.settings.window, self.settings.hop
        if isinstance(samples, Tensor):
            counts = torch.div(samples - window, hop, rounding_mode="floor") + 1
            return torch.where(samples < 1, 0, counts.clamp(min=1))
        return 0 if samples < 1 else 1 if samples < window else 1 + (samples - window) // hop

    def forward(self, samples: Tensor) -> Tensor:
        """Return the features of waveforms.

        Args:
            samples: [N] or [B, N], floats from −1 to 1. Rows of unequal length are padded at their end; `frames` tells
                how many frames of each row count.

        Returns:
            [T, M] or [B, T, M], float32. A waveform shorter than a window is padded with zeros to one frame.

        Raises:
            ShapeError: another number of dimensions, or samples that are no floats.
        """
        _check(samples, (1, 2), "[N] or [B, N]")
        window, hop = self.settings.window, self.settings.hop
        count = samples.shape[-1]
        if count and count < window:
            samples = nn.functional.pad(samples, (0, window - count))
        if not count:
            return torch.zeros(*samples.shape[:-1], 0, self.size, device=samples.device)
        return self._of_frames(samples.unfold(-1, window, hop))

    def stream(self) -> FeatureStream:
        """Return an object that takes samples piece by piece; see `FeatureStream`."""
        return FeatureStream(self)

    def _of_frames(self, frames: Tensor) -> Tensor:
        """Return the features [..., T, M] of frames [..., T, window]."""
        # Each block computes alone, so that long sound needs no memory for all of its spectra.
        parts = [self._of_block(block) for block in frames.split(_BLOCK, -2)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -2)

    def _of_block(self, frames: Tensor) -> Tensor:
        # In float64, because the Fourier transform of float32 rounds otherwise for other numbers of frames, which the
        # logarithm of a weak band shows.
        window, mel, cosines, waves = self._placed(frames.device)
        values = frames.to(window)
        if self.settings.dither:
            values = values + self.settings.dither * torch.randn_like(values)
        few = values.shape[:-1].numel() * waves.numel() <= _FEW
        parts = values @ waves if few else self._spectrum(values, window).flatten(-2)
        energies = (parts.square() @ mel).clamp(min=self.settings.floor).log()
        if self.settings.kind == "mfcc":
            energies = energies @ cosines
        return energies.float()

    def _spectrum(self, frames: Tensor, window: Tensor) -> Tensor:
        """Return the real and the imaginary part of each frequency of frames, [..., points / 2, 2]."""
        frames = frames - frames.mean(-1, keepdim=True)
        first = frames[..., :1] * (1 - self.settings.preemphasis)  # as if the sample before were the same
        rest = torch.add(frames[..., 1:], frames[..., :-1], alpha=-self.settings.preemphasis)
        spectrum = torch.fft.rfft(torch.cat([first, rest], -1) * window, self._points)
        return torch.view_as_real(spectrum[..., : self._bins])

    def _placed(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return the constants on a device; MPS has no float64."""
        if device not in self._on_device:
            precise = torch.float32 if device.type == "mps" else torch.float64
            self._on_device[device] = tuple(one.to(device, precise) for one in self._constants)
        return self._on_device[device]

    def extra_repr(self) -> str:
        """Return the settings, for printing."""
        return f"{self.settings.kind}, rate={self.settings.rate}, size={self.size}"


class FeatureStream:
    """Make features of sound that comes in pieces of any size: `push`, and `flush` at the end.

    The frames that come out, joined, are what `Features` makes of the samples, joined, to 1e-5.

    Args:
        features: what makes them; ``features.stream()`` is the same.

    Example:
        >>> features = Features(FeatureSettings(rate=8000))
        >>> sound = torch.randn(1000)
        >>> stream = features.stream()
        >>> pieces = [stream.push(piece) for piece in sound.split(33)] + [stream.flush()]
        >>> torch.allclose(torch.cat(pieces), features(sound), atol=1e-5)
        True
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self.reset()

    def reset(self) -> None:
        """Reset to the beginning of a stream."""
        self._kept = torch.zeros(0)
        self._begun = False
        self._skip = 0  # samples to come that lie between two frames

    def push(self, samples: Tensor) -> Tensor:
        """Return the frames [t, M] that the samples [n] complete; t may be 0.

        Raises:
            ShapeError: another number of dimensions, or samples that are no floats.
        """
        _check(samples, (1,), "[n]")
        settings = self.features.settings
        kept = torch.cat([self._kept.to(samples), samples[self._skip :]])
        self._skip -= min(self._skip, len(samples))
        if len(kept) < settings.window:
            self._kept = kept
            return torch.zeros(0, self.features.size, device=samples.device)
        self._begun = True
        count = self.features.frames(len(kept))
        self._kept = kept[count * settings.hop :].clone()
        self._skip = max(count * settings.hop - len(kept), 0)
        made: Tensor = self.features(kept)
        return made

    def flush(self) -> Tensor:
        """Return the last frames [t, M], and reset: one where all sound is shorter than a window, else none."""
        kept, begun = self._kept, self._begun
        self.reset()
        made: Tensor = self.features(kept[:0] if begun else kept)
        return made

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere."""
        return {"kept": self._kept.clone(), "begun": self._begun, "skip": self._skip}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream of the same features stood."""
        self._kept, self._begun, self._skip = state["kept"].clone(), bool(state["begun"]), int(state["skip"])


def mel_bank(settings: FeatureSettings, points: int) -> Tensor:
    """Return the weight of each frequency of a spectrum in each mel band: triangles on the mel scale.

    Args:
        settings: the bands.
        points: of the Fourier transform.

    Returns:
        [points / 2, bands], float64.

    Raises:
        ConfigError: a band holds no frequency.

    Example:
        >>> mel_bank(FeatureSettings(rate=8000), 256).shape
        torch.Size([128, 40])
    """
    bands = settings.mel_bands
    low, high = _mel(settings.low_hz), _mel(settings.top_hz)
    frequencies = torch.arange(points // 2, dtype=torch.float64) * settings.rate / points
    mels = (1127.0 * torch.log1p(frequencies / 700.0))[:, None]
    edges = low + (high - low) / (bands + 1) * torch.arange(bands + 2, dtype=torch.float64)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = torch.minimum((mels - left) / (centre - left), (right - mels) / (right - centre)).clamp(min=0)
    empty = (weights.sum(0) == 0).nonzero().flatten().tolist()
    if empty:
        raise ConfigError.of(
            "bands",
            bands,
            f"expected fewer, or a longer window_ms: {len(empty)} bands hold no frequency of the spectrum",
        )
    return weights


def _mel(hertz: float) -> float:
    return 1127.0 * math.log1p(hertz / 700.0)


def _cosine_transform(settings: FeatureSettings) -> Tensor:
    """Return the orthonormal DCT-II and Kaldi's lifter of 22, [bands, ceps]."""
    bands = settings.mel_bands
    orders = torch.arange(min(settings.ceps, bands), dtype=torch.float64)
    places = torch.arange(bands, dtype=torch.float64)[:, None]
    matrix = math.sqrt(2 / bands) * torch.cos(math.pi / bands * (places + 0.5) * orders)
    matrix[:, 0] = math.sqrt(1 / bands)
    return matrix * (1 + 11 * torch.sin(math.pi * orders / 22))


def _check(samples: Tensor, dimensions: tuple[int, ...], expected: str) -> None:
    if not isinstance(samples, Tensor):
        raise ShapeError(
            f"samples are a {type(samples).__name__}; expected a tensor {expected}: type torch.as_tensor(samples)"
        )
    if samples.ndim not in dimensions:
        raise ShapeError.of("samples", list(samples.shape), f"; expected {expected}")
    if not samples.is_floating_point():
        whole = samples.dtype == torch.int16
        advice = "samples / 32768" if whole else "floats from -1 to 1"
        raise ShapeError(f"samples are {samples.dtype}; expected floats from -1 to 1: type {advice}")
