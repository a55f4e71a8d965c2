"""From series as they are to tensors for a network: gaps filled, channels scaled, labels numbered; kept with the model.

Everything is measured on the training part alone, with gaps and padding left out, and is applied as it is to all else.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DataError, DataWarning, Place, Remedy, check_choice
from ..types import Sequences
from .checks import check_columns
from .gaps import Flat, elapsed, fill_forward, median_step
from .labels import encode_labels, plain_label, sorted_classes
from .reading import Targets, read_like
from .series import SeriesSet

if TYPE_CHECKING:
    import os

    import numpy.typing as npt
    import pandas as pd
    import torch

Scale = Literal["standard", "minmax", "none"]
Missing = Literal["fill", "indicator", "indicator+elapsed"]

_SCALES = ("standard", "minmax", "none")
_MISSING = ("fill", "indicator", "indicator+elapsed")
_VERSION = 1
# Attribute → its key in model files, where files of earlier versions have another name for it.
_STORED_NAMES = {"read_options": "roles"}


@dataclass(frozen=True)
class Preprocessing:
    """How the series of a trained model become its inputs, and its outputs labels or numbers again.

    With x a value, μ and s the channel's center and spread on the training part:

        filled[t] = x[t] if observed, else the last observed before t, else the training mean
        input[t] = (filled[t] − μ) / s

    "standard": μ the mean, s the standard deviation. "minmax": μ the minimum, s maximum − minimum. "none": 0 and 1.
    A channel that is constant keeps s = 1. With "indicator" each channel gets a further input that is 1 where it was
    observed, else 0; with "indicator+elapsed" also log(1 + δ/Δ), δ the time since the channel was last observed (Che
    et al., "Recurrent Neural Networks for Multivariate Time Series with Missing Values", 2018, equation 2) and Δ the
    median step of the training part; without time stamps a step is 1.

    All of this is computed in float64. Only the finished inputs become float32, so a large offset costs no precision.

    Attributes:
        channels: names of the inputs' channels, in order.
        scale, missing: as given to :meth:`fit`.
        center, spread, mean: [channels], of the training part.
        median_step: Δ, in seconds where time stamps are dates.
        classes: the labels in order, None without.
        target_center, target_spread: [K] of numeric targets, None without.
        lengths: the fewest and the most steps of a training series, None where that was not kept.
        steps, read_options: what the training file looked like, for :meth:`read`.

    Example:
        >>> import json
        >>> train = SeriesSet.from_arrays([[1.0, float("nan"), 3.0], [5.0, 7.0, 9.0]], ["no", "yes"])
        >>> prepare = Preprocessing.fit(train, missing="indicator")
        >>> prepare.transform(train)[0].tolist()
        [[-1.4142135381698608, 1.0], [-1.4142135381698608, 0.0], [-0.7071067690849304, 1.0]]
        >>> prepare.transform_targets(train).tolist(), prepare.classes
        ([0, 1], ('no', 'yes'))
        >>> Preprocessing.from_json(json.loads(json.dumps(prepare.to_json()))) == prepare
        True
    """

    channels: tuple[str, ...]
    scale: Scale
    missing: Missing
    center: tuple[float, ...]
    spread: tuple[float, ...]
    mean: tuple[float, ...]
    median_step: float = 1.0
    classes: tuple[str, ...] | None = None
    target_center: tuple[float, ...] | None = None
    target_spread: tuple[float, ...] | None = None
    steps: tuple[str, ...] = ()
    read_options: Mapping[str, Any] = field(default_factory=dict)
    lengths: tuple[int, int] | None = None

    @staticmethod
    def fit(
        train: SeriesSet,
        *,
        scale: Scale = "standard",
        missing: Missing = "fill",
        target_scale: Literal["standard", "none"] = "standard",
    ) -> Preprocessing:
        """Measure the training part.

        Args:
            train: the training part alone, after the split.
            scale: "standard", "minmax" or "none".
            missing: "fill", "indicator" or "indicator+elapsed".
            target_scale: of numeric targets: "standard" (mean 0, deviation 1) or "none".

        Raises:
            DataError: no series, a channel without any value, labels of one class only.
            ConfigError: an argument has no such value.
        """
        for name, value, known in (
            ("scale", scale, _SCALES),
            ("missing", missing, _MISSING),
            ("target_scale", target_scale, ("standard", "none")),
        ):
            check_choice(value, name, known)
        if not len(train):
            raise DataError("an empty training part arrived; expected at least one series")
        arrived = np.concatenate(train.values)
        flat = arrived.astype(np.float64)
        empty = np.isnan(flat).all(0)
        if empty.any():
            names = np.asarray(train.channels)[empty].tolist()
            ignored = [*train.read_options.get("ignore_columns", ()), *names]
            raise DataError(
                f"channel {', '.join(map(repr, names))} has no value in the training part",
                Place(train.source),
                Remedy("ignore_columns", ignored, "to leave it out of a table"),
            )
        mean, deviation = np.nanmean(flat, 0), np.nanstd(flat, 0)
        low, high = np.nanmin(flat, 0), np.nanmax(flat, 0)
        # A spread below this share of the channel's size is rounding of the type that arrived, not a signal.
        rounding = float(np.finfo(arrived.dtype if arrived.dtype.kind == "f" else np.float64).eps)
        constant = (low == high) | (deviation <= rounding * np.maximum(np.abs(low), np.abs(high)))
        if constant.any():
            names = ", ".join(map(repr, np.asarray(train.channels)[constant].tolist()))
            warnings.warn(
                f"constant in the training part, so they say nothing: {names}; their scale stays 1", stacklevel=2
            )
        center = {"standard": mean, "minmax": low, "none": np.zeros_like(mean)}[scale]
        spread = {"standard": deviation, "minmax": high - low, "none": np.ones_like(mean)}[scale]
        classes, target_center, target_spread = _fit_targets(train, target_scale)
        return Preprocessing(
            channels=train.channels,
            scale=scale,
            missing=missing,
            center=tuple(center.tolist()),
            spread=tuple(np.where(constant, 1.0, spread).tolist()),
            mean=tuple(mean.tolist()),
            median_step=median_step(train),
            classes=classes,
            target_center=target_center,
            target_spread=target_spread,
            steps=train.steps,
            read_options=dict(train.read_options),
            lengths=_lengths(train),
        )

    @property
    def input_size(self) -> int:
        """I, the size of the network's input: channels, and what `missing` adds."""
        return len(self.channels) * (1 + self.missing.count("indicator") + self.missing.count("elapsed"))

    @property
    def output_size(self) -> int | None:
        """C classes or K numbers, None if the training part had no targets."""
        of_numbers = None if self.target_center is None else len(self.target_center)
        return of_numbers if self.classes is None else len(self.classes)

    def transform(self, series: SeriesSet) -> torch.Tensor | Sequences:
        """Return the network's inputs: float32 [N, T, I], as `Sequences` (padded with 0) if lengths differ.

        Raises:
            DataError: columns are missing or extra; reordered ones are mended by name.
        """
        import torch

        series = check_columns(series, self.channels, self.steps)
        if not len(series):
            raise DataError("no series arrived; expected at least one")
        flat = Flat.of(series)
        observed = ~np.isnan(flat.values)
        filled = fill_forward(flat, observed, np.asarray(self.mean))
        parts = [(filled - np.asarray(self.center)) / np.asarray(self.spread)]
        if "indicator" in self.missing:
            parts.append(observed)
        if "elapsed" in self.missing:
            parts.append(np.log1p(elapsed(flat, observed, series.step_times) / self.median_step))
        rows = np.concatenate(parts, 1, dtype=np.float32, casting="unsafe")
        lengths = flat.lengths
        longest = int(lengths.max())
        if (lengths == longest).all():
            return torch.from_numpy(rows.reshape(len(series), longest, -1))
        padded = np.zeros((len(series), longest, rows.shape[1]), np.float32)
        padded[np.arange(longest) < lengths[:, None]] = rows
        return Sequences(torch.from_numpy(padded), torch.from_numpy(lengths))

    def transform_targets(self, series: SeriesSet) -> torch.Tensor:
        """Return classes as int64 [N], or scaled numbers as float32 [N, K] ([N] stays [N]).

        Raises:
            DataError: there are none, or labels that the training part did not have; all are named.
        """
        import torch

        targets = series.targets
        if targets is None:
            raise DataError("has no targets; expected labels or numbers", Place(series.source or "the data"))
        if self.classes is not None:
            names = targets.tolist() if targets.dtype.kind != "f" else [_label_of(value) for value in targets.tolist()]
            return torch.from_numpy(encode_labels(names, self.classes, series.ids, source=series.source))
        if self.target_center is None or self.target_spread is None:
            raise DataError("the training part had no targets, so there is nothing to compare these with")
        numbers = _as_numbers(targets, series)
        if numbers.reshape(len(numbers), -1).shape[1] != len(self.target_center):
            raise DataError(f"targets of shape {numbers.shape} arrived; expected {len(self.target_center)} a series")
        center, spread = np.asarray(self.target_center), np.asarray(self.target_spread)
        scaled = (numbers - (center[0] if numbers.ndim == 1 else center)) / (spread[0] if numbers.ndim == 1 else spread)
        return torch.from_numpy(scaled.astype(np.float32))

    def inverse_targets(self, outputs: Any) -> npt.NDArray[Any]:
        """Return the network's outputs as labels or as numbers in the targets' unit.

        Args:
            outputs: class indices [N] or scores [N, C], of which the largest counts; or scaled numbers [N] or [N, K].

        Returns:
            Labels [N] of str, or float64 numbers in the targets' own unit, of the shape of `outputs`.
        """
        array = np.asarray(outputs.detach().cpu() if hasattr(outputs, "detach") else outputs)
        if self.classes is not None:
            indices = array.argmax(-1) if array.ndim == 2 else array
            names: npt.NDArray[Any] = np.asarray(self.classes)[indices]
            return names
        if self.target_center is None or self.target_spread is None:
            raise DataError("the training part had no targets, so outputs cannot be put in their terms")
        center, spread = np.asarray(self.target_center), np.asarray(self.target_spread)
        if array.ndim == 1:
            center, spread = center[0], spread[0]
        return np.asarray(array.astype(np.float64) * spread + center)

    def read(
        self, path: str | os.PathLike[str] | pd.DataFrame, *, targets: Targets | None = None, **columns: Any
    ) -> SeriesSet:
        """Read new data as the training data was read, and bring its columns into the same order.

        Where all training series were of one length and the new ones are of another, it warns.

        Args:
            path: a file, folder or DataFrame of the same form.
            targets: "labels" or "numbers" to compare predictions with, None to set them aside if there are any.
            columns: what differs from the training file, as in :func:`read_series`.

        Raises:
            DataError: the file cannot be read so, or its columns do not match; missing and extra ones are named.
        """
        read_options = {"keep_columns": [*self.channels, *self.steps], **self.read_options}
        found = check_columns(read_like(read_options, path, targets=targets, **columns), self.channels, self.steps)
        if self.steps and found.steps:  # columns that were compared by name; a row may end in empty cells
            return found
        if len(found) and self.lengths is not None and self.lengths[0] == self.lengths[1]:
            low, high = _lengths(found)
            if (low, high) != self.lengths:
                arrived = "1 step" if high == 1 else f"{low} steps" if low == high else f"{low} to {high} steps"
                warning = DataWarning(
                    f"series of {arrived} arrived; all that the model was trained on have {self.lengths[0]}, so its "
                    "answers for others may mean little",
                    Place(found.source or str(path)),
                )
                warnings.warn(warning, stacklevel=2)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return JSON values from which :meth:`from_json` makes an equal object."""
        return {"version": _VERSION, **{_STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Preprocessing:
        """Return the object that :meth:`to_json` wrote.

        Raises:
            DataError: `stored` is something else, or from a later version of rnnkit.
        """
        names = {_STORED_NAMES.get(item.name, item.name): item.name for item in fields(Preprocessing)}
        if isinstance(stored, Mapping) and "lengths" not in stored:  # files from before it was kept
            stored = {**stored, "lengths": None}
        if not isinstance(stored, Mapping) or set(stored) - {"version"} != set(names) or stored["version"] != _VERSION:
            raise DataError("this is no preprocessing that this version of rnnkit wrote; train again")
        values: dict[str, Any] = {}
        for key, name in names.items():
            values[name] = tuple(stored[key]) if isinstance(stored[key], list) else stored[key]
        return Preprocessing(**values)


def _label_of(number: float) -> str:
    return plain_label(str(number)) if number.is_integer() else f"{number:g}"


def _lengths(series: SeriesSet) -> tuple[int, int]:
    lengths = [len(row) for row in series.values]
    return min(lengths), max(lengths)


def _fit_targets(
    train: SeriesSet, scale: str
) -> tuple[tuple[str, ...] | None, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return (classes, None, None) of labels, (None, center, spread) of numbers."""
    targets, place = train.targets, Place(train.source)
    if targets is None:
        return None, None, None
    if targets.dtype.kind != "f":
        classes = sorted_classes(targets)
        if len(classes) < 2:
            raise DataError(
                f"all {len(targets)} series of the training part have the label {classes[0]!r}; expected at least two "
                "classes",
                place,
                Remedy("target_column", purpose="if another column holds the label"),
            )
        return classes, None, None
    numbers = targets.reshape(len(targets), -1).astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int((~np.isfinite(numbers)).any(1).argmax())
        raise DataError(f"target {row} is not finite; expected numbers", place)
    if scale == "none":
        return None, (0.0,) * numbers.shape[1], (1.0,) * numbers.shape[1]
    mean, deviation = numbers.mean(0), numbers.std(0)
    constant = deviation <= 1e-12 * np.abs(mean)
    if constant.any():
        warnings.warn("a target is constant in the training part; its scale stays 1", stacklevel=3)
    return None, tuple(mean.tolist()), tuple(np.where(constant, 1.0, deviation).tolist())


def _as_numbers(targets: npt.NDArray[Any], series: SeriesSet) -> npt.NDArray[np.float64]:
    try:
        return targets.astype(np.float64)
    except ValueError:
        raise DataError(
            "labels arrived where the model was trained on numbers",
            Place(series.source or "the data"),
            Remedy("targets", "numbers", "where the file is read"),
        ) from None
