"""Types that every package shares. Legend: B batch, T time, I input, H hidden, L layers, D directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

from .errors import ConfigError, DataError, check_choice, check_whole, suggest

if TYPE_CHECKING:
    import torch

Backend = Literal["auto", "native", "torch", "reference"]
BACKENDS: tuple[Backend, ...] = ("auto", "native", "torch", "reference")

# A recurrent state: a tensor, or a nested tuple of them. Code outside `ops` treats it as opaque.
State = Any


@dataclass(frozen=True)
class Sequences:
    """A padded batch of sequences of unequal length.

    Attributes:
        values: tensor [B, T, ...], rows padded on the right.
        lengths: integer tensor [B] on the CPU, the number of valid steps of each row.

    Example:
        >>> import torch
        >>> batch = Sequences.from_list([torch.ones(3, 2), torch.ones(5, 2)])
        >>> batch, batch.lengths.tolist()
        (Sequences(2 rows of 3 to 5 steps, values [2, 5, 2]), [3, 5])
    """

    values: torch.Tensor
    lengths: torch.Tensor

    def __repr__(self) -> str:
        rows, low, high = len(self.lengths), 0, 0
        if rows:
            low, high = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{high} steps" if low == high else f"{low} to {high} steps"
        return f"Sequences({rows} rows of {steps}, values {list(self.values.shape)})"

    def __post_init__(self) -> None:
        if self.lengths.dim() != 1 or len(self.lengths) != len(self.values) or self.lengths.is_floating_point():
            raise DataError(
                f"lengths {tuple(self.lengths.shape)} of {self.lengths.dtype} arrived with values of shape "
                f"{tuple(self.values.shape)}; expected {len(self.values)} integers, one a row"
            )

    @staticmethod
    def from_list(rows: Sequence[Any]) -> Sequences:
        """Pad a list of arrays or tensors [T_b, ...] with zeros to the longest; [T_b] becomes [T_b, 1]."""
        import torch

        if len(rows) == 0:
            raise DataError("an empty list of sequences arrived; at least one sequence is needed")
        given = [torch.as_tensor(row) for row in rows]
        tensors = [row[:, None] if row.dim() == 1 and row.is_floating_point() else row for row in given]
        trailing = tensors[0].shape[1:]
        for index, row in enumerate(tensors):
            shape = tuple(given[index].shape)
            if row.dim() and row.shape[0] == 0:
                raise DataError(f"sequence {index} has shape {shape}, no step; expected at least one: leave it out")
            if row.dim() == 0 or row.shape[1:] != trailing:
                wanted = ", ".join(["time", *map(str, trailing)])
                raise DataError(f"sequence {index} has shape {shape}; expected ({wanted}) as in sequence 0")
        return Sequences(*pad_rows(tensors))

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, index: Any) -> Sequences:
        """Select rows and trim the padding that no selected row needs."""
        lengths = self.lengths[index]
        longest = int(lengths.max()) if lengths.numel() else 0
        return Sequences(self.values[index][:, :longest], lengths)

    def to(self, device: Any) -> Sequences:
        """Move the values; lengths stay on the CPU, where the layers read them."""
        return Sequences(self.values.to(device), self.lengths)


def pad_rows(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tensors [T_b, ...] padded on the right with 0 to the longest, [B, T, ...], and their lengths [B]."""
    import torch

    lengths = torch.tensor([row.shape[0] for row in rows])
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths


