"""The settings of the search for tokens in the output of a recogniser. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .ranges import Count, NotNegative, Settings


@dataclass(frozen=True)
class CTCDecoding(Settings):
    """How tokens are found in the output of a network that was trained by CTC.

    Attributes:
        width: beginnings that the beam search follows at a time; 1 takes the most probable token at each step.
        lm: a language model of n-grams for the beam search, an ARPA file, or a run of `rnnkit train
            ngram`; none takes no model.
        lm_weight: what the language model counts relative to the network.
        word_bonus: what each word adds to the score, against a language model's liking for few words.
        words: a file of words, one a line; the beam search writes no others.
        hot_words: words that the beam search is to prefer.
        hot_weight: what each of them adds to the score; much more writes words that were not said.

    Example:
        >>> CTCDecoding().greedy, CTCDecoding(words="words.txt").greedy
        (True, False)
    """

    group_name: ClassVar[str] = "decode"

    width: Count = 1
    lm: str | None = None
    lm_weight: NotNegative = 0.5
    word_bonus: float = 1.0
    words: str | None = None
    hot_words: tuple[str, ...] = ()
    hot_weight: NotNegative = 3.0

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken at each step."""
        return self.width == 1 and self.lm is None and self.words is None and not self.hot_words

    def made_greedy(self) -> dict[str, Any]:
        """Return the fields that make a search take the most probable token at each step."""
        return {"width": 1, "lm": None, "words": None, "hot_words": ()}
