"""Parts of a set of texts that share no text: pairs with an equal side stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ...errors import ConfigError
from .near_texts import plain_text


def group_by_shared(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the number of each row's group: rows that share a text in the same field are in one group.

    Texts are compared in Unicode NFKC, in small letters, without punctuation and with single spaces. Sharing is
    transitive: the first row and the third are in one group where the second shares a text with both.

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
    """Divide rows so that no text of one part is in another; which groups go where, a hash of their texts says.

    The groups stand in the order of that hash. The first of them are the first part, the next ones the second, until
    each part has its share of the rows; each gets a group at least. A group of more than half of the rows is always in
    "train". The order in which the rows come does not matter.

    Args:
        rows: as for `group_by_shared`.
        shares: the share of the rows that each part gets, by the part's name; they sum to less than 1.
        seed: another one divides the rows in another way.

    Returns:
        the numbers of the rows of each part, in their order; the rows that are left are in "train".

    Raises:
        ConfigError: shares below 0, or no less than 1 in all.

    Example:
        >>> parts = split_groups([(f"source {i}", f"target {i}") for i in range(1000)], {"val": 0.1, "test": 0.1})
        >>> {name: len(rows) for name, rows in parts.items()}
        {'train': 800, 'val': 100, 'test': 100}
    """
    if any(share < 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise ConfigError.of("shares", dict(shares), "expected shares of at least 0, together less than 1")
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(group_by_shared(rows)):
        groups.setdefault(group, []).append(row)
    order = sorted(groups.values(), key=lambda members: _place(min(tuple(rows[row]) for row in members), seed))
    large = [members for members in order if 2 * len(members) > len(rows)]
    order = [members for members in order if 2 * len(members) <= len(rows)]
    parts: dict[str, list[int]] = {"train": [], **{name: [] for name in shares}}
    for name, share in shares.items():
        while order and share and len(parts[name]) < max(1, round(share * len(rows))):
            parts[name] += order.pop(0)
    parts["train"] = [row for members in (*order, *large) for row in members]
    return {name: sorted(members) for name, members in parts.items()}


def _place(texts: Sequence[str], seed: int) -> bytes:
    """What the order of the groups is by."""
    return hashlib.sha256("\n".join((str(seed), *texts)).encode("utf-8", "surrogatepass")).digest()
