"""What a search of CTC or of a transducer adds: an n-gram model, a word list, hot words, a bonus a word.

    score(tokens) = ln p(tokens | frames) + α ln p_lm(text) + β |words| − u |unknown words| + Σ bonuses of hot words

The score of a text is that of its letters one after the other, so each token adds to that of the tokens before. While
a word is not over, the model's largest probability of a single word that begins so stands for it, which its own
replaces at its end. So hypotheses in the middle of a word compare with those after it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..data.text.tokenizer import UNKNOWN
from ..data.text.words import is_spaceless
from ..errors import ConfigError, DataError, DataWarning, check_number
from .ctc_phrases import PhraseTree, weighted
from .ctc_text import CtcText
from .ngram_texts import SPACE
from .ngrams import NGramModel

_REMEMBERED = 100_000  # scores of words that are not computed again: a stream may last for weeks


class TextState(NamedTuple):
    """Where the text of a hypothesis stands.

    Attributes:
        word: the letters of the word that is not over; "" at a boundary of words.
        model: the state of the n-gram model.
        listed: the state in the word list.
        hot: the state in the hot words.
        last: the last letter; "" at the beginning.
        settled: the score of all that is over.
        score: that and the expectation of what is not.
    """

    word: str = ""
    model: int = 0
    listed: int = 0
    hot: int = 0
    last: str = ""
    settled: float = 0.0
    score: float = 0.0


class TextScorer:
    """Scores texts token by token.

    Args:
        text: the spellings of the tokens.
        model: the n-gram model, or None.
        model_weight: α.
        word_bonus: β, for each word of the model (a character where it is of characters), else for each word.
        unknown_penalty: u, for each word that the model lacks.
        words: the only words that there are; None: any.
        hot_words: phrases that are preferred, or phrases with a bonus each.
        hot_weight: the bonus of hot words that have none of their own.
        whole: whether the text is a sentence, whose beginning and end the model scores too.

    Raises:
        ConfigError: the model is of characters, and the tokens are bytes.
        DataError: no word of a list can be written by the tokens.
    """

    def __init__(
        self,
        text: CtcText,
        *,
        model: NGramModel | None,
        model_weight: float,
        word_bonus: float,
        unknown_penalty: float,
        words: Iterable[str] | None,
        hot_words: Mapping[str, float] | Iterable[str],
        hot_weight: float,
        whole: bool,
    ) -> None:
        self.text, self.model, self.alpha, self.beta, self.whole = text, model, model_weight, word_bonus, whole
        self.unknown = unknown_penalty
        self.by_letters = model is not None and model.unit == "char"
        if self.by_letters and text.as_bytes:
            raise ConfigError(
                "lm is a model of characters, and the tokens are bytes; expected a model of words: type "
                'train_ngram(texts, unit="word"), or take another tokenizer'
            )
        self.listed = (
            None if words is None else PhraseTree(self._spelled("words", dict.fromkeys(words, 0.0)), open_end=False)
        )
        hot = weighted(hot_words, hot_weight)
        self.hot = PhraseTree(self._spelled("hot_words", hot), open_end=True) if hot else None
        self._expectations: dict[str, float] = {}
        self._words: dict[str, tuple[list[int | None], float]] = {}
        self.begin = TextState(
            model=model.begin if model is not None and whole else 0,
            listed=0 if self.listed is None else self.listed.begin,
            hot=0 if self.hot is None else self.hot.begin,
        )

    def _spelled(self, name: str, phrases: Mapping[str, float]) -> dict[str, float]:
        """Return the spellings of phrases that the tokens can write."""
        if any(not isinstance(phrase, str) or not phrase.strip() for phrase in phrases):
            raise ConfigError(f"{name} holds what is no word; expected texts that are not empty")
        letters = self.text.letters() | {" "}
        spelled = {phrase: self.text.spell(phrase) for phrase in phrases}
        known = set(self.text.spellings) if self.text.kind == "word" else None
        lacking = [
            phrase
            for phrase, spelling in spelled.items()
            if not spelling
            or (
                any(letter not in letters for letter in spelling)
                if known is None
                else any(f" {one} " not in known for one in spelling.split(" "))
            )
        ]
        if phrases and len(lacking) == len(phrases):
            raise DataError(f"the tokens can write none of {name}: {', '.join(map(repr, lacking[:5]))}")
        if not phrases:
            raise ConfigError(f"{name} is empty; expected at least one word, or None")
        if lacking:
            warnings.warn(
                DataWarning(
                    f"the tokens cannot write {len(lacking):,} of {len(phrases):,} {name}, which are left out: "
                    f"{', '.join(map(repr, lacking[:5]))}"
                ),
                stacklevel=2,
            )
        return {spelled[phrase]: bonus for phrase, bonus in phrases.items() if phrase not in lacking}

    def extend(self, state: TextState, token: int) -> TextState | None:
        """Return the state of a text with one token more; None where the word list has no such text."""
        spelling = self.text.spellings[token]
        word, model, listed, hot, last, settled, _ = state
        for letter in spelling:
            if letter != " ":
                if self.by_letters:
                    model, gained = self._letter(model, letter, last, begins=not word)
                    settled += gained
                word += letter
                last = letter
            elif word:
                if not self.by_letters:
                    model, gained = self._end_word(model, word)
                    settled += gained
                word = ""
            else:  # a boundary after a boundary
                continue
            if self.listed is not None:
                step = self.listed.step(listed, letter)
                if step is None:
                    return None
                listed = step[0]
            if self.hot is not None:
                hot, gained = self.hot.step(hot, letter) or (hot, 0.0)
                settled += gained
        return TextState(word, model, listed, hot, last, settled, settled + self._expected(word, hot))

    def finish(self, state: TextState) -> float | None:
        """Return the score of a text that ends here; None where the word list has no such text."""
        if state.word:
            ended = self._close(state)
            if ended is None:
                return None
            state = ended
        if self.listed is not None and not self.listed.ends(state.listed):
            return None
        end = self.model.end_of(state.model) if self.model is not None and self.whole else 0.0
        return state.settled + self.alpha * end

    def _close(self, state: TextState) -> TextState | None:
        """Return the state after the end of the word under way."""
        model, listed, hot, settled = state.model, state.listed, state.hot, state.settled
        if not self.by_letters:
            model, gained = self._end_word(model, state.word)
            settled += gained
        if self.listed is not None:
            step = self.listed.step(listed, " ")
            if step is None:
                return None
            listed = step[0]
        if self.hot is not None:
            hot, gained = self.hot.step(hot, " ") or (hot, 0.0)
            settled += gained
        return TextState("", model, listed, hot, state.last, settled, settled)

    def _expected(self, word: str, hot: int) -> float:
        """Return the score that what is not over is expected to have."""
        found = 0.0 if self.hot is None else self.hot.partial(hot)
        if word and not self.by_letters:
            found += self.beta
            if self.model is not None:
                if len(self._expectations) > _REMEMBERED:
                    self._expectations.clear()
                if word not in self._expectations:
                    self._expectations[word] = self._bound(self.model, word)
                found += self._expectations[word]
        return found

    def _bound(self, model: NGramModel, word: str) -> float:
        """Return the largest score of a single word that begins so."""
        begins = word if self.text.as_bytes else model.prepare(word)
        found = model.prefix_bounds(self.text.as_bytes).get(begins)
        if found is not None:
            return self.alpha * found
        return self.alpha * model.step(model.empty, UNKNOWN)[1] - self.unknown

    def _letter(self, state: int, letter: str, last: str, *, begins: bool) -> tuple[int, float]:
        """Return state and score after a letter, where the model is of characters."""
        model, total = self.model, self.beta
        assert model is not None
        if begins and last and not (is_spaceless(last) or is_spaceless(letter)):
            state, value = model.step(state, SPACE)
            total += self.alpha * value + self.beta
        for one in model.prepare(letter):
            state, value = model.step(state, one)
            total += self.alpha * value - (0.0 if one in model else self.unknown)
        return state, total

    def _end_word(self, state: int, word: str) -> tuple[int, float]:
        """Return state and score after a word, where the model is of words or there is none."""
        model = self.model
        if model is None:
            return state, self.beta
        if len(self._words) > _REMEMBERED:
            self._words.clear()
        if word not in self._words:
            units = model.split(self.text.read(word))
            known = sum(one in model and one != UNKNOWN for one in units)
            added = self.beta * len(units) - self.unknown * (len(units) - known)
            self._words[word] = [model.id_of(one) for one in units], added
        numbers, total = self._words[word]
        for number in numbers:
            state, value = model.advance(state, number)
            total += self.alpha * value
        return state, total


def make_scorer(
    text: CtcText | None,
    *,
    searches: bool,
    lm: NGramModel | None,
    lm_weight: float,
    word_bonus: float,
    unknown_penalty: float,
    words: Iterable[str] | None,
    hot_words: Mapping[str, float] | Iterable[str],
    hot_weight: float,
    whole_sentences: bool,
) -> TextScorer | None:
    """Return what scores texts; None where nothing does.

    Args:
        text: the spellings of the tokens; None without a tokenizer.
        searches: whether there is a beam search, which alone can score texts.
        lm, lm_weight, word_bonus, unknown_penalty, words, hot_words, hot_weight, whole_sentences: as of
            :func:`rnnkit.generation.ctc_beam_search`.

    Raises:
        ConfigError: a setting is outside its range, or needs a tokenizer or a width.
        DataError: no word of a list can be written by the tokens.
    """
    check_number(lm_weight, "lm_weight")
    check_number(unknown_penalty, "unknown_penalty")
    for name, value in (("word_bonus", word_bonus), ("hot_weight", hot_weight)):
        check_number(value, name, least=-math.inf)
    if isinstance(hot_words, str):
        raise ConfigError.of("hot_words", hot_words, f"expected a list of words: type hot_words=[{hot_words!r}]")
    if isinstance(words, str):
        raise ConfigError.of("words", words, "expected a list of words")
    hot = hot_words if isinstance(hot_words, Mapping) else list(hot_words)
    given = {"lm": lm, "words": words, "hot_words": hot or None, "word_bonus": word_bonus or None}
    used = [name for name, value in given.items() if value is not None]
    if used and not searches:
        raise ConfigError(f"{used[0]} arrived with width=None, the likeliest path alone; type a width, such as 8")
    if used and text is None:
        raise ConfigError(f"{used[0]} arrived without a tokenizer, which says what tokens mean; type tokenizer=")
    if lm is not None and not isinstance(lm, NGramModel):
        raise ConfigError(f"lm is a {type(lm).__name__}; expected an NGramModel: type NGramModel.open(FILE)")
    if not used or text is None:
        return None
    return TextScorer(
        text,
        model=lm,
        model_weight=lm_weight,
        word_bonus=word_bonus,
        unknown_penalty=unknown_penalty,
        words=words,
        hot_words=hot,
        hot_weight=hot_weight,
        whole=whole_sentences,
    )
