"""The errors rnnkit raises, what each is made of, and the checks of ranges that all packages share.

An error has a problem, a place and remedies. ``str(error)`` joins them in Python's words. A front end that has other
words (the command line, scikit-learn) renders the same parts with its own `Words`.

Every class also derives from the built-in error users would catch, so that
``except ValueError`` around a call behaves as it does with NumPy or PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from .messages import OPEN as OPEN
from .messages import PYTHON, Message
from .messages import DataFinding as DataFinding
from .messages import Place as Place
from .messages import Remedy as Remedy
from .messages import Setting as Setting
from .messages import TensorCode as TensorCode
from .messages import Words as Words


class RnnkitError(Message):
    """Base of all errors that rnnkit raises on purpose.

    Args:
        problem: what arrived and what was expected; alone it is the whole message.
        place: where.
        remedy: what to do: a `Remedy`, a plain sentence, or several of these, of which one is enough.
        note: what follows at the end.

    Example:
        >>> error = DataError("'u' is no number", Place("my.csv", 2, column="t5"), Remedy("ignore_columns", ["t5"]))
        >>> print(error)
        my.csv:2: column t5: 'u' is no number; type ignore_columns=["t5"]
        >>> error.remedies[0].arguments
        {'ignore_columns': ['t5']}
    """


class RnnkitWarning(Message, UserWarning):
    """Base of the warnings that have a place and remedies; its arguments are those of `RnnkitError`."""


class ShapeError(RnnkitError, ValueError):
    """A tensor's shape, dtype or device does not fit the layer that received it.

    Attributes:
        tensor: the tensor's name, where the error is about the shape of one.
        shape: that shape.
        parts: how the message continues after the shape.
    """

    tensor: str = ""
    shape: list[int] | tuple[int, ...] = ()
    parts: tuple[str | TensorCode, ...] = ()

    @classmethod
    def of(cls, tensor: str, shape: list[int] | tuple[int, ...], *parts: str | TensorCode) -> ShapeError:
        """Return the error about the shape of a tensor.

        Args:
            tensor: the tensor's name.
            shape: what arrived; the message shows a list or a tuple as such.
            *parts: how the message continues: what was expected, and code that makes it so.

        Example:
            >>> error = ShapeError.of("x", [4, 9], "; expected [batch, time, 1]: type ", TensorCode("x[..., None]", ""))
            >>> error
            ShapeError('x has shape [4, 9]; expected [batch, time, 1]: type x[..., None]')
            >>> error.with_shape((32, 9))
            ShapeError('x has shape [32, 9]; expected [batch, time, 1]: type x[..., None]')
        """
        error = cls()
        error.tensor, error.parts = tensor, parts
        error.shape = list(shape) if isinstance(shape, list) else tuple(shape)
        error.problem = error.problem_in(PYTHON)
        error.args = (error.render(),)
        return error

    def problem_in(self, words: Words) -> str:
        """Write the problem, with the code in the words of the front end."""
        if not self.tensor:
            return self.problem
        said = (part if isinstance(part, str) else words.code(part) for part in self.parts)
        return f"{self.tensor} has shape {self.shape}{''.join(said)}"

    def with_shape(self, shape: Sequence[int]) -> ShapeError:
        """Return the same error about another shape, such as that of all rows of which some were tried."""
        as_before = list(shape) if isinstance(self.shape, list) else tuple(shape)
        return type(self).of(self.tensor, as_before, *self.parts)


class DataError(RnnkitError, ValueError):
    """Data that cannot be used as it is: empty, unreadable, labels out of range, columns that differ."""


class DataWarning(RnnkitWarning):
    """Data that was used, but in a way that the user may want to change."""


class ConfigError(RnnkitError, ValueError):
    """A setting that does not exist or has a value outside its range.

    Attributes:
        argument: the setting's name, where the error is about the value of one.
        value: that value.
        parts: the problem in pieces, where the error names settings.
    """

    argument: str = ""
    value: Any = OPEN
    parts: tuple[str | Setting, ...] = ()

    @classmethod
    def of(
        cls, argument: str, value: Any, expected: str, remedy: Remedy | Iterable[Remedy | str] | None = None
    ) -> ConfigError:
        """Return the error about a value that is refused.

        Args:
            argument: the setting's name.
            value: what arrived.
            expected: how the message continues after "arrived": "expected …" or "did you mean …?".
            remedy: what to type instead, or several.

        Example:
            >>> ConfigError.of("fit.lr", -1, "expected a number of at least 0")
            ConfigError('fit.lr=-1 arrived; expected a number of at least 0')
        """
        error = cls(f"{argument}={value!r} arrived; {expected}", remedy=remedy)
        error.problem, error.argument, error.value = expected, argument, value
        return error

    @classmethod
    def about(cls, *parts: str | Setting) -> ConfigError:
        """Return the error about settings that a front end may call otherwise.

        Args:
            *parts: the message in pieces: text, and the settings that it names.

        Example:
            >>> epochs, steps = Setting("fit.epochs"), Setting("fit.steps")
            >>> ConfigError.about(epochs, "=3 and ", steps, "=9 arrived; expected one of them")
            ConfigError('fit.epochs=3 and fit.steps=9 arrived; expected one of them')
        """
        error = cls("".join(part if isinstance(part, str) else part.name for part in parts))
        error.parts = parts
        return error

    def problem_in(self, words: Words) -> str:
        """Write the problem, with the refused value and the names of settings in the words of the front end."""
        if self.parts:
            return "".join(part if isinstance(part, str) else words.setting(part.name) for part in self.parts)
        arrived = f"{words.assignment(self.argument, self.value)} arrived; " if self.argument else ""
        return arrived + self.problem

    def renamed(self, argument: str) -> ConfigError:
        """Return the same error about a setting that is called otherwise elsewhere."""
        return type(self).of(argument, self.value, self.problem, self.remedies)


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


class ProcessError(RnnkitError, RuntimeError):
    """Another process of a run was ended, or stopped answering."""


class MissingExtraError(RnnkitError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


def suggest(name: object, known: Sequence[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name in any case, else the list of known names."""
    near = nearest(name, known)
    return f"; known: {', '.join(map(repr, known))}" if near is None else f"; did you mean {near!r}?"


