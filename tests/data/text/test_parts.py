"""The three parts of a corpus: by place and by whole texts."""

import pytest

from rnnkit.data import read_texts, tokenize, train_tokenizer
from rnnkit.data.text.parts import divide_texts
from rnnkit.errors import ConfigError, DataError


def texts_of(part):
    return [text for text, _ in part]


def test_a_long_text_is_cut_by_its_characters(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("".join(chr(97 + number % 26) for number in range(1000)) + "é", encoding="utf-8")
    parts = divide_texts(file)
    joined = ["".join(texts_of(part)) for part in parts[:3]]
    assert [len(part) for part in joined] == [901, 50, 50]
    assert "".join(joined) == file.read_text(encoding="utf-8")
    assert not parts.several
    assert "1,001 characters" in parts.division


def test_a_cut_may_lie_within_one_of_several_texts():
    parts = divide_texts(["abcdef", "ghij", "klmnopqrst"], validation=0.25, test=0.25)
    assert [texts_of(part) for part in parts[:3]] == [["abcdef", "ghij"], ["klmno"], ["pqrst"]]
    parts = divide_texts(["abcdefgh", "ij"], validation=0.2, test=0.4)
    assert [texts_of(part) for part in parts[:3]] == [["abcd"], ["ef"], ["gh", "ij"]]
    assert parts.several


def test_many_texts_are_dealt_whole_and_equal_ones_together():
    poems = [f"poem {number % 150}" for number in range(300)]
    parts = divide_texts(poems, validation=0.2, test=0.2)
    found = [texts_of(part) for part in parts[:3]]
    assert sorted(text for part in found for text in part) == sorted(poems)
    assert not set(found[0]) & set(found[1])
    assert not set(found[0]) & set(found[2])
    assert not set(found[1]) & set(found[2])
    assert 100 < len(found[0]) < 260
    assert texts_of(divide_texts(poems, validation=0.2, test=0.2, seed=1).train) != found[0]


def test_a_share_of_nothing_is_no_part():
    parts = divide_texts(["abcdefghij"], validation=0, test=0.1)
    assert parts.validation is None
    assert texts_of(parts.test) == ["j"]


def test_token_files_of_the_parts_are_told_apart(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("abcdefghij" * 10, encoding="utf-8")
    parts = divide_texts(read_texts(file), validation=0.1, test=0.1)
    tokenizer = train_tokenizer("char", parts.train)
    arrays = [tokenize(part, tokenizer, cache=tmp_path / "tokens", separators=False) for part in parts[:3]]
    assert [len(array) for array in arrays] == [80, 10, 10]
    assert len(list((tmp_path / "tokens").glob("*.npy"))) == 3
    assert tokenizer.decode(arrays[1][:]) == "abcdefghij"


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(ConfigError, match="leave some"):
        divide_texts(["abc"], validation=0.5, test=0.5)
    with pytest.raises(ConfigError, match="only once"):
        divide_texts(iter(["abc"]))
    with pytest.raises(DataError, match="validation part of 1 text is empty"):
        divide_texts(["abc"], validation=0.1, test=0.4)
