"""Against cases worked by hand, and the figures that conlleval gives for them."""

import pytest

from rnnkit.data.text.tagged import slots_of
from rnnkit.tasks.span_scores import scores_by_name, span_scores


@pytest.mark.parametrize(
    ("true", "found", "precision", "recall", "f1"),
    [
        ("B-x I-x O", "B-x I-x O", 1, 1, 1),
        ("B-x I-x O", "B-x O O", 0, 0, 0),  # the border is another one
        ("B-x I-x O", "B-y I-y O", 0, 0, 0),  # the kind is another one
        ("B-x I-x O", "I-x I-x O", 1, 1, 1),  # I- at the beginning begins a slot
        ("B-x I-x O", "O I-x O", 0, 0, 0),  # I- behind O begins a slot
        ("B-x I-x I-x", "B-x I-y I-x", 0, 0, 0),  # I- of another kind ends a slot: x, y, x were found
        ("B-x B-x", "B-x I-x", 0, 0, 0),
        ("B-x O B-y", "B-x O O", 1, 1 / 2, 2 / 3),
        ("B-x O O", "B-x O B-y", 1 / 2, 1, 2 / 3),
        ("O O", "O O", 1, 1, 1),
        ("O O", "O B-x", 0, 0, 0),
        ("O B-x", "O O", 0, 0, 0),
    ],
)
def test_worked_by_hand(true, found, precision, recall, f1):
    scores = span_scores([slots_of(true.split())], [slots_of(found.split())])
    assert scores == pytest.approx({"slot_f1": f1, "slot_precision": precision, "slot_recall": recall})


def test_counts_are_added_over_texts():
    true = [slots_of(["B-x", "O", "B-y"]), slots_of(["B-x", "O"])]
    found = [slots_of(["B-x", "O", "O"]), slots_of(["O", "B-x"])]
    # 1 right of 2 found and 3 true ones; the same slot in another text is another slot
    assert span_scores(true, found) == pytest.approx({"slot_f1": 2 / 5, "slot_precision": 1 / 2, "slot_recall": 1 / 3})
    assert scores_by_name(true, found) == {"y": (0.0, 1), "x": (0.5, 2)}


def test_as_many_texts():
    with pytest.raises(ValueError, match="zip"):
        span_scores([[]], [[], []])
