"""Sentences with which people command a house, with intents and slots, drawn from patterns.

A pattern is text with choices ``[up|]`` and slots ``{room}``, each of which becomes a value of its kind. Numbers are
written as they are spoken, so that a recogniser's text and a command's text are alike.

Commands that are drawn twice have many texts in common: of 800 commands 54% are among 4,000 others. So that a model can
be judged on texts that it has not learned, each text belongs to one of two parts by a hash of the text.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from ...errors import ConfigError, check_choice, check_whole

Part = Literal["train", "test"]
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_PLEASE = 0.25  # the share of commands with a polite beginning or end
_BEFORE = ("please", "could you", "can you", "hey", "now", "would you please")
_BEHIND = ("please", "now", "thank you", "for me")
_TEST_ONE_IN = 4  # one text of so many belongs to the part "test"
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

ROOMS = (
    "kitchen", "bedroom", "bathroom", "living room", "dining room", "hallway", "garage", "office", "basement", "attic",
    "garden", "guest room", "nursery", "balcony",
)  # fmt: skip
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "white", "warm white")
CITIES = (
    "london", "paris", "berlin", "madrid", "rome", "vienna", "oslo", "dublin", "chicago", "boston", "new york",
    "san francisco", "tokyo", "sydney", "toronto", "edinburgh", "lisbon", "shanghai",
)  # fmt: skip
NAMES = (
    "anna", "peter", "maria", "thomas", "laura", "david", "sarah", "michael", "emma", "oliver", "sophie", "daniel",
    "my mother", "my brother", "my sister", "grandma", "the doctor", "the office",
)  # fmt: skip
GENRES = ("jazz", "rock", "pop", "classical music", "country", "blues", "hip hop", "folk music", "piano music", "opera")
ARTISTS = (
    "the beatles", "mozart", "miles davis", "madonna", "queen", "bob dylan", "adele", "johnny cash", "nina simone",
    "the rolling stones", "vivaldi", "elvis presley",
)  # fmt: skip
DAYS = (
    "today", "tomorrow", "tonight", "on monday", "on tuesday", "on wednesday", "on thursday", "on friday",
    "on saturday", "on sunday", "this weekend",
)  # fmt: skip
ITEMS = ("milk", "bread", "butter", "eggs", "apples", "coffee", "tea", "rice", "tomatoes", "orange juice", "sugar")

PATTERNS: dict[str, tuple[str, ...]] = {
    "lights_on": (
        "[turn|switch] on the [light|lights] in the {room}", "[turn|switch] the {room} [light|lights] on",
        "[turn|switch] on the {room} [light|lights]", "lights on in the {room}", "light up the {room}",
    ),
    "lights_off": (
        "[turn|switch] off the [light|lights] in the {room}", "[turn|switch] the {room} [light|lights] off",
        "[turn|switch] off the {room} [light|lights]", "lights off in the {room}", "make the {room} dark",
    ),
    "lights_dim": (
        "dim the {room} lights to {level} percent", "set the {room} [light|lights] to {level} percent",
        "set the brightness in the {room} to {level} percent",
    ),
    "lights_colour": (
        "[make|turn] the {room} [light|lights] {colour}", "set the {room} lights to {colour}",
        "change the colour in the {room} to {colour}",
    ),
    "heating_set": (
        "set the {room} to {degrees} degrees", "set the [heating|temperature] in the {room} to {degrees} degrees",
        "heat the {room} to {degrees} degrees", "[make|keep] the {room} at {degrees} degrees",
    ),
    "heating_off": (
        "[turn|switch] off the heating in the {room}", "[turn|switch] the {room} heating off",
        "stop heating the {room}",
    ),
    "temperature_ask": (
        "how [warm|cold] is it in the {room}", "what is the temperature in the {room}",
        "tell me the temperature of the {room}",
    ),
    "blinds_open": ("open the [blinds|curtains] in the {room}", "raise the {room} [blinds|curtains]"),
    "blinds_close": ("close the [blinds|curtains] in the {room}", "lower the {room} [blinds|curtains]"),
    "music_play": (
        "play [some|] {genre} in the {room}", "play [songs by|something by|] {artist}", "play [some|] {genre}",
        "i want to hear {artist}", "put on [some|] {genre}", "play {artist} in the {room}",
    ),
    "music_stop": ("stop the music", "stop playing [music|]", "[turn|switch] the music off", "no more music"),
    "music_next": ("next song", "skip this song", "play the next song", "skip to the next [track|song]"),
    "volume_up": ("turn it up", "make it louder", "turn the volume up", "increase the volume", "louder"),
    "volume_down": ("turn it down", "make it quieter", "turn the volume down", "lower the volume", "not so loud"),
    "volume_set": ("set the volume to {level} [percent|]", "volume {level}", "[turn|change] the volume to {level}"),
    "timer_set": (
        "set a timer for {duration}", "start a [timer of|timer for] {duration}", "wake me in {duration}",
        "[timer|count down] {duration}",
    ),
    "timer_cancel": ("[cancel|stop|delete] the timer", "i do not need the timer any more"),
    "alarm_set": (
        "set an alarm for {time}", "wake me [up|] at {time}", "set an alarm for {time} {day}",
        "wake me [up|] {day} at {time}",
    ),
    "weather_ask": (
        "what is the weather like in {city}", "what will the weather be {day} in {city}", "will it rain in {city}",
        "will it rain {day}", "how is the weather in {city} {day}", "do i need an umbrella {day}",
    ),
    "time_ask": ("what time is it [in {city}|]", "tell me the time [in {city}|]"),
    "call": ("call {name}", "[phone|ring] {name}", "make a call to {name}", "i want to talk to {name}"),
    "shopping_add": (
        "add {item} to [the|my] shopping list", "put {item} on [the|my] shopping list", "we need {item}",
        "remind me to buy {item}",
    ),
}  # fmt: skip
"""The intents, and the patterns of each."""


class Command(NamedTuple):
    """A sentence, its intent, and a BIO tag for each of its words.

    Attributes:
        text: in small letters; words with spaces between, numbers as words.
        intent: a key of `PATTERNS`.
        tags: one a word.

    Example:
        >>> Command("light up the attic", "lights_on", ("O", "O", "O", "B-room")).words
        ('light', 'up', 'the', 'attic')
    """

    text: str
    intent: str
    tags: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text."""
        return tuple(self.text.split())


