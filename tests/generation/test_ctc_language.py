"""The search of CTC with a model of the language: against all texts, and against flashlight-text."""

import itertools
import math

import numpy as np
import pytest
from ctc_frames import all_paths, frames_of, labelling, log_softmax, random_frames

from rnnkit.data import train_tokenizer
from rnnkit.errors import ConfigError
from rnnkit.generation import CTCDecoder, ctc_beam_search, train_ngram

EVERYTHING = {"width": 10**6, "token_margin": None, "most_tokens": None, "beam_margin": None}


@pytest.mark.parametrize(
    ("tokens", "texts", "unit"),
    [
        (["-", " ", "a", "b"], ["a ab", "ba ab a", "b a"], "word"),
        (["-", " ", "a", "b"], ["a ab", "ba ab a", "b a"], "char"),
        (["-", "你", "好", "a"], ["你好", "你 a 好好", "a a 好"], "word"),
        (["-", "你", "好", "a"], ["你好", "你 a 好好", "aa 好"], "char"),
        (["-", "▁a", "b", "▁"], ["a ab", "b ab a", "b a"], "word"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_scores_are_those_of_whole_texts(tokens, texts, unit, whole):
    model = train_ngram(texts, 3, unit=unit)
    frames = random_frames(5, 4, seed=4)

    def text_of(path):
        return " ".join("".join(tokens[token] for token in labelling(path)).replace("▁", " ").split())

    sums, _ = all_paths(frames, text_of)
    hot = {"你 好": 2.0, "好": 1.5} if "你" in tokens else {"ab": 2.0, "b a": 1.5}
    settings = {"lm": model, "lm_weight": 0.7, "word_bonus": 0.4, "unknown_penalty": 1.5, "hot_words": hot}
    found = ctc_beam_search(frames, tokenizer=tokens, whole_sentences=whole, **settings, **EVERYTHING)
    assert sorted(one.text for one in found) == sorted(sums)
    for one in found:
        words = model.split(one.text)
        expected = sums[one.text]
        assert one.log_probability == pytest.approx(expected)
        expected += 0.7 * model.score(words, begin=whole, end=whole) + 0.4 * len(words)
        expected -= 1.5 * sum(word not in model for word in words)
        spelled = "".join(f" {letter} " if letter in "你好" else letter for letter in one.text)
        spelled = f" {' '.join(spelled.split())} "
        for phrase, bonus in hot.items():
            expected += bonus * sum(spelled.startswith(f" {phrase} ", at) for at in range(len(spelled)))
        assert one.score == pytest.approx(expected)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "unigram"])
def test_tokens_of_every_kind_have_the_models_score(kind):
    texts = ["the cat sat on the mat", "the dog, the house", "don't sit on a dog"]
    tokenizer = train_tokenizer(kind, texts, size={"bpe": 280, "unigram": 40}.get(kind), lowercase=True)
    model = train_ngram(texts, 3, lowercase=True)
    decoder = CTCDecoder(tokenizer=tokenizer, lm=model, lm_weight=0.5, word_bonus=1.5, width=4)
    for text in texts:
        found = decoder.decode(frames_of(tokenizer.encode(text), len(tokenizer), sure=14.0))[0]
        assert found.text == text
        words = model.split(text)
        assert found.score - found.log_probability == pytest.approx(0.5 * model.score(words) + 1.5 * len(words))


def test_the_model_decides_between_like_sounds():
    letters = ["-", " ", *"abcdefghijklmnopqrstuvwxyz"]
    model = train_ngram(["the red car", "he read the book", "she read a book", "a red book"] * 3, 2)
    frames = frames_of([letters.index(letter) for letter in "she red the book"], len(letters), sure=9.0)
    frames = log_softmax(np.logaddexp(frames, math.log(0.02)))
    plain = ctc_beam_search(frames, tokenizer=letters)[0].text
    with_model = ctc_beam_search(frames, tokenizer=letters, lm=model, lm_weight=2.0, word_bonus=1.0, width=64)
    assert plain == "she red the book"
    assert with_model[0].text == "she read the book"


def test_what_a_model_of_characters_cannot_do():
    model = train_ngram(["abc"], 2, unit="char")
    with pytest.raises(ConfigError, match="the tokens are bytes; expected a model of words"):
        CTCDecoder(tokenizer=train_tokenizer("byte", ["a"]), lm=model)


def test_flashlight_finds_the_same():
    decoder = pytest.importorskip("flashlight.lib.text.decoder", reason="flashlight-text is not installed")
    letters = ["-", "|", "a", "b", "c"]
    frames = random_frames(20, 5, seed=1, spread=1.0)
    frames[np.arange(20), np.random.default_rng(3).integers(0, 5, 20)] += 3
    frames[-1] = [-30, 0, -30, -30, -30]  # flashlight ends each word with a boundary
    frames = log_softmax(frames)
    emissions = np.ascontiguousarray(frames, np.float32)

    free = decoder.LexiconFreeDecoder(
        decoder.LexiconFreeDecoderOptions(200, 6, 1000.0, 0.0, 0.0, True, decoder.CriterionType.CTC),
        decoder.ZeroLM(),
        5,
        0,
        [],
    )
    # Its boundary is a token of its own here, which the frames never hold.
    padded = np.ascontiguousarray(np.concatenate([frames, np.full((20, 1), -80.0)], 1), np.float32)
    best = free.decode(padded.ctypes.data, *padded.shape)[0]
    own = ctc_beam_search(frames, width=200, token_margin=None, most_tokens=None, beam_margin=None)[0]
    assert [one for one, _ in itertools.groupby(best.tokens) if one not in (0, 5)] == own.tokens
    assert best.score == pytest.approx(own.score, abs=0.02)  # each leaves out what its width drops

    words = ["ab", "ba", "cab", "a", "bca"]
    draw = np.random.default_rng(0)
    model = train_ngram([" ".join(draw.choice(words, size=4)) for _ in range(50)], 3)

    class Ngrams(decoder.LM):
        def __init__(self):
            super().__init__()
            self.states = {}

        def start(self, _):
            state = decoder.LMState()
            self.states[state] = model.begin
            return state

        def score(self, state, index):
            node, value = model.step(self.states[state], words[index])
            after = state.child(index)
            self.states[after] = node
            return after, value

        def finish(self, state):
            after = state.child(-1)
            self.states[after] = self.states[state]
            return after, model.end_of(self.states[state])

    trie = decoder.Trie(5, 1)
    for number, word in enumerate(words):
        trie.insert([*(letters.index(letter) for letter in word), 1], number, 0.0)
    options = decoder.LexiconDecoderOptions(500, 5, 1000.0, 0.8, 0.3, -math.inf, 0.0, True, decoder.CriterionType.CTC)
    ngrams = Ngrams()  # the library does not keep it alive
    listed = decoder.LexiconDecoder(options, trie, ngrams, 1, 0, -1, [], False)
    theirs = listed.decode(emissions.ctypes.data, *emissions.shape)[:3]
    ours = ctc_beam_search(
        frames,
        tokenizer=letters,
        lm=model,
        lm_weight=0.8,
        word_bonus=0.3,
        words=words,
        width=500,
        token_margin=None,
        most_tokens=None,
        beam_margin=None,
    )[:3]
    assert [one.text.split() for one in ours] == [[words[at] for at in one.words if at >= 0] for one in theirs]
    assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], abs=1e-3)
