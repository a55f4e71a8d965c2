"""Change the rate of samples: band-limited interpolation by a windowed sinc, of the whole or of pieces as they come.

Smith, "Digital Audio Resampling" (2002), with a Kaiser window. With rates L : M in lowest terms, the output n lies at
the input n M / L; its K taps around there are those of phase (n M) mod L.

Legend: N input samples, L up, M down, K taps.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...errors import ShapeError, check_whole

_ZEROS = 48  # zero crossings of the sinc on each side
_BETA = 8.0  # of the Kaiser window: what is taken out lies 80 dB below
_ROLLOFF = 0.945  # the edge of the band, as a share of the lower Nyquist frequency
_LARGEST = 1 << 21  # entries of the matrix that makes L outputs of a block at once
_BLOCK = 1 << 12  # outputs whose taps are gathered at once


def resample(samples: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the rate of samples.

    Args:
        samples: [..., N], floats.
        from_rate: their samples a second.
        to_rate: those of what is returned.

    Returns:
        [..., ceil(N to_rate / from_rate)], of the same type. Frequencies above half the lower rate are taken out. The
        band below 0.88 of it passes to 0.1%.

    Raises:
        ConfigError: a rate is no whole number of at least 1.
        ShapeError: samples are no floats, or have no dimension.

    Example:
        >>> seconds = torch.arange(16000) / 16000
        >>> tone = torch.sin(2 * math.pi * 440 * seconds)
        >>> half = resample(tone, 16000, 8000)
        >>> half.shape, bool((half - tone[::2])[200:-200].abs().max() < 1e-3)
        (torch.Size([8000]), True)
    """
    filters = _filters(*_ratio(from_rate, to_rate))
    _check(samples)
    if filters is None:
        return samples
    count = filters.outputs(samples.shape[-1])
    flat = samples.reshape(math.prod(samples.shape[:-1]), samples.shape[-1])
    # Zeros stand before and behind, so that each output has all its taps.
    padded = torch.nn.functional.pad(flat, (filters.half - 1, filters.half + filters.down))
    return filters.apply(padded, 0, count).reshape(*samples.shape[:-1], count)


