"""Pairs that share a text stay in one part."""

import random

import pytest

from rnnkit.data.text.groups import group_by_shared, split_groups
from rnnkit.errors import ConfigError


def pairs():
    draw = random.Random(0)
    found = [(f"sentence {draw.randrange(900)}", f"句子{draw.randrange(900)}") for _ in range(700)]
    return [*found, *((f"alone {i}", f"单独{i}") for i in range(2000))]


def test_rows_that_share_a_text_are_in_one_group_and_sharing_goes_on():
    rows = [("Hi.", "嗨。"), ("Run!", "跑！"), ("hi", "你好。"), ("Hello.", "你好"), ("Run !", "快跑"), ("嗨。", "Hi.")]
    assert group_by_shared(rows) == [0, 1, 0, 0, 1, 5]
    assert group_by_shared([("?!", "a"), ("...", "b")]) == [0, 1]  # marks alone are compared as they are


def test_no_text_is_in_two_parts_whatever_the_order():
    rows = pairs()
    parts = split_groups(rows, {"validation": 0.1, "test": 0.2})
    assert sorted(row for part in parts.values() for row in part) == list(range(len(rows)))
    texts = [{text for row in part for text in rows[row]} for part in parts.values()]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    shares = [len(part) / len(rows) for part in parts.values()]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.01)
    turned = split_groups(rows[::-1], {"validation": 0.1, "test": 0.2})
    assert {rows[row] for row in parts["test"]} == {rows[::-1][row] for row in turned["test"]}
    other = split_groups(rows, {"validation": 0.1, "test": 0.2}, seed=1)
    assert other["test"] != parts["test"]


def test_small_sets_have_all_parts():
    for count in range(3, 12):
        parts = split_groups([(f"a{i}", f"b{i}") for i in range(count)], {"validation": 0.05, "test": 0.05})
        assert min(map(len, parts.values())) >= 1


@pytest.mark.parametrize("seed", range(5))
def test_most_of_the_rows_are_trained_on_where_they_share_a_text(seed):
    rows = [(f"question {number}", "yes" if number < 60 else f"answer {number}") for number in range(100)]
    parts = split_groups(rows, {"validation": 0.05, "test": 0.05}, seed=seed)
    assert {name: len(part) for name, part in parts.items()} == {"train": 90, "validation": 5, "test": 5}
    assert set(range(60)) <= set(parts["train"])
    assert split_groups(rows[:60], {"test": 0.1}, seed=seed) == {"train": list(range(60)), "test": []}


def test_shares_that_are_none():
    with pytest.raises(ConfigError, match="together less than 1"):
        split_groups([("a", "b")], {"validation": 0.6, "test": 0.6})