def nearest(name: object, known: Sequence[str]) -> str | None:
    """Return the known name that is nearest to one in any case; None: none is near.

    Example:
        >>> nearest("txet", ["id", "Text"]), nearest("x", ["id", "Text"])
        ('Text', None)
    """
    import difflib

    plain = {other.lower(): other for other in reversed(known)}
    near = difflib.get_close_matches(str(name).lower(), plain, n=1, cutoff=0.5)
    return plain[near[0]] if near else None


def check_no_missing(labels: Iterable[Any], name: str = "y") -> None:
    """Raise DataError where one of the labels is None or NaN, which would become a class of its own.

    Text "nan" counts as missing too: NumPy writes it for a missing value among text.

    Example:
        >>> check_no_missing(["a", None])
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: y holds no label in row 1: None; leave these rows out: keep = pandas.notna(y), then \
X[keep] and y[keep]
    """
    found = [(row, label) for row, label in enumerate(labels) if _is_missing(label)]
    if found:
        row, label = found[0]
        more = f" (and in {len(found) - 1:,} more)" if len(found) > 1 else ""
        keep = "y != 'nan'" if isinstance(label, str) else "pandas.notna(y)"
        raise DataError(
            f"{name} holds no label in row {row}{more}: {label!r}",
            remedy=f"leave these rows out: keep = {keep}, then X[keep] and y[keep]",
        )


def _is_missing(label: Any) -> bool:
    if label is None or isinstance(label, str):
        return label is None or label == "nan"
    if getattr(label, "shape", ()) != ():
        return False
    try:
        return bool(label != label)
    except (TypeError, ValueError):  # pandas' NA has no truth
        return type(label).__name__ == "NAType"


def check_seed(seed: int | None, name: str = "seed") -> None:
    """Raise ConfigError for a seed that the generators of random numbers cannot take; None is no seed.

    Example:
        >>> check_seed(-1, "data.split_seed")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: data.split_seed=-1 arrived; expected a whole number of at least 0 and below 2**63
    """
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if seed is not None and not (whole and 0 <= seed < 2**63):
        raise ConfigError.of(name, seed, "expected a whole number of at least 0 and below 2**63")


def check_whole(value: object, name: str, least: int = 1, *, optional: bool = False) -> None:
    """Raise ConfigError for what is no whole number of at least ``least``; None is let through where ``optional``.

    Example:
        >>> check_whole(2.5, "epochs")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: epochs=2.5 arrived; expected a whole number of at least 1
    """
    if value is None and optional:
        return
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return
    raise ConfigError.of(name, value, f"expected a whole number of at least {least}{', or None' if optional else ''}")


def check_number(
    value: object,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    optional: bool = False,
) -> None:
    """Raise ConfigError for what is no finite number in a range, which is 0 and more unless another one is given.

    Args:
        value: what arrived.
        name: the setting's name.
        least: the smallest value that is taken; 0 where `above` is not given either.
        above: the value that it has to exceed, in place of `least`.
        below: the value that it has to stay below.
        optional: whether None is let through.

    Example:
        >>> check_number(-0.1, "weight_decay")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: weight_decay=-0.1 arrived; expected a number of at least 0
        >>> check_number(1.0, "dropout", below=1)
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: dropout=1.0 arrived; expected a number of at least 0 and below 1
    """
    if value is None and optional:
        return
    least = 0 if least is None and above is None else least
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    inside = (least is None or number >= least) and (above is None or number > above)
    if inside and number < (math.inf if below is None else below):
        return
    low = f"of at least {least:g}" if above is None else f"above {above:g}"
    high = "" if below is None else f" and below {below:g}"
    raise ConfigError.of(name, value, f"expected a number {low}{high}{', or None' if optional else ''}")


def check_choice(value: object, name: str, choices: Sequence[Any]) -> None:
    """Raise ConfigError for what is none of the choices; the nearest one is named.

    Example:
        >>> check_choice("standart", "scale", ("standard", "minmax"))
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: scale='standart' arrived; did you mean 'standard'?
    """
    for choice in choices:
        # A text of NumPy's is one of Python's too; True is not 1.
        alike = isinstance(value, type(choice)) and isinstance(value, bool) == isinstance(choice, bool)
        if value is choice or (alike and value == choice):
            return
    near = suggest(value, [choice for choice in choices if isinstance(choice, str)])
    listed = f"expected one of {', '.join(map(repr, choices))}"
    raise ConfigError.of(name, value, near.removeprefix("; ") if near.endswith("?") else listed)


def check_path(path: object, name: str = "path") -> None:
    """Raise ConfigError for an empty path, which would be the current folder.

    Example:
        >>> check_path("", "out")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: out='' arrived; expected a path, or '.' for the current folder
    """
    if isinstance(path, str | bytes) and not path:
        raise ConfigError.of(name, path, "expected a path, or '.' for the current folder")
