"""The search of a recogniser of speech whose network is a transducer, of whole utterances and of streams.

Legend: B batch, T frames, M features, T' steps of the encoder, F its features, V tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .ctc_search import decoder_settings
from .speech_decoding import StepSearch

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_results import Decoded
    from ..generation.transducer_decoder import TransducerDecoder
    from .speech_settings import Decoding


class TransducerSearch(StepSearch):
    """Find tokens in the output of a transducer's encoder.

    Args:
        model: a :class:`rnnkit.TransducerModel`.
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        DataError: the language model or the list of words is not there, or is none.
    """

    def __init__(self, model: Any, decoding: Decoding, tokenizer: Tokenizer) -> None:
        self._model, self._settings = model, decoder_settings(decoding, tokenizer)
        self._decoder = self.decoder()

    def __call__(self, encoded: Tensor) -> Decoded:
        """Return what is found in the encoder's outputs [T', F]."""
        return self._decoder.decode(encoded)[0]

    def decoder(self) -> TransducerDecoder:
        """Return a decoder for a stream; each stream needs its own."""
        from ..generation.transducer_decoder import TransducerDecoder

        return TransducerDecoder(self._model, **self._settings)

    def whole(self, model: Any, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the search reads of utterances [B, T, M]: encoded steps [B, T', F], and their lengths."""
        encoded: tuple[Tensor, Tensor] = model.encode(frames, lengths)
        return encoded

    def chunk(self, model: Any, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return what the search reads of the next frames [1, T, M]: encoded steps [T', F], and a state."""
        encoded, state = model.encode_chunk(frames, state)
        return encoded[0], state

    def finish(self, model: Any, state: Any) -> Tensor:
        """Return what the search reads at the end of an utterance: encoded steps [T', F]."""
        encoded: Tensor = model.finish_encoding(state)[0]
        return encoded

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token [T', V] at each step, given the tokens that were found before the step."""
        encoded, steps = self.whole(model, frames, lengths)
        values = encoded[0, : int(steps[0])]
        found = self(values)
        at_labels, state = model.start(1)
        rows, known = [], 0
        for step, at_frame in enumerate(model.from_encoder(values)):
            while known < len(found.tokens) and found.times[known][0] < step:
                at_labels, state = model.read_label(torch.tensor([found.tokens[known]], device=values.device), state)
                known += 1
            rows.append(model.join(at_frame, at_labels[0]).float().log_softmax(-1).cpu())
        return torch.stack(rows) if rows else torch.zeros(0, model.vocabulary)
