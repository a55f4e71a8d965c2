"""The search of a recogniser of speech with an attention decoder, of whole utterances.

Legend: B batch, T frames, M features, T' steps of the encoder, U tokens, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import DataError
from .speech_decoding import refuse_language

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer
    from ..generation.ctc_results import Decoded
    from .speech_settings import Decoding


class AttentionSearch:
    """Find tokens by the beam search of an attention decoder; as ``speech_decoding.Search``.

    The confidence of a token is its probability, given the utterance and the tokens before it. Its time is that of the
    forced alignment by the branch of CTC; without a branch the step that the decoder attends to most when it writes the
    token, no step before that of the token before.

    Args:
        model: a :class:`rnnkit.AttentionRecognizer`.
        decoding: how.
        tokenizer: of the tokens, whose first one is the blank.

    Raises:
        ConfigError: a language model or hot words.
    """

    def __init__(self, model: Any, decoding: Decoding, tokenizer: Tokenizer) -> None:
        from ..generation.ctc_text import CtcText

        refuse_language(decoding, "attention")
        self._width, self._penalty = decoding.width, decoding.length_penalty
        self._ctc_weight = 0.0 if model.ctc is None else decoding.ctc_weight
        never = {model.blank, model.start, tokenizer.pad, tokenizer.beginning, tokenizer.unknown}
        self._never = sorted(one for one in never - {None, model.end} if one is not None)
        self._text = CtcText(tokenizer)

    def read(self, model: Any, frames: Tensor, lengths: Tensor) -> list[Decoded]:
        """Return what is found in utterances [B, T, M] with so many frames each [B].

        An utterance has at most as many tokens as the encoder has steps.
        """
        from ..generation.adapters import already_encoded
        from ..generation.beams import beam_search
        from ..generation.ctc_attention import JointDecoder
        from ..generation.ctc_results import Decoded
        from ..models.attention_recognizer import steps_of

        state, memory = model.network.encode(frames, lengths)
        steps = steps_of(memory)
        branch: Tensor | None = None if model.ctc is None else model.ctc_logits(memory).float().log_softmax(-1)
        writer, begin = model.network, (state, memory)
        if self._ctc_weight and branch is not None:
            writer = JointDecoder(model.network, weight=self._ctc_weight, blank=model.blank, end=model.end)
            begin = writer.begin(state, memory, branch, steps)
        found = beam_search(
            already_encoded(writer, *begin, rows=len(frames), lengths=steps),
            [model.start],
            end=model.end,
            width=self._width,
            max_tokens=int(steps.max()) + 1,
            length_penalty=self._penalty,
            forbidden_ids=self._never,
        )
        best = [one for one, *_ in found]
        log_p, weights = self._scored(model, [one.ids for one in best], state, memory)
        texts = []
        for row, (one, count) in enumerate(zip(best, steps.tolist(), strict=True)):
            ids = one.ids
            sure = log_p[row, : len(ids)].exp().tolist()
            times = None if branch is None else _aligned(branch[row, :count].cpu(), ids, model.blank)
            if times is None:
                times = _peaks(weights[row, : len(ids), :count])
            texts.append(Decoded(ids, times, one.score, sure, one.log_probability, len(ids), self._text))
        return texts

    def log_probs(self, model: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return log p of each token at each step [T', V] of an utterance [1, T, M], of the branch of CTC.

        Without a branch: Σ_u a_ut [y_u = k] of the tokens y that are found and their attention a, and the rest for the
        blank.
        """
        from ..models.attention_recognizer import steps_of

        if model.ctc is not None:
            _, memory = model.network.encode(frames, lengths)
            found: Tensor = model.ctc_logits(memory)[0, : int(steps_of(memory)[0])].float().log_softmax(-1).cpu()
            return found
        tokens, weights = self.attention(model, frames, lengths)
        shares = torch.zeros(weights.shape[1], model.vocabulary)
        for token, seen in zip(tokens, weights, strict=True):
            shares[:, token] += seen
        shares /= shares.sum(1, keepdim=True).clamp(min=1)
        shares[:, model.blank] = 1 - shares.sum(1)
        return shares.clamp(min=1e-6).log().log_softmax(-1)

    def attention(self, model: Any, frames: Tensor, lengths: Tensor) -> tuple[list[int], Tensor]:
        """Return the tokens of an utterance [1, T, M], and what the decoder attended to for each [U, T']."""
        from ..models.attention_recognizer import steps_of

        state, memory = model.network.encode(frames, lengths)
        [decoded] = self.read(model, frames, lengths)
        _, weights = self._scored(model, [decoded.tokens], state, memory)
        return decoded.tokens, weights[0, : len(decoded.tokens), : int(steps_of(memory)[0])]

    def _scored(self, model: Any, rows: list[list[int]], state: Any, memory: Any) -> tuple[Tensor, Tensor]:
        """Return ln p of the tokens of each row [B, U], and what each attends to [B, U, T'], on the CPU."""
        longest = max(1, *(len(row) for row in rows))
        ids = torch.full((len(rows), longest + 1), model.start, device=memory[0].device)
        for row, tokens in enumerate(rows):
            ids[row, 1 : len(tokens) + 1] = torch.tensor(tokens, dtype=torch.long)
        logits, weights = model.network.forward_targets(ids[:, :-1], state, memory)
        log_p = logits.float().log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        return log_p.cpu(), weights.float().cpu()


def _aligned(log_probs: Tensor, tokens: list[int], blank: int) -> list[tuple[int, int]] | None:
    """Return the steps of tokens on the most probable path of CTC; None where they are too many for the steps."""
    from ..generation.alignment import align

    try:
        return [(one.start, one.end) for one in align(log_probs, tokens, blank=blank)]
    except DataError:
        return None


def _peaks(weights: Tensor) -> list[tuple[int, int]]:
    """Return the step that each token attends to most [U, T'], none before that of the token before."""
    if not len(weights):
        return []
    return [(step, step + 1) for step in weights.argmax(1).cummax(0).values.tolist()]
