"""Generate with any model that has a step and a state: sampling, streaming, beam search.

Nothing here knows a recurrence. States are nested tuples of tensors (:mod:`rnnkit.ops.state`). Names are resolved when
they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .adapters import encoded, token_model
    from .beams import beam_search
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
    from .protocol import StepFunction, TokenModel
    from .sampling import Sampling, draw
    from .token_stream import Piece, TokenStream

_NAMES = {
    "Generated": "generating",
    "GenerationState": "generation_state",
    "Hypothesis": "hypotheses",
    "Piece": "token_stream",
    "Sampling": "sampling",
    "StepFunction": "protocol",
    "TokenModel": "protocol",
    "TokenStream": "token_stream",
    "ban_repeated_ngrams": "filters",
    "beam_search": "beams",
    "draw": "sampling",
    "encoded": "adapters",
    "forbid": "filters",
    "generate": "generating",
    "keep_min_p": "filters",
    "keep_top_k": "filters",
    "keep_top_p": "filters",
    "penalise_repetition": "filters",
    "scale_temperature": "filters",
    "stream": "generating",
    "token_model": "adapters",
}

__all__ = [
    "Generated",
    "GenerationState",
    "Hypothesis",
    "Piece",
    "Sampling",
    "StepFunction",
    "TokenModel",
    "TokenStream",
    "ban_repeated_ngrams",
    "beam_search",
    "draw",
    "encoded",
    "forbid",
    "generate",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalise_repetition",
    "scale_temperature",
    "stream",
    "token_model",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
