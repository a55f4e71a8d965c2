"""The steps of a beam search.

What a step decides by few numbers stands in Python's lists: a call of PyTorch takes longer than such a decision.

Legend: rows are sources × width, S steps of a source, V vocabulary.
"""

from __future__ import annotations

import math

import torch

from ..errors import ConfigError
from ..ops.native_linear import MOST_ROWS
from ..ops.native_tokens import best_continuations
from ..ops.padding import valid_steps
from .hypotheses import BeamSettings, Hypothesis, completing_tokens
from .prompts import padded
from .protocol import Session, TokenModel
from .sampling import check_vocabulary, refuse_no_choice

Tensor = torch.Tensor
_MOST_BANS = 64  # tokens of a source that repeat a sequence, beyond which they are left out before the choice


class BeamSteps:
    """The state of one search. The rows are those of `sources`, each with `width` of them; some are `done`.

    Args:
        model: what generates.
        settings: of the search.
        prompts: of each source.
    """

    def __init__(self, model: TokenModel, settings: BeamSettings, prompts: list[list[int]]) -> None:
        self.model, self.settings, self.device = model, settings, torch.device(model.device)
        width, self.sources = settings.width, list(range(len(prompts)))
        self.done: set[int] = set()
        self.finished: list[list[Hypothesis]] = [[] for _ in prompts]
        index = torch.arange(len(prompts), device=self.device).repeat_interleave(width)
        self.session: Session
        self._read(prompts, index)
        self.vocabulary = self.logits.shape[1]
        check_vocabulary(settings.end, "end", self.vocabulary)
        check_vocabulary(settings.forbidden_ids, "forbidden_ids", self.vocabulary)
        if self.attention is None:
            self._refuse_without_attention()

        # At the beginning the rows of a source are alike, so only the first may continue.
        self.scores = [[0.0] + [-math.inf] * (width - 1) for _ in prompts]
        self.ids = [row for row in prompts for _ in range(width)]  # of each row, the prompt in front
        self.begins = [len(row) for row in prompts]  # where the new tokens of a source begin
        self.ends = frozenset(settings.end)
        self.coverage = self._padding = None
        if self.attention is not None and settings.coverage_penalty:
            self.coverage = torch.zeros_like(self.attention)  # Σ_j a_ij of the tokens so far [rows, S]
            self._padding = self._padding_of(index, self.attention.shape[1])
        self.weights: list[Tensor] = []  # the attention of each step, where it is asked for
        self.origins: list[list[int]] = [[] for _ in self.ids]  # of each row, its row in each of them

    def _read(self, prompts: list[list[int]], index: Tensor) -> None:
        """Read the prompts; row i is of source ``index[i]``."""
        model = self.model
        if len(index) <= MOST_ROWS and all(len(row) == 1 for row in prompts):
            # All rows in one step of the session that continues, because the next steps read its weights, too.
            self.session = model.session(len(index), model.reorder(model.initial_state(len(prompts)), index))
            self.logits = self.session.step(torch.tensor([row[0] for row in prompts], device=self.device)[index])
            self.attention = self.session.attention
            return
        first = model.session(len(prompts))
        self.logits = first.read(*padded(prompts, self.device)).index_select(0, index)
        self.attention = None if first.attention is None else first.attention.index_select(0, index)
        self.session = model.session(len(index), model.reorder(first.state, index))

    def run(self) -> list[list[Hypothesis]]:
        """Search to the end, and return the best hypotheses of each source."""
        try:
            for length in range(1, self.settings.max_tokens + 1):
                ids = self._extend(length)
                if len(self.done) == len(self.finished):
                    break
                self.logits = self.session.step(torch.tensor(ids, device=self.device))
                self.attention = self.session.attention
        finally:
            self.session.close()
        return [sorted(source, key=lambda one: -one.score)[: self.settings.n_best] for source in self.finished]

    def _extend(self, length: int) -> list[int]:
        """Choose token number ``length`` of all rows, and return the ids that the model reads next."""
        width, vocabulary = self.settings.width, self.vocabulary
        bans = self._bans()
        rows: list[int] = []
        ids: list[int] = []
        scores: list[list[float]] = []
        for place, options in enumerate(zip(*self._best(length, bans), strict=True)):
            going = self.sources[place] not in self.done
            first, rank, chosen = place * width, 0, []
            for value, at in zip(*options, strict=True):
                row, token = first + at // vocabulary, at % vocabulary
                if bans is not None and token in bans[row]:
                    continue
                if going and rank == 0 and not value > -math.inf:
                    self._end_stuck(place, value)
                    going = False
                if token not in self.ends:
                    chosen.append(value)
                    rows.append(row)
                    ids.append(token)
                    if len(chosen) == width:
                        break
                elif going and rank < width and value > -math.inf:
                    self._keep(place, row, value, self.attention, True)
                rank += 1
            if going and not rank and not chosen:  # all were banned
                self._end_stuck(place, -math.inf)
            missing = width - len(chosen)
            rows += [first] * missing
            ids += [0] * missing
            scores.append(chosen + [-math.inf] * missing)
        self.scores = scores
        self._take(rows, ids)
        self._end_sources(length)
        return self._without_done(ids)

    def _bans(self) -> list[set[int]] | None:
        """The tokens that may follow no row, as a sequence would come twice; None: each token may follow."""
        n = self.settings.no_repeat_ngram
        if not n:
            return None
        found = [completing_tokens(ids, n) for ids in self.ids]
        return found if any(found) else None

    def _best(self, length: int, bans: list[set[int]] | None) -> tuple[list[list[float]], list[list[int]]]:
        """The most probable continuations of each source, and their places in [width, V].

        There are enough of them to leave `width` others beside all that end or are banned.
        """
        settings, width = self.settings, self.settings.width
        never = settings.forbidden_ids + (settings.end if length <= settings.min_tokens else ())
        logits = self.logits if self.logits.dtype == torch.float64 else self.logits.float()
        scores = torch.tensor(self.scores, dtype=logits.dtype, device=self.device)
        count = (1 + len(settings.end)) * width
        most = 0
        if bans is not None:
            most = max(sum(map(len, bans[at : at + width])) for at in range(0, len(bans), width))
        found = None
        if most <= _MOST_BANS:
            found = best_continuations(logits, scores, never, min(count + most, width * self.vocabulary))
        if found is None:
            # Without torch.log_softmax, which wakes PyTorch's threads for the smallest rows.
            values = logits - logits.logsumexp(-1, keepdim=True)
            if never:
                values.index_fill_(1, torch.tensor(never, device=self.device), -math.inf)
            if bans is not None:
                pairs = [(row, token) for row, tokens in enumerate(bans) for token in tokens]
                values[torch.tensor(pairs, device=self.device).unbind(1)] = -math.inf
            totals = (values + scores.view(-1, 1)).view(len(scores), -1)
            found = torch.topk(totals, min(count + most, totals.shape[1]))
        return found[0].tolist(), found[1].tolist()

    def _take(self, rows: list[int], ids: list[int]) -> None:
        """Let row ``rows[i]``, with one token more, be row i."""
        if self.attention is not None and self.settings.return_attention:
            self.weights.append(self.attention)
            self.origins = [[*self.origins[row], row] for row in rows]
        if self.coverage is not None and self.attention is not None:
            self.coverage = self.coverage + self.attention
        if any(row != at for at, row in enumerate(rows)):
            index = torch.tensor(rows, device=self.device)
            self.session.reorder(index)
            if self.coverage is not None:
                self.coverage = self.coverage.index_select(0, index)
        self.ids = [[*self.ids[row], token] for row, token in zip(rows, ids, strict=True)]

    def _keep(self, place: int, row: int, total: float, attention: Tensor | None, ended: bool) -> None:
        """Keep the hypothesis of a row; ``attention`` is that of its end, None where it has none."""
        settings, source = self.settings, self.sources[place]
        ids = self.ids[row][self.begins[source] :]
        score = total / settings.norm(len(ids) + ended)
        if self.coverage is not None:
            covered = self.coverage[row] if attention is None else self.coverage[row] + attention[row]
            if self._padding is not None:
                covered = covered.masked_fill(self._padding[row], 1.0)
            tiny = torch.finfo(covered.dtype).tiny
            score += settings.coverage_penalty * float(covered.clamp(tiny, 1.0).log().sum())
        weights = None
        if settings.return_attention and self.attention is not None:
            steps = [step[at] for step, at in zip(self.weights, self.origins[row], strict=True)]
            steps += [] if attention is None else [attention[row]]
            weights = torch.stack(steps) if steps else self.attention[row][None][:0]
        self.finished[source].append(Hypothesis(ids, score, total, ended, attention=weights))

    def _keep_running(self, place: int) -> None:
        """Keep what a source follows as hypotheses that did not end."""
        for beam, total in enumerate(self.scores[place]):
            if total > -math.inf:
                self._keep(place, place * self.settings.width + beam, total, None, False)

    def _end_stuck(self, place: int, value: float) -> None:
        """End a source of which no token may follow; DataError where the logits are NaN."""
        source, width = self.sources[place], self.settings.width
        if value != value or len(self.ids[place * width]) == self.begins[source]:  # NaN, or no token at all
            refuse_no_choice(self.logits[place * width :][:width].sum(0), source)
        self._keep_running(place)
        self.done.add(source)

    def _end_sources(self, length: int) -> None:
        """End the sources whose best hypotheses are known."""
        settings = self.settings
        for place, source in enumerate(self.sources):
            if source in self.done:
                continue
            found = self.finished[source]
            over = settings.early_end and len(found) >= settings.width
            if not over and len(found) >= settings.n_best:
                # ln p only falls, so no continuation gets a higher score than this.
                worst = sorted((one.score for one in found), reverse=True)[settings.n_best - 1]
                over = worst >= self.scores[place][0] / settings.norm(settings.max_tokens)
            if not over and length == settings.max_tokens:
                self._keep_running(place)
                over = True
            if over:
                self.done.add(source)

    def _without_done(self, ids: list[int]) -> list[int]:
        """Drop the rows of the sources that are done, where these are half of all; return the ids of the others."""
        left = [place for place, source in enumerate(self.sources) if source not in self.done]
        if not left or 2 * len(left) > len(self.sources):
            return ids
        width = self.settings.width
        rows = [place * width + beam for place in left for beam in range(width)]
        index = torch.tensor(rows, device=self.device)
        state = self.model.reorder(self.session.state, index)
        self.session.close()
        self.session = self.model.session(len(rows), state)
        self.sources = [self.sources[place] for place in left]
        self.scores = [self.scores[place] for place in left]
        self.ids, self.origins = ([of[row] for row in rows] for of in (self.ids, self.origins))
        self.coverage = None if self.coverage is None else self.coverage[index]
        self._padding = None if self._padding is None else self._padding[index]
        return [ids[row] for row in rows]

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
        """Bool [rows, S], true after the end of each row's source."""
        lengths = self.model.source_lengths
        if lengths is None:
            return None
        return ~valid_steps(lengths.to(self.device)[index], steps, self.device)
