"""Words that the vocabulary lacks have ids of their own in each source."""

import pytest

from rnnkit.data import train_tokenizer
from rnnkit.data.text.copied import decode_copied, number_source, number_target, written


def test_words_of_the_source_come_back_as_they_were():
    tokenizer = train_tokenizer("word", ["the dog sees the cat", "the cat sees the dog."], minimum_count=2)
    size = len(tokenizer)
    ids, words = number_source(tokenizer, "Zoë sees the well-known Zoë.")
    assert words == ["Zoë", "well", "@-@", "known", "."]
    assert ids[0] == ids[6] == size
    assert number_target(tokenizer, "the known wolf", words) == [tokenizer.tokens.index("the"), size + 3, 1]
    assert decode_copied(tokenizer, ids, words) == "Zoë sees the well-known Zoë."
    assert written(tokenizer, [size + 1], words) == ["well"]
    assert number_source(tokenizer, "the dog") == (tokenizer.encode("the dog"), [])


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_other_tokenizers(kind):
    tokenizer = train_tokenizer(kind, ["你好", "世界"] * 4)
    ids, words = number_source(tokenizer, "你们好")
    assert words == (["们"] if kind == "char" else [])
    assert decode_copied(tokenizer, [*ids, tokenizer.end], words) == "你们好"


def test_one_text_is_normalised_before_its_words_are_numbered():
    tokenizer = train_tokenizer("word", ["café"], lowercase=True)
    ids, words = number_source(tokenizer, "CAFE\u0301 Rouge")
    assert (ids[0], words) == (tokenizer.tokens.index("café"), ["rouge"])
