"""Intents and slots of speech by two models: a recogniser writes the words, and a second model understands the words.

    samples → recogniser → words → intents and slots

Each model is trained on its own, on data of its own, so that the words are at hand, and slots have their text and their
time. A wrong word may cost the intent or a slot: `score_understanding` gives the figures on recognised words beside
those on true words, and their difference. Slots are compared by name and text, because a word that is missing or too
many moves the places of all that follow (as Bastianelli et al. 2020, "SLURP", do, without part marks for a text that is
nearly right).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data.text.tagged import TaggedText
from ..errors import DataError
from .speech_scores import score_speech
from .speech_words import split_spoken

if TYPE_CHECKING:
    from torch import Tensor

    from .intents import Understood
    from .speech import Transcriber, Transcript

Understander = Callable[[list[TaggedText]], "list[Understood]"]


class SpokenSlot(NamedTuple):
    """A slot of recognised speech.

    Attributes:
        name: what it is, such as "room".
        text: its words.
        start, end: the characters of the recognised text from which to which it goes.
        seconds: when its first word begins and its last one ends; None where no word lies there.
    """

    name: str
    text: str
    start: int
    end: int
    seconds: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        times = None if self.seconds is None else [round(one, 3) for one in self.seconds]
        return {"slot": self.name, "text": self.text, "start": self.start, "end": self.end, "seconds": times}


class SpokenMeaning(NamedTuple):
    """What was recognised and understood of speech.

    Attributes:
        transcript: the recognised words, with times.
        intent: its name; None where no word was recognised.
        confidence: the probability of the intent, given the words.
        slots: in the order of the text.
        slot_confidence: the probability of all slots together, given the words.
    """

    transcript: Transcript
    intent: str | None
    confidence: float
    slots: tuple[SpokenSlot, ...]
    slot_confidence: float

    @property
    def text(self) -> str:
        """The recognised text."""
        return self.transcript.text

    def to_json(self) -> dict[str, Any]:
        """Return text, intent, slots and how sure each is, as JSON values."""
        return {
            "text": self.text,
            "intent": self.intent,
            "confidence": round(self.confidence, 4),
            "slots": [slot.to_json() for slot in self.slots],
            "slots_confidence": round(self.slot_confidence, 4),
            "text_confidence": round(self.transcript.confidence, 4),
            "seconds": round(self.transcript.seconds, 3),
        }


class SpokenUnderstanding:
    """Understand speech by a recogniser, and by a model of intents and slots that reads what it writes.

    Args:
        transcriber: the recogniser.
        understands: a function from texts to what is understood of them, such as
            ``rnnkit.recipes.intents.load(folder)``.

    Example:
        >>> class Recogniser:
        ...     rate = 8000
        ...     def __call__(self, waveforms):
        ...         from rnnkit.tasks.speech import Transcript
        ...         from rnnkit.tasks.speech_words import Word
        ...         words = [Word("in", 0.1, 0.2, 0.9), Word("oslo", 0.3, 0.8, 0.9)]
        ...         return [Transcript("in oslo", words, 0.9, 1.0) for _ in waveforms]
        >>> from rnnkit.data.text.tagged import Slot
        >>> from rnnkit.tasks.intents import Understood
        >>> def understands(texts):  # the word after "in" is the city
        ...     return [Understood("weather", 0.9, (Slot("city", 1, 2),), 1.0) for _ in texts]
        >>> both = SpokenUnderstanding(Recogniser(), understands)
        >>> import torch
        >>> [meaning] = both([torch.zeros(8000)])
        >>> meaning.intent, meaning.slots[0].text, meaning.slots[0].seconds
        ('weather', 'oslo', (0.3, 0.8))
    """

    def __init__(self, transcriber: Transcriber, understands: Understander) -> None:
        self.transcriber, self.understands = transcriber, understands

    @property
    def rate(self) -> int:
        """Samples a second of the sound that is understood."""
        return self.transcriber.rate

    def __call__(self, waveforms: Sequence[Tensor]) -> list[SpokenMeaning]:
        """Return what is said in waveforms, and what is meant.

        Args:
            waveforms: [N] each, float32 in [−1, 1], with `rate` samples a second.
        """
        return self.of_transcripts(self.transcriber(waveforms))

    def of_transcripts(self, transcripts: Sequence[Transcript]) -> list[SpokenMeaning]:
        """Return what is meant by recognised speech."""
        texts = [TaggedText(one.text) for one in transcripts]
        spoken = [text for text in texts if text.words]
        found = iter(self.understands(spoken) if spoken else [])
        return [
            _meaning(one, text, next(found)) if text.words else SpokenMeaning(one, None, 0.0, (), 0.0)
            for one, text in zip(transcripts, texts, strict=True)
        ]


class UnderstandingScores(NamedTuple):
    """How well speech is understood.

    Attributes:
        figures: "wer" and "cer" of the recogniser; "intent_accuracy", "slot_f1" and "sentence_accuracy" (intent and all
            slots right) on recognised words; the same on true words, with "true_words_" in front; and with "lost_" in
            front what the recogniser's errors cost, the difference.
        meanings: what was understood of each utterance.
        on_true_words: what the second model understood of each true text.
    """

    figures: dict[str, float]
    meanings: list[SpokenMeaning]
    on_true_words: list[Understood]


def score_understanding(
    understanding: SpokenUnderstanding, texts: Sequence[TaggedText], transcripts: Sequence[Transcript]
) -> UnderstandingScores:
    """Compare what is understood of recognised words with the truth, and with what is understood of true words.

    Args:
        understanding: both models.
        texts: the true texts, with their intents and slots.
        transcripts: what was recognised of each.

    Raises:
        DataError: not as many transcripts as texts, or none.

    Example:
        >>> from rnnkit.data.text.tagged import Slot
        >>> from rnnkit.tasks.intents import Understood
        >>> from rnnkit.tasks.speech import Transcript
        >>> def understands(texts):  # the word after "in" is the city
        ...     return [Understood("weather", 1.0, (Slot("city", 1, 2),), 1.0) for _ in texts]
        >>> true = [TaggedText("in oslo", "weather", (Slot("city", 3, 7),))]
        >>> both = SpokenUnderstanding(None, understands)
        >>> figures = score_understanding(both, true, [Transcript("in also", [], 0.5, 1.0)]).figures
        >>> figures["wer"], figures["slot_f1"], figures["true_words_slot_f1"], figures["lost_slot_f1"]
        (0.5, 0.0, 1.0, 1.0)
    """
    if len(texts) != len(transcripts) or not texts:
        raise DataError(
            f"{len(transcripts)} transcripts arrived for {len(texts)} texts; expected as many, at least one"
        )
    speech = score_speech([text.text for text in texts], [one.text for one in transcripts]).figures
    meanings = understanding.of_transcripts(transcripts)
    on_true_words = understanding.understands(list(texts))
    true = [_values([(name, text.text[start:end]) for name, start, end in text.slots]) for text in texts]
    intents = [text.intent for text in texts]
    recognised = _figures(
        zip(intents, true, strict=True),
        [(one.intent, _values([(slot.name, slot.text) for slot in one.slots])) for one in meanings],
    )
    read = _figures(
        zip(intents, true, strict=True),
        [
            (one.intent, _values([(name, text.text[start:end]) for name, start, end in _stretches(text, one)]))
            for text, one in zip(texts, on_true_words, strict=True)
        ],
    )
    figures = {"wer": speech["wer"], "cer": speech["cer"], **recognised}
    figures |= {f"true_words_{name}": value for name, value in read.items()}
    figures |= {f"lost_{name}": read[name] - value for name, value in recognised.items()}
    return UnderstandingScores(figures, meanings, on_true_words)


_Values = Counter[tuple[str, str]]


def _values(slots: Sequence[tuple[str, str]]) -> _Values:
    """Return names and texts of slots, texts without capitals and marks between words."""
    return Counter((name, " ".join(split_spoken(text.casefold()))) for name, text in slots)


def _figures(true: Any, found: Sequence[tuple[str | None, _Values]]) -> dict[str, float]:
    intents = sentences = right = total = 0
    for (intent, slots), (other_intent, other_slots) in zip(true, found, strict=True):
        intents += intent == other_intent
        sentences += intent == other_intent and slots == other_slots
        right += (slots & other_slots).total()
        total += slots.total() + other_slots.total()
    count = len(found)
    return {
        "intent_accuracy": intents / count,
        "slot_f1": 2 * right / total if total else 1.0,
        "sentence_accuracy": sentences / count,
    }


def _stretches(text: TaggedText, found: Understood) -> list[tuple[str, int, int]]:
    """Return the slots by their characters."""
    return [(name, text.offsets[start][0], text.offsets[end - 1][1]) for name, start, end in found.slots]


def _meaning(transcript: Transcript, text: TaggedText, found: Understood) -> SpokenMeaning:
    places = _word_places(transcript)
    slots = []
    for name, start, end in _stretches(text, found):
        inside = [
            word
            for word, (begin, behind) in zip(transcript.words, places, strict=True)
            if begin < end and start < behind
        ]
        seconds = (inside[0].start, inside[-1].end) if inside else None
        slots.append(SpokenSlot(name, transcript.text[start:end], start, end, seconds))
    return SpokenMeaning(transcript, found.intent, found.confidence, tuple(slots), found.slot_confidence)


def _word_places(transcript: Transcript) -> list[tuple[int, int]]:
    """Return where each recognised word lies in the text; an empty stretch where it is not found."""
    places, at = [], 0
    for word in transcript.words:
        begin = transcript.text.find(word.text, at)
        places.append((begin, begin + len(word.text)) if begin >= 0 else (at, at))
        at = places[-1][1]
    return places