class Resampler:
    """Change the rate of samples that come in pieces.

    The pieces that come out, joined, are what `resample` makes of the pieces that went in, joined, to 1e-6 (of samples
    from −1 to 1). An output
    waits for 51 samples of the lower rate behind it.

    Args:
        from_rate: samples a second of what is pushed.
        to_rate: those of what is returned.

    Raises:
        ConfigError: a rate is no whole number of at least 1.

    Example:
        >>> tone = torch.sin(torch.arange(1000) * 0.1)
        >>> resampler = Resampler(8000, 16000)
        >>> pieces = [resampler.push(piece) for piece in tone.split(77)] + [resampler.flush()]
        >>> torch.allclose(torch.cat(pieces), resample(tone, 8000, 16000), atol=1e-6)
        True
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate, self.to_rate = from_rate, to_rate
        self._filters = _filters(*_ratio(from_rate, to_rate))
        self.reset()

    def reset(self) -> None:
        """Reset to the beginning of a stream."""
        half = 1 if self._filters is None else self._filters.half
        self._kept = torch.zeros(half - 1)  # samples that outputs to come need
        self._first = 0  # the place of the first of them, in padded samples
        self._received = 0
        self._made = 0

    def push(self, samples: Tensor) -> Tensor:
        """Return the outputs that the samples [n] complete."""
        _check(samples)
        if samples.ndim != 1:
            raise ShapeError.of("samples", list(samples.shape), "; expected [n]")
        if self._filters is None:
            return samples
        self._received += len(samples)
        self._kept = torch.cat([self._kept.to(samples), samples])
        # Output n needs padded samples up to n M // L + K - 1.
        filters = self._filters
        reach = self._first + len(self._kept) - 2 * filters.half
        ready = ((reach + 1) * filters.up - 1) // filters.down + 1 if reach >= 0 else 0
        return self._make(min(ready, filters.outputs(self._received)))

    def flush(self) -> Tensor:
        """Return the outputs that are left, with zeros behind the last sample, and reset the stream."""
        if self._filters is None:
            return torch.zeros(0)
        filters = self._filters
        self._kept = torch.nn.functional.pad(self._kept, (0, filters.half + filters.down))
        made = self._make(filters.outputs(self._received))
        self.reset()
        return made

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere."""
        return {"kept": self._kept.clone(), "first": self._first, "received": self._received, "made": self._made}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another stream with the same rates stood."""
        self._kept = state["kept"].clone()
        self._first, self._received, self._made = (int(state[name]) for name in ("first", "received", "made"))

    def _make(self, until: int) -> Tensor:
        """Return the outputs up to one, and forget the samples that no later output needs."""
        filters = self._filters
        assert filters is not None
        if until <= self._made:
            return self._kept[:0]
        made = filters.gathered(self._kept[None], self._made, until - self._made, self._first)[0]
        self._made = until
        first = until * filters.down // filters.up
        drop = min(max(first - self._first, 0), len(self._kept))
        self._kept, self._first = self._kept[drop:], self._first + drop
        return made


def _check(samples: Tensor) -> None:
    if not isinstance(samples, Tensor) or not samples.is_floating_point() or samples.ndim < 1:
        shape = list(getattr(samples, "shape", ()))
        found = getattr(samples, "dtype", type(samples).__name__)
        raise ShapeError.of("samples", shape, f" and the type {found}; expected floats [..., N], from -1 to 1")


def _ratio(from_rate: int, to_rate: int) -> tuple[int, int]:
    check_whole(from_rate, "from_rate")
    check_whole(to_rate, "to_rate")
    common = math.gcd(int(from_rate), int(to_rate))
    return int(to_rate) // common, int(from_rate) // common


class _Filters:
    """The taps of each phase, [L, K], for padded samples: K/2 − 1 zeros stand before the first sample."""

    def __init__(self, up: int, down: int) -> None:
        self.up, self.down = up, down
        self.cutoff = _ROLLOFF * min(1.0, up / down)  # as a share of the input's Nyquist frequency
        self.half = math.ceil(_ZEROS / self.cutoff)
        phases = torch.arange(up, dtype=torch.float64) / up
        taps = torch.arange(2 * self.half, dtype=torch.float64) - (self.half - 1)
        self.taps = self._weights(taps - phases[:, None])
        # Several turns of the phases make a block that is about twice as wide as the taps: one matrix product.
        turns = max(1, 2 * self.half // down)
        self.made, self.step = up * turns, down * turns
        self.block: Tensor | None = None
        width = self.step + 2 * self.half
        if self.made * width <= _LARGEST:
            places = torch.arange(self.made) * down
            block = torch.zeros(self.made, width, dtype=torch.float64)
            block.scatter_(1, (places // up)[:, None] + torch.arange(2 * self.half), self.taps[places % up])
            self.block = block.T.float().contiguous()

    def outputs(self, count: int) -> int:
        return -(-count * self.up // self.down)

    def apply(self, padded: Tensor, start: int, count: int) -> Tensor:
        """Return the outputs [B, count] of padded samples [B, n]."""
        if self.block is None or count == 0 or padded.dtype == torch.float64:
            return self.gathered(padded, start, count)
        width = len(self.block)
        blocks = -(-count // self.made)
        padded = torch.nn.functional.pad(padded, (0, max((blocks - 1) * self.step + width - padded.shape[-1], 0)))
        windows = padded.unfold(-1, width, self.step)[:, :blocks]
        return (windows @ self.block.to(padded)).reshape(len(padded), -1)[:, :count]

    def gathered(self, padded: Tensor, start: int, count: int, first: int = 0) -> Tensor:
        """Return outputs, one by one; `first` is the place of the first padded sample."""
        windows = padded.unfold(-1, 2 * self.half, 1) if count else padded[:, :0]
        parts = [padded[:, :0]]
        for begin in range(start, start + count, _BLOCK):
            places = torch.arange(begin, min(begin + _BLOCK, start + count)) * self.down
            taps = self.taps[places % self.up].to(padded)
            parts.append((windows[:, (places // self.up - first).to(padded.device)] * taps).sum(-1))
        return torch.cat(parts, -1)

    def _weights(self, distance: Tensor) -> Tensor:
        scaled = distance * self.cutoff
        inside = (1 - (scaled / _ZEROS) ** 2).clamp(min=0)
        window = torch.special.i0(_BETA * inside.sqrt()) / torch.special.i0(torch.tensor(_BETA, dtype=torch.float64))
        weights: Tensor = torch.sinc(scaled) * window * (scaled.abs() <= _ZEROS)
        return weights / weights.sum(-1, keepdim=True)  # a constant stays what it is


@lru_cache(64)
def _filters(up: int, down: int) -> _Filters | None:
    return None if up == down else _Filters(up, down)
