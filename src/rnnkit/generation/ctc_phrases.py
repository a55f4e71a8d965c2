"""Words and phrases that a search knows: a list of the only words, and hot words that are preferred.

Both follow the letters of a spelling (`ctc_text`) through a tree of phrases. Several phrases may be under way at once,
"new york" and "york city", so a state is a set of nodes; equal sets are one number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..errors import check_number


class PhraseTree:
    """Follows phrases letter by letter; a space is the boundary of a word.

    Args:
        phrases: the spelling of each, and its bonus.
        open_end: whether anything may stand between phrases, as for hot words; False: nothing, as for a word list.

    Attributes:
        begin: the state at the beginning of a text.

    Example:
        >>> tree = PhraseTree({"new york": 3.0, "york": 1.0}, open_end=True)
        >>> state, gained = tree.begin, 0.0
        >>> for letter in "new york ":
        ...     state, gain = tree.step(state, letter)
        ...     gained += gain
        >>> gained
        4.0
        >>> tree = PhraseTree({"on": 0.0, "off": 0.0}, open_end=False)
        >>> state = tree.step(tree.step(tree.begin, "o")[0], "f")[0]
        >>> tree.step(state, "n"), tree.ends(state)
        (None, False)
    """

    def __init__(self, phrases: Mapping[str, float], *, open_end: bool) -> None:
        self.open_end = open_end
        self._next: list[dict[str, int]] = [{}]
        self._bonus: list[float | None] = [None]  # of the phrase that ends at a node
        self._hope: list[float] = [0.0]  # the largest share of a bonus that has been earned at a node
        for phrase, bonus in phrases.items():
            self._add(phrase, bonus)
        self._numbers: dict[frozenset[int], int] = {}
        self._sets: list[frozenset[int]] = []
        self._partial: list[float] = []
        self._steps: dict[tuple[int, str], tuple[int, float] | None] = {}
        self.begin = self._number(frozenset([0]))

    def _add(self, phrase: str, bonus: float) -> None:
        node = 0
        for at, letter in enumerate(phrase, 1):
            if letter not in self._next[node]:
                self._next[node][letter] = len(self._next)
                self._next.append({})
                self._bonus.append(None)
                self._hope.append(0.0)
            node = self._next[node][letter]
            share = bonus * at / len(phrase)
            self._hope[node] = max(self._hope[node], share) if bonus > 0 else min(self._hope[node], share)
        self._bonus[node] = bonus

    def _number(self, nodes: frozenset[int]) -> int:
        if nodes not in self._numbers:
            self._numbers[nodes] = len(self._sets)
            self._sets.append(nodes)
            self._partial.append(max((self._hope[node] for node in nodes), default=0.0))
        return self._numbers[nodes]

    def partial(self, state: int) -> float:
        """Return the share of a bonus that phrases under way have earned so far."""
        return self._partial[state]

    def step(self, state: int, letter: str) -> tuple[int, float] | None:
        """Return the state after a letter, and the bonuses of the phrases that end; None: no phrase continues with it.

        Args:
            state: `begin`, or what this returned.
            letter: one character; a space is given once between words, and not at the beginning.
        """
        key = (state, letter)
        if key not in self._steps:
            self._steps[key] = self._find(state, letter)
        return self._steps[key]

    def _find(self, state: int, letter: str) -> tuple[int, float] | None:
        nodes = self._sets[state]
        found = {self._next[node][letter] for node in nodes if letter in self._next[node]}
        gained = 0.0
        if letter == " ":
            ended = [bonus for node in nodes if (bonus := self._bonus[node]) is not None]
            gained = sum(ended)
            if ended or self.open_end:
                found.add(0)
        if not found and not self.open_end:
            return None
        return self._number(frozenset(found)), gained

    def ends(self, state: int) -> bool:
        """Return whether a text may end here: after a whole phrase, or before the first."""
        return any(node == 0 or self._bonus[node] is not None for node in self._sets[state])


def weighted(hot_words: Mapping[str, float] | Iterable[str], weight: float) -> dict[str, float]:
    """Return hot words with the bonus of each.

    Example:
        >>> weighted(["Ankara"], 2.0), weighted({"Ankara": 4.0}, 2.0)
        ({'Ankara': 2.0}, {'Ankara': 4.0})

    Raises:
        ConfigError: a bonus is no number.
    """
    if isinstance(hot_words, Mapping):
        for word, bonus in hot_words.items():
            check_number(bonus, f"hot_words[{word!r}]", least=-math.inf)
        return {word: float(bonus) for word, bonus in hot_words.items()}
    return dict.fromkeys(hot_words, float(weight))
