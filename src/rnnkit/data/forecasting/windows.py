"""Windows of time series: gathered from memory batch by batch, without a copy of all of them.

Legend: W windows, B windows of a batch, L lookback steps, H horizon steps, C channels, S series, N steps of all series.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, check_whole
from ...types import Batch, Field, WindowLayout
from ..arrays import IndexedBatches
from ..sharding import as_share, shard_indices

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from .series import TimeSeries


@dataclass(frozen=True)
class WindowSource:
    """All steps of all series, one below the other, as a model sees them; `ForecastPreprocessing.prepare` makes it.

    Attributes:
        series: as they were read.
        layout: of the windows.
        steps: float32 [N, 1 + past + known + observed]: the channels that differ from step to step, gaps filled.
        fixed: float32 [S, static + series].
        raw: float64 [N], the targets in the user's units, NaN where missing.
        starts: [S], the row of each series' first step.
        center, scale: [S], of the targets.
        padding: how many rows of zeros stand before each series.
        units: [S], one unit of `raw` in the user's units; None: 1.
    """

    series: TimeSeries
    layout: WindowLayout
    steps: torch.Tensor
    fixed: torch.Tensor
    raw: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]
    center: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    padding: int = 0
    units: npt.NDArray[np.float64] | None = None

    def windows(
        self, span: npt.NDArray[np.int64], *, stride: int = 1, name: str = "", unobserved: bool = False
    ) -> ForecastWindows:
        """Return the windows whose horizon is inside a part.

        Args:
            span: [S, 2], the first step of the part in each series, and the step behind its last.
            stride: steps from one window to the next.
            name: of the part, for messages.
            unobserved: whether windows without any observed target in their horizon stay, as for steps to come.

        Raises:
            DataError: no series is long enough; the message has the numbers.
            ConfigError: a stride below 1.
        """
        check_whole(stride, "stride")
        lookback, horizon = self.layout.lookback, self.layout.horizon
        shortest = lookback - self.padding
        origins, owners, short = [], [], 0
        for row, (begin, end) in enumerate(span.tolist()):
            found = np.arange(max(begin, shortest), end - horizon + 1, stride)
            short += int(not len(found))
            origins.append(found)
            owners.append(np.full(len(found), row))
        origin, owner = np.concatenate(origins), np.concatenate(owners)
        if not len(origin):
            longest = int((span[:, 1] - np.maximum(span[:, 0] - shortest, 0)).max())
            of = f" of {name}" if name else ""
            need = f"{shortest} of lookback and {horizon} of horizon"
            raise DataError(
                f"no window fits into the steps{of}: the longest series has {max(longest, 0):,}, with what may be "
                f"looked back at; expected at least {shortest + horizon:,} ({need})",
                Place(self.series.source),
                ("take a shorter lookback or horizon", "give the part a larger share"),
            )
        windows = ForecastWindows(self, owner, origin, name=name, short=short)
        return windows if unobserved else windows._observed()


class ForecastWindows:
    """Windows of lookback and horizon, a data set whose batches `rnnkit.Learner` takes.

    `windows[rows]` is a batch with inputs [B, L + H, C] as `layout` says, and targets [B, H] on the model's scale. If
    any target is missing, all batches have weights [B, H]: 0 where the target is missing, else 1.

    Args:
        source: the steps.
        owner: [W], the number of each window's series.
        origin: [W], the first step of each window's horizon, counted in its series.
        name: of the part.
        short: how many series are too short for a window.

    Attributes:
        layout: of the inputs.

    Example:
        >>> import numpy as np
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> series = TimeSeries.from_arrays([np.arange(20.0)], start="2024-01-01", frequency="day")
        >>> parts = divide_time(series, (0.5, 0.25, 0.25))
        >>> preprocessing = ForecastPreprocessing.fit(parts, lookback=4, horizon=2, scale="none", calendar=())
        >>> train, validation, test = preprocessing.divide(parts)
        >>> train
        ForecastWindows(train: 5 windows of 4 + 2 steps, 1 channel)
        >>> test[[0]].inputs[0, :, 0].tolist(), test[[0]].targets.tolist()
        ([11.0, 12.0, 13.0, 14.0, 0.0, 0.0], [[15.0, 16.0]])
        >>> [len(batch) for batch in train.batches(2)]
        [2, 2, 1]
    """

    def __init__(
        self,
        source: WindowSource,
        owner: npt.NDArray[np.int64],
        origin: npt.NDArray[np.int64],
        *,
        name: str = "",
        short: int = 0,
    ) -> None:
        self.source, self.owner, self.origin, self.name, self.short = source, owner, origin, name, short
        lookback, horizon = source.layout.lookback, source.layout.horizon
        self._rows = source.starts[owner] + origin
        self._window = np.arange(-lookback, horizon)
        self._future = np.arange(horizon)
        # By sums up to each step, since an index of all windows and steps may be large.
        gone = np.concatenate([[0], np.cumsum(np.isnan(source.raw))])
        ends = np.minimum(self._rows + horizon, len(source.raw))
        self._missing = gone[ends] - gone[self._rows]
        self._weighted = bool(self._missing.any())

    @property
    def layout(self) -> WindowLayout:
        return self.source.layout

    @property
    def series(self) -> TimeSeries:
        """All series, as they were read."""
        return self.source.series

    def __len__(self) -> int:
        return len(self.origin)

    def __repr__(self) -> str:
        layout = self.layout
        part = f"{self.name}: " if self.name else ""
        of = f" of {len(np.unique(self.owner)):,} series" if len(self.series) > 1 else ""
        channels = "1 channel" if layout.channels == 1 else f"{layout.channels} channels"
        size = f"{len(self):,} windows{of} of {layout.lookback} + {layout.horizon} steps"
        return f"ForecastWindows({part}{size}, {channels})"

    def __getitem__(self, rows: Any) -> Batch:
        """Return the windows of a slice, an array of indices or a mask as a batch."""
        import torch

        at, owner = np.atleast_1d(self._rows[rows]), np.atleast_1d(self.owner[rows])
        source, layout = self.source, self.layout
        picked = torch.from_numpy((at[:, None] + self._window).ravel())
        inputs = source.steps.index_select(0, picked).view(len(at), layout.steps, -1)
        targets = inputs[:, layout.lookback :, 0].clone()
        for kind in ("target", "past", "observed"):
            inputs[:, layout.lookback :, layout.columns(kind)] = 0
        if source.fixed.shape[1]:
            fixed = source.fixed[torch.from_numpy(owner)][:, None].expand(-1, layout.steps, -1)
            inputs = torch.cat([inputs, fixed], 2)
        weights = None
        if self._weighted:
            weights = torch.from_numpy(~np.isnan(source.raw[at[:, None] + self._future])).float()
        return Batch(inputs, targets, weights=weights)

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a window."""
        layout = self.layout
        fields = [
            Field("inputs", "float32", (layout.steps, layout.channels), "input"),
            Field("targets", "float32", (layout.horizon,), "target"),
        ]
        if self._weighted:
            fields.append(Field("weights", "float32", (layout.horizon,), "weight"))
        return tuple(fields)

    def fingerprint(self) -> str:
        """Return a digest of the layout, all steps and the windows' places."""
        source = self.source
        hashed = hashlib.sha256(repr(sorted(self.layout.to_json().items())).encode())
        for array in (self.owner, self.origin, source.starts, source.steps.numpy(), source.fixed.numpy(), source.raw):
            hashed.update(np.ascontiguousarray(array).tobytes())
        return hashed.hexdigest()

    def select(self, rows: Any) -> ForecastWindows:
        """Return the windows of a slice, an array of indices or a mask."""
        return ForecastWindows(self.source, self.owner[rows], self.origin[rows], name=self.name, short=self.short)

    def shard(self, rank: int, world: int, *, even: bool = True) -> ForecastWindows:
        """Return every `world`-th window from window `rank` on: the share of one process.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last windows that cannot be divided evenly are left out.

        Raises:
            ConfigError: rank or world out of range.
            DataError: `even`, and there are fewer windows than processes.
        """
        return as_share(self.select(shard_indices(len(self), rank, world, even=even)), world)

    def batches(self, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> IndexedBatches:
        """Return batches for `Learner.fit`; the last one may be smaller.

        Args:
            batch_size: B.
            shuffle: whether each epoch has another order, as for training.
            seed: of the orders.
        """
        return IndexedBatches(self, batch_size, shuffle=shuffle, seed=seed)

    def spread(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and targets of so many windows with all of their targets, evenly spread; fewer if there are.

        Args:
            count: how many.

        Raises:
            DataError: no window has all of its targets.
        """
        whole = np.flatnonzero(self._missing == 0)
        if not len(whole):
            raise DataError(f"none of {len(self):,} windows has all of its targets", Place(self.series.source))
        batch = self[whole[np.unique(np.linspace(0, len(whole) - 1, min(count, len(whole))).round().astype(int))]]
        assert batch.targets is not None
        return batch.inputs, batch.targets

    def truth(self, rows: Any = slice(None)) -> npt.NDArray[np.float64]:
        """Return the targets in the user's units, [B, H], NaN where missing."""
        return self.source.raw[np.atleast_1d(self._rows[rows])[:, None] + self._future]

    def stamps(self, rows: Any = slice(None)) -> npt.NDArray[Any]:
        """Return the time stamps of the horizon, [B, H]."""
        owner, origin = np.atleast_1d(self.owner[rows]), np.atleast_1d(self.origin[rows])
        if not len(owner):
            return np.zeros((0, self.layout.horizon), self.series.times[0].dtype)
        found = np.empty((len(owner), self.layout.horizon), self.series.times[0].dtype)
        for row in np.unique(owner).tolist():
            mine = owner == row
            found[mine] = self.series.times[row][origin[mine][:, None] + self._future]
        return found

    def unscale(self, values: Any, rows: Any = slice(None)) -> npt.NDArray[np.float64]:
        """Return a model's outputs in the user's units: y = center + scale · z.

        Args:
            values: [B, H] or [B, H, ...], of the windows `rows`.
            rows: as in `windows[rows]`; all by default.
        """
        outputs = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float64)
        owner = np.atleast_1d(self.owner[rows])
        shape = (len(owner), *([1] * (outputs.ndim - 1)))
        center, scale = self.source.center[owner].reshape(shape), self.source.scale[owner].reshape(shape)
        found: npt.NDArray[np.float64] = center + outputs * scale
        return found

    def scales(self, rows: Any = slice(None)) -> npt.NDArray[np.float64]:
        """Return the scale of each window's series, [B]: by it spreads are brought into the user's units."""
        return np.asarray(self.source.scale[np.atleast_1d(self.owner[rows])])

    def standardised(self) -> ForecastWindows:
        """Return the windows in the units of the model: truth, forecasts and scores count the scales of the series.

        Example:
            >>> import numpy as np
            >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
            >>> parts = divide_time(TimeSeries.from_arrays([[1.0, 3, 1, 3, 5, 9]]), (4, 2))
            >>> _, test = ForecastPreprocessing.fit(parts, lookback=1, horizon=2).divide(parts)
            >>> test.truth().tolist(), test.standardised().truth().tolist()
            ([[5.0, 9.0]], [[3.0, 7.0]])
        """
        source = self.source
        raw = np.full_like(source.raw, np.nan)
        for row, (begin, size) in enumerate(zip(source.starts.tolist(), source.series.lengths.tolist(), strict=True)):
            block = slice(begin, begin + size)
            raw[block] = (source.raw[block] - source.center[row]) / source.scale[row]
        units = source.scale if source.units is None else source.scale * source.units
        none, one = np.zeros_like(source.center), np.ones_like(source.scale)
        scaled = replace(source, raw=raw, center=none, scale=one, units=units)
        return ForecastWindows(scaled, self.owner, self.origin, name=self.name, short=self.short)

    def _observed(self) -> ForecastWindows:
        """The windows that have an observed target in their horizon.

        Raises:
            DataError: there is none.
        """
        seen = self._missing < self.layout.horizon
        if not seen.any():
            raise DataError(
                f"the horizons of all {len(self):,} windows have no observed target", Place(self.series.source)
            )
        return self if seen.all() else self.select(seen)