def fingerprint_sample(rows: Any) -> Any:
    """Return the rows whose numbers a fingerprint is made of: 64 to 127 of many, evenly spaced, or all of few.

    Example:
        >>> fingerprint_sample(range(3)), len(fingerprint_sample(range(10_000)))
        (range(0, 3), 65)
    """
    return rows[:: max(1, len(rows) // 64)]


@dataclass(slots=True, eq=False)
class Batch:
    """One batch of training data, as a model and an objective read it.

    Legend: B batch, T input steps, S target steps.

    Attributes:
        inputs: what the model is called with: a tensor [B, T, ...], padded on the right where rows differ in length.
        targets: what the objective compares with: [B], [B, ...], [B, T, ...] or [B, S, ...]; None where there are none.
        input_lengths: int64 [B] on the CPU, the valid steps of each row; None: all are valid.
        target_lengths: int64 [B] on the CPU, the valid steps of each row's targets; None: all are valid, or the
            targets have the lengths of the inputs, as the objective says.
        weights: what the loss of a target is multiplied by, [B] or one a step, [B, S]; None: 1 for each. What has
            weight 0, a row or a step, is no target: it counts neither in the mean nor in metrics.
        resets: bool, where a new stream begins: [B] at the first step, [B, T] before that step. Without a state that
            is carried from batch to batch every row begins a new stream, so there only [B, T] changes anything.
        stands_in: whether the batch takes the place of one that this process has no rows for, while others have. It
            counts nowhere.

    Example:
        >>> import torch
        >>> batch = Batch(torch.zeros(2, 5, 3), torch.tensor([0, 1]), input_lengths=torch.tensor([5, 2]))
        >>> len(batch), batch
        (2, Batch(inputs [2, 5, 3], targets [2], input_lengths [2]))
    """

    inputs: Any
    targets: torch.Tensor | None = None
    input_lengths: torch.Tensor | None = None
    target_lengths: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    resets: torch.Tensor | None = None
    stands_in: bool = False

    def __len__(self) -> int:
        return int(self.inputs.shape[0])

    def __repr__(self) -> str:
        filled = [(name, value) for name in self.__slots__ if (value := getattr(self, name)) is not None]
        shown = (
            f"{name} {list(value.shape)}" if hasattr(value, "shape") else f"{name} {type(value).__name__}"
            for name, value in filled
            if value is not False
        )
        return f"Batch({', '.join(shown)})"

    def to(self, device: Any) -> Batch:
        """Move all but the lengths to a device; lengths stay on the CPU, where the layers read them."""
        tensors = (None if one is None else one.to(device) for one in (self.targets, self.weights, self.resets))
        targets, weights, resets = tensors
        inputs = self.inputs.to(device)
        return Batch(inputs, targets, self.input_lengths, self.target_lengths, weights, resets, self.stands_in)


class Field(NamedTuple):
    """One entry of a dataset's schema.

    Attributes:
        name: "x", "y", or what the file calls it.
        dtype: as NumPy names it: "float32", "int64".
        shape: the axes of one row; None for an axis whose size differs from row to row, such as time.
        role: what the entry is for.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    role: Literal["input", "target", "weight", "length"]


@runtime_checkable
class Dataset(Protocol):
    """A source of rows: in memory, mapped from a file, or streamed.

    A dataset gives its batches to `Learner.fit`: rows in memory by `arrays()`, which returns (X, y), others by a
    `Batches` object.
    """

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a row."""
        ...

    def fingerprint(self) -> str:
        """Return a digest that changes with the content and its order; it may look at a sample of a large source."""
        ...

    def shard(self, rank: int, world: int) -> Dataset:
        """Return the share of one of `world` processes.

        Shares are disjoint, and have the same number of rows, so that all processes make the same number of steps. Up
        to `world` − 1 rows belong to none of them. The data sets of `rnnkit.data` take `even=False`, which leaves out
        no row.
        """
        ...


@runtime_checkable
class Batches(Protocol):
    """The batches of a run: what `Learner.fit` trains on, from any source."""

    @property
    def steps(self) -> int | None:
        """The number of batches of an epoch; None if unknown."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches of one epoch; after `load_state_dict` those that are left of it."""
        ...

    def fingerprint(self) -> Any:
        """Return JSON values that distinguish the data of one run from that of another."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, behind the batch that was yielded last: numbers and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Have the next iteration resume behind that position, with exactly the same batches."""
        ...


Channels = Literal["target", "past", "known", "observed", "static", "series"]
_CHANNELS = ("target", "past", "known", "observed", "static", "series")


@dataclass(frozen=True)
class WindowLayout:
    """The channels of a window x [B, L + H, C], in this order:

    | kind         | channels                                            | in the last H steps |
    | ------------ | --------------------------------------------------- | ------------------- |
    | `"target"`   | the series itself                                   | 0                   |
    | `"past"`     | covariates that are known when they were measured   | 0                   |
    | `"known"`    | covariates that are known in advance, calendar too  | given               |
    | `"observed"` | 1 where the target was observed, else 0             | 0                   |
    | `"static"`   | numbers of a series, the same in all steps          | given               |
    | `"series"`   | the number of the series, 0 for an unknown one      | given               |

    Legend: B windows, L lookback steps, H horizon steps, C channels.

    Attributes:
        lookback: L.
        horizon: H.
        past, known, static: the names of the covariates.
        observed: whether there is a channel "observed".
        series: the number of series that were known at training; with 0 there is no channel "series".

    Raises:
        ConfigError: L or H below 1, a negative number of series, or the same name twice.

    Example:
        >>> layout = WindowLayout(lookback=96, horizon=24, past=("wind",), known=("hour_sin", "hour_cos"), series=7)
        >>> layout.channels, layout.columns("known"), layout.columns("static")
        (5, slice(2, 4, None), slice(4, 4, None))
        >>> WindowLayout.from_json(layout.to_json()) == layout
        True
    """

    lookback: int
    horizon: int
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    observed: bool = False
    series: int = 0

    def __post_init__(self) -> None:
        check_whole(self.lookback, "lookback")
        check_whole(self.horizon, "horizon")
        check_whole(self.series, "series", 0)
        for kind in ("past", "known", "static"):
            object.__setattr__(self, kind, tuple(getattr(self, kind)))
        names = (*self.past, *self.known, *self.static)
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise ConfigError(f"the covariate {double[0]!r} arrived twice; expected each name once")

    @property
    def steps(self) -> int:
        """The steps of a window, L + H."""
        return self.lookback + self.horizon

    @property
    def channels(self) -> int:
        """C, the channels of a window."""
        return sum(self._widths())

    def columns(self, kind: Channels) -> slice:
        """Return the channels of one kind; an empty slice where there are none.

        Raises:
            ConfigError: there is no such kind.
        """
        check_choice(kind, "kind", _CHANNELS)
        widths, at = self._widths(), _CHANNELS.index(kind)
        begin = sum(widths[:at])
        return slice(begin, begin + widths[at])

    def _widths(self) -> tuple[int, ...]:
        return 1, len(self.past), len(self.known), int(self.observed), len(self.static), int(self.series > 0)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> WindowLayout:
        """Return the layout that `to_json` stored.

        Raises:
            ConfigError: an attribute that a layout has not.
        """
        known = [field.name for field in fields(WindowLayout)]
        for name in stored:
            if name not in known:
                raise ConfigError(f"a layout has no attribute {name!r}{suggest(name, known)}")
        return WindowLayout(**stored)
