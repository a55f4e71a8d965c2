"""Tokens as they are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch

from ..ops.state import map_state
from ..types import State
from .generation_state import GenerationState
from .past import Past
from .prompts import padded
from .protocol import TokenModel
from .sampling import Sampling, check_vocabulary, refuse_no_choice, uniforms
from .text_pieces import Decode, TextPieces

Tensor = torch.Tensor


class Piece(NamedTuple):
    """One token of one row, as `stream` yields it.

    Attributes:
        row: the row of the batch.
        id: the token.
        text: what became certain with this token: "" while a character is incomplete or a stop string may have begun.
        reason: None; with the row's last token why it ends: "stop_id", "stop_string" or "max_tokens".

    Example:
        >>> Piece(row=0, id=3, text="a", reason=None).text
        'a'
    """

    row: int
    id: int
    text: str
    reason: str | None


class TokenStream(Iterator[Piece]):
    """An iterator over the tokens that `stream` makes; the model steps when the next token is asked for.

    Attributes:
        rows: the number of rows B.

    Example:
        >>> from rnnkit.generation import StepFunction, stream
        >>> model = StepFunction(lambda ids, state: (torch.eye(3).roll(1, 1)[ids], state), lambda batch: ())
        >>> tokens = stream(model, [0], temperature=0)
        >>> [next(tokens).id for _ in range(4)], tokens.state
        ([1, 2, 0, 1], GenerationState(1 rows, 5 tokens))
    """

    def __init__(
        self,
        model: TokenModel,
        start: GenerationState,
        max_tokens: int | None,
        sampling: Sampling,
        stop_ids: tuple[int, ...],
        stop_strings: tuple[str, ...],
        decode: Decode | None,
    ) -> None:
        self.rows = len(start)
        self._model, self._start, self._max, self._sampling = model, start, max_tokens, sampling
        self._stop_ids = frozenset(stop_ids)
        self._history = [list(row) for row in start.history]
        self._drawn = list(start.drawn)
        self._uniforms = [uniforms(*pair) for pair in zip(start.seeds, start.drawn, strict=True)]
        self._texts = None if decode is None else [TextPieces(decode, stop_strings, place) for place in start.text]
        self._made, self._live = 0, list(range(self.rows))
        self._queue: deque[Piece] = deque()
        self._ended: dict[int, State] = {}  # row -> its state where it ended
        self._ids: Tensor | None = None  # what the model reads next
        self._past = Past(self._history, model.device) if sampling.repetition_penalty != 1 else None
        with torch.inference_mode():
            self._session = model.session(self.rows, start.model_state)

    def __iter__(self) -> TokenStream:
        return self

    def __next__(self) -> Piece:
        while not self._queue:
            if not self._live or self._made == self._max:
                raise StopIteration
            with torch.inference_mode():
                self._advance()
        return self._queue.popleft()

    @property
    def state(self) -> GenerationState:
        """The state after all tokens made so far; of several rows a step makes one token each."""
        with torch.inference_mode():
            state = self._session.state
            if self._ended:
                rows = [self._ended[row] if row in self._ended else self._row(state, row) for row in range(self.rows)]
                state = self._model.map_rows(lambda axis, *parts: torch.cat(parts, axis), *rows)
        with torch.inference_mode(False):  # tensors made in inference mode could not be used in training
            state = map_state(torch.clone, state)
        return GenerationState(
            state,
            [list(row) for row in self._start.unread] if self._ids is None else [row[-1:] for row in self._history],
            [list(row) for row in self._history],
            list(self._start.seeds),
            list(self._drawn),
            list(self._start.text) if self._texts is None else [text.place for text in self._texts],
        )

    def _row(self, state: State, row: int) -> State:
        return self._model.reorder(state, torch.tensor([row], device=self._model.device))

    def _advance(self) -> None:
        """Make one token of each row that has not ended."""
        if self._ids is None:
            logits = self._session.read(*padded(self._start.unread, self._model.device))
            check_vocabulary(self._sampling.forbidden_ids, "forbidden_ids", logits.shape[1])
            check_vocabulary(sorted(self._stop_ids), "stop_ids", logits.shape[1])
        else:
            logits = self._session.step(self._ids)
        self._ids, chosen = self._chosen(logits)
        self._made += 1
        ended = []
        for row in self._live:
            token = chosen[row]
            self._history[row].append(token)
            text, reason = "", None
            if token in self._stop_ids:
                reason = "stop_id"
            elif self._texts is not None:
                text = self._texts[row].push(token)
                reason = "stop_string" if self._texts[row].stopped else None
            if reason is None and self._made == self._max:
                reason = "max_tokens"
            if reason is not None:
                ended.append(row)
                if self._texts is not None:
                    text += self._texts[row].flush()
            self._queue.append(Piece(row, token, text, reason))
        if ended:
            self._live = [row for row in self._live if row not in ended]
            if self._live:  # the others continue, and take the session's state along
                state = self._session.state
                self._ended |= {row: map_state(torch.clone, self._row(state, row)) for row in ended}

    def _chosen(self, logits: Tensor) -> tuple[Tensor, list[int]]:
        """Choose a token of each row; rows that ended get any."""
        past = None if self._past is None else self._past.ids
        numbers = [0.5] * self.rows
        if not self._sampling.greedy:
            for row in self._live:
                numbers[row] = next(self._uniforms[row])
                self._drawn[row] += 1
        ids = self._sampling.choose(logits, numbers, past)
        chosen = ids.tolist()
        for row, token in enumerate(chosen):
            if token == logits.shape[1]:
                if row in self._live:
                    refuse_no_choice(self._sampling.apply(logits, past)[row], row)
                ids[row] = chosen[row] = 0
        if self._past is not None:
            self._past.append(ids)
        return ids, chosen
