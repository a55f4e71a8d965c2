"""What keeps a network from forgetting: old rows among the new ones, or a pull back to the weights it had.

Legend: w the weights, w⁰ those before fine-tuning, S the weights that were there before, S̄ those that are new (a fresh
head's rows), C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch.nn import Parameter

from ..errors import ConfigError, DataError, check_choice, check_number, check_whole
from ..types import Sequences

Tensor = torch.Tensor


# --- replay ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replay:
    """Old rows mixed into every epoch (rehearsal, Robins 1995).

    Attributes:
        data: old `(X, y)`, in memory; None: the ``old_data`` of ``fine_tune``.
        rows: how many of them an epoch sees: a whole number, drawn anew each time; a share of the epoch's rows, from 0
            to 1 (0.2: one row in five is an old one); None: all. More than there are: some come again.

    Example:
        >>> import torch
        >>> old = torch.randn(100, 5, 2), torch.randint(2, (100,))
        >>> few_but_often = Replay(memory(old, 20), 0.8)
        >>> few_but_often.rows
        0.8
    """

    data: Any = None
    rows: int | float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rows, np.number):
            object.__setattr__(self, "rows", self.rows.item())
        rows = self.rows
        if rows is None or (isinstance(rows, int) and not isinstance(rows, bool) and rows >= 1):
            return
        if not (isinstance(rows, float) and 0 < rows < 1):
            raise ConfigError(
                f"replay of {rows!r} rows arrived; expected a number of old rows an epoch (100), or their share of its "
                "rows (0.2)"
            )

    def drawn(self, new: int, old: int) -> int:
        """How many of ``old`` rows an epoch with ``new`` new ones sees."""
        if self.rows is None:
            return old
        return max(1, round(new * self.rows / (1 - self.rows))) if isinstance(self.rows, float) else self.rows


def resolve_replay(replay: Any) -> Replay | None:
    """Return a replay as `fine_tune(replay=...)` takes it: a number or a share of rows, `(X, y)`, or a Replay."""
    if replay is None or isinstance(replay, Replay):
        return replay
    return Replay(**{"rows" if isinstance(replay, int | float | np.number) else "data": replay})


def memory(data: tuple[Any, Any], per_class: int, seed: int = 0) -> tuple[Any, Any]:
    """Return `per_class` rows of each class, drawn at random: a small part of the old data to keep.

    Args:
        data: `(X, y)` with X a tensor, an array or ``Sequences`` and y integer labels [N].
        per_class: rows of each class; a class with fewer gives all it has.
        seed: of the draw.

    Returns:
        `(X, y)`, in the order of the rows.

    Example:
        >>> import torch
        >>> x, y = memory((torch.arange(10.0), torch.tensor([0, 1] * 5)), per_class=2)
        >>> sorted(y.tolist())
        [0, 0, 1, 1]
    """
    x, y = data
    check_whole(per_class, "per_class")
    labels = torch.as_tensor(y)
    if labels.dim() != 1 or labels.is_floating_point():
        raise DataError(f"labels of shape {tuple(labels.shape)} and {labels.dtype} arrived; expected integers [N]")
    generator = torch.Generator().manual_seed(int(seed))
    found = []
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        found.append(rows[torch.randperm(len(rows), generator=generator)[:per_class]])
    kept = torch.cat(found).sort().values
    index = kept if isinstance(x, Tensor | Sequences) else kept.numpy()
    return x[index], y[kept if isinstance(y, Tensor) else kept.numpy()]


# --- penalties -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A parameter that trains, and what is known of it.

    Attributes:
        name, parameter: of the model.
        start: its values before fine-tuning, w⁰.
        old: bool, broadcasts to it: which of its rows were there before; None: all.
        importance: what the protection's ``measure`` found on the old data, 0 for new rows; None: nothing.
    """

    name: str
    parameter: Parameter
    start: Tensor
    old: Tensor | None = None
    importance: Tensor | None = None


@runtime_checkable
class Protection(Protocol):
    """What ``fine_tune(protect=...)`` takes: a penalty that is added to the loss."""

    needs_old_data: bool

    def measure(self, parameters: Mapping[str, Parameter], losses: Iterable[Tensor]) -> dict[str, Tensor]:
        """Called before anything changes where ``needs_old_data``: ``losses`` yields −log p of old rows, one by one."""
        ...

    def penalty(self, references: Sequence[Reference]) -> Callable[[], Tensor]:
        """Called before the first step; what it returns is called in each."""
        ...


