"""Beam search: the most probable sequences, approximately."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ConfigError, check_number, check_whole
from .adapters import token_model
from .beam_steps import BeamSteps
from .hypotheses import BeamSettings, Hypothesis
from .prompts import Encode, Prompts, prompt_rows, refuse_empty
from .protocol import rows_of
from .sampling import check_ids
from .text_pieces import Decode


def beam_search(
    model: Any,
    prompts: Prompts,
    *,
    end: int | Sequence[int],
    width: int = 5,
    max_tokens: int = 256,
    length_penalty: float = 0.6,
    coverage_penalty: float = 0.0,
    n_best: int = 1,
    no_repeat_ngram: int = 0,
    min_tokens: int = 0,
    forbidden_ids: Sequence[int] = (),
    early_end: bool = True,
    encode: Encode | None = None,
    decode: Decode | None = None,
    return_attention: bool = False,
) -> list[list[Hypothesis]]:
    """Search for the sequences y with the highest scores (Wu et al. 2016, equation 14), several sources at once.

        s(y, x) = ln p(y | x) / lp(y) + cp(x, y)
        lp(y) = ((5 + |y|) / (5 + 1))^α
        cp(x, y) = β Σ_i ln min(Σ_j a_ij, 1),  a_ij the attention of token j to step i of the source

    At each step the `width` best continuations by ln p that do not end are kept. One that ends, and is among the
    `width` best of all, is a finished hypothesis. |y| counts the end. With ``width=1`` this is greedy decoding. Unlike
    the paper, and like the usual implementations, scores do not prune during the search.

    Legend: B batch, S steps of a source, V vocabulary.

    Args:
        model: what `token_model` takes: ``encoded(model, x)``, or a language model.
        prompts: what hypotheses begin with, as `generate` takes it; ``[start]`` for an encoder–decoder goes to all
            sources.
        end: the id that ends a hypothesis, or several.
        width: hypotheses that are followed at a time, per source.
        max_tokens: the most tokens of a hypothesis, the end included.
        length_penalty: α ≥ 0; 0 prefers short hypotheses, 1 about divides by the length.
        coverage_penalty: β ≥ 0; above 0 the model has to return attention weights.
        n_best: hypotheses that are returned for each source, at most `width`.
        no_repeat_ngram: no sequence of this number of tokens comes twice, the prompt included; 0 allows all.
        min_tokens: tokens in front of the end, at least.
        forbidden_ids: tokens that are never chosen.
        early_end: a source is done when `width` hypotheses are finished. False: only when no other can enter the best
            ones. A source is also done when that is so earlier.
        encode, decode: text → ids for prompts that are text; ids → text.
        return_attention: fill `Hypothesis.attention`.

    Returns:
        for each source its `n_best` hypotheses, the best first; fewer where there are no more.

    Raises:
        ConfigError: a setting is outside its range, or a model without attention weights is asked for them.
        DataError: a prompt is empty; the logits are NaN. ShapeError: prompts and sources differ in number.

    Example:
        >>> from rnnkit.generation import StepFunction
        >>> table = torch.tensor([[0.0, 0.5, 0.3, 0.2], [0.0, 0.1, 0.2, 0.7], [0.0, 0.0, 0.0, 1.0], [1.0, 0, 0, 0]])
        >>> model = StepFunction(lambda ids, state: (table[ids].log(), state), lambda batch: ())
        >>> [one.ids for one in beam_search(model, [0], end=3, width=4, n_best=2, length_penalty=0)[0]]
        [[1], [2]]
    """
    settings = _checked(
        BeamSettings(
            width,
            max_tokens,
            check_ids([end] if isinstance(end, int) else end, "end"),
            length_penalty,
            coverage_penalty,
            n_best,
            no_repeat_ngram,
            min_tokens,
            check_ids(forbidden_ids, "forbidden_ids"),
            early_end,
            return_attention,
        )
    )
    machine = token_model(model)
    rows = prompt_rows(prompts, encode)
    refuse_empty(rows)
    if machine.rows is not None and len(rows) == 1:
        rows = rows * machine.rows
    rows_of(machine, len(rows))
    with torch.inference_mode():
        found = BeamSteps(machine, settings, rows).run()
    if decode is None:
        return found
    return [[Hypothesis(**{**vars(one), "text": decode(one.ids)}) for one in source] for source in found]


def _checked(settings: BeamSettings) -> BeamSettings:
    check_whole(settings.width, "width")
    check_whole(settings.max_tokens, "max_tokens")
    check_number(settings.length_penalty, "length_penalty")
    check_number(settings.coverage_penalty, "coverage_penalty")
    check_whole(settings.n_best, "n_best")
    check_whole(settings.no_repeat_ngram, "no_repeat_ngram", least=0)
    check_whole(settings.min_tokens, "min_tokens", least=0)
    if settings.n_best > settings.width:
        raise ConfigError.of(
            "n_best",
            settings.n_best,
            f"expected at most width={settings.width}: type width={settings.n_best}, or more",
        )
    if settings.min_tokens >= settings.max_tokens:
        raise ConfigError.of(
            "min_tokens",
            settings.min_tokens,
            f"expected fewer than max_tokens={settings.max_tokens}, which counts the end too",
        )
    return settings
