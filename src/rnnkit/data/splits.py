"""Parts of a set of series, for training, validation and test, that share nothing they should not share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import ConfigError, DataError, DataWarning, Place, Remedy, check_choice, check_seed
from ..ordering import natural_key, sorted_names
from .gaps import seconds
from .series import SeriesSet

if TYPE_CHECKING:
    import numpy.typing as npt


def split(
    series: SeriesSet,
    *,
    shares: Sequence[float] = (0.8, 0.2),
    by: Literal["random", "group", "time"] = "random",
    seed: int = 0,
    stratify: bool = True,
) -> tuple[SeriesSet, ...]:
    """Split a set into parts; the first is the training part.

    - "random": rows are drawn at random. With labels and `stratify` each part gets each class's share; a class's first
      row goes to training, so that a class of one row stays there (with a warning). A set that has groups is split by
      group.
    - "group": whole groups are drawn at random, the larger ones first placed where most is lacking, so that no group
      is in two parts; classes are not made alike.
    - "time": the rows whose series begin earliest are the training part, and so on; rows that begin at the same time
      stay together. No row of an earlier part reaches into a later part's time, and no group is in two parts: rows
      that would are left out, with a warning that counts them.

    Args:
        series: the set.
        shares: of the rows, one a part, the sum 1.
        by: "random", "group" or "time".
        seed: of the draw. The parts depend on it and the set alone, not on the global generators.
        stratify: see "random"; numeric targets are never stratified.

    Returns:
        One set a share; rows keep their order ("time": in order of time).

    Raises:
        ConfigError: shares that do not make 1, `by` has no such value, or a seed below 0 or too large.
        DataError: no groups or times to split by, or a part would be empty.

    Example:
        >>> series = SeriesSet.from_arrays(np.zeros((10, 3)), ["a"] * 5 + ["b"] * 5)
        >>> train, validation = split(series, shares=(0.8, 0.2), seed=1)
        >>> train.targets.tolist().count("a"), validation.targets.tolist()
        (4, ['a', 'b'])
    """
    portions = np.asarray(shares, np.float64)
    if portions.ndim != 1 or len(portions) < 2 or not (portions > 0).all() or abs(portions.sum() - 1) > 1e-6:
        raise ConfigError(f"shares={tuple(shares)} arrived; expected two or more positive numbers whose sum is 1")
    check_seed(seed)
    check_choice(by, "by", ("random", "group", "time"))
    if len(series) < len(portions):
        raise DataError(f"{len(series)} series arrived; expected at least {len(portions)}, one a part")
    random = np.random.default_rng(seed)
    if by == "time":
        parts = _by_time(series, portions)
    elif by == "group" or series.groups is not None:
        parts = _by_group(series, portions, random)
    else:
        parts = _at_random(series, portions, random, stratify)
    for part, share in zip(parts, portions, strict=True):
        if not len(part):
            raise DataError(
                f"a share of {share:g} of {len(series)} series, split by {by}, leaves a part empty",
                Place(series.source),
                ("give it a larger share", "give more data"),
            )
    _warn_about_classes(series, parts)
    return tuple(series[part] for part in parts)


def _at_random(
    series: SeriesSet, shares: npt.NDArray[np.float64], random: np.random.Generator, stratify: bool
) -> list[npt.NDArray[np.int64]]:
    order = random.permutation(len(series))
    if stratify and series.targets is not None and series.targets.dtype.kind != "f":
        order = _alike(order, series.targets)
    return [np.sort(part) for part in np.split(order, _cuts(shares, len(series)))]


def _alike(order: npt.NDArray[np.int64], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return rows in an order that cuts each class alike, wherever it is cut."""
    # Each row gets its place within its class, from 0 to 1; cutting all rows by that place cuts each class alike.
    place = np.empty(len(order))
    _, classes = np.unique(labels, return_inverse=True)
    for members in range(classes.max() + 1):
        rows = order[classes[order] == members]
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
        place[rows[0]] = 0
    found: npt.NDArray[np.int64] = order[np.argsort(place[order], kind="stable")]
    return found