class L2SP:
    """L2-SP (Li, Grandvalet & Davoine 2018, arXiv:1802.01483): Ω(w) = α/2 ‖w_S − w⁰_S‖² + β/2 ‖w_S̄‖².

    Weights that were there before are drawn to where they started, new ones to 0. Sums over all weights, as in the
    paper; biases too. Nothing of the old data is needed.

    Args:
        alpha, beta: α and β.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> penalty = L2SP(alpha=1.0, beta=0.1).penalty([Reference("w", w, torch.tensor([0.0, 2.0]))])
        >>> float(penalty().detach())
        0.5
    """

    needs_old_data: bool = False

    def __init__(self, alpha: float = 0.1, beta: float = 0.01) -> None:
        check_number(alpha, "alpha")
        check_number(beta, "beta")
        self.alpha, self.beta = alpha, beta

    def __repr__(self) -> str:
        return f"L2SP(alpha={self.alpha:g}, beta={self.beta:g})"

    def measure(self, parameters: Mapping[str, Parameter], losses: Iterable[Tensor]) -> dict[str, Tensor]:
        """Nothing to measure."""
        return {}

    def penalty(self, references: Sequence[Reference]) -> Callable[[], Tensor]:
        """Ω, as a function of the parameters as they are when it is called."""
        whole = [(one.parameter, one.start) for one in references if one.old is None]
        # One weight an entry, (α or β)/2, and 0 for what new rows are drawn to.
        parts = [
            (one.parameter, torch.where(one.old, one.start, 0), torch.where(one.old, self.alpha / 2, self.beta / 2))
            for one in references
            if one.old is not None
        ]

        def omega() -> Tensor:
            terms = [self.alpha / 2 * _distance(weight, start) for weight, start in whole]
            terms += [(share * (weight - start).square()).sum() for weight, start, share in parts]
            return torch.stack(terms).sum()

        return omega


class EWC:
    """Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796): λ/2 Σ_i F_i (w_i − w⁰_i)².

    F is the diagonal of the empirical Fisher information on the old data: F_i = 1/N Σ_n (∂ log p(y_n | x_n) / ∂w_i)² at
    w⁰, with the gradient of each row by itself and the labels that were observed. (The Fisher information proper takes
    labels drawn from the model's own p; on rows that the model fits well the empirical one is smaller, which λ makes
    good.) −log p of a row is the learner's loss, summed over the steps where there is a target for each. New rows of a
    head have F = 0.

    Args:
        strength: λ.
        rows: N at most; drawn at random where there are more.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> ewc = EWC(strength=2.0)
        >>> fisher = ewc.measure({"w": w}, iter([(w * torch.tensor([1.0, 3.0])).sum()]))["w"]
        >>> penalty = ewc.penalty([Reference("w", w, torch.tensor([0.0, 1.0]), importance=fisher)])
        >>> fisher.tolist(), float(penalty().detach())
        ([1.0, 9.0], 10.0)
    """

    needs_old_data: bool = True

    def __init__(self, strength: float = 1000.0, rows: int = 1000) -> None:
        check_number(strength, "strength")
        check_whole(rows, "rows")
        self.strength, self.rows = strength, rows

    def __repr__(self) -> str:
        return f"EWC(strength={self.strength:g}, rows={self.rows})"

    def measure(self, parameters: Mapping[str, Parameter], losses: Iterable[Tensor]) -> dict[str, Tensor]:
        """F, by the parameter's name: the mean over ``losses`` of their squared gradients."""
        named = {name: one for name, one in parameters.items() if one.requires_grad}
        sums = {name: torch.zeros_like(one) for name, one in named.items()}
        count = 0
        for loss in losses:
            found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
            for total, gradient in zip(sums.values(), found, strict=True):
                if gradient is not None:
                    total.addcmul_(gradient, gradient)
            count += 1
        return {name: total / max(count, 1) for name, total in sums.items()}

    def penalty(self, references: Sequence[Reference]) -> Callable[[], Tensor]:
        """The penalty, as a function of the parameters as they are when it is called."""
        known = [(one.parameter, one.start, one.importance) for one in references if one.importance is not None]

        def elastic() -> Tensor:
            terms = [(fisher * (weight - start).square()).sum() for weight, start, fisher in known]
            return self.strength / 2 * torch.stack(terms).sum()

        return elastic


PROTECTIONS: dict[str, Callable[[], Protection]] = {"l2-sp": L2SP, "ewc": EWC}


def resolve_protection(protect: str | Protection | None) -> Protection | None:
    """Return the protection of that name with its default settings; an object stays as it is.

    Raises:
        ConfigError: an unknown name, or no protection at all.
    """
    if protect is None:
        return None
    if isinstance(protect, str):
        check_choice(protect, "protect", tuple(PROTECTIONS))
        return PROTECTIONS[protect]()
    if isinstance(protect, type) or not isinstance(protect, Protection):
        raise ConfigError(f"protect={protect!r} arrived; expected 'l2-sp', 'ewc', L2SP(alpha=...), EWC(strength=...)")
    return protect


def _distance(weight: Tensor, start: Tensor) -> Tensor:
    return torch.nn.functional.mse_loss(weight, start, reduction="sum")
