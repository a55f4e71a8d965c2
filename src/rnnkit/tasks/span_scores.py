"""How well slots are found: precision, recall and F1 over whole slots, as the shared tasks of CoNLL count them.

A found slot is right if its name, its first and its last word are those of a true one. With n right ones of f found and
t true ones, over all texts: precision n / f, recall n / t, F1 = 2 n / (f + t).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..data.text.tagged import Slot

Rows = Iterable[Sequence[Slot]]


def span_scores(true: Rows, found: Rows) -> dict[str, float]:
    """Return "slot_f1", "slot_precision" and "slot_recall"; 1 where there is nothing to find and nothing found.

    Args:
        true: the slots of each text.
        found: those that a model found in the same texts.

    Example:
        >>> city, artist = Slot("city", 0, 2), Slot("artist", 3, 4)
        >>> span_scores([[city, artist]], [[city]])
        {'slot_f1': 0.6666666666666666, 'slot_precision': 1.0, 'slot_recall': 0.5}
    """
    right, count_found, count_true = _counts(true, found)
    return {
        "slot_f1": _share(2 * right, count_found + count_true),
        "slot_precision": _share(right, count_found) if count_found or not count_true else 0.0,
        "slot_recall": _share(right, count_true) if count_true or not count_found else 0.0,
    }


def scores_by_name(true: Rows, found: Rows) -> dict[str, tuple[float, int]]:
    """Return the F1 of each name of a slot, and how many true ones it has; the lowest F1 first.

    Example:
        >>> scores_by_name([[Slot("city", 0, 2), Slot("artist", 3, 4)]], [[Slot("city", 0, 2)]])
        {'artist': (0.0, 1), 'city': (1.0, 1)}
    """
    rights: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    trues: Counter[str] = Counter()
    for own, other in zip(true, found, strict=True):
        rights.update(slot.name for slot in set(own) & set(other))
        totals.update(slot.name for slot in (*own, *other))
        trues.update(slot.name for slot in own)
    scores = {name: (2 * rights[name] / count, trues[name]) for name, count in totals.items()}
    return dict(sorted(scores.items(), key=lambda item: (item[1][0], item[0])))


def _counts(true: Rows, found: Rows) -> tuple[int, int, int]:
    right = count_found = count_true = 0
    for own, other in zip(true, found, strict=True):
        right += len(set(own) & set(other))
        count_found += len(other)
        count_true += len(own)
    return right, count_found, count_true


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
