"""Choose a token: the settings, the filters in their order, and the draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

import torch

from ..errors import ConfigError, DataError, check_number, check_whole, suggest
from ..ops.native_tokens import draw_tokens
from .filters import (
    check_share,
    forbid,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    scale_temperature,
)

Tensor = torch.Tensor
_BLOCK = 64


@dataclass(frozen=True)
class Sampling:
    """Settings of a choice; `generate` and `stream` take each of them as an argument.

    They apply in this order: repetition penalty, forbidden ids, temperature, top-k, top-p, min-p. Each computes on what
    the one before left.

    Attributes:
        temperature: divides the logits; 0 takes the most probable token always (greedy).
        top_k: keeps this number of the most probable tokens.
        top_p: keeps the smallest set of most probable tokens with this probability (nucleus).
        min_p: keeps tokens with at least this share of the largest probability.
        repetition_penalty: above 1 makes tokens of the past less likely, those of the prompt too.
        repetition_window: how many tokens back the penalty sees; None: all.
        forbidden_ids: tokens that are never chosen.

    Raises:
        ConfigError: a value is outside its range.

    Example:
        >>> Sampling(temperature=0.5, top_k=2).apply(torch.tensor([[1.0, 3.0, 2.0]])).tolist()
        [[-inf, 6.0, 4.0]]
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    repetition_window: int | None = None
    forbidden_ids: Sequence[int] = ()

    def __post_init__(self) -> None:
        check_number(self.temperature, "temperature")
        check_whole(self.top_k, "top_k", optional=True)
        for name in ("top_p", "min_p"):
            if getattr(self, name) is not None:
                check_share(getattr(self, name), name)
        check_number(self.repetition_penalty, "repetition_penalty", above=0)
        check_whole(self.repetition_window, "repetition_window", optional=True)
        object.__setattr__(self, "forbidden_ids", check_ids(self.forbidden_ids, "forbidden_ids"))

    @classmethod
    def of(cls, settings: dict[str, Any], function: str) -> Sampling:
        """Return the settings that a function was called with; an unknown name is an error that names the nearest."""
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise ConfigError(f"{function} has no argument {name!r}{suggest(name, known)}")
        return cls(**settings)

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken."""
        return self.temperature == 0

    def apply(self, logits: Tensor, previous: Tensor | None = None) -> Tensor:
        """Return the logits of the choice.

        Args:
            logits: [B, V].
            previous: the ids of the past [B, W], −1 for none; None: no past.
        """
        logits = self._restricted(logits, previous)
        return logits if self.greedy else self._filtered(logits)

    def choose(self, logits: Tensor, uniform: Sequence[float], previous: Tensor | None = None) -> Tensor:
        """Return the token of each row: the most probable one, or a draw from what the filters leave.

        Args:
            logits: [B, V].
            uniform: a number in [0, 1) for each row's draw, see :func:`draw`.
            previous: as for :meth:`apply`.

        Returns:
            ids int64 [B]; V in a row that leaves no token to choose.

        Example:
            >>> Sampling(top_k=2).choose(torch.tensor([[1.0, 3.0, 2.0]]), [0.99]).tolist()
            [2]
        """
        logits = self._restricted(logits, previous)
        if self.greedy:
            best, likeliest = logits.max(-1)
            return torch.where(best > -torch.inf, likeliest, logits.shape[1])
        ids = draw_tokens(logits, uniform, self.temperature, self.top_k, self.top_p, self.min_p)
        if ids is None:
            ids = draw(self._filtered(logits), torch.tensor(uniform, dtype=torch.float64, device=logits.device))
        return ids

    def _restricted(self, logits: Tensor, previous: Tensor | None) -> Tensor:
        """Apply the repetition penalty, and forbid ids."""
        if self.repetition_penalty != 1 and previous is not None:
            seen = previous if self.repetition_window is None else previous[:, -self.repetition_window :]
            logits = penalise_repetition(logits, seen, self.repetition_penalty)
        return forbid(logits, self.forbidden_ids) if self.forbidden_ids else logits

    def _filtered(self, logits: Tensor) -> Tensor:
        """Apply the temperature and what keeps the most probable tokens."""
        if self.temperature != 1:
            logits = scale_temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = keep_top_k(logits, self.top_k)
        if self.top_p is not None and self.top_p < 1:
            logits = keep_top_p(logits, self.top_p)
        return logits if self.min_p is None else keep_min_p(logits, self.min_p)


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw a token of each row from softmax(logits): the first i with Σ_{j≤i} p_j > u.

    Args:
        logits: [B, V].
        uniform: u [B] in [0, 1), float64.

    Returns:
        ids int64 [B]; V in a row whose logits are NaN or all −inf.

    Example:
        >>> draw(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(), torch.tensor([0.2, 0.7]).double()).tolist()
        [0, 1]
    """
    weights = torch.exp(logits - logits.amax(-1, keepdim=True))
    sums = weights.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(sums, uniform[:, None] * sums[:, -1:], right=True)[:, 0]


def uniforms(seed: int, skip: int = 0) -> Iterator[float]:
    """Yield the uniform numbers of a seed, without the first ``skip``.

    Example:
        >>> whole, rest = uniforms(7), uniforms(7, skip=100)
        >>> [next(whole) for _ in range(103)][100:] == [next(rest) for _ in range(3)]
        True
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(skip // _BLOCK):
        torch.rand(_BLOCK, generator=generator, dtype=torch.float64)
    used = skip % _BLOCK
    while True:
        yield from torch.rand(_BLOCK, generator=generator, dtype=torch.float64).tolist()[used:]
        used = 0


def check_ids(ids: object, name: str) -> tuple[int, ...]:
    """Return token ids as a tuple; ConfigError for what is no list of whole numbers from 0 on.

    Example:
        >>> check_ids(torch.tensor([3, 5]), "stop_ids")
        (3, 5)
        >>> check_ids(3, "stop_ids")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: stop_ids=3 arrived; expected a list of token ids: type stop_ids=[3]
    """
    if isinstance(ids, Tensor):
        ids = ids.tolist()
    if isinstance(ids, Integral) and not isinstance(ids, bool):
        raise ConfigError.of(name, ids, f"expected a list of token ids: type {name}=[{ids}]")
    listed: list[Any] = list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str) else [None]
    if not all(isinstance(one, Integral) and not isinstance(one, bool) and int(one) >= 0 for one in listed):
        raise ConfigError.of(name, ids, "expected a list of token ids, whole numbers of at least 0")
    return tuple(int(one) for one in listed)


def check_vocabulary(ids: Sequence[int], name: str, size: int) -> None:
    """Raise ConfigError where one of the ids is outside a vocabulary of this size."""
    outside = [one for one in ids if one >= size]
    if outside:
        raise ConfigError.of(
            name, list(ids), f"but the model has a vocabulary of {size}, ids 0 to {size - 1}: leave out {outside}"
        )


def refuse_no_choice(logits: Tensor, row: int) -> None:
    """Raise DataError of a row whose logits [V] leave no token to choose: NaN, +inf, or all −inf."""
    if not bool((logits < torch.inf).all()):
        raise DataError(
            f"the model's logits of row {row} are NaN or infinite; expected finite numbers: check its weights, "
            "which training may have made NaN"
        )
    raise DataError(
        f"no token is left to choose in row {row}: all logits are -inf; expected at least one that is allowed: "
        "forbid fewer ids"
    )
