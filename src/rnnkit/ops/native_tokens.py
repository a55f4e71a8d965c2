"""Choosing tokens from logits on the native core: as the equations in rnnkit.generation, in one call.

Legend: B rows, V vocabulary, W hypotheses of a source.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .backend import native_core, native_problem, tracing

Tensor = torch.Tensor


def draw_tokens(
    logits: Tensor, uniform: Sequence[float], temperature: float, top_k: int | None, top_p: float | None,
    min_p: float | None,
) -> Tensor | None:  # fmt: skip
    """Draw a token of each row from its logits, divided by the temperature and filtered by top-k, top-p and min-p.

    Args:
        logits: [B, V].
        uniform: u of each row, in [0, 1).
        temperature, top_k, top_p, min_p: as :class:`rnnkit.generation.Sampling` has them; the temperature is above 0.

    Returns:
        ids int64 [B], V in a row whose logits are NaN or infinite, or all −inf; None where the core cannot serve.
    """
    if not _served(logits):
        return None
    logits = logits.contiguous()
    ids = torch.empty(len(logits), dtype=torch.long, device="cpu")
    core = native_core()
    assert core is not None
    call = core.draw_tokens_f32 if logits.dtype == torch.float32 else core.draw_tokens_f64
    filters = (temperature, top_k or 0, 1.0 if top_p is None else top_p, min_p or 0.0)
    call(logits.data_ptr(), *logits.shape, *filters, uniform, ids.data_ptr())
    return ids


def best_continuations(
    logits: Tensor, scores: Tensor, banned: Sequence[int], count: int
) -> tuple[Tensor, Tensor] | None:
    """Find the largest of ln p + score over the hypotheses of each source.

    Args:
        logits: [sources · W, V].
        scores: [sources, W]; hypotheses of score −inf are left out.
        banned: ids that may not follow.
        count: how many to find of each source.

    Returns:
        the sums [sources, count], the largest first, −inf where there are no more and NaN where the logits are NaN or
        infinite; and their places in [W, V]. None where the core cannot serve.
    """
    if not _served(logits) or scores.dtype != logits.dtype:
        return None
    logits, scores = logits.contiguous(), scores.contiguous()
    values, places = scores.new_empty(len(scores), count), torch.empty(len(scores), count, dtype=torch.long)
    core = native_core()
    assert core is not None
    call = core.best_continuations_f32 if logits.dtype == torch.float32 else core.best_continuations_f64
    found = (values.data_ptr(), places.data_ptr())
    call(logits.data_ptr(), scores.data_ptr(), list(banned), *scores.shape, logits.shape[1], count, *found)
    return values, places


def _served(logits: Tensor) -> bool:
    return not tracing() and native_problem(logits.device, logits.dtype) is None and logits.numel() > 0
