"""The search of a recogniser of speech, of whole utterances and of streams, as `Decoding` sets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer
    from .speech_settings import Decoding


class Decoded(NamedTuple):
    tokens: list[int]
    times: list[tuple[int, int]]
    score: float
    confidences: list[float]


class _Greedy:
    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._times: list[tuple[int, int]] = []
        self._confidences: list[float] = []
        self._score, self._steps, self._last = 0.0, 0, 0

    def push(self, log_probs: Tensor) -> Decoded:
        values, best = log_probs.max(-1)
        for value, token in zip(values.tolist(), best.tolist(), strict=True):
            self._score += value
            probability = float(torch.tensor(value).exp())
            if token and token != self._last:
                self._tokens.append(token)
                self._times.append((self._steps, self._steps + 1))
                self._confidences.append(probability)
            elif token:
                self._times[-1] = (self._times[-1][0], self._steps + 1)
                self._confidences[-1] = max(self._confidences[-1], probability)
            self._last = token
            self._steps += 1
        return Decoded(list(self._tokens), list(self._times), self._score, list(self._confidences))

    def flush(self) -> Decoded:
        return (
            self.push(torch.zeros(0, 1))
            if False
            else Decoded(list(self._tokens), list(self._times), self._score, list(self._confidences))
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "tokens": list(self._tokens),
            "times": list(self._times),
            "confidences": list(self._confidences),
            "score": self._score,
            "steps": self._steps,
            "last": self._last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._tokens, self._times = list(state["tokens"]), [tuple(one) for one in state["times"]]
        self._confidences, self._score = list(state["confidences"]), state["score"]
        self._steps, self._last = state["steps"], state["last"]


class Search:
    def __init__(self, decoding: Decoding, tokenizer: Tokenizer) -> None:
        self.decoding, self.tokenizer = decoding, tokenizer

    def __call__(self, log_probs: Tensor) -> Decoded:
        decoder = self.decoder()
        decoder.push(log_probs)
        return decoder.flush()

    def decoder(self) -> _Greedy:
        return _Greedy()
