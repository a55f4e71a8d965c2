"""Forced alignment: against all paths of small lattices, and what cannot be aligned."""

import numpy as np
import pytest
from ctc_frames import all_paths, frames_of, random_frames, times_of

from rnnkit.data import train_tokenizer
from rnnkit.errors import DataError, ShapeError
from rnnkit.generation import align, align_words


@pytest.mark.parametrize("blank", [0, 2])
def test_the_likeliest_path_of_every_text(blank):
    import itertools

    frames = random_frames(6, 3, seed=blank)
    _, best = all_paths(frames, lambda path: tuple(one for one, _ in itertools.groupby(path) if one != blank))
    for tokens, path in best.items():
        found = align(frames, tokens, blank=blank)
        assert [one.token for one in found] == list(tokens)
        assert [(one.start, one.end) for one in found] == times_of(path, blank)
        for one in found:
            assert one.confidence == pytest.approx(np.exp(frames[one.start : one.end, one.token].max()))


def test_words_of_a_known_text():
    tokenizer = train_tokenizer("char", ["the cat sat", "你好"])
    frames = frames_of(tokenizer.encode("the cat"), len(tokenizer), sure=10.0)
    found = align_words(frames, "the cat", tokenizer)
    assert [(one.text, one.start, one.end) for one in found] == [("the", 0, 8), ("cat", 12, 20)]
    assert min(one.confidence for one in found) > 0.9
    wrong = align_words(frames, "tat cat", tokenizer)  # what is not said has no confidence
    assert wrong[0].confidence < 0.2
    assert wrong[1].confidence > 0.9
    chinese = align_words(frames_of(tokenizer.encode("你好"), len(tokenizer)), "你好", tokenizer)
    assert [(one.text, one.start) for one in chinese] == [("你", 0), ("好", 3)]


def test_what_cannot_be_aligned():
    frames = random_frames(4, 3)
    assert align(frames, []) == []
    assert len(align(frames, [1, 1, 2])) == 3
    with pytest.raises(
        DataError, match="4 frames arrived for 4 tokens; expected at least 5, one a token and 1 between"
    ):
        align(frames, [1, 1, 2, 1])
    with pytest.raises(DataError, match="0 frames arrived for 1 tokens"):
        align(frames[:0], [1])
    with pytest.raises(DataError, match="the id 0 arrived, which is the blank"):
        align(frames, [1, 0])
    with pytest.raises(DataError, match="the id 7 arrived, which is none of the 3 tokens"):
        align(frames, [7])
    with pytest.raises(DataError, match="the id 1.5 arrived; expected whole numbers"):
        align(frames, [1.5])
    with pytest.raises(DataError, match=r"type align_words\(log_probs, text, tokenizer\)"):
        align(frames, "ab")
    silent = np.log(np.array([[0.5, 0.5, 0.0]] * 4) + 1e-320)
    silent[:, 2] = -np.inf
    with pytest.raises(DataError, match="every path of the text has the probability 0"):
        align(silent, [2])
    tokenizer = train_tokenizer("char", ["abc"])
    with pytest.raises(DataError, match="the text 'axe' holds 'x', which the tokenizer lacks"):
        align_words(random_frames(9, len(tokenizer)), "axe", tokenizer)
    with pytest.raises(ShapeError, match="as the tokenizer has 7 tokens"):
        align_words(frames, "abc", tokenizer)
