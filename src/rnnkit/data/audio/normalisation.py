"""Mean 0 and variance 1 of features: by utterance, by a running estimate, or by the training set.

Legend: B batch, T frames, M features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import ConfigError, DataError, ShapeError, check_choice, check_number, check_whole

KINDS = ("utterance", "speaker", "running", "training", "none")
_LEAST = 1e-3  # of a standard deviation: a feature that never changes stays near 0
_BLOCK = 128  # frames of a running estimate that are computed at once


class Heard(NamedTuple):
    """What was heard of a speaker; `FeatureNorm.hear` makes it.

    Attributes:
        frames: how many.
        sums: of the features over these, [M].
        squares: the sums of their squares, [M].

    Example:
        >>> Heard(0, torch.zeros(2), torch.zeros(2)).frames  # nothing
        0
    """

    frames: int
    sums: Tensor
    squares: Tensor


class FeatureNorm(nn.Module):
    """Subtract the mean of each feature, and divide by its standard deviation.

    - "utterance": those of the utterance, so not for streams.
    - "speaker": those of all frames of the speaker that are at hand (`hear`), in place of which the utterance stands
      where none are given; `prior` frames of the training set are added to them. Then the mean of all features of the
      utterance together is subtracted, so that loudness does not matter. No labels are needed. Of single words it
      leaves which bands are strong, which "utterance" takes away. Not for streams.
    - "running": those of the frames up to this one. Each earlier one weighs `decay` times the next, and before them
      stand `prior` frames of the training set's mean and variance:
      w_t = decay w_{t−1} + 1, s_t = decay s_{t−1} + x_t, mean s_t / w_t, and the same with squares. Streams.
    - "training": those of the training set. Streams.
    - "none": nothing is done.

    Args:
        size: M.
        kind: see above.
        prior: frames that the training set's values count for at the beginning ("running", "speaker").
        decay: see above; 0.997 forgets a frame in about 3 seconds at 100 frames a second.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> norm = FeatureNorm(2, "training").fit([torch.tensor([[0.0, 10.0], [2.0, 30.0]])])
        >>> norm(torch.tensor([[1.0, 40.0]]))
        tensor([[0., 2.]])
    """

    mean: Tensor
    std: Tensor
    frames: Tensor

    def __init__(
        self,
        size: int,
        kind: Literal["utterance", "speaker", "running", "training", "none"] = "utterance",
        *,
        prior: float = 100.0,
        decay: float = 0.997,
    ) -> None:
        super().__init__()
        check_whole(size, "size")
        check_choice(kind, "kind", KINDS)
        check_number(prior, "prior", above=0)
        check_number(decay, "decay", above=0)
        if decay > 1:
            raise ConfigError.of("decay", decay, "expected a number above 0 and at most 1")
        self.size, self.kind, self.prior, self.decay = size, kind, float(prior), float(decay)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_buffer("frames", torch.zeros((), dtype=torch.int64))

    @property
    def needs_fit(self) -> bool:
        """Whether the kind uses the training set's mean and variance."""
        return self.kind in ("speaker", "running", "training")

    @property
    def needs_whole(self) -> bool:
        """Whether the kind needs the whole utterance, so that no stream can have it."""
        return self.kind in ("utterance", "speaker")

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called, or its values were loaded."""
        return bool(self.frames > 0)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments; the tensors are in the ``state_dict``."""
        return {"size": self.size, "kind": self.kind, "prior": self.prior, "decay": self.decay}

    def fit(self, features: Iterable[Tensor]) -> FeatureNorm:
        """Measure the mean and the standard deviation of the training set.

        Args:
            features: [T, M] each.

        Returns:
            self.

        Raises:
            DataError: there are no frames, or one holds NaN.
            ShapeError: another number of features.
        """
        # Chan, Golub & LeVeque (1983): means and squares around them are joined, which loses no digits.
        count, mean, squares = (
            0,
            torch.zeros(self.size, dtype=torch.float64),
            torch.zeros(self.size, dtype=torch.float64),
        )
        for number, one in enumerate(features):
            self._check(one, (2,))
            if not len(one):
                continue
            values = one.detach().double().cpu()
            if not values.isfinite().all():
                raise DataError(f"features {number} hold NaN or infinity")
            own = values.mean(0)
            both = count + len(values)
            squares += (values - own).square().sum(0) + (own - mean).square() * count * len(values) / both
            mean += (own - mean) * len(values) / both
            count = both
        if not count:
            raise DataError("no frame arrived; expected at least one", remedy="give the features of the training set")
        self.mean.copy_(mean)
        self.std.copy_((squares / count).sqrt().clamp(min=_LEAST))
        self.frames.fill_(count)
        return self

    def hear(self, features: Iterable[Tensor]) -> Heard:
        """Return what the kind "speaker" needs to know of a speaker.

        Args:
            features: [T, M] each, of the speaker's utterances; they need no labels.
        """
        count, sums = 0, torch.zeros(2, self.size, dtype=torch.float64)
        for one in features:
            self._check(one, (2,))
            values = one.detach().double().cpu()
            count += len(values)
            sums += torch.stack([values.sum(0), values.square().sum(0)])
        return Heard(count, sums[0], sums[1])

    def forward(self, features: Tensor, lengths: Tensor | None = None, heard: Sequence[Heard] | None = None) -> Tensor:
        """Return the features with mean 0 and variance 1.

        Args:
            features: [T, M] or [B, T, M].
            lengths: [B], the frames of each row that count; the others become 0, whatever their values.
            heard: of each row, what is known of its speaker ("speaker"); None: each is known by the utterance alone.

        Raises:
            ShapeError: another number of dimensions, of features, or of speakers in `heard`.
            ConfigError: the kind needs `fit` first.
        """
        self._check(features, (2, 3))
        self._check_fitted()
        batch = features if features.ndim == 3 else features[None]
        valid = None
        if lengths is not None:
            steps = torch.arange(batch.shape[1], device=batch.device)
            valid = (steps < lengths.to(batch.device).reshape(-1, 1))[..., None]
            batch = torch.where(valid, batch, 0)
        made = batch
        if self.kind == "utterance":
            made = self._utterance(batch, valid)
        elif self.kind == "speaker":
            made = self._speaker(batch, valid, heard)
        elif self.kind == "running":
            made = self._run(batch, self._begin(batch))[0]
        elif self.kind == "training":
            made = (batch - self.mean) / self.std
        if valid is not None:
            made = torch.where(valid, made, 0)
        return made if features.ndim == 3 else made[0]

    def stream(self) -> NormStream:
        """Return an object that takes frames piece by piece.

        Raises:
            ConfigError: the kind needs the whole utterance, or `fit` first.
        """
        return NormStream(self)

    def extra_repr(self) -> str:
        """Return the arguments, for printing."""
        return f"{self.size}, {self.kind!r}"

    def _utterance(self, batch: Tensor, valid: Tensor | None) -> Tensor:
        count = batch.shape[1] if valid is None else valid.sum(1, keepdim=True).clamp(min=1)
        if not batch.shape[1]:
            return batch
        mean = batch.sum(1, keepdim=True) / count
        centred = batch - mean
        if valid is not None:
            centred = torch.where(valid, centred, 0)
        std = (centred.square().sum(1, keepdim=True) / count).sqrt()
        return centred / std.clamp(min=_LEAST)

    def _speaker(self, batch: Tensor, valid: Tensor | None, heard: Sequence[Heard] | None) -> Tensor:
        if not batch.shape[1]:
            return batch
        valid = torch.ones_like(batch[..., :1], dtype=torch.bool) if valid is None else valid
        if heard is None:
            rows = zip(batch, valid[..., 0], strict=True)
            heard = [self.hear([row[kept]]) for row, kept in rows]
        if len(heard) != len(batch) or any(one.sums.shape != self.mean.shape for one in heard):
            arrived = [len(heard), *{len(one.sums) for one in heard}]
            expected = f"; expected one of {self.size} features for each of {len(batch)} rows"
            raise ShapeError.of("heard", arrived, expected)
        mean, std = self.mean.double(), self.std.double()
        weights = torch.tensor([[one.frames + self.prior] for one in heard], dtype=torch.float64)
        sums, squares = (torch.stack(parts) for parts in zip(*((one.sums, one.squares) for one in heard), strict=True))
        # A device may have no float64; these are small.
        means = (sums + self.prior * mean.cpu()) / weights
        variances = (squares + self.prior * (std.square() + mean.square()).cpu()) / weights - means.square()
        means, stds = (one.to(batch)[:, None] for one in (means, variances.clamp(min=_LEAST**2).sqrt()))
        made = torch.where(valid, (batch - means) / stds, 0)
        level = made.sum((1, 2), keepdim=True) / (valid.sum(1, keepdim=True).clamp(min=1) * self.size)
        return made - level

    def _begin(self, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weight, the sum and the sum of squares around the prior's mean: w_0, s_0, q_0."""
        weight = torch.tensor(self.prior, dtype=_precise(batch), device=batch.device)
        sums = torch.zeros(len(batch), self.size, dtype=_precise(batch), device=batch.device)
        return weight, sums, sums + self.prior * self.std.to(sums).square()

    def _run(self, batch: Tensor, state: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the normalised frames, and the state behind them."""
        weight, sums, squares = state
        parts = [batch[:, :0]]
        for block in batch.split(_BLOCK, 1):
            values = block.to(sums) - self.mean.to(sums)
            powers, totals, fade = _decays(values.shape[1], self.decay, sums.dtype, sums.device)
            weights = totals + fade * weight
            all_sums = powers @ values + fade * sums[:, None]
            all_squares = powers @ values.square() + fade * squares[:, None]
            mean = all_sums / weights
            variance = (all_squares / weights - mean.square()).clamp(min=_LEAST**2)
            parts.append(((values - mean) / variance.sqrt()).to(batch.dtype))
            if values.shape[1]:
                weight, sums, squares = weights[-1, 0], all_sums[:, -1], all_squares[:, -1]
        return torch.cat(parts, 1), (weight, sums, squares)

    def _check(self, features: Tensor, dimensions: tuple[int, ...]) -> None:
        if features.ndim not in dimensions or features.shape[-1] != self.size:
            expected = " or ".join({2: f"[T, {self.size}]", 3: f"[B, T, {self.size}]"}[ndim] for ndim in dimensions)
            raise ShapeError.of("features", list(features.shape), f"; expected {expected}")

    def _check_fitted(self) -> None:
        if self.needs_fit and not self.fitted:
            raise ConfigError(
                f"a norm of the kind {self.kind!r} needs the mean and the variance of the training set; "
                "call fit(features of the training set) first"
            )


class NormStream:
    """Normalise frames that come in pieces; joined, they are what `FeatureNorm` makes of the whole, to 1e-5.

    Args:
        norm: of the kind "running", "training" or "none".

    Raises:
        ConfigError: the kind needs the whole utterance, or `fit` first.

    Example:
        >>> norm = FeatureNorm(2, "running").fit([torch.randn(50, 2)])
        >>> frames = torch.randn(20, 2)
        >>> stream = norm.stream()
        >>> torch.allclose(torch.cat([stream.push(piece) for piece in frames.split(3)]), norm(frames), atol=1e-5)
        True
    """

    def __init__(self, norm: FeatureNorm) -> None:
        if norm.needs_whole:
            raise ConfigError(
                f"a norm of the kind {norm.kind!r} needs the whole utterance; for streams type kind='running' or "
                "kind='training', and train with it"
            )
        norm._check_fitted()
        self.norm = norm
        self.reset()

    def reset(self) -> None:
        """Reset to the beginning of a stream."""
        self._state: tuple[Tensor, Tensor, Tensor] | None = None

    def push(self, features: Tensor) -> Tensor:
        """Return the normalised frames of [t, M]."""
        self.norm._check(features, (2,))
        if self.norm.kind != "running":
            made: Tensor = self.norm(features)
            return made
        state = self._state or self.norm._begin(features[None])
        frames, self._state = self.norm._run(features[None], state)
        return frames[0]

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere."""
        if self._state is None:
            return {}
        weight, sums, squares = self._state
        return {"weight": weight.clone(), "sums": sums.clone(), "squares": squares.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream of the same norm stood."""
        self._state = (state["weight"], state["sums"], state["squares"]) if state else None


@lru_cache(maxsize=64)  # a stream asks for those of a few lengths again and again
def _decays(count: int, decay: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return what each frame of a block weighs for each later one [t, t], the sums of these, and the state's weight."""
    with torch.inference_mode(False):  # tensors made inside it could not be used in training
        steps = torch.arange(count, device=device)
        ages = (steps[:, None] - steps).to(dtype)
        powers = torch.where(ages >= 0, decay ** ages.clamp(min=0), 0)
        return powers, powers.sum(1, keepdim=True), (decay ** (steps + 1).to(dtype))[:, None]


def _precise(features: Tensor) -> torch.dtype:
    return torch.float32 if features.device.type == "mps" else torch.float64
