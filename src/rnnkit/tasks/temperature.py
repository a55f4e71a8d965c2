"""The temperature of a language model: how sure it may be, judged by a text that it did not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..data.tokens import TokenArray
    from ..types import Batch

_PASSES, _CLOSE = 8, 1e-3  # passes over the text at most; the change of 1 / T that ends them
_LEAST, _MOST = 0.25, 4.0  # of 1 / T
_LOOKED_AT = 100_000  # tokens
_ROWS, _ROW = 16, 1000  # rows at most, and tokens of a row at least
_LOGITS = 1 << 20  # that are computed at once


def best_temperature(model: Any, batches: Iterable[Batch]) -> float:
    """Return the T whose softmax(z / T) has the lowest cross-entropy on a text; z are the model's logits.

    A network that has learned a small text for long is too sure of itself elsewhere, and T is above 1. The loss is
    convex in β = 1 / T. With y the tokens, its slope is the mean of E[z] − z_y and its curvature that of Var[z], both
    moments under softmax(β z). Newton's steps find the minimum, each with a pass over the text.

    Source: Guo et al. 2017 ("On Calibration of Modern Neural Networks").

    Args:
        model: with `forward_chunk`, which gives logits [B, T, V].
        batches: windows one after the other, which can be gone through several times; the state is carried along.

    Example:
        >>> import rnnkit, torch
        >>> from rnnkit.data.tokens import TokenArray
        >>> model = rnnkit.LanguageModel(5, embedding_size=4, hidden_size=8, num_layers=1, tied=False)
        >>> with torch.no_grad():
        ...     _ = model.head.weight.mul_(50)  # sure, and wrong
        >>> best_temperature(model, TokenArray([1, 2, 3, 4] * 20).batches(1, 10)) > 2
        True
    """
    import torch

    from ..layers.modes import mode

    device = next(model.parameters()).device
    inverse = 1.0
    for _ in range(_PASSES):
        slope = curvature = 0.0
        state = None
        with torch.inference_mode(), mode(model, training=False):
            for batch in batches:
                logits, state = model.forward_chunk(batch.inputs.to(device), state)
                assert batch.targets is not None
                z = logits.double().flatten(0, 1)
                shares = (inverse * z).softmax(1)
                mean = (shares * z).sum(1)
                slope += float((mean - z.gather(1, batch.targets.to(device).flatten()[:, None])[:, 0]).sum())
                curvature += float(((shares * z**2).sum(1) - mean**2).sum())
        before = inverse
        inverse = min(max(inverse - slope / max(curvature, 1e-12), inverse / 2, _LEAST), inverse * 2, _MOST)
        if abs(inverse - before) < _CLOSE:
            break
    return 1 / inverse


def calibrate(model: Any, tokens: TokenArray) -> float | None:
    """Divide the weights of a language model's head by the best temperature of a text, and return that.

    Args:
        model: nothing is done, and None returned, where its head is tied or has clusters.
        tokens: of the text, of which up to 100,000 are looked at.
    """
    import torch

    from ..data.tokens import TokenArray

    if model.tied or not isinstance(model.head, torch.nn.Linear):
        return None
    looked_at = TokenArray(tokens.tokens[:_LOOKED_AT], tokens.source)
    rows = max(1, min(_ROWS, len(looked_at) // _ROW))  # a step of several rows takes as long as that of one
    window = min(_ROW, max(2, _LOGITS // (rows * model.vocabulary)))
    temperature = best_temperature(model, looked_at.batches(rows, window))
    with torch.no_grad():
        for weight in model.head.parameters():
            weight.div_(temperature)
    return temperature
