"""Beam search: the likeliest sequences, approximately."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ConfigError, check_number, check_whole
from ..ops.native_tokens import best_continuations
from ..ops.padding import valid_steps
from .adapters import token_model
from .filters import ban_repeated_ngrams
from .past import Past
from .prompts import Encode, Prompts, padded, prompt_rows, refuse_empty
from .protocol import Session, TokenModel, rows_of
from .sampling import check_ids, check_vocabulary, refuse_no_choice
from .text_pieces import Decode

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
class _Settings:
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
        """lp of a hypothesis of so many tokens, the end included."""
        return float(((5 + tokens) / 6) ** self.length_penalty)


def beam_search(
    model: Any,
    prompts: Prompts,
    *,
    end: int | Sequence[int],
    width: int = 5,
    max_tokens: int = 256,
    length_penalty: float = 0.6,
    coverage_penalty: float = 0.0,
    n_best: int = 1,
    no_repeat_ngram: int = 0,
    min_tokens: int = 0,
    forbidden_ids: Sequence[int] = (),
    early_end: bool = True,
    encode: Encode | None = None,
    decode: Decode | None = None,
    return_attention: bool = False,
) -> list[list[Hypothesis]]:
    """Search for the sequences y with the highest scores (Wu et al. 2016, equation 14), several sources at once.

        s(y, x) = ln p(y | x) / lp(y) + cp(x, y)
        lp(y) = ((5 + |y|) / (5 + 1))^α
        cp(x, y) = β Σ_i ln min(Σ_j a_ij, 1),  a_ij the attention of token j to step i of the source

    At each step the `width` best continuations that do not end go on, by ln p. One that ends, and is among the `width`
    best of all, is a finished hypothesis. |y| counts the end. With ``width=1`` this is greedy decoding. As in the
    usual implementations, and other than in the paper, scores do not prune during the search.

    Legend: B batch, S steps of a source, V vocabulary.

    Args:
        model: what `token_model` takes: ``encoded(model, x)``, or a language model.
        prompts: what hypotheses begin with, as `generate` takes it; ``[start]`` for an encoder–decoder goes to all
            sources.
        end: the id that ends a hypothesis, or several.
        width: hypotheses that are followed at a time, per source.
        max_tokens: the most tokens of a hypothesis, the end included.
        length_penalty: α ≥ 0; 0 prefers short hypotheses, 1 about divides by the length.
        coverage_penalty: β ≥ 0; above 0 the model has to return attention weights.
        n_best: hypotheses that are returned for each source, at most `width`.
        no_repeat_ngram: no sequence of so many tokens comes twice, the prompt included; 0 allows all.
        min_tokens: tokens in front of the end, at least.
        forbidden_ids: tokens that are never chosen.
        early_end: a source is done when `width` hypotheses are finished. False: only when no other can enter the best
            ones. A source is also done when that is so earlier.
        encode, decode: text → ids for prompts that are text; ids → text.
        return_attention: fill `Hypothesis.attention`.

    Returns:
        for each source its `n_best` hypotheses, the best first; fewer where there are no more.

    Raises:
        ConfigError: a setting is outside its range, or a model without attention weights is asked for them.
        DataError: a prompt is empty; the logits are NaN. ShapeError: prompts and sources differ in number.

    Example:
        >>> from rnnkit.generation import StepFunction
        >>> table = torch.tensor([[0.0, 0.5, 0.3, 0.2], [0.0, 0.1, 0.2, 0.7], [0.0, 0.0, 0.0, 1.0], [1.0, 0, 0, 0]])
        >>> model = StepFunction(lambda ids, state: (table[ids].log(), state), lambda batch: ())
        >>> [one.ids for one in beam_search(model, [0], end=3, width=4, n_best=2, length_penalty=0)[0]]
        [[1], [2]]
    """
    settings = _checked(
        _Settings(
            width,
            max_tokens,
            check_ids([end] if isinstance(end, int) else end, "end"),
            length_penalty,
            coverage_penalty,
            n_best,
            no_repeat_ngram,
            min_tokens,
            check_ids(forbidden_ids, "forbidden_ids"),
            early_end,
            return_attention,
        )
    )
    machine = token_model(model)
    rows = prompt_rows(prompts, encode)
    refuse_empty(rows)
    if machine.rows is not None and len(rows) == 1:
        rows = rows * machine.rows
    rows_of(machine, len(rows))
    with torch.inference_mode():
        found = _Search(machine, settings, rows).run()
    if decode is None:
        return found
    return [[Hypothesis(**{**vars(one), "text": decode(one.ids)}) for one in source] for source in found]


def _checked(settings: _Settings) -> _Settings:
    check_whole(settings.width, "width")
    check_whole(settings.max_tokens, "max_tokens")
    check_number(settings.length_penalty, "length_penalty")
    check_number(settings.coverage_penalty, "coverage_penalty")
    check_whole(settings.n_best, "n_best")
    check_whole(settings.no_repeat_ngram, "no_repeat_ngram", least=0)
    check_whole(settings.min_tokens, "min_tokens", least=0)
    if settings.n_best > settings.width:
        raise ConfigError.of(
            "n_best",
            settings.n_best,
            f"expected at most width={settings.width}: type width={settings.n_best}, or more",
        )
    if settings.min_tokens >= settings.max_tokens:
        raise ConfigError.of(
            "min_tokens",
            settings.min_tokens,
            f"expected fewer than max_tokens={settings.max_tokens}, which counts the end too",
        )
    return settings


class _Search:
    """The state of one search. The rows are those of `sources`, each with `width` of them; some are `done`.

    Legend: rows are sources × width, S steps of a source.
    """

    def __init__(self, model: TokenModel, settings: _Settings, prompts: list[list[int]]) -> None:
        self.model, self.settings, self.device = model, settings, torch.device(model.device)
        width, self.sources = settings.width, list(range(len(prompts)))
        self.done: set[int] = set()
        self.finished: list[list[Hypothesis]] = [[] for _ in prompts]
        first = model.session(len(prompts))
        logits = first.read(*padded(prompts, self.device))
        self.vocabulary = logits.shape[1]
        check_vocabulary(settings.end, "end", self.vocabulary)
        check_vocabulary(settings.forbidden_ids, "forbidden_ids", self.vocabulary)
        if first.attention is None:
            self._refuse_without_attention()

        index = torch.arange(len(prompts), device=self.device).repeat_interleave(width)
        self.session: Session = model.session(len(index), model.reorder(first.state, index))
        self.logits = logits.index_select(0, index)
        self.attention = None if first.attention is None else first.attention.index_select(0, index)
        # At the beginning the rows of a source are alike, so only the first may go on.
        self.scores = torch.full((len(prompts), width), -math.inf, device=self.device, dtype=torch.float32)
        self.scores[:, 0] = 0
        self.tokens = torch.zeros(len(index), 0, dtype=torch.long, device=self.device)
        self.past = (
            Past([row for row in prompts for _ in range(width)], self.device) if settings.no_repeat_ngram else None
        )
        self.ends = torch.tensor(settings.end, dtype=torch.long, device=self.device)
        self.never = torch.tensor(settings.forbidden_ids, dtype=torch.long, device=self.device)
        self.coverage = self.weights = self._padding = None
        if self.attention is not None and settings.coverage_penalty:
            self.coverage = torch.zeros_like(self.attention)  # Σ_j a_ij of the tokens so far [rows, S]
            self._padding = self._padding_of(index, self.attention.shape[1])
        if self.attention is not None and settings.return_attention:
            self.weights = self.attention[:, None][:, :0]  # of each token so far [rows, tokens, S]

    def run(self) -> list[list[Hypothesis]]:
        """Search to the end, and return the best hypotheses of each source."""
        for length in range(1, self.settings.max_tokens + 1):
            ids = self._extend(length)
            if len(self.done) == len(self.finished):
                break
            self.logits = self.session.step(ids)
            self.attention = self.session.attention
        return [sorted(source, key=lambda one: -one.score)[: self.settings.n_best] for source in self.finished]

    def _extend(self, length: int) -> Tensor:
        """Choose token number ``length`` of all rows, and return the ids that the model reads next."""
        settings, width = self.settings, self.settings.width
        # So many that, whatever ends, `width` others are among them.
        values, places = self._best(length, min((1 + len(settings.end)) * width, width * self.vocabulary))
        parents = torch.div(places, self.vocabulary, rounding_mode="floor")
        tokens = places - parents * self.vocabulary
        ends = tokens == settings.end[0] if len(settings.end) == 1 else torch.isin(tokens, self.ends)
        self._end_stuck(values[:, 0].tolist())
        if bool(ends[:, :width].any()):
            self._finish(values, parents, tokens, ends)
        self.scores, chosen = torch.topk(values.masked_fill(ends, -math.inf), width)
        first = torch.arange(len(self.scores), device=self.device)[:, None] * width
        ids = tokens.gather(1, chosen).view(-1)
        self._take((parents.gather(1, chosen) + first).view(-1), ids)
        self._end_sources(length)
        return self._without_done(ids)

    def _best(self, length: int, count: int) -> tuple[Tensor, Tensor]:
        """The likeliest continuations of each source [sources, count], and their places in [width, V]."""
        banned = self.settings.forbidden_ids + (self.settings.end if length <= self.settings.min_tokens else ())
        if self.past is None and (found := best_continuations(self.logits, self.scores, banned, count)) is not None:
            return found
        totals = (self._log_probabilities(length) + self.scores.view(-1, 1)).view(len(self.scores), -1)
        return torch.topk(totals, count)

    def _log_probabilities(self, length: int) -> Tensor:
        """ln p of the next token [rows, V], −inf where it is not allowed."""
        logits = self.logits if self.logits.dtype == torch.float64 else self.logits.float()
        # Without torch.log_softmax, which wakes PyTorch's threads for the smallest rows.
        values = logits - logits.logsumexp(-1, keepdim=True)
        if self.settings.forbidden_ids:
            values.index_fill_(1, self.never, -math.inf)
        if length <= self.settings.min_tokens:
            values.index_fill_(1, self.ends, -math.inf)
        if self.past is not None:
            values = ban_repeated_ngrams(values, self.past.ids, self.settings.no_repeat_ngram)
        return values

    def _take(self, rows: Tensor, ids: Tensor) -> None:
        """Let row ``rows[i]``, with one token more, be row i."""
        if self.coverage is not None and self.attention is not None:
            self.coverage = (self.coverage + self.attention).index_select(0, rows)
        if self.weights is not None and self.attention is not None:
            self.weights = torch.cat((self.weights, self.attention[:, None]), 1).index_select(0, rows)
        if self.settings.width > 1:
            self.session.reorder(rows)
        self.tokens = torch.cat((self.tokens.index_select(0, rows), ids[:, None]), 1)
        if self.past is not None:
            self.past.reorder(rows)
            self.past.append(ids)

    def _finish(self, values: Tensor, parents: Tensor, tokens: Tensor, ends: Tensor) -> None:
        """Keep the hypotheses that end now, of those among the `width` best."""
        width = self.settings.width
        for place, rank in ends[:, :width].nonzero().tolist():
            total = float(values[place, rank])
            if self.sources[place] not in self.done and total > -math.inf:
                self._keep(place, place * width + int(parents[place, rank]), total, self.attention, True)

    def _keep(self, place: int, row: int, total: float, attention: Tensor | None, ended: bool) -> None:
        """Keep the hypothesis of a row; ``attention`` is that of its end, None where it has none."""
        settings, ids = self.settings, self.tokens[row].tolist()
        score = total / settings.norm(len(ids) + ended)
        if self.coverage is not None:
            covered = self.coverage[row] if attention is None else self.coverage[row] + attention[row]
            if self._padding is not None:
                covered = covered.masked_fill(self._padding[row], 1.0)
            tiny = torch.finfo(covered.dtype).tiny
            score += settings.coverage_penalty * float(covered.clamp(tiny, 1.0).log().sum())
        weights = None
        if self.weights is not None:
            last = [] if attention is None else [attention[row][None]]
            weights = torch.cat((self.weights[row], *last))
        self.finished[self.sources[place]].append(Hypothesis(ids, score, total, ended, attention=weights))

    def _keep_running(self, place: int) -> None:
        """Keep what a source follows as hypotheses that did not end."""
        for beam, total in enumerate(self.scores[place].tolist()):
            if total > -math.inf:
                self._keep(place, place * self.settings.width + beam, total, None, False)

    def _end_stuck(self, best: list[float]) -> None:
        """End sources of which no token may follow; DataError where the logits are NaN."""
        for place, value in enumerate(best):
            if value > -math.inf or self.sources[place] in self.done:
                continue
            rows = self.logits[place * self.settings.width :][: self.settings.width]
            if value != value or self.tokens.shape[1] == 0:  # NaN, or no token at all
                refuse_no_choice(rows.sum(0), self.sources[place])
            self._keep_running(place)
            self.done.add(self.sources[place])

    def _end_sources(self, length: int) -> None:
        """End the sources whose best hypotheses are known."""
        settings = self.settings
        best = self.scores[:, 0].tolist()
        for place, source in enumerate(self.sources):
            if source in self.done:
                continue
            found = self.finished[source]
            over = settings.early_end and len(found) >= settings.width
            if not over and len(found) >= settings.n_best:
                # ln p only falls, so nothing that goes on gets a higher score than this.
                worst = sorted((one.score for one in found), reverse=True)[settings.n_best - 1]
                over = worst >= best[place] / settings.norm(settings.max_tokens)
            if not over and length == settings.max_tokens:
                self._keep_running(place)
                over = True
            if over:
                self.done.add(source)

    def _without_done(self, ids: Tensor) -> Tensor:
        """Drop the rows of the sources that are done, where these are half of all; return the ids of the others."""
        left = [place for place, source in enumerate(self.sources) if source not in self.done]
        if not left or 2 * len(left) > len(self.sources):
            return ids
        width = self.settings.width
        places = torch.tensor(left, device=self.device)
        rows = (places[:, None] * width + torch.arange(width, device=self.device)).view(-1)
        self.sources = [self.sources[place] for place in left]
        self.session = self.model.session(len(rows), self.model.reorder(self.session.state, rows))
        self.scores, self.tokens = self.scores[places], self.tokens[rows]
        if self.past is not None:
            self.past.reorder(rows)
        self.coverage = None if self.coverage is None else self.coverage[rows]
        self.weights = None if self.weights is None else self.weights[rows]
        self._padding = None if self._padding is None else self._padding[rows]
        return ids[rows]

    def _refuse_without_attention(self) -> None:
        for name in ("coverage_penalty", "return_attention"):
            value = getattr(self.settings, name)
            if value:
                raise ConfigError.of(
                    name,
                    value,
                    f"but the model returns no attention weights; leave {name} out, or return logits, state, attention "
                    "from its step",
                )

    def _padding_of(self, index: Tensor, steps: int) -> Tensor | None:
        """Bool [rows, S], true behind the end of each row's source."""
        lengths = self.model.source_lengths
        if lengths is None:
            return None
        return ~valid_steps(lengths.to(self.device)[index], steps, self.device)