def held_out(labels: Sequence[str], amounts: Mapping[str, float], seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rows of each part that is held out, and under "train" those that are left, each class alike.

    Args:
        labels: the class of each row.
        amounts: for each part a share of all rows (0.1), or a number of them (700, from 1 on); 0: no such part.
        seed: of the division.

    Raises:
        DataError: nothing would be left to train on.

    Example:
        >>> parts = held_out(["a"] * 8 + ["b"] * 8, {"test": 0.25, "validation": 2}, seed=0)
        >>> {name: ["ab"[row // 8] for row in rows] for name, rows in parts.items()}["validation"]
        ['a', 'b']
        >>> {name: len(rows) for name, rows in parts.items()}
        {'test': 4, 'validation': 2, 'train': 10}
    """
    counts = {name: round(amount * len(labels)) if amount < 1 else int(amount) for name, amount in amounts.items()}
    counts = {name: max(count, 1) for name, count in counts.items() if amounts[name]}
    left = len(labels) - sum(counts.values())
    if left < 1:
        raise DataError(f"{len(labels):,} rows arrived, of which {sum(counts.values()):,} would be held out")
    order = _alike(np.random.default_rng(seed).permutation(len(labels)), np.asarray(labels))[::-1]
    cuts = np.cumsum(list(counts.values()))
    return {name: np.sort(part) for name, part in zip((*counts, "train"), np.split(order, cuts), strict=True)}


def _cuts(shares: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Return where to cut `count` rows: as near to the shares as whole rows allow, no part empty."""
    cuts = np.rint(np.cumsum(shares)[:-1] * count).astype(np.int64)
    parts = len(shares)
    for index in range(parts - 1):
        low = (cuts[index - 1] if index else 0) + 1
        cuts[index] = min(max(int(cuts[index]), int(low)), count - (parts - 1 - index))
    return cuts


def _by_group(
    series: SeriesSet, shares: npt.NDArray[np.float64], random: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    if series.groups is None:
        raise DataError("there are no groups to split by", Place(series.source), Remedy("group_column"))
    _, groups, sizes = np.unique(series.groups, return_inverse=True, return_counts=True)
    if len(sizes) < len(shares):
        problem = f"{len(sizes)} groups arrived; expected at least {len(shares)}, one a part"
        raise DataError(problem, Place(series.source))
    drawn = random.permutation(len(sizes))
    drawn = drawn[np.argsort(-sizes[drawn], kind="stable")]
    lacking = shares * len(series)
    part_of = np.empty(len(sizes), np.int64)
    filled = np.zeros(len(shares), np.bool_)
    for position, group in enumerate(drawn):
        wanted = lacking.copy()
        if len(drawn) - position <= (~filled).sum():  # the last groups go where nothing is yet
            wanted[filled] = -np.inf
        part = int(wanted.argmax())
        part_of[group], filled[part] = part, True
        lacking[part] -= sizes[group]
    return [np.flatnonzero(part_of[groups] == part) for part in range(len(shares))]


def _by_time(series: SeriesSet, shares: npt.NDArray[np.float64]) -> list[npt.NDArray[np.int64]]:
    if series.times is None:
        raise DataError("there are no time stamps to split by", Place(series.source), Remedy("time_column"))
    begins = series.times
    order = np.argsort(begins, kind="stable")
    cuts = _cuts(shares, len(series))
    # Rows that begin together stay together: a cut moves to the nearest place where the time changes.
    changes = np.flatnonzero(begins[order][1:] != begins[order][:-1]) + 1
    if len(changes) < len(cuts):
        raise DataError(
            f"the series begin at {len(changes) + 1} different times; expected at least {len(shares)}, one a part",
            Place(series.source),
            note="A single long series has to be cut into windows first",
        )
    moved: list[int] = []
    for index, cut in enumerate(cuts.tolist()):
        rest = len(cuts) - 1 - index
        free = changes[(changes > (moved[-1] if moved else 0))]
        free = free[: len(free) - rest] if rest else free
        moved.append(int(free[np.abs(free - cut).argmin()]))
    parts = np.split(order, moved)
    return _without_leaks(series, parts)


def _without_leaks(series: SeriesSet, parts: list[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int64]]:
    """Leave out rows that reach into a later part's time, and those of groups that an earlier part has."""
    kept: list[npt.NDArray[np.int64]] = []
    reach = groups = 0
    seen: set[Any] = set()
    for part, later in zip(parts, [*parts[1:], None], strict=True):
        keep = np.ones(len(part), np.bool_)
        if later is not None and series.step_times is not None:
            begin = seconds(series.times[later]).min()  # type: ignore[index]
            ends = np.array([seconds(series.step_times[row][-1:])[0] for row in part])
            keep &= ends < begin
            reach += int((~keep).sum())
        if series.groups is not None:
            repeated = np.isin(series.groups[part], list(seen)) if seen else np.zeros(len(part), np.bool_)
            groups += int((keep & repeated).sum())
            keep &= ~repeated
            seen |= set(series.groups[part[keep]].tolist())
        kept.append(part[keep])
    if reach:
        warnings.warn(f"{reach} series left out: they reach into the time of a later part", stacklevel=4)
    if groups:
        warnings.warn(f"{groups} series left out: an earlier part has rows of their group", stacklevel=4)
    return kept


def _warn_about_classes(series: SeriesSet, parts: list[npt.NDArray[np.int64]]) -> None:
    if series.targets is None or series.targets.dtype.kind == "f":
        return
    names, counts = np.unique(series.targets, return_counts=True)
    absent = sorted_names(set(names.tolist()) - set(series.targets[parts[0]].tolist()))
    if absent:
        shown = ", ".join(map(repr, absent))
        advice = ("add groups or data", Remedy("seed", purpose="with another number"))
        warning = DataWarning(f"the training part has no row of {shown}", Place(series.source), advice)
        warnings.warn(warning, stacklevel=3)
    single = [name for name, count in zip(names.tolist(), counts, strict=True) if count == 1 and name not in absent]
    if single:
        shown = ", ".join(map(repr, sorted(single, key=natural_key)))
        warnings.warn(f"classes with one row stay in training and are not validated: {shown}", stacklevel=3)
