"""Parts of a set of texts that share no text: pairs with an equal side stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ...errors import ConfigError
from .near_texts import plain_text


def group_by_shared(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the number of each row's group: rows that share a text in the same field are in one group.

    Texts are compared in Unicode NFKC, in small letters, without punctuation and with single spaces. Sharing goes on:
    the first row and the third are in one group where the second shares a text with both.

    Args:
        rows: the texts of each row, as many in each.

    Returns:
        for each row the number of the first row of its group.

    Example:
        >>> group_by_shared([("Hi.", "嗨。"), ("Run.", "跑。"), ("hi!", "你好。"), ("Hello.", "你好。")])
        [0, 1, 0, 0]
    """
    parent = list(range(len(rows)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[tuple[int, str], int] = {}
    for row, texts in enumerate(rows):
        for field, text in enumerate(texts):
            other = root(first.setdefault((field, plain_text(text) or text), row))
            own = root(row)
            parent[max(own, other)] = min(own, other)
    return [root(row) for row in range(len(rows))]


def split_groups(rows: Sequence[Sequence[str]], shares: Mapping[str, float], *, seed: int = 0) -> dict[str, list[int]]:
    """Divide rows so that no text of one part is in another: a hash of each group's texts says where the group goes.

    The hash is of the texts and the seed alone. So a group goes to the same part in whichever order the rows come.

    Args:
        rows: as for `group_by_shared`.
        shares: the share of the groups that each part gets, by the part's name; they sum to at most 1.
        seed: another one divides the rows in another way.

    Returns:
        the numbers of the rows of each part, in their order; rows that no part gets are in "train".

    Raises:
        ConfigError: shares below 0, or above 1 in all.

    Example:
        >>> parts = split_groups([(f"source {i}", f"target {i}") for i in range(1000)], {"val": 0.1, "test": 0.1})
        >>> [(name, len(rows) // 50) for name, rows in parts.items()]
        [('train', 16), ('val', 1), ('test', 1)]
    """
    if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1:
        raise ConfigError.of("shares", dict(shares), "expected shares of at least 0, together at most 1")
    parts: dict[str, list[int]] = {"train": [], **{name: [] for name in shares}}
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(group_by_shared(rows)):
        groups.setdefault(group, []).append(row)
    for members in groups.values():
        place = _place("\t".join(min(tuple(rows[row]) for row in members)), seed)
        name = "train"
        for part, share in shares.items():
            if 0 <= place < share:
                name = part
                break
            place -= share
        parts[name] += members
    return {name: sorted(members) for name, members in parts.items()}


def _place(text: str, seed: int) -> float:
    """A number in [0, 1) that the text and the seed determine."""
    digest = hashlib.sha256(f"{seed}\n{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
