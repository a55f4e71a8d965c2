"""Sentences of two intents with slots, made by patterns."""

import random

from rnnkit.data.text.tagged import Slot, TaggedText

CITIES = ["Oslo", "New York", "Rome", "Kyiv", "Lima", "Bonn", "San Jose", "Bern"]
SINGERS = ["Jay Chou", "Adele", "Nina Simone", "Prince", "Queen", "Ray Charles", "Cher", "Sade"]
PATTERNS = [
    ("weather", "will it rain in {city} ?", CITIES),
    ("weather", "how is {city} tomorrow", CITIES),
    ("music", "play {singer} now", SINGERS),
    ("music", "put on a song by {singer}", SINGERS),
]


def make(count, seed=0):
    chosen = random.Random(seed)
    return [_made(*chosen.choice(PATTERNS), chosen) for _ in range(count)]


def _made(intent, pattern, values, chosen):
    name = pattern.partition("{")[2].partition("}")[0]
    value, begin = chosen.choice(values), pattern.index("{")
    return TaggedText(pattern.format(**{name: value}), intent, (Slot(name, begin, begin + len(value)),))


def records(texts):
    """Their JSON lines."""
    return [
        {
            "text": text.text,
            "intent": text.intent,
            "slots": [{"slot": slot.name, "start": slot.start, "end": slot.end} for slot in text.slots],
        }
        for text in texts
    ]
