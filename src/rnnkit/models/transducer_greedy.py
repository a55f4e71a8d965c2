"""Greedy decoding of a transducer, for frames that come in pieces.

Legend: B rows, T frames, F features of the encoder, J of the joiner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ..ops.padding import valid_steps
from ..ops.state import map_state
from ..types import State

Tensor = torch.Tensor


class Joiner(Protocol):
    """What decoding asks of a :class:`rnnkit.TransducerModel`, which documents each part."""

    blank: int
    from_encoder: Any

    @property
    def state_batch_axis(self) -> int: ...

    def start(self, rows: int) -> tuple[Tensor, State]: ...

    def read_label(self, ids: Tensor, state: State) -> tuple[Tensor, State]: ...

    def join(self, at_frames: Tensor, at_labels: Tensor) -> Tensor: ...


@dataclass
class TransducerDecoded:
    """Labels that were found in one sequence.

    Attributes:
        tokens: their numbers, without blanks.
        times: of each label the encoder frame at which it was found, and the next one.
        confidences: of each label its probability, given the frames and the labels before it.
        score: ln P: greedy: of the one alignment; beam search: of the labels, over the alignments that were kept.
    """

    tokens: list[int] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    score: float = 0.0

    def add(self, token: int, frame: int, log_p: float) -> None:
        """Put a label behind the others, of that log-probability; the score is the caller's."""
        self.tokens.append(token)
        self.times.append((frame, frame + 1))
        self.confidences.append(math.exp(log_p))

    def copy(self) -> TransducerDecoded:
        """Return the same labels, which later ones do not join."""
        return TransducerDecoded(list(self.tokens), list(self.times), list(self.confidences), self.score)


class Greedy:
    """Takes the most probable token at each node, for B rows at a time, and holds the predictor's state.

    Args:
        model: the transducer, in evaluation mode.
        rows: B.
        max_symbols: labels that may be found at one frame.

    Attributes:
        found: what was found so far, a row each.
        at_labels: W_p p_u [B, J] after these labels.
        state: the predictor's.
        frames: encoder frames that were read.
    """

    def __init__(self, model: Joiner, rows: int, max_symbols: int) -> None:
        self._model, self._rows, self._max_symbols = model, rows, max_symbols
        self.found: list[TransducerDecoded] = []
        self.at_labels: Tensor
        self.state: State
        self.reset()

    def reset(self) -> None:
        """Begin anew, before the first frame."""
        self.found = [TransducerDecoded() for _ in range(self._rows)]
        self.at_labels, self.state = self._model.start(self._rows)
        self.frames = 0

    def push(self, encoded: Tensor, lengths: Tensor | None = None) -> None:
        """Read frames [B, T, F] of the encoder, with the valid ones of each row [B] on the CPU (None: all)."""
        model, time = self._model, encoded.shape[1]
        at_frames = model.from_encoder(encoded)
        ends = torch.full((self._rows,), time) if lengths is None else lengths
        for step, active in enumerate(valid_steps(ends, time, torch.device("cpu")).T):
            if not bool(active.any()):
                break
            self._read_frame(at_frames[:, step], active)
            self.frames += 1

    def _read_frame(self, at_frame: Tensor, active: Tensor) -> None:
        """Find the labels of one frame [B, J] in the rows that are active [B]."""
        model = self._model
        for count in range(self._max_symbols + 1):
            log_p = model.join(at_frame, self.at_labels).float().log_softmax(-1)
            best, ids = (one.cpu() for one in log_p.max(-1))
            emits = active & (ids != model.blank) & (count < self._max_symbols)
            taken = torch.where(emits, best, log_p[:, model.blank].cpu()).tolist()
            for row in active.nonzero().flatten().tolist():
                found = self.found[row]
                found.score += taken[row]
                if emits[row]:
                    found.add(int(ids[row]), self.frames, taken[row])
            if not bool(emits.any()):
                return
            self._read_labels(ids, emits)
            active = emits

    def _read_labels(self, ids: Tensor, emits: Tensor) -> None:
        """Let the predictor read a label in some rows; the others stay as they are."""
        device, axis = self.at_labels.device, self._model.state_batch_axis
        chosen = emits.to(device)
        ids = ids.to(device)
        at_labels, state = self._model.read_label(ids, self.state)
        if bool(emits.all()):
            self.at_labels, self.state = at_labels, state
            return

        def select(new: Tensor, old: Tensor) -> Tensor:
            shape = [1] * new.dim()
            shape[axis] = -1
            return torch.where(chosen.view(shape), new, old)

        self.at_labels = torch.where(chosen[:, None], at_labels, self.at_labels)
        self.state = map_state(select, state, self.state)
