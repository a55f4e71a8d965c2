"""Greedy decoding and beam search of CTC: all paths of small lattices are the truth."""

import json

import numpy as np
import pytest
import torch
from ctc_frames import all_paths, frames_of, labelling, log_softmax, random_frames, times_of

from rnnkit.data import train_tokenizer
from rnnkit.errors import ConfigError, DataError, DataWarning, ShapeError
from rnnkit.generation import CTCDecoder, ctc_beam_search, ctc_greedy

EVERYTHING = {"width": 10**6, "token_margin": None, "most_tokens": None, "beam_margin": None}
LETTERS = ["-", " ", *"abcdefghijklmnopqrstuvwxyz"]


def ids(text):
    return [LETTERS.index(letter) for letter in text]


def seen(found):
    return [(one.tokens, one.times, round(one.score, 6), one.confidences, one.text) for one in found]


def test_greedy_is_the_likeliest_path():
    frames = random_frames(40, 5, seed=3)
    path = frames.argmax(1)
    found = ctc_greedy(frames)
    assert found.score == pytest.approx(frames.max(1).sum())
    assert found.times == times_of(path)
    assert found.tokens == [int(path[begin]) for begin, _ in found.times]
    assert found.confidences == pytest.approx(
        [np.exp(frames[begin:end, one].max()) for one, (begin, end) in zip(found.tokens, found.times, strict=True)]
    )
    assert found.text is None
    other = ctc_greedy(torch.tensor(frames, dtype=torch.float32, requires_grad=True))
    assert (other.tokens, other.times) == (found.tokens, found.times)
    assert ctc_greedy(frames[:0]).tokens == []


@pytest.mark.parametrize("blank", [0, 2])
def test_the_search_sums_all_paths(blank):
    for seed in range(3):
        frames = random_frames(5, 3, seed=seed)
        sums, best = all_paths(frames, lambda path: labelling(path, blank))
        found = ctc_beam_search(frames, blank=blank, **EVERYTHING)
        assert {tuple(one.tokens): one.score for one in found} == pytest.approx(sums)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        for one in found:
            path = best[tuple(one.tokens)]
            assert one.times == times_of(path, blank)
            assert one.confidences == pytest.approx(
                [
                    np.exp(frames[begin:end, token].max())
                    for token, (begin, end) in zip(one.tokens, one.times, strict=True)
                ]
            )


def test_a_narrow_search_finds_what_is_likely():
    for seed in range(5):
        frames = random_frames(6, 4, seed=seed)
        best = max(all_paths(frames)[0].items(), key=lambda pair: pair[1])
        found = ctc_beam_search(frames, width=8)[0]
        assert tuple(found.tokens) == best[0]
        assert found.score <= best[1] + 1e-9
    assert len(ctc_beam_search(frames, width=3)) <= 3


def test_boundaries_of_words_at_an_end_or_twice_change_no_text():
    tokens = ["-", " ", "a"]
    frames = random_frames(6, 3, seed=1)
    sums, _ = all_paths(frames, lambda path: " ".join("".join(tokens[one] for one in labelling(path)).split()))
    found = ctc_beam_search(frames, tokenizer=tokens, **EVERYTHING)
    assert {one.text: one.score for one in found} == pytest.approx(sums)
    assert len(found) == len(sums)
    assert ctc_greedy(frames_of([1, 2, 1, 1, 2], 3), tokenizer=tokens).text == "a a"


@pytest.mark.parametrize("settings", [{"width": None}, {"width": 6}, {"width": 6, "words": ["cab", "dad", "a"]}])
@pytest.mark.parametrize("sizes", [(1,), (7,), (0, 5, 1, 40)])
def test_pushed_frames_are_decoded_as_the_whole(settings, sizes):
    frames = frames_of(ids("a cab dad"), len(LETTERS), sure=6.0, seed=1)
    decoder = CTCDecoder(tokenizer=LETTERS, **settings)
    whole = decoder.decode(frames)
    at, turn, before = 0, 0, None
    while at < len(frames):
        size = sizes[turn % len(sizes)]
        partial = decoder.push(frames[at : at + size])
        at, turn = at + size, turn + 1
        if before is not None:  # what is stable stays
            assert partial.tokens[: before.stable] == before.tokens[: before.stable]
            assert [one.text for one in partial.words[: before.stable_words]] == [
                one.text for one in before.words[: before.stable_words]
            ]
        before = partial
    assert decoder.frames == len(frames)
    assert before.words[: before.stable_words] == whole[0].words[: before.stable_words]
    assert seen(decoder.flush()) == seen(whole)
    assert whole[0].text == "a cab dad"
    assert decoder.frames == 0
    assert decoder.push(frames[:0]).tokens == []


