"""Sequences of measurements in memory: the set that readers return, and that splits and preprocessing take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Place, check_no_missing, check_whole
from ..ordering import sorted_names
from ..spelling import composed
from ..types import Field
from .frames import columns_of, frame_values, is_frame, unpack_frames
from .row_checks import check_rows, no_value_error, observed_length
from .sentences import quoted
from .sharding import shard_indices

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """N sequences of measurements, their lengths unequal, gaps as NaN.

    Steps at the end of a series that are missing in all channels are padding, wherever the series came from: they are
    cut off. A series without any value is refused.

    Attributes:
        values: row i is [T_i, channels], NaN where a value is missing: float64, or float32 where float32 holds all
            numbers of the type that arrived.
        channels: the channels' names.
        targets: [N] of str (labels), float64 [N] or [N, K] (numbers), or None.
        ids: what each row is called in messages and predictions: its id, ``file:line`` or file name.
        groups: [N] of str or None; rows of one group never land in two parts of a split.
        times: [N] of datetime64 (UTC if the file names zones) or numbers: a row's first time stamp.
        step_times: row i is [T_i], the time stamp of each step, or None where a file has none.
        source: the file or folder they came from.
        steps: names of the columns that hold the steps, for a table with a row a series and a header; else empty.
        read_options: what :func:`read_like` needs to read a file of the same form in the same way; JSON values.

    Example:
        >>> import numpy as np
        >>> series = SeriesSet.from_arrays([np.zeros((3, 2)), np.zeros((5, 2))], ["rest", "walk"])
        >>> len(series), series.channels, series.lengths.tolist(), series[[1]].targets.tolist()
        (2, ('channel 0', 'channel 1'), [3, 5], ['walk'])
        >>> series
        SeriesSet(2 series of 3 to 5 steps; channels 'channel 0', 'channel 1'; labels 'rest', 'walk')
    """

    values: list[npt.NDArray[Any]]
    channels: tuple[str, ...]
    targets: npt.NDArray[Any] | None
    ids: tuple[str, ...]
    groups: npt.NDArray[Any] | None = None
    times: npt.NDArray[Any] | None = None
    source: str = ""
    step_times: list[npt.NDArray[Any]] | None = None
    steps: tuple[str, ...] = ()
    read_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, width = len(self.values), len(self.channels)
        for name in ("targets", "ids", "groups", "times", "step_times"):
            column = getattr(self, name)
            if column is not None and len(column) != count:
                raise DataError(
                    f"{len(column)} {name} arrived for {count} series; expected one a series", Place(self.source)
                )
        for row, values in zip(self.ids, self.values, strict=True):
            if values.ndim != 2 or values.shape[1] != width or not len(values):
                raise DataError(
                    f"series {row} has shape {values.shape}; expected (time, {width}) with at least one step",
                    Place(self.source),
                )
        if any(np.isnan(row[-1]).all() for row in self.values):
            self._cut_padding()

    def _cut_padding(self) -> None:
        """Cut off the steps at the end of each series that are missing in all channels."""
        lengths = [observed_length(row) for row in self.values]
        if 0 in lengths:
            raise no_value_error(Place(self.source, part=f"series {self.ids[lengths.index(0)]}"))
        for name in ("values", "step_times"):
            rows = getattr(self, name)
            if rows is not None:
                cut = [row[:length] for row, length in zip(rows, lengths, strict=True)]
                object.__setattr__(self, name, cut)

    @staticmethod
    def from_arrays(
        values: Any,
        targets: Any = None,
        *,
        channels: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        groups: Any = None,
        source: str = "",
    ) -> SeriesSet:
        """Take arrays that are in memory already.

        Args:
            values: [N, T] (one channel), [N, T, channels], or a list of [T_i] or [T_i, channels]. NaN is missing; at
                the end of a series, in all channels, it is padding. Of a DataFrame [N, T] the columns are the steps;
                of a list of DataFrames [T_i, channels] they are the channels, brought into the order of the first.
            targets: [N] labels (text or integers) or numbers ([N] or [N, K] floats), or None.
            channels: their names, else those of the DataFrames, "value", or "channel 0" and so on.
            ids: a name a row, else its number.
            groups: [N], any values.
            source: what messages call the whole.

        Raises:
            DataError: not numbers, infinite numbers, no row, a row without a value, or sizes that do not fit.
        """

        def where(row: int) -> Place:
            return Place(source, part=f"series {row}")

        steps: tuple[str, ...] = ()
        if is_frame(values):
            named = all(isinstance(name, str) for name in values.columns)  # else pandas counted them
            steps, values = columns_of(values) if named else (), frame_values(values, Place(source))
        else:
            values, channels = unpack_frames(values, channels, where)
        rows = [_row(row, where(index)) for index, row in enumerate(values)]
        check_rows(rows, where, channels or ())
        width = rows[0].shape[1]
        if channels is None:
            channels = default_channels(width)
        return SeriesSet(
            values=rows,
            channels=tuple(channels),
            targets=None if targets is None else as_targets(targets),
            ids=tuple(map(str, range(len(rows)) if ids is None else ids)),
            groups=None if groups is None else np.asarray([str(group) for group in groups]),
            source=source,
            steps=steps,
        )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"SeriesSet({self.summary()}{f'; from {self.source}' if self.source else ''})"

    def summary(self) -> str:
        """Return in words how many series there are, their steps, channels, targets and groups.

        Example:
            >>> SeriesSet.from_arrays([[1.0, 2.0], [3.0, 4.0]], ["u", "v"]).summary()
            "2 series of 2 steps; channels 'value'; labels 'u', 'v'"
        """
        lengths = self.lengths
        low, high = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)
        parts = [
            f"{len(self)} series of {low} steps" if low == high else f"{len(self)} series of {low} to {high} steps"
        ]
        parts.append(f"channels {quoted(self.channels, 4)}")
        if self.targets is not None and self.targets.dtype.kind == "f":
            parts.append("1 number each" if self.targets.ndim == 1 else f"{self.targets.shape[1]} numbers each")
        elif self.targets is not None:
            parts.append(f"labels {quoted(sorted_names(self.targets.tolist()), 4)}")
        if self.groups is not None:
            parts.append(f"{len(np.unique(self.groups))} groups")
        return "; ".join(parts)

    def arrays(self) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]:
        """Return (X, y) as `Learner.fit` takes them: arrays [T_i, channels], and labels or numbers.

        Raises:
            DataError: the rows have no targets.
        """
        if self.targets is None:
            raise DataError("the rows have no targets; expected a label or a number for each", Place(self.source))
        return list(self.values), self.targets

    @property
    def schema(self) -> tuple[Field, ...]:
        """Name, dtype and shape of a row's inputs and of its targets; labels are text (str)."""
        dtype = np.result_type(*{row.dtype for row in self.values}).name if len(self) else "float64"
        fields = [Field("values", dtype, (None, len(self.channels)), "input")]
        if self.targets is not None:
            dtype = "float64" if self.targets.dtype.kind == "f" else "str"
            fields.append(Field("targets", dtype, self.targets.shape[1:], "target"))
        return tuple(fields)

    def fingerprint(self) -> str:
        """Return the SHA-256 of ids, channels, values, targets, groups and times, in the order of the rows.

        Values count as float32, so that the digest does not depend on the type in which they arrived.
        """
        hashed = hashlib.sha256(json.dumps([self.ids, self.channels, [len(row) for row in self.values]]).encode())
        for values in self.values:
            hashed.update(np.ascontiguousarray(values, np.float32).tobytes())
        for column in (self.targets, self.groups, self.times):
            hashed.update(repr(None if column is None else np.asarray(column).tolist()).encode())
        return hashed.hexdigest()

    def shard(self, rank: int, world: int, *, even: bool = True) -> SeriesSet:
        """Return every `world`-th row from row `rank` on: the share of one process.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last rows that cannot be divided evenly are left out. Then all processes make the same
                number of steps, as distributed training expects.

        Raises:
            ConfigError: rank or world out of range.
            DataError: `even`, and there are fewer rows than processes.
        """
        return self[shard_indices(len(self), rank, world, even=even)]

    def __getitem__(self, rows: Any) -> SeriesSet:
        """Return the rows of a slice, a list or array of integers, or a mask."""
        picked = np.arange(len(self))[rows]
        if picked.ndim != 1:
            raise DataError(f"{rows!r} picks one series; series[[{rows!r}]] is the set that holds it alone")
        return replace(
            self,
            values=[self.values[row] for row in picked],
            ids=tuple(self.ids[row] for row in picked),
            step_times=None if self.step_times is None else [self.step_times[row] for row in picked],
            targets=None if self.targets is None else self.targets[picked],
            groups=None if self.groups is None else self.groups[picked],
            times=None if self.times is None else self.times[picked],
        )

    def cut(self, steps: int) -> SeriesSet:
        """Return the pieces of the series, of so many steps each, without targets and groups.

        What is left at the end of a series and is shorter than half of that is left out, unless it is the whole series.

        Args:
            steps: of a piece.

        Raises:
            ConfigError: fewer than 1.

        Example:
            >>> import numpy as np
            >>> pieces = SeriesSet.from_arrays([np.arange(10.0)]).cut(4)
            >>> pieces.lengths.tolist(), pieces.ids[1]
            ([4, 4, 2], '0, steps 5 to 8')
        """
        check_whole(steps, "steps")
        times = self.step_times
        places = [
            (row, begin, min(begin + steps, len(values)))
            for row, values in enumerate(self.values)
            for begin in range(0, len(values), steps)
            if begin == 0 or 2 * (len(values) - begin) >= steps
        ]
        places = [one for one in places if not np.isnan(self.values[one[0]][one[1] : one[2]]).all()]
        return replace(
            self,
            values=[self.values[row][begin:end] for row, begin, end in places],
            ids=tuple(f"{self.ids[row]}, steps {begin + 1} to {end}" for row, begin, end in places),
            step_times=times if times is None else [times[row][begin:end] for row, begin, end in places],
            targets=None,
            groups=None,
            times=None,
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[N], the number of steps of each series."""
        return np.array([len(row) for row in self.values], np.int64)

    @property
    def has_missing(self) -> bool:
        """Whether any value is NaN."""
        return any(bool(np.isnan(row).any()) for row in self.values)


def default_channels(width: int) -> tuple[str, ...]:
    """The names of channels that have none."""
    return ("value",) if width == 1 else tuple(f"channel {index}" for index in range(width))


def as_targets(targets: Any) -> npt.NDArray[Any]:
    """Return targets as `SeriesSet` holds them: text and integers become labels (str), floats stay numbers."""
    array = _label_array(targets)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind not in "biuUSO" or array.ndim != 1:
        raise DataError(
            f"targets {array.shape} of {array.dtype} arrived; expected labels [N] or numbers [N] or [N, K]. For a "
            "label a step use rnnkit.SequenceTagger with rnnkit.Learner"
        )
    names = [label.decode() if isinstance(label, bytes) else str(label) for label in array.tolist()]
    return np.array([composed(name) for name in names], np.str_)


def _label_array(targets: Any) -> npt.NDArray[Any]:
    """Targets as an array; raises where a label is missing, of which NumPy would make the text "nan" in a list."""
    has_text = isinstance(targets, list | tuple) and any(isinstance(label, str) for label in targets)
    array: npt.NDArray[Any] = np.asarray(targets, object if has_text else None)
    if array.dtype.kind in "OUT":
        check_no_missing(array.ravel().tolist(), "targets")
    return array


def _row(row: Any, place: Place) -> npt.NDArray[Any]:
    """Return one series as [T, channels], a copy in the precision in which it arrived."""
    array = np.asarray(row)
    if array.dtype.kind not in "biuf":
        raise DataError(f"is of type {array.dtype}; expected numbers", place)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        shape = np.shape(row)
        raise DataError(f"has shape {shape}; expected (time,) or (time, channels), at least one of each", place)
    exact = np.result_type(array.dtype, np.float32)
    return array.astype(exact if exact.itemsize <= 8 else np.float64)
