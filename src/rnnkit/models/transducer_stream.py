"""A transducer that tells labels while frames arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from ..errors import DataError, ShapeError
from ..layers.modes import mode
from ..ops.state import map_state
from .transducer_greedy import Greedy, TransducerDecoded

Tensor = torch.Tensor


class TransducerStream:
    """Takes encoder frames of one sequence as they arrive, and tells labels; ``model.stream()`` makes one.

    It finds what :meth:`rnnkit.TransducerModel.greedy` finds, in whatever pieces the frames come. Labels that were told
    stay. The frames are those of the encoder, so that any encoder that can go on from a state serves. Dropout is off.
    There are no gradients.

    Args:
        model: the transducer.
        max_symbols: labels that may be found at one frame.

    Example:
        >>> import torch, rnnkit
        >>> encoder = rnnkit.GRU(4, 8, batch_first=True)
        >>> model = rnnkit.TransducerModel(encoder, rnnkit.GRU(6, 8), joiner_size=8, vocabulary=5)
        >>> x, stream = torch.randn(1, 9, 4), model.stream()
        >>> y, state = encoder(x[:, :5])
        >>> first = stream.push(y[0])
        >>> y, state = encoder(x[:, 5:], state)
        >>> second = stream.push(y[0])
        >>> first.tokens + second.tokens == model.greedy(x)[0].tokens == stream.flush().tokens
        True
    """

    def __init__(self, model: Any, max_symbols: int) -> None:
        self._model = model
        self._greedy = Greedy(model, 1, max_symbols)

    def __repr__(self) -> str:
        return f"TransducerStream({self._model!r}), after {self.frames} frames"

    @property
    def frames(self) -> int:
        """Encoder frames that were read since the beginning or the last `flush`."""
        return self._greedy.frames

    @property
    def found(self) -> TransducerDecoded:
        """All labels since the beginning or the last `flush`."""
        return self._greedy.found[0].copy()

    def push(self, encoded: Tensor) -> TransducerDecoded:
        """Read frames and return the labels that they add; times count from the beginning or the last `flush`.

        Args:
            encoded: [T, F], any number of frames, of the model's device and dtype.

        Returns:
            the new labels; the score is what they and the blanks add to ln P.

        Raises:
            ShapeError: encoded has other axes, or another dtype.
        """
        features = self._model.from_encoder.in_features
        if encoded.dim() != 2 or encoded.shape[1] != features:
            hint = ": push each row to a stream of its own, encoded[0]" if encoded.dim() == 3 else ""
            raise ShapeError.of("encoded", tuple(encoded.shape), f"; expected [frames, {features}]{hint}")
        dtype = self._model.from_encoder.weight.dtype
        if encoded.dtype != dtype:
            raise ShapeError(f"encoded is {encoded.dtype}; expected {dtype}: encoded.to({dtype})")
        found = self._greedy.found[0]
        known, score = len(found.tokens), found.score
        with torch.no_grad(), mode(self._model, training=False):
            self._greedy.push(encoded[None])
        added = found.tokens[known:], found.times[known:], found.confidences[known:]
        return TransducerDecoded(*added, found.score - score)

    def flush(self) -> TransducerDecoded:
        """Return all labels since the beginning or the last call, and begin anew: the predictor forgets them."""
        found = self.found
        self._greedy.reset()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left, for another stream of the model: tensors, numbers and lists."""
        greedy = self._greedy
        return {
            "at_labels": greedy.at_labels.clone(),
            "predictor": map_state(torch.clone, greedy.state),
            "frames": greedy.frames,
            "found": asdict(self.found),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            DataError: it is not the state of such a stream.
        """
        greedy = self._greedy
        try:
            same = state["at_labels"].shape == greedy.at_labels.shape
            found = TransducerDecoded(**state["found"]).copy()
            predictor, frames = state["predictor"], int(state["frames"])
            own = map_state(lambda leaf, given: given.to(leaf).reshape(leaf.shape), greedy.state, predictor)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DataError(f"this is not the state of a transducer's stream ({error!r})") from error
        if not same:
            raise DataError("the state is that of another model's stream; expected one of the same sizes")
        greedy.at_labels, greedy.state = state["at_labels"].to(greedy.at_labels).clone(), map_state(torch.clone, own)
        greedy.frames, greedy.found = frames, [found]