@pytest.mark.parametrize("settings", [{"width": None}, {"width": 4}, {"width": 4, "hot_words": ["cab"]}])
def test_a_saved_state_goes_on(settings):
    frames = random_frames(30, len(LETTERS), seed=5)
    whole = CTCDecoder(tokenizer=LETTERS, **settings).decode(frames)
    first, second = (CTCDecoder(tokenizer=LETTERS, **settings) for _ in range(2))
    first.push(frames[:13])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert seen([second.partial()]) == seen([first.partial()])
    second.push(frames[13:])
    assert seen(second.flush()) == seen(whole)
    for damaged in ({}, {"kind": "other"}, {**first.state_dict(), "hypotheses": [{}], "tokens": None}):
        with pytest.raises(DataError, match="state of a"):
            second.load_state_dict(damaged)


@pytest.mark.parametrize("settings", [{}, {"tokenizer": LETTERS, "hot_words": ["cab"]}])
def test_long_streams_settle_and_forget(settings):
    frames = frames_of(ids("a cab dad ") * 8, len(LETTERS), sure=7.0, seed=1)
    whole = CTCDecoder(width=6, settle_after=None, **settings).decode(frames)[0]
    decoder = CTCDecoder(width=6, settle_after=30, **settings)
    stable = []
    for begin in range(0, len(frames), 25):
        stable.append(decoder.push(frames[begin : begin + 25]).stable)
        if begin == 100:
            state = json.loads(json.dumps(decoder.state_dict()))
    assert stable == sorted(stable)
    assert stable[-1] >= len(whole.tokens) - 20
    core = decoder._core
    found, at = 0, [core.root]
    while at:
        one = at.pop()
        found += 1
        at += [child for child in (one.children or {}).values() if child is not None]
    assert found < 1500
    assert core.root.parent is None
    assert core.root.depth == len(core.settled) > len(whole.tokens) - 30
    last = decoder.flush()[0]
    assert (last.tokens, last.times, last.confidences) == (whole.tokens, whole.times, whole.confidences)
    assert last.log_probability == pytest.approx(whole.log_probability, abs=0.5)
    other = CTCDecoder(width=6, settle_after=30, **settings)
    other.load_state_dict(state)
    other.push(frames[125:])
    assert seen(other.flush()[:1]) == seen([last])


def test_words_have_times_and_confidences():
    frames = frames_of(ids("the cat"), len(LETTERS), seed=4)
    for found in (ctc_greedy(frames, tokenizer=LETTERS), ctc_beam_search(frames, tokenizer=LETTERS)[0]):
        assert [(one.text, one.start, one.end) for one in found.words] == [("the", 0, 8), ("cat", 12, 20)]
        assert found.words[1].confidence == min(found.confidences[4:])
        assert found.stable_words == 1  # "cat" may go on
    chinese = ["-", "你", "好", "a", "b"]
    found = ctc_greedy(frames_of([3, 4, 1, 2], 5), tokenizer=chinese)
    assert [one.text for one in found.words] == ["ab", "你", "好"]
    assert found.stable_words == 3


@pytest.mark.parametrize("kind", ["char", "byte", "word", "bpe", "unigram"])
def test_tokens_of_every_kind_are_words(kind):
    texts = ["the cat sat on the mat", "the dog, the house", "don't 我们 a well-known cat"]
    size = {"bpe": 300, "unigram": 60}.get(kind)
    tokenizer = train_tokenizer(kind, texts, size=size)
    blank = tokenizer.pad
    for text in texts:
        tokens = tokenizer.encode(text)
        frames = frames_of(tokens, len(tokenizer), sure=12.0, blank=blank)
        greedy = ctc_greedy(frames, blank=blank, tokenizer=tokenizer)
        beam = ctc_beam_search(frames, blank=blank, tokenizer=tokenizer, width=2)[0]
        assert greedy.tokens == beam.tokens == tokens
        assert greedy.text == beam.text == tokenizer.decode(tokens)
        if "我" not in text and kind != "word":
            assert [word.text for word in greedy.words] == text.split()
        if kind == "word":
            assert len(greedy.words) == len(tokens)


def test_only_words_of_the_list_are_heard():
    frames = frames_of(ids("cat dug"), len(LETTERS), seed=2)
    frames = np.log(0.9 * np.exp(frames) + 0.1 / len(LETTERS))
    found = ctc_beam_search(frames, tokenizer=LETTERS, words=["dog", "cat", "cattle"], width=16)
    assert found[0].text == "cat dog"
    assert all(word.text in ("dog", "cat", "cattle") for one in found for word in one.words)
    phrases = ctc_beam_search(frames, tokenizer=LETTERS, words=["cat dog", "dog"], width=16)
    assert phrases[0].text == "cat dog"
    chinese = ["-", *"打开空调灯"]
    words = ["打开", "空调", "灯"]
    found = ctc_beam_search(frames_of([1, 2, 3, 4], 6, sure=3.0), tokenizer=chinese, words=words, width=16)
    assert found[0].text == "打开空调"
    wrong = ctc_beam_search(frames_of([1, 3, 4], 6, sure=3.0), tokenizer=chinese, words=words, width=16)
    assert wrong[0].text in {"空调", "打开空调", "灯空调"}


