"""The search of a recogniser of speech whose network is a transducer, of whole utterances and of streams.

Legend: T frames, M features, T' steps of the encoder, F its features, V tokens, U tokens that are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_results import Decoded
    from ..generation.ctc_text import CtcText
    from ..models.transducer_greedy import TransducerDecoded
    from .speech_settings import Decoding


class TransducerSearch:
    """Find tokens in what the encoder of a transducer puts out; as ``speech_decoding.Search``.

    Args:
        model: a :class:`rnnkit.TransducerModel`.
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        ConfigError: a language model, a list of words or hot words.
    """

    def __init__(self, model: Any, decoding: Decoding, tokenizer: Tokenizer) -> None:
        from ..generation.ctc_text import CtcText

        given = (("lm", decoding.lm), ("words", decoding.words), ("hot_words", ",".join(decoding.hot_words)))
        for name, value in given:
            if value:
                raise ConfigError(
                    f"decode.{name}={value} arrived; the search of a transducer takes none: leave it out, or train "
                    "with model.head=ctc"
                )
        self._model, self._width, self._text = model, decoding.width, CtcText(tokenizer)

    def __call__(self, encoded: Tensor) -> Decoded:
        """Return what is found in the encoder's outputs [T', F]."""
        decoder = self.decoder()
        decoder.push(encoded)
        return decoder.flush()[0]

    def decoder(self) -> TransducerDecoder:
        """Return a decoder for a stream; each stream needs one of its own."""
        return TransducerDecoder(self._model, self._width, self._text)

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

    def log_probs(self, model: Any, values: Tensor) -> Tensor:
        """Return log p of each token [T', V] at each step, given the tokens that were found before the step.

        Args:
            model: the transducer.
            values: encoded steps [T', F].
        """
        found = self(values)
        at_labels, state = model.start(1)
        rows, known = [], 0
        for step, at_frame in enumerate(model.from_encoder(values)):
            while known < len(found.tokens) and found.times[known][0] < step:
                at_labels, state = model.read_label(torch.tensor([found.tokens[known]], device=values.device), state)
                known += 1
            rows.append(model.join(at_frame, at_labels[0]).float().log_softmax(-1).cpu())
        return torch.stack(rows) if rows else torch.zeros(0, model.vocabulary)


class TransducerDecoder:
    """Collect the tokens of an utterance whose encoded steps come in pieces; as :class:`rnnkit.generation.CTCDecoder`.

    Args:
        model: the transducer.
        width: hypotheses of the beam search; 1 takes the likeliest token at each node.
        text: what the tokens mean.
    """

    def __init__(self, model: Any, width: int, text: CtcText) -> None:
        from ..models.transducer import MAX_SYMBOLS
        from ..models.transducer_beam import Beam

        self._text, self._greedy = text, width <= 1
        self._decoder: Any = model.stream() if self._greedy else Beam(model, width, MAX_SYMBOLS)

    def push(self, encoded: Tensor) -> Decoded:
        """Read encoded steps [T', F], and return the best tokens so far."""
        self._decoder.push(encoded)
        if self._greedy:
            found = self._decoder.found
            return self._decoded(found, len(found.tokens))
        return self._decoded(self._decoder.found[0], self._decoder.stable)

    def flush(self) -> list[Decoded]:
        """End the utterance, and return what was found, the best first; the next steps begin another one."""
        found = self._decoder.flush()
        return [self._decoded(one, len(one.tokens)) for one in ([found] if self._greedy else found)]

    def state_dict(self) -> dict[str, Any]:
        """Return what another decoder of the same model goes on from."""
        state: dict[str, Any] = self._decoder.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._decoder.load_state_dict(state)

    def _decoded(self, found: TransducerDecoded, stable: int) -> Decoded:
        from ..generation.ctc_results import Decoded

        return Decoded(found.tokens, found.times, found.score, found.confidences, found.score, stable, self._text)
