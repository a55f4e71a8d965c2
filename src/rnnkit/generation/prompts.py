"""Prompts as users have them, as rows of ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any

import torch

from ..errors import ConfigError, DataError

Encode = Callable[[str], Sequence[int]]
Prompts = str | Sequence[Any] | torch.Tensor


def prompt_rows(prompts: Any, encode: Encode | None) -> list[list[int]]:
    """Return the ids of each row.

    Args:
        prompts: ids [T] or text, one row; ids [B, T], or a list of ids or texts, one a row.
        encode: text → ids.

    Raises:
        ConfigError: text arrived without `encode`. DataError: ids are no whole numbers from 0 on.

    Example:
        >>> prompt_rows([[1, 2], [3]], None), prompt_rows([1, 2], None), prompt_rows("ab", lambda text: [7] * len(text))
        ([[1, 2], [3]], [[1, 2]], [[7, 7]])
    """
    if isinstance(prompts, torch.Tensor):
        prompts = prompts.tolist()
    if isinstance(prompts, str):
        return [_ids(prompts, 0, encode)]
    if isinstance(prompts, Integral):
        raise DataError(f"the prompt {prompts} arrived; expected a list of ids: type [{prompts}]")
    if not isinstance(prompts, Iterable):
        raise DataError(f"prompts are a {type(prompts).__name__}; expected ids [[2, 5], [3]], or texts and encode=")
    rows = list(prompts)
    if rows and all(isinstance(one, Integral) or (isinstance(one, torch.Tensor) and one.dim() == 0) for one in rows):
        return [_ids(rows, 0, encode)]
    return [_ids(row, number, encode) for number, row in enumerate(rows)]


def _ids(row: Any, number: int, encode: Encode | None) -> list[int]:
    if isinstance(row, str):
        if encode is None:
            raise ConfigError(
                f"the prompt {row[:20]!r} is text; expected token ids, or a function that makes ids of text: type "
                "encode=vocabulary.encode"
            )
        row = encode(row)
    if isinstance(row, torch.Tensor):
        row = row.tolist()
    ids = list(row) if isinstance(row, Iterable) else [row]
    wrong = [one for one in ids if isinstance(one, bool) or not hasattr(one, "__index__") or int(one) < 0]
    if wrong:
        raise DataError(f"prompt {number} holds {wrong[0]!r}; expected token ids, whole numbers of at least 0")
    return [int(one) for one in ids]


def padded(rows: Sequence[Sequence[int]], device: torch.device | str) -> tuple[torch.Tensor, list[int] | None]:
    """Return ids [B, T], padded with 0 on the right, and the lengths; None where all are as long.

    Example:
        >>> padded([[1, 2], [3]], "cpu")
        (tensor([[1, 2],
                [3, 0]]), [2, 1])
    """
    lengths = [len(row) for row in rows]
    most = max(lengths)
    ids = torch.tensor([[*row, *[0] * (most - len(row))] for row in rows], dtype=torch.long, device=device)
    return ids, None if min(lengths) == most else lengths


def refuse_empty(rows: Sequence[Sequence[int]]) -> None:
    """Raise DataError where there is no row, or a row without ids."""
    if not rows:
        raise DataError("no prompt arrived; expected at least one: type [[id]] with the id that begins a text")
    empty = [number for number, row in enumerate(rows) if not row]
    if empty:
        raise DataError(
            f"prompt {empty[0]} is empty; the model starts from at least one id: type [id] with the id that begins a "
            "text, such as that of a line break"
        )
