"""Turns X into series, with scikit-learn's checks, and compares it with the X of `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ..data.series import SeriesSet, default_channels
from ..errors import DataError
from ..types import Sequences

# What scikit-learn lets pass: finite numbers, and NaN, which is a missing value.
_NUMBERS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}

Series = np.ndarray | list[np.ndarray]  # [N, T, C], or N arrays [T_i, C]


def rows_of(series: Series, index: np.ndarray) -> Series:
    """The rows with these numbers."""
    return [series[row] for row in index] if isinstance(series, list) else series[index]


def check_series(estimator: Any, X: Any, *, reset: bool) -> Series:
    """Return X as an array [N, T, C], or as a list of arrays [T_i, C] where the lengths differ.

    With `reset` the estimator stores what it saw: `n_features_in_` (steps T of a 2-D X, else channels C),
    `feature_names_in_` (of a DataFrame [N, T]), `channel_names_` (of a list of DataFrames or a `SeriesSet`) and
    `n_channels_`. Without `reset` X must agree with these.

    Args:
        X: numbers [N, T] (one univariate series per row; arrays, DataFrames, nested lists), [N, T, C] (arrays,
            tensors), or a list of arrays or DataFrames [T_i] or [T_i, C] of any lengths, `Sequences`, or a
            `SeriesSet`.

    Raises:
        DataError, ValueError, TypeError: anything else.
    """
    _note_names(estimator, X, reset=reset)
    X = list(X.values) if isinstance(X, SeriesSet) else X
    _refuse_text(X)
    rows = _unequal(X)
    if rows is not None:
        _note(estimator, rows[0].shape[1], reset=reset)
        for index, row in enumerate(rows):
            rows[index] = _check_row(row, index, estimator)
        return rows
    if isinstance(X, list | tuple) and len(X) and hasattr(X[0], "__array__"):
        X = np.stack([np.asarray(row) for row in X])  # which a list of tensors needs
    if _axes(X) > 2:
        X = check_array(X, allow_nd=True, estimator=estimator, input_name="X", **_NUMBERS)
        if X.ndim > 3 or 0 in X.shape:
            raise DataError(
                f"X of shape {X.shape} arrived; expected (rows, steps) or (rows, steps, channels), at least 1 of each"
            )
        _note(estimator, X.shape[2], reset=reset)
        return np.asarray(X)
    if not reset and not estimator._fixed_steps:
        X = check_array(X, estimator=estimator, input_name="X", **_NUMBERS)
        _note(estimator, 1, reset=False)
        return X[:, :, None]  # type: ignore[no-any-return]
    X = validate_data(estimator, X, reset=reset, **_NUMBERS)
    if reset:
        estimator.n_channels_, estimator._fixed_steps = 1, True
    return X[:, :, None]  # type: ignore[no-any-return]


def _note_names(estimator: Any, X: Any, *, reset: bool) -> None:
    """Store the names of the channels, of DataFrames or a `SeriesSet`, or compare them with those of `fit`."""
    names: list[tuple[str, ...]] = []
    if isinstance(X, SeriesSet):
        names = [X.channels] if X.channels != default_channels(len(X.channels)) else []
    elif isinstance(X, list | tuple) and len(X) and all(hasattr(row, "columns") for row in X):
        names = [tuple(map(str, row.columns)) for row in X]
    if reset:
        if names:
            estimator.channel_names_ = names[0]
        elif hasattr(estimator, "channel_names_"):
            del estimator.channel_names_
    expected = getattr(estimator, "channel_names_", None)
    for at, found in enumerate(names):
        if expected is None or found == expected:
            continue
        same = sorted(found) == sorted(expected)
        wanted = f"expected {', '.join(expected)}, in this order"
        if isinstance(X, SeriesSet):
            remedy = f"; read it with value_columns={list(expected)}" if same else ""
            raise DataError(f"X is a SeriesSet with the channels {', '.join(found)}; {wanted}{remedy}")
        remedy = f": X = [frame[{list(expected)}] for frame in X]" if same else ""
        raise DataError(f"DataFrame {at} of X has the columns {', '.join(found)}; {wanted}{remedy}")


def _refuse_text(X: Any, where: str = "X") -> None:
    """Raise DataError for text, also where it is written as numbers are."""
    try:
        array = np.asarray(X)
    except (ValueError, TypeError):  # rows of unequal length, or what is no array: other checks look at these
        return
    if array.dtype.kind in "US" or (array.dtype == object and any(isinstance(one, str | bytes) for one in array.flat)):
        text = next(one for one in array.flat if isinstance(one, str | bytes))
        raise DataError(
            f"{where} holds text, such as {str(text)!r}; expected numbers: X.astype(float) if it holds some"
        )


def _axes(X: Any) -> int:
    """The number of axes of what may be a table, a nested list or a thing that only turns into an array."""
    shape = getattr(X, "shape", None)
    if shape is None:
        try:
            shape = np.asarray(X).shape
        except ValueError:  # rows of unequal length; scikit-learn's own check says so
            return 0
    return len(shape)


def _note(estimator: Any, channels: int, *, reset: bool) -> None:
    """Note the channels of series whose lengths are free, or compare them with those of `fit`."""
    if reset:
        estimator.n_features_in_ = estimator.n_channels_ = channels
        estimator._fixed_steps = False
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif channels != estimator.n_channels_:
        raise DataError(
            f"X has {channels} channels, but {type(estimator).__name__} is expecting {estimator.n_channels_} channels "
            "as input: pass an array [rows, steps, channels] or a list of arrays [steps, channels] with those of fit"
        )


def _unequal(X: Any) -> list[np.ndarray] | None:
    """The rows, if X is `Sequences` or a list (or array of objects) of arrays of unequal shapes, else None."""
    if isinstance(X, Sequences):
        values = X.values.numpy()
        values = values if values.ndim == 3 else values[:, :, None]
        return [row[:steps] for row, steps in zip(values, X.lengths.tolist(), strict=True)]
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if not isinstance(X, list | tuple) or len(X) == 0 or isinstance(X[0], str | dict):
        return None
    try:
        rows = [np.asarray(row) for row in X]
    except ValueError:  # a row that is no array; scikit-learn's own check says so
        return None
    if len({row.shape for row in rows}) == 1 or rows[0].ndim == 0:
        return None
    if not all(1 <= row.ndim <= 2 and row.size for row in rows) or len({row.shape[1:] or (1,) for row in rows}) > 1:
        shapes = sorted({str(row.shape) for row in rows})[:4]
        raise DataError(
            f"X is a list of arrays of shapes {', '.join(shapes)}; expected (steps,) or (steps, channels), at least "
            "one step each, with the same channels"
        )
    return [row if row.ndim == 2 else row[:, None] for row in rows]


def _check_row(row: np.ndarray, index: int, estimator: Any) -> np.ndarray:
    _refuse_text(row, f"row {index} of X")
    try:
        checked = check_array(row, estimator=estimator, **_NUMBERS)
    except ValueError as error:
        raise DataError(f"row {index} of X: {error}") from None
    return checked  # type: ignore[no-any-return]
