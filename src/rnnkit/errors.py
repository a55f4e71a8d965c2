"""The errors rnnkit raises. Each says what arrived, what was expected and what to type instead.

Every class also derives from the built-in error users would catch, so that
``except ValueError`` around a call behaves as it does with NumPy or PyTorch.
"""

from __future__ import annotations

import math
from numbers import Integral, Real


class RnnkitError(Exception):
    """Base of all errors that rnnkit raises on purpose."""


class ShapeError(RnnkitError, ValueError):
    """A tensor's shape, dtype or device does not fit the layer that received it."""


class DataError(RnnkitError, ValueError):
    """Data that cannot be used as it is: empty, unreadable, labels out of range, columns that differ."""


class ConfigError(RnnkitError, ValueError):
    """A setting that does not exist or has a value outside its range."""


class BackendError(RnnkitError, RuntimeError):
    """A backend was asked for by name and cannot serve this call."""


class DownloadError(RnnkitError, OSError):
    """No source delivered the file with the expected hash."""


class RunFolderError(RnnkitError, FileExistsError):
    """A run folder is in use already, or is not a run folder."""


class CheckpointError(RnnkitError, OSError):
    """A run is over, but its last checkpoint could not be written."""


class DivergenceError(RnnkitError, ArithmeticError):
    """The loss became NaN or infinite while training."""


class MissingExtraError(RnnkitError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


def suggest(name: object, known: list[str] | tuple[str, ...]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the nearest known name in any case, else the list of known names."""
    import difflib

    plain = {other.lower(): other for other in reversed(known)}
    near = difflib.get_close_matches(str(name).lower(), plain, n=1, cutoff=0.5)
    return f"; did you mean {plain[near[0]]!r}?" if near else f"; known: {', '.join(map(repr, known))}"


def check_seed(seed: int | None, name: str = "seed") -> None:
    """Raises ConfigError for a seed that the generators of random numbers cannot take; None is no seed.

    Example:
        >>> check_seed(-1, "data.split_seed")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: data.split_seed=-1 arrived; expected a whole number of at least 0 and below 2**63
    """
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if seed is not None and not (whole and 0 <= seed < 2**63):
        raise ConfigError(f"{name}={seed!r} arrived; expected a whole number of at least 0 and below 2**63")


def check_whole(value: object, name: str, least: int = 1, *, optional: bool = False) -> None:
    """Raises ConfigError for what is no whole number of at least ``least``; None is let through where ``optional``.

    Example:
        >>> check_whole(2.5, "epochs")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: epochs=2.5 arrived; expected a whole number of at least 1
    """
    if (value is None and optional) or (
        isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
    ):
        return
    none = ", or None" if optional else ""
    raise ConfigError(f"{name}={value!r} arrived; expected a whole number of at least {least}{none}")


def check_number(value: object, name: str) -> None:
    """Raises ConfigError for what is no finite number of at least 0.

    Example:
        >>> check_number(-0.1, "weight_decay")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: weight_decay=-0.1 arrived; expected a number of at least 0
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ConfigError(f"{name}={value!r} arrived; expected a number of at least 0")