def test_a_word_list_in_the_middle_of_a_word():
    frames = frames_of(ids("ca"), len(LETTERS), sure=12.0)
    found = ctc_beam_search(frames, tokenizer=LETTERS, words=["cat"], width=8, beam_margin=5.0)
    assert found[0].text == "ca"  # no hypothesis ends a word
    decoder = CTCDecoder(tokenizer=LETTERS, words=["cat"])
    decoder.push(frames)
    decoder.push(frames_of(ids("t"), len(LETTERS), sure=12.0))
    assert decoder.flush()[0].text == "cat"


def test_hot_words_are_preferred_whole_and_nowhere_else():
    close = frames_of(ids("anka"), len(LETTERS), sure=10.0)
    close[6:8, ids("i")[0]] = close[6:8, ids("k")[0]] + 0.4  # "ania" is a little likelier
    close = log_softmax(close)
    plain = ctc_beam_search(close, tokenizer=LETTERS)
    hot = ctc_beam_search(close, tokenizer=LETTERS, hot_words=["anka"], hot_weight=2.0)
    assert plain[0].text == "ania"
    assert hot[0].text == "anka"
    assert hot[0].score - hot[0].log_probability == pytest.approx(2.0)
    assert next(one for one in hot if one.text == "ania").score == pytest.approx(
        next(one for one in plain if one.text == "ania").score
    )
    # A part of a word is none.
    part = ctc_beam_search(close, tokenizer=LETTERS, hot_words={"ank": 9.0, "nka": 9.0})
    others = [one for one in part if one.text not in ("ank", "nka")]
    assert others
    assert all(one.score == pytest.approx(one.log_probability) for one in others)
    two = frames_of(ids("new york"), len(LETTERS), sure=10.0)
    found = ctc_beam_search(two, tokenizer=LETTERS, hot_words={"new york": 3.0, "york": 1.0, "new jersey": 9.0})[0]
    assert found.score - found.log_probability == pytest.approx(4.0)
    counted = ctc_beam_search(two, tokenizer=LETTERS, word_bonus=0.25)[0]
    assert counted.score - counted.log_probability == pytest.approx(0.5)


def test_errors_say_what_to_type():
    frames = random_frames(4, 3)
    with pytest.raises(DataError, match=r"frame 0 sum to .*; type log_probs.log_softmax"):
        ctc_greedy(np.zeros((4, 3)))
    with pytest.raises(DataError, match="NaN in frame 2"):
        ctc_greedy(np.where(np.arange(4)[:, None] == 2, np.nan, frames))
    with pytest.raises(ShapeError, match=r"expected \[T frames, V tokens\]"):
        ctc_greedy(frames[None])
    with pytest.raises(ShapeError, match="as the tokenizer has 28 tokens"):
        ctc_greedy(frames, tokenizer=LETTERS)
    with pytest.raises(ShapeError, match="above the blank's id 3"):
        ctc_greedy(frames, blank=3)
    with pytest.raises(ConfigError, match="width=0 arrived"):
        ctc_beam_search(frames, width=0)
    with pytest.raises(ConfigError, match=r"words arrived without a tokenizer.*type tokenizer="):
        ctc_beam_search(frames, words=["a"])
    with pytest.raises(ConfigError, match=r"hot_words arrived with width=None"):
        CTCDecoder(width=None, tokenizer=LETTERS, hot_words=["a"])
    with pytest.raises(ConfigError, match=r"type hot_words=\['anka'\]"):
        CTCDecoder(tokenizer=LETTERS, hot_words="anka")
    with pytest.raises(ConfigError, match="lm is a str; expected an NGramModel"):
        CTCDecoder(tokenizer=LETTERS, lm="file.arpa")
    for tokenizer in (5, "abc", [1, 2]):
        with pytest.raises(ConfigError, match=r"expected a rnnkit.data.Tokenizer, or the list of all tokens"):
            ctc_greedy(frames, tokenizer=tokenizer)
    for bonus in ("x", float("nan")):
        with pytest.raises(ConfigError, match=r"hot_words\['a'\]=.* arrived; expected a number"):
            CTCDecoder(tokenizer=LETTERS, hot_words={"a": bonus})
    with pytest.raises(DataError, match="log_probs is no array of numbers"):
        ctc_greedy("abc")
    silent = np.full((2, 28), -np.inf)
    silent[:, 3] = 0.0
    with pytest.raises(DataError, match=r"no text has a probability above 0 in frame 0; leave words= out"):
        ctc_beam_search(silent, tokenizer=LETTERS, words=["a"])
    with pytest.raises(ConfigError, match="words is empty"):
        CTCDecoder(tokenizer=LETTERS, words=[])
    with pytest.raises(DataError, match="the tokens can write none of words: '你'"):
        CTCDecoder(tokenizer=LETTERS, words=["你"])
    with pytest.warns(DataWarning, match="cannot write 1 of 2 words, which are left out: '你'"):
        CTCDecoder(tokenizer=LETTERS, words=["你", "a"])
