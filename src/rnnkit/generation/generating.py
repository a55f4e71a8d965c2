"""Sample from a model: whole texts, or tokens as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ConfigError, ShapeError, check_seed, check_whole
from ..ops.state import map_state
from .adapters import token_model
from .generation_state import GenerationState
from .prompts import Encode, Prompts, prompt_rows, refuse_empty
from .protocol import TokenModel, rows_of
from .sampling import Sampling, check_ids
from .text_pieces import Decode, place_behind
from .token_stream import TokenStream


@dataclass(frozen=True)
class Generated:
    """What `generate` returns.

    Attributes:
        ids: the new tokens of each row, without a stop id; those of a stop string are among them.
        texts: the new text of each row, which ends in front of a stop string; [] without ``decode``.
        reasons: why each row ended: "stop_id", "stop_string" or "max_tokens".
        state: where to continue.

    Example:
        >>> from rnnkit.generation import StepFunction, generate
        >>> model = StepFunction(lambda ids, state: (torch.eye(3)[ids], state), lambda batch: ())
        >>> generate(model, [2], max_tokens=2, temperature=0)
        Generated(ids=[[2, 2]], texts=[], reasons=['max_tokens'], state=GenerationState(1 rows, 3 tokens))
    """

    ids: list[list[int]]
    texts: list[str]
    reasons: list[str]
    state: GenerationState


def generate(
    model: Any,
    prompts: Prompts | None = None,
    *,
    max_tokens: int = 256,
    stop_ids: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    seed: int | Sequence[int] | None = None,
    encode: Encode | None = None,
    decode: Decode | None = None,
    state: GenerationState | None = None,
    **sampling: Any,
) -> Generated:
    """Generate text after prompts: x_t ~ softmax(filtered logits of p(x_t | x_<t)), row by row.

    Args:
        model: what `token_model` takes: a language model, or `encoded(model, x)` for an encoder–decoder.
        prompts: ids [T] or a text, for one row; ids [B, T], or a list of ids or texts, which may be of unequal length.
            None where `state` is given: continue without a new prompt.
        max_tokens: new tokens of each row, at most.
        stop_ids: a row ends with one of these.
        stop_strings: a row's text ends in front of one of these; a stop string may span tokens. Needs `decode`.
        seed: row i draws from a generator of its own with the seed ``seed + i``, or ``seed[i]`` of a list. So the
            random numbers of a row do not depend on the other rows. None: a seed is drawn from torch's global
            generator.
        encode: text → ids, for prompts that are text.
        decode: list of ids → text. Bytes that are no character yet become "\\ufffd", as ``bytes.decode("utf-8",
            "replace")`` and the usual tokenizers do.
        state: `Generated.state` of an earlier call. The rows continue, each with its seed; `seed` starts a new one.
        **sampling: `temperature`, `top_k`, `top_p`, `min_p`, `repetition_penalty`, `repetition_window`,
            `forbidden_ids`; see :class:`Sampling`.

    Returns:
        the new ids, the new texts, the reasons of their ends, and the state.

    Raises:
        ConfigError: a setting is unknown or outside its range. DataError: a prompt is empty or holds no ids; or no
            token is left to choose. ShapeError: the numbers of prompts, seeds and rows of the state differ.

    Example:
        >>> from rnnkit.generation import StepFunction
        >>> table = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
        >>> model = StepFunction(lambda ids, state: (table[ids], state), lambda batch: ())
        >>> generate(model, [[0], [1, 1]], max_tokens=5, temperature=0, stop_ids=[0]).ids
        [[1, 2], [2]]
    """
    check_whole(max_tokens, "max_tokens", least=0)
    tokens = stream(
        model,
        prompts,
        max_tokens=max_tokens,
        stop_ids=stop_ids,
        stop_strings=stop_strings,
        seed=seed,
        encode=encode,
        decode=decode,
        state=state,
        **sampling,
    )
    ids: list[list[int]] = [[] for _ in range(tokens.rows)]
    texts = ["" for _ in range(tokens.rows)]
    reasons = ["max_tokens" for _ in range(tokens.rows)]
    for piece in tokens:
        if piece.reason != "stop_id":
            ids[piece.row].append(piece.id)
        texts[piece.row] += piece.text
        reasons[piece.row] = piece.reason or "max_tokens"
    return Generated(ids, texts if decode is not None else [], reasons, tokens.state)


def stream(
    model: Any,
    prompts: Prompts | None = None,
    *,
    max_tokens: int | None = None,
    stop_ids: Sequence[int] = (),
    stop_strings: Sequence[str] = (),
    seed: int | Sequence[int] | None = None,
    encode: Encode | None = None,
    decode: Decode | None = None,
    state: GenerationState | None = None,
    **sampling: Any,
) -> TokenStream:
    """Generate as `generate` does, and yield each token when it is made.

    Args:
        model, prompts, stop_ids, stop_strings, seed, encode, decode, state: as `generate` takes them.
        max_tokens: new tokens of each row, at most; None: until the caller stops, or a stop id or string.
        **sampling: the settings of :class:`Sampling`.

    Returns:
        an iterator over `Piece`; its `state` is where it stands.

    Raises:
        ConfigError, DataError, ShapeError: as `generate`.

    Example:
        >>> from rnnkit.generation import StepFunction
        >>> model = StepFunction(lambda ids, state: (torch.eye(128).roll(1, 1)[ids], state), lambda batch: ())
        >>> decode = lambda ids: bytes(ids).decode()
        >>> "".join(piece.text for piece in stream(model, list(b"a"), max_tokens=4, temperature=0, decode=decode))
        'bcde'
    """
    check_whole(max_tokens, "max_tokens", least=0, optional=True)
    chosen = Sampling.of(sampling, "generate")
    stops = check_ids(stop_ids, "stop_ids")
    strings = _stop_strings(stop_strings, decode)
    machine = token_model(model)
    start = _start(machine, prompts, seed, encode, state)
    return TokenStream(machine, start, max_tokens, chosen, stops, strings, decode)


def _start(
    model: TokenModel, prompts: Any, seed: int | Sequence[int] | None, encode: Encode | None, state: Any
) -> GenerationState:
    """Where a stream begins: the state that was given, or a new one, with the prompts after it."""
    if state is not None and not isinstance(state, GenerationState):
        raise ConfigError(
            f"state is a {type(state).__name__}; expected a GenerationState: type state=generated.state, or "
            "state=GenerationState.load(path)"
        )
    if prompts is None:
        if state is None:
            raise ConfigError("neither prompts nor a state arrived; expected one of them: type generate(model, [[id]])")
        prompts = [[]] * len(state)
    rows = prompt_rows(prompts, encode)
    wanted = model.rows if state is None else len(state)
    if wanted is not None and len(rows) == 1:
        rows = rows * wanted
    if state is None:
        refuse_empty(rows)
        rows_of(model, len(rows))
        seeds = _seeds(seed, len(rows))
        first = model.initial_state(len(rows))
        return GenerationState(first, rows, rows, seeds, [0] * len(rows), [place_behind(row) for row in rows])
    if len(rows) != len(state):
        raise ShapeError(f"{len(rows)} prompts arrived for {len(state)} rows of the state; expected one a row")
    return GenerationState(
        map_state(lambda leaf: leaf.to(model.device), state.model_state),
        [[*old, *new] for old, new in zip(state.unread, rows, strict=True)],
        [[*old, *new] for old, new in zip(state.history, rows, strict=True)],
        state.seeds if seed is None else _seeds(seed, len(rows)),
        state.drawn if seed is None else [0] * len(rows),
        [place_behind([*old.window, *new]) if new else old for old, new in zip(state.text, rows, strict=True)],
    )


def _seeds(seed: int | Sequence[int] | None, rows: int) -> list[int]:
    if seed is None:
        seed = int(torch.randint(2**62, ()))
    if isinstance(seed, Sequence) and not isinstance(seed, str):
        for one in seed:
            check_seed(one)
        if len(seed) != rows or None in seed:
            raise ShapeError(f"{len(seed)} seeds arrived for {rows} rows; expected one number a row, or a single one")
        return list(seed)
    check_seed(seed)
    return [(seed + row) % 2**63 for row in range(rows)]


def _stop_strings(strings: Any, decode: Decode | None) -> tuple[str, ...]:
    if isinstance(strings, str):
        raise ConfigError.of("stop_strings", strings, f"expected a list of texts: type stop_strings=[{strings!r}]")
    listed = tuple(strings)
    if not all(isinstance(one, str) and one for one in listed):
        raise ConfigError.of("stop_strings", strings, "expected a list of texts that are not empty")
    if listed and decode is None:
        raise ConfigError(
            f"stop_strings={list(listed)!r} arrived without decode; expected a function that makes text of ids: type "
            "decode=vocabulary.decode"
        )
    return listed
