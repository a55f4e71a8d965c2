"""Generate with any model that has a step and a state: sampling, streaming, beam search. Decode CTC and
transducers, n-gram models.

Nothing here knows a recurrence. States are nested tuples of tensors (:mod:`rnnkit.ops.state`). Names are resolved when
they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .adapters import encoded, token_model
    from .alignment import Aligned, align, align_words
    from .arpa import read_arpa, write_arpa
    from .beams import beam_search
    from .ctc_best_path import ctc_greedy
    from .ctc_decoder import CTCDecoder, ctc_beam_search
    from .ctc_results import Decoded
    from .ctc_text import TimedWord
    from .filters import (
        ban_repeated_ngrams,
        forbid,
        keep_min_p,
        keep_top_k,
        keep_top_p,
        penalise_repetition,
        scale_temperature,
    )
    from .generating import Generated, generate, stream
    from .generation_state import GenerationState
    from .hypotheses import Hypothesis
    from .kneser_ney import train_ngram
    from .ngrams import NGramModel, TextTotals
    from .protocol import StepFunction, TokenModel
    from .sampling import Sampling, draw
    from .token_stream import Piece, TokenStream
    from .transducer_decoder import TransducerDecoder, transducer_beam_search, transducer_greedy

_NAMES = {
    "Aligned": "alignment",
    "CTCDecoder": "ctc_decoder",
    "Decoded": "ctc_results",
    "Generated": "generating",
    "GenerationState": "generation_state",
    "Hypothesis": "hypotheses",
    "NGramModel": "ngrams",
    "Piece": "token_stream",
    "Sampling": "sampling",
    "StepFunction": "protocol",
    "TextTotals": "ngrams",
    "TimedWord": "ctc_text",
    "TokenModel": "protocol",
    "TokenStream": "token_stream",
    "TransducerDecoder": "transducer_decoder",
    "align": "alignment",
    "align_words": "alignment",
    "ban_repeated_ngrams": "filters",
    "beam_search": "beams",
    "ctc_beam_search": "ctc_decoder",
    "ctc_greedy": "ctc_best_path",
    "draw": "sampling",
    "encoded": "adapters",
    "forbid": "filters",
    "generate": "generating",
    "keep_min_p": "filters",
    "keep_top_k": "filters",
    "keep_top_p": "filters",
    "penalise_repetition": "filters",
    "read_arpa": "arpa",
    "scale_temperature": "filters",
    "stream": "generating",
    "token_model": "adapters",
    "train_ngram": "kneser_ney",
    "transducer_beam_search": "transducer_decoder",
    "transducer_greedy": "transducer_decoder",
    "write_arpa": "arpa",
}

__all__ = [
    "Aligned",
    "CTCDecoder",
    "Decoded",
    "Generated",
    "GenerationState",
    "Hypothesis",
    "NGramModel",
    "Piece",
    "Sampling",
    "StepFunction",
    "TextTotals",
    "TimedWord",
    "TokenModel",
    "TokenStream",
    "TransducerDecoder",
    "align",
    "align_words",
    "ban_repeated_ngrams",
    "beam_search",
    "ctc_beam_search",
    "ctc_greedy",
    "draw",
    "encoded",
    "forbid",
    "generate",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalise_repetition",
    "read_arpa",
    "scale_temperature",
    "stream",
    "token_model",
    "train_ngram",
    "transducer_beam_search",
    "transducer_greedy",
    "write_arpa",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
