"""The report: unknown tokens, the tail of the vocabulary, texts in both parts."""

import json
import random

import pytest

from rnnkit.data import read_texts, text_report, train_tokenizer
from rnnkit.data.text.near_texts import NearTexts
from rnnkit.errors import DataError

LETTERS = "abcdefghijklmnoprstuvw"


def sentence(seed, length=14):
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(LETTERS, k=6)) for _ in range(length))


def test_shares_of_unknown_tokens_and_the_tail():
    train = ["a a a a a b b", "c"]
    tokenizer = train_tokenizer("word", ["a b c d e"])
    report = text_report(train, ["a x x y"], tokenizer)
    assert report.figures["unknown_share"] == {"train": 0.0, "test": 0.75}
    assert report.figures["tokens"] == {"train": 8, "test": 4}
    assert (report.figures["vocabulary"], report.figures["never_seen"], report.figures["rarely_seen"]) == (5, 2, 2)
    assert report.sentences == (
        "train: 0.0% of 8 tokens are unknown.",
        "test: 75.0% of 4 tokens are unknown; the most frequent are 'x' (2), 'y' (1).",
        "2 of 5 tokens of the vocabulary (40.0%) never occur in train, and are not learned from it; "
        "2 (40.0%) occur fewer than 5 times.",
        "No text of test is equal to one of train.",
        "No text of test is nearly equal to one of train.",
    )
    assert str(report) == "\n".join(report.sentences)
    json.dumps(report.figures)


def test_equal_and_nearly_equal_texts_are_counted_and_told(tmp_path):
    train = [sentence(seed) for seed in range(200)] + ["我有一本书，你有没有书？我们去图书馆看书吧。", "Ja!"]
    changed = f"The {train[7]}s"
    test = [train[3].upper() + "!", changed, "我有一本书，你有没有书？我们去图书馆看书吗。", "ja", sentence(999)]
    (tmp_path / "test.txt").write_text("\n".join(test), "utf-8")
    report = text_report(train, read_texts(tmp_path / "test.txt", unit="line"), train_tokenizer("byte"))
    assert (report.figures["equal_texts"], report.figures["near_texts"]) == (2, 2)
    equal, near = report.sentences[-2:]
    file = tmp_path / "test.txt"
    assert equal == (
        f"2 of 5 texts of test (40.0%) are equal to a text of train: {file}:1 and text 4 of train; "
        f"{file}:4 and text 202 of train."
    )
    assert near.startswith(f"2 of 5 texts of test (40.0%) are nearly equal to a text of train: {file}:2 and text 8")
    assert len(report.sentences) == 3  # to bytes nothing is unknown


def test_an_equal_text_counts_more_than_a_near_one():
    text = sentence(1, 30)
    report = text_report([text + " x", text, text + " y"], [text], train_tokenizer("byte"), names=("a", "b"))
    assert (report.figures["equal_texts"], report.figures["near_texts"]) == (1, 0)
    assert "1 of 1 texts of b (100.0%) is equal to a text of a: text 1 of b and text 2 of a." in report.sentences


def test_pairs_above_the_limit_are_found_and_others_are_not():
    held = NearTexts()
    kept = [sentence(seed, 40) for seed in range(100)]
    for number, text in enumerate(kept):
        held.add(text, number)
    found = sum(held.find(f"{text} more words") == {number: "near"} for number, text in enumerate(kept))
    assert found == 100
    assert not any(held.find(sentence(seed, 40)) for seed in range(1000, 1100))
    assert held.find("") == {}


@pytest.mark.parametrize("words", [100, 130, 170, 2000])
def test_long_texts_are_compared_by_longer_runs(words):
    text = sentence(1, words)
    held = NearTexts()
    held.add(text, 0)
    assert held.find(f"{text} and {sentence(2, words // 12)}") == {0: "near"}
    few = random.Random(0)
    one, other = (" ".join(few.choices(text.split()[:30], k=words * 9)) for _ in range(2))
    held.add(one, 1)
    assert held.find(other) == {}


def test_odd_inputs():
    tokenizer = train_tokenizer("char", ["ab"])
    with pytest.raises(DataError, match="no text arrived for test; expected at least one"):
        text_report(["a"], [], tokenizer)
    with pytest.raises(DataError, match="text 1: a int arrived"):
        text_report([1], ["a"], tokenizer)
    report = text_report([""], ["", "??"], tokenizer)
    assert report.figures["tokens"] == {"train": 0, "test": 2}
    assert report.figures["equal_texts"] == 1
    assert text_report((t for t in ["ab"]), iter(["ab"]), tokenizer).figures["equal_texts"] == 1
