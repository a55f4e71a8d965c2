"""Words of recognised tokens, with their times, and the errors that are counted in them."""

import random

import pytest
import torch
from tolerances import assert_close

from rnnkit.data import train_tokenizer
from rnnkit.errors import DataError
from rnnkit.tasks.recognition_scores import mistakes_of
from rnnkit.tasks.speech_scores import score_speech
from rnnkit.tasks.speech_words import WordReader, split_spoken, words_of


def test_tokens_become_words_with_times():
    tokenizer = train_tokenizer("char", ["to be 音乐"])
    ids = tokenizer.encode("be to音")
    times = [(2 * at, 2 * at + 1) for at in range(len(ids))]
    words = words_of(ids, times, [0.5, 0.8, 1.0, 1.0, 1.0, 0.9], tokenizer, 0.1, offset=1.0)
    assert [word.text for word in words] == ["be", "to", "音"]
    assert_close(torch.tensor([word.start for word in words]), torch.tensor([1.0, 1.6, 2.0]))
    assert_close(torch.tensor([word.end for word in words]), torch.tensor([1.3, 1.9, 2.1]))
    assert_close(torch.tensor([word.confidence for word in words]), torch.tensor([0.4, 1.0, 0.9]))
    assert words_of([], [], [], tokenizer, 0.1) == []
    assert split_spoken("it's 3 o'clock") == ["it's", "3", "o'clock"]


TEXTS = ["it's well-known: 3.50 (or so), 音乐 is on!", "ab c def 你好吗 é ü 🙂 x", "so do we do so"]


@pytest.mark.parametrize("kind", ["word", "char", "bpe", "unigram", "byte"])
def test_words_read_piece_by_piece_are_those_of_all_tokens(kind):
    tokenizer = train_tokenizer(kind, TEXTS * 20, **{"size": 280} if kind == "bpe" else {})
    draw = random.Random(0)
    tokens = [one for _ in range(30) for one in tokenizer.encode(draw.choice(TEXTS) + " ")]
    times = [(3 * at, 3 * at + 2) for at in range(len(tokens))]
    text = tokenizer.decode(tokens)
    words = words_of(tokens, times, [1.0] * len(tokens), tokenizer, 0.1)
    assert [word.text for word in words] == split_spoken(text)
    reader, found, end = WordReader(tokenizer, 0.1), [], 0
    while end < len(tokens):
        end += draw.randint(0, 7)
        found[reader.settled.words :] = reader.read(tokens[:end], times, [1.0] * len(tokens))
        assert reader.text == tokenizer.decode(tokens[:end]).strip()
        # The last word may go on.
        reader.settle(len(found) - draw.randint(0, 2), stable=min(end, len(tokens)) - draw.randint(0, 3))
    assert found == words
    assert len(reader.settled.text) > 0.8 * len(text)


def test_error_rates_count_words_and_characters():
    scores = score_speech(["one two three", "four", "", "你好"], ["one too three", "", "one", "你们"])
    figures = scores.figures
    assert (figures["substitutions"], figures["deletions"], figures["insertions"]) == (2, 1, 1)
    assert figures["words"] == 6
    assert figures["wer"] == pytest.approx(4 / 6)
    assert scores.each == pytest.approx([1 / 3, 1, 1, 0.5])
    assert scores.confusions["two", "too"] == 1
    assert scores.confusions["four", ""] == 1
    assert ("", "one", 1) in mistakes_of(scores.confusions)
    assert figures["sentence_accuracy"] == 0
    with pytest.raises(DataError, match="no true text holds a word"):
        score_speech([""], ["a"])
    with pytest.raises(DataError, match="expected as many"):
        score_speech(["a"], [])


def test_character_error_rates_are_those_of_jiwer_in_scripts_without_spaces_too():
    import jiwer

    for text, other in (
        ("打开客厅的灯", "打开厅的等灯"),
        ("播放jazz music吗", "播jaz musik吗"),
        ("one two", "on etwo"),
    ):
        assert score_speech([text], [other]).figures["cer"] == pytest.approx(jiwer.cer(text, other))
    assert score_speech(["播放 音乐"], ["播放音乐"]).figures["cer"] == 0.0