def draw_commands(
    count: int,
    *,
    seed: int = 0,
    intents: Sequence[str] | None = None,
    part: Part | None = None,
) -> list[Command]:
    """Draw commands; each intent comes as often as the others, in a random order.

    Args:
        count: how many.
        seed: of the draw; equal seeds give equal commands.
        intents: some of `PATTERNS`; None: all.
        part: "train" draws three quarters of all texts, "test" the others, so that no text is in both; None: all texts.

    Raises:
        ConfigError: there is no such intent or part, or the number is no whole number of at least 1.

    Example:
        >>> for command in draw_commands(2, seed=1, intents=["lights_on", "timer_set"]):
        ...     print(command.intent, len(command.words) == len(command.tags))
        lights_on True
        timer_set True
        >>> learned = {command.text for command in draw_commands(500, part="train")}
        >>> sum(command.text in learned for command in draw_commands(100, seed=1, part="test"))
        0
    """
    check_whole(count, "count", 1)
    check_choice(part, "part", (None, "train", "test"))
    names = list(PATTERNS) if intents is None else list(intents)
    unknown = next((name for name in names if name not in PATTERNS), None)
    if unknown is not None or not names:
        raise ConfigError(f"intents={names!r} arrived; expected some of {', '.join(PATTERNS)}")
    drawn = random.Random(seed)
    found = [_draw_of(part, names[number % len(names)], drawn) for number in range(count)]
    drawn.shuffle(found)
    return found


def spoken_number(number: int) -> str:
    """Return a number from 0 to 100 in words.

    Example:
        >>> spoken_number(7), spoken_number(42), spoken_number(100)
        ('seven', 'forty two', 'one hundred')
    """
    if not 0 <= number <= 100:
        raise ConfigError.of("number", number, "expected 0 to 100")
    if number == 100:
        return "one hundred"
    if number < 20:
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return _TENS[tens - 2] + (f" {_UNITS[unit]}" if unit else "")


def _draw_of(part: Part | None, intent: str, drawn: random.Random) -> Command:
    """Draw a command until one belongs to a part; each intent has texts in both parts."""
    while True:
        command = _draw(intent, drawn)
        if part is None or part == _part_of(command.text):
            return command


def _part_of(text: str) -> Part:
    """Return the part of a text, which depends on nothing else."""
    return "train" if hashlib.sha256(text.encode()).digest()[0] % _TEST_ONE_IN else "test"


def _draw(intent: str, drawn: random.Random) -> Command:
    text = drawn.choice(PATTERNS[intent])
    while (choice := _CHOICE.search(text)) is not None:
        text = text[: choice.start()] + drawn.choice(choice[1].split("|")) + text[choice.end() :]
    if drawn.random() < _PLEASE:
        text = f"{drawn.choice(_BEFORE)} {text}" if drawn.random() < 0.5 else f"{text} {drawn.choice(_BEHIND)}"
    words: list[str] = []
    tags: list[str] = []
    for part in text.split():
        slot = _SLOT.fullmatch(part)
        value = [part] if slot is None else _VALUES[slot[1]](drawn).split()
        words += value
        tags += ["O"] if slot is None else [f"B-{slot[1]}", *[f"I-{slot[1]}"] * (len(value) - 1)]
    return Command(" ".join(words), intent, tuple(tags))


def _duration(drawn: random.Random) -> str:
    number = drawn.choice((*range(1, 21), 25, 30, 35, 40, 45, 50, 55, 60, 90))
    unit = drawn.choice(("seconds", "minutes", "minutes", "hours") if number < 13 else ("seconds", "minutes"))
    return f"{spoken_number(number)} {unit if number > 1 else unit[:-1]}"


def _time(drawn: random.Random) -> str:
    hour = drawn.randint(1, 12)
    minutes = drawn.choice(("", "", " fifteen", " thirty", " forty five", " ten", " twenty", " fifty"))
    shapes = (
        f"{spoken_number(hour)}{minutes}",
        f"half past {spoken_number(hour)}",
        f"quarter to {spoken_number(hour)}",
        f"{spoken_number(hour)} o'clock",
    )
    return drawn.choice((shapes[0], *shapes))


def _one_of(values: Sequence[str]) -> Callable[[random.Random], str]:
    return lambda drawn: drawn.choice(values)


_VALUES: dict[str, Callable[[random.Random], str]] = {
    "room": _one_of(ROOMS),
    "colour": _one_of(COLOURS),
    "city": _one_of(CITIES),
    "name": _one_of(NAMES),
    "genre": _one_of(GENRES),
    "artist": _one_of(ARTISTS),
    "day": _one_of(DAYS),
    "item": _one_of(ITEMS),
    "level": lambda drawn: spoken_number(drawn.choice((*range(5, 101, 5), drawn.randint(1, 99)))),
    "degrees": lambda drawn: spoken_number(drawn.randint(10, 30)),
    "duration": _duration,
    "time": _time,
}
