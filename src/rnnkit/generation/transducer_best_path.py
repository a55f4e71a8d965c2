"""Greedy decoding of a transducer, for frames that come in pieces.

Legend: B rows, T frames, F features of the encoder, J of the joiner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ..ops.padding import valid_steps
from ..ops.state import map_state
from ..types import State
from .ctc_results import Decoded

if TYPE_CHECKING:
    from .ctc_text import CtcText

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
class _Row:
    """The labels of a row so far, and ln P of their alignment."""

    tokens: list[int] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    score: float = 0.0

    def add(self, token: int, frame: int, log_p: float) -> None:
        """Put a label after the others."""
        self.tokens.append(token)
        self.times.append((frame, frame + 1))
        self.confidences.append(math.exp(log_p))


class TransducerGreedy:
    """Takes the most probable token at each node, for B rows at a time, and holds the predictor's state.

    Args:
        model: the transducer, in evaluation mode while frames are read.
        rows: B.
        max_symbols: labels that may be found at one frame.

    Attributes:
        frames: encoder frames that were read.
    """

    kind = "greedy"

    def __init__(self, model: Joiner, rows: int, max_symbols: int) -> None:
        self._model, self._count, self._max_symbols = model, rows, max_symbols
        self._rows: list[_Row] = []
        self._at_labels: Tensor  # W_p p_u [B, J]
        self._state: State
        self.restart()

    def restart(self) -> None:
        """Start again, before the first frame."""
        self._rows = [_Row() for _ in range(self._count)]
        self._at_labels, self._state = self._model.start(self._count)
        self.frames = 0

    def push(self, encoded: Tensor, lengths: Tensor | None = None) -> None:
        """Read frames [B, T, F] of the encoder, with the valid ones of each row [B] on the CPU (None: all)."""
        model, time = self._model, encoded.shape[1]
        at_frames = model.from_encoder(encoded)
        ends = torch.full((self._count,), time) if lengths is None else lengths
        for step, active in enumerate(valid_steps(ends, time, torch.device("cpu")).T):
            if not bool(active.any()):
                break
            self._read_frame(at_frames[:, step], active)
            self.frames += 1

    def partial(self, text: CtcText | None) -> Decoded:
        """Return what was found in the first row."""
        return self.finished(text)[0]

    def finished(self, text: CtcText | None) -> list[Decoded]:
        """Return what was found in each row; none of it will change."""
        return [
            Decoded(
                list(one.tokens), list(one.times), one.score, list(one.confidences), one.score, len(one.tokens), text
            )
            for one in self._rows
        ]

    def _read_frame(self, at_frame: Tensor, active: Tensor) -> None:
        """Find the labels of one frame [B, J] in the rows that are active [B]."""
        model = self._model
        for count in range(self._max_symbols + 1):
            log_p = model.join(at_frame, self._at_labels).float().log_softmax(-1)
            best, ids = (one.cpu() for one in log_p.max(-1))
            emits = active & (ids != model.blank) & (count < self._max_symbols)
            taken = torch.where(emits, best, log_p[:, model.blank].cpu()).tolist()
            for row in active.nonzero().flatten().tolist():
                found = self._rows[row]
                found.score += taken[row]
                if emits[row]:
                    found.add(int(ids[row]), self.frames, taken[row])
            if not bool(emits.any()):
                return
            self._read_labels(ids, emits)
            active = emits

    def _read_labels(self, ids: Tensor, emits: Tensor) -> None:
        """Let the predictor read a label in some rows; the others stay as they are."""
        device, axis = self._at_labels.device, self._model.state_batch_axis
        chosen = emits.to(device)
        ids = ids.to(device)
        at_labels, state = self._model.read_label(ids, self._state)
        if bool(emits.all()):
            self._at_labels, self._state = at_labels, state
            return

        def select(new: Tensor, old: Tensor) -> Tensor:
            shape = [1] * new.dim()
            shape[axis] = -1
            return torch.where(chosen.view(shape), new, old)

        self._at_labels = torch.where(chosen[:, None], at_labels, self._at_labels)
        self._state = map_state(select, state, self._state)

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left: tensors, numbers and lists."""
        return {
            "frames": self.frames,
            "rows": [
                {
                    "tokens": list(one.tokens),
                    "times": list(one.times),
                    "confidences": list(one.confidences),
                    "score": one.score,
                }
                for one in self._rows
            ],
            "at_labels": self._at_labels.clone(),
            "predictor": map_state(torch.clone, self._state),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            LookupError, TypeError, ValueError, AttributeError, RuntimeError: it is not the state of such a search.
        """
        rows = [
            _Row(
                [int(token) for token in one["tokens"]],
                [(int(begin), int(end)) for begin, end in one["times"]],
                [float(sure) for sure in one["confidences"]],
                float(one["score"]),
            )
            for one in state["rows"]
        ]
        if state["at_labels"].shape != self._at_labels.shape or len(rows) != self._count:
            raise ValueError(f"features {tuple(state['at_labels'].shape)} for {tuple(self._at_labels.shape)}")
        own = map_state(lambda leaf, given: given.to(leaf).reshape(leaf.shape).clone(), self._state, state["predictor"])
        self._at_labels, self._state = state["at_labels"].to(self._at_labels).clone(), own
        self.frames, self._rows = int(state["frames"]), rows
