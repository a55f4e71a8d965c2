"""Attention of a decoder to the outputs of an encoder.

Legend: B batch, T steps of the decoder, S steps of the source, Q features of a query, F of the memory, A of the scores.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from ..errors import ConfigError, check_choice

Tensor = torch.Tensor
Score = Literal["dot", "general", "additive"]
SCORES: tuple[Score, ...] = ("dot", "general", "additive")


class Attended(NamedTuple):
    """What attention returns.

    Attributes:
        contexts: c [B, T, F].
        weights: a [B, T, S]; each row sums to 1, and is 0 in the padding.
        covered: Σ a of all steps so far [B, S]; None without coverage.
    """

    contexts: Tensor
    weights: Tensor
    covered: Tensor | None


class Attention(torch.nn.Module):
    """Weigh the steps m_i of a memory for each query q_t.

        a_t = softmax_i e_ti,  c_t = Σ_i a_ti m_i

        dot        e_ti = q_t · m_i                                (Luong et al. 2015)
        general    e_ti = q_t · W m_i                              (Luong et al. 2015)
        additive   e_ti = v · tanh(W_q q_t + b + W_m m_i)          (Bahdanau et al. 2015)

    With coverage (See et al. 2017) the key of a step of the memory has w_c Σ_{t' < t} a_t'i added, with a vector w_c:

        additive   e_ti = v · tanh(W_q q_t + b + W_m m_i + w_c Σ_{t' < t} a_t'i)
        general    e_ti = q_t · (W m_i + w_c Σ_{t' < t} a_t'i), and so for dot

    See et al. give the first equation. In the second one w_c is 0 at the beginning, so training starts with Luong's
    scores.

    What the memory adds to the scores is computed once a source, by `keys`. With coverage the steps run one after the
    other; without it all run together.

    Args:
        score: "dot", "general" or "additive".
        queries: Q.
        memory: F.
        size: A, of "additive".
        coverage: whether the scores see the weights of the steps before.

    Raises:
        ConfigError: settings that exclude each other.

    Example:
        >>> attention = Attention("additive", queries=4, memory=6, size=8)
        >>> memory, padding = torch.randn(2, 5, 6), torch.arange(5) >= torch.tensor([[5], [3]])
        >>> contexts, weights, _ = attention(torch.randn(2, 3, 4), memory, attention.keys(memory), padding)
        >>> tuple(contexts.shape), tuple(weights.shape), weights[1, :, 3:].any().item()
        ((2, 3, 6), (2, 3, 5), False)
    """

    def __init__(self, score: Score, queries: int, memory: int, size: int, coverage: bool = False) -> None:
        super().__init__()
        check_choice(score, "attention", SCORES)
        if score == "dot" and queries != memory:
            raise ConfigError(
                f"attention='dot' multiplies the decoder's {queries} features with the encoder's {memory}; expected as "
                "many: type attention='general'"
            )
        self.score, self.coverage = score, coverage
        linear = torch.nn.Linear
        self.from_memory = None if score == "dot" else linear(memory, queries if score == "general" else size, False)
        self.from_query = linear(queries, size) if score == "additive" else None
        self.v = linear(size, 1, False) if score == "additive" else None
        self.from_coverage = linear(1, size if score == "additive" else queries, False) if coverage else None
        if self.from_coverage is not None and score != "additive":
            torch.nn.init.zeros_(self.from_coverage.weight)

    def keys(self, memory: Tensor) -> Tensor:
        """Return what the scores take of a memory [B, S, F]."""
        return memory if self.from_memory is None else self.from_memory(memory)

    def forward(
        self, queries: Tensor, memory: Tensor, keys: Tensor, padding: Tensor, covered: Tensor | None = None
    ) -> Attended:
        """Attend.

        Args:
            queries: q [B, T, Q].
            memory: m [B, S, F].
            keys: what `keys(memory)` returned.
            padding: bool [B, S], true behind the end of a source.
            covered: Σ a of the steps before [B, S]; needed with coverage.
        """
        hidden = padding[:, None]
        if self.from_query is None or self.v is None:
            scores = torch.bmm(queries, keys.transpose(1, 2)).masked_fill(hidden, -torch.inf)
            weights, covered = self._multiplied(queries, scores, covered)
            return Attended(torch.bmm(weights, memory), weights, covered)
        projected = self.from_query(queries)
        if self.from_coverage is None:
            weights = self._additive(projected[:, :, None] + keys[:, None], hidden)
            return Attended(torch.bmm(weights, memory), weights, covered)
        assert covered is not None
        steps = []
        for query in projected.unbind(1):
            seen = self.from_coverage(covered[..., None])
            weights = self._additive((query[:, None] + keys + seen)[:, None], hidden)
            covered = covered + weights[:, 0]
            steps.append(weights)
        weights = torch.cat(steps, 1)
        return Attended(torch.bmm(weights, memory), weights, covered)

    def _multiplied(self, queries: Tensor, scores: Tensor, covered: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the weights [B, T, S] of Luong's scores [B, T, S], and Σ a after these steps."""
        if self.from_coverage is None:
            return scores.softmax(-1), covered
        assert covered is not None
        effects = queries @ self.from_coverage.weight  # q_t · w_c [B, T, 1]
        steps = []
        for score, effect in zip(scores.unbind(1), effects.unbind(1), strict=True):
            weights = (score + effect * covered).softmax(-1)
            covered = covered + weights
            steps.append(weights)
        return torch.stack(steps, 1), covered

    def _additive(self, summed: Tensor, hidden: Tensor) -> Tensor:
        """Return the weights [B, T, S] of the sums [B, T, S, A] inside of the tanh."""
        assert self.v is not None
        return self.v(summed.tanh())[..., 0].masked_fill(hidden, -torch.inf).softmax(-1)  # type: ignore[no-any-return]
