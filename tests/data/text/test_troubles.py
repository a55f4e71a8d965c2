"""Troubles of texts as sentences."""

from rnnkit.data.text.troubles import empty_outputs, few_examples, long_sources, repeated_outputs, repetition


def test_classes_with_few_examples():
    (one,) = few_examples({"a": 3, "b": 10}, part="validation")
    assert one.startswith("1 of 2 classes has fewer than 10 examples in validation: 'a' (3).")
    many = few_examples({str(number): number for number in range(9)}, least=8)[0]
    assert "8 of 9 classes have fewer than 8 examples in train: '0' (0), '1' (1), '2' (2), '3' (3), '4' (4) …." in many
    assert few_examples({}) == []


def test_sources_that_are_longer_than_trained_on():
    (one,) = long_sources([3, 1_200], [1_200, 1_201], unit="words")
    assert one.startswith("1 of 2 texts of test (50.0%) is longer than all texts of the training, of up to 1,200 words")
    assert long_sources([3], []) == []
    assert len(long_sources([], [1])) == 1


def test_outputs_that_repeat_themselves():
    assert repetition("so so so") == "so so so"
    assert repetition("a man and a man and a man and") == "a man and a man and a man and"
    assert repetition("雪很大很大很大。") == "很大很大很大"
    assert repetition("the method is new. we show the method is new. but the method is new.") == "the method is new"
    for text in ("", "no", "so so", "ha... !!! ---", "a man and a woman and a child", "1 2 3 4 5 6 7"):
        assert repetition(text) is None, text
    far = " ".join(f"w{number}" for number in range(60))
    assert repetition(f"to be or not {far} to be or not {far} to be or not") is None
    (sentence,) = repeated_outputs(["so so so", "a", "b", "c"])
    assert "in 1 of 4 outputs (25.0%), such as 'so so so': try --repetition-penalty or --coverage-penalty." in sentence
    assert repeated_outputs([]) == []


def test_outputs_that_are_empty():
    assert empty_outputs(["", " \n", "a"]) == ["2 of 3 outputs (66.7%) are empty."]
    assert empty_outputs(["a"]) == []
