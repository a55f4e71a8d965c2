"""What changes the logits before a token is chosen: pure functions on logits [B, V], one a method of the literature.

A token that cannot be chosen has the logit −inf. All functions take logits or log-probabilities, and return a new
tensor. Legend: B batch, V vocabulary, p = softmax(logits).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch

from ..errors import ConfigError, check_number, check_whole

Tensor = torch.Tensor
_NEVER = -math.inf


def scale_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Divide the logits by a temperature: p_i ∝ exp(x_i / T) (Ackley, Hinton & Sejnowski 1985).

    Args:
        logits: [B, V].
        temperature: T > 0; below 1 likely tokens become likelier, above 1 all become more alike.

    Returns:
        logits [B, V].

    Raises:
        ConfigError: the temperature is not above 0.

    Example:
        >>> scale_temperature(torch.tensor([[1.0, 2.0]]), 0.5).tolist()
        [[2.0, 4.0]]
    """
    check_number(temperature, "temperature", above=0)
    return logits / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits: x_i ≥ the k-th largest x (Fan, Lewis & Dauphin 2018).

    Tokens that are as likely as the k-th are kept too.

    Args:
        logits: [B, V].
        k: at least 1; more than V keeps all.

    Returns:
        logits [B, V], −inf at the others.

    Raises:
        ConfigError: k is below 1.

    Example:
        >>> keep_top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2).tolist()
        [[-inf, 3.0, 2.0]]
    """
    check_whole(k, "top_k")
    if k >= logits.shape[-1]:
        return logits.clone()
    least = torch.topk(logits, k).values[:, -1:]
    return logits.masked_fill(logits < least, _NEVER)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the nucleus: the smallest set of the most probable tokens with Σ p_i ≥ p (Holtzman et al. 2020).

    Args:
        logits: [B, V].
        p: above 0, at most 1. At least one token is always kept; of equally likely ones those with the lower id.

    Returns:
        logits [B, V], −inf outside the nucleus.

    Raises:
        ConfigError: p is outside its range.

    Example:
        >>> keep_top_p(torch.tensor([[0.5, 0.2, 0.3]]).log(), 0.6).exp().tolist()[0][1]
        0.0
    """
    check_share(p, "top_p")
    ordered, order = torch.sort(logits, descending=True, stable=True)
    # Without torch.softmax, which wakes PyTorch's threads for the smallest rows.
    sums = torch.exp(ordered - ordered[:, :1]).cumsum(-1, dtype=torch.float64)
    outside = (sums >= p * sums[:, -1:]).roll(1, -1)  # the tokens before reach p already
    outside[:, 0] = False
    return logits.masked_fill(torch.empty_like(outside).scatter_(1, order, outside), _NEVER)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens with p_i ≥ p · max_j p_j (Nguyen et al. 2024), which is x_i ≥ max_j x_j + ln p.

    Args:
        logits: [B, V].
        p: above 0, at most 1.

    Returns:
        logits [B, V], −inf at the others.

    Raises:
        ConfigError: p is outside its range.

    Example:
        >>> keep_min_p(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4).isfinite().tolist()
        [[True, True, False]]
    """
    check_share(p, "min_p")
    least = logits.amax(-1, keepdim=True) + math.log(p)
    return logits.masked_fill(logits < least, _NEVER)


def penalise_repetition(logits: Tensor, previous: Tensor, penalty: float) -> Tensor:
    """Make tokens of the past less likely: x_i / θ, or x_i · θ where x_i < 0 (Keskar et al. 2019).

    Keskar et al. divide all logits by θ, which would make those below 0 likelier. The usual variant, which multiplies
    these, is computed here.

    Args:
        logits: [B, V].
        previous: the ids of the past [B, W]; −1 stands for none.
        penalty: θ > 0; 1 changes nothing, 1.2 is the authors' choice.

    Returns:
        logits [B, V].

    Raises:
        ConfigError: the penalty is not above 0.

    Example:
        >>> penalise_repetition(torch.tensor([[2.0, -2.0, 2.0]]), torch.tensor([[0, 1]]), 2.0).tolist()
        [[1.0, -4.0, 2.0]]
    """
    check_number(penalty, "repetition_penalty", above=0)
    seen = _marked(logits, previous)
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def forbid(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Let some tokens never be chosen.

    Args:
        logits: [B, V].
        ids: the tokens.

    Returns:
        logits [B, V], −inf at these.

    Example:
        >>> forbid(torch.zeros(1, 3), [1]).tolist()
        [[0.0, -inf, 0.0]]
    """
    return logits.index_fill(1, torch.tensor(list(ids), dtype=torch.long, device=logits.device), _NEVER)


def ban_repeated_ngrams(logits: Tensor, previous: Tensor, n: int) -> Tensor:
    """Let no sequence of n tokens come twice (Paulus, Xiong & Socher 2017).

    Token i is banned where the last n − 1 tokens, followed by i, occur in the past already.

    Args:
        logits: [B, V].
        previous: the ids of the past [B, W]; −1 stands for none, to the left of all others.
        n: the length of the sequences, at least 1.

    Returns:
        logits [B, V], −inf at the banned tokens.

    Raises:
        ConfigError: n is below 1.

    Example:
        >>> ban_repeated_ngrams(torch.zeros(1, 3), torch.tensor([[0, 1, 2, 0]]), 2).tolist()
        [[0.0, -inf, 0.0]]
    """
    check_whole(n, "no_repeat_ngram")
    if previous.shape[1] < n:
        return logits.clone()
    windows = previous.unfold(1, n, 1)
    last = previous[:, previous.shape[1] - n + 1 :]
    again = (windows[:, :, :-1] == last[:, None]).all(-1)
    return logits.masked_fill(_marked(logits, torch.where(again, windows[:, :, -1], -1)), _NEVER)


def check_share(value: object, name: str) -> None:
    """Raise ConfigError for what is no share above 0 and of at most 1.

    Example:
        >>> check_share(95, "top_p")
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: top_p=95 arrived; expected a number above 0 and of at most 1
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (number and 0 < float(value) <= 1):  # type: ignore[arg-type]
        raise ConfigError.of(name, value, "expected a number above 0 and of at most 1")


def _marked(logits: Tensor, ids: Tensor) -> Tensor:
    """Bool [B, V], true at the ids [B, W] of each row; −1 marks nothing."""
    batch, size = logits.shape
    marks = torch.zeros(batch, size + 1, dtype=torch.bool, device=logits.device)
    return marks.scatter_(1, torch.where((ids < 0) | (ids >= size), size, ids), True)[:, :size]
