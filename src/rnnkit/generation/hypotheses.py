"""What beam search follows and finds: hypotheses, its settings, and the tokens that a hypothesis may not take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Tensor = torch.Tensor


@dataclass(frozen=True)
class Hypothesis:
    """One sequence that beam search found.

    Attributes:
        ids: the new tokens, without the end.
        score: what hypotheses are ordered by: log-probability over length penalty, plus coverage penalty.
        log_probability: Σ_t ln p(y_t | y_<t), that of the end included.
        ended: whether it ended by itself; False where `max_tokens` cut it off.
        text: `decode(ids)`; None without `decode`.
        attention: the weights over the source [tokens, S], the end's included; None unless asked for.

    Example:
        >>> Hypothesis([4, 5], -0.5, -0.5, True).ids
        [4, 5]
    """

    ids: list[int]
    score: float
    log_probability: float
    ended: bool
    text: str | None = None
    attention: Tensor | None = None


@dataclass(frozen=True)
class BeamSettings:
    """The arguments of `beam_search` that the search itself reads."""

    width: int
    max_tokens: int
    end: tuple[int, ...]
    length_penalty: float
    coverage_penalty: float
    n_best: int
    no_repeat_ngram: int
    min_tokens: int
    forbidden_ids: tuple[int, ...]
    early_end: bool
    return_attention: bool

    def norm(self, tokens: int) -> float:
        """lp of a hypothesis of this number of tokens, the end included."""
        return float(((5 + tokens) / 6) ** self.length_penalty)


def completing_tokens(ids: Sequence[int], n: int) -> set[int]:
    """Return the tokens after ids that would complete a sequence of n tokens that ids has already.

    Example:
        >>> completing_tokens([0, 1, 2, 0, 1], 3), completing_tokens([4, 5], 1), completing_tokens([4, 4], 3)
        ({2}, {4, 5}, set())
    """
    if n == 1:
        return set(ids)
    found: set[int] = set()
    last, tail, at, stop = ids[-1], ids[len(ids) - n + 1 :], n - 2, len(ids) - 1
    while at < stop:
        try:
            at = ids.index(last, at, stop)
        except ValueError:
            break
        if ids[at - n + 2 : at + 1] == tail:
            found.add(ids[at + 1])
        at += 1
    return found
