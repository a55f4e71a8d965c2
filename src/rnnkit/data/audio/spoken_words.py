"""Single words that espeak-ng says in many voices, for recognisers of words of which few people were recorded."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

from torch import Tensor

from ...errors import ConfigError, check_whole
from .cutting import trim_silence
from .espeak import espeak_variants, espeak_voices
from .espeak import speak as _speak
from .spoken_commands import ACCENTS, TEST_VARIANTS, TRAIN_VARIANTS
from .waveforms import Waveform

_VARIANTS = tuple(
    one
    for one in (*TRAIN_VARIANTS, *TEST_VARIANTS, "boris", "david", "iven", "john", "miguel", "pedro", "rob", "zac")
    if one not in ("croak", "whisper", "whisperf")  # no voice of these has a pitch
)
_SPEEDS, _PITCHES = (110, 220), (15, 85)
_PEAK = 0.5
_BELOW = 40.0  # dB under the loudest frame: what is cut off at both ends


class SpokenWord(NamedTuple):
    """A word that a voice says.

    Attributes:
        word: it.
        voice: an accent and a variant, such as "en-us+f3".
        samples: [N].

    Example:
        >>> import torch
        >>> SpokenWord("yes", "en-us+f3", torch.zeros(4000)).voice
        'en-us+f3'
    """

    word: str
    voice: str
    samples: Tensor


def make_words(
    words: Sequence[str],
    voices: int,
    *,
    rate: int = 8000,
    seed: int = 0,
    synthesize: Callable[[str, str, int, int], Waveform] | None = None,
) -> list[SpokenWord]:
    """Let each of some voices say each word once, at a speed and a pitch of its own.

    Silence at both ends is cut off, and all words are as loud. The same arguments give the same sound with the same
    version of espeak-ng.

    Args:
        words: as they are written; "7" is said as "seven".
        voices: how many; all differ by accent or variant.
        rate: samples a second.
        seed: of voices, speeds and pitches.
        synthesize: (text, voice, speed, pitch) → waveform; None: espeak-ng, in English.

    Returns:
        One for each voice and word, a voice behind the other.

    Raises:
        DataError: espeak-ng is not installed. ConfigError: an argument is outside its range, or espeak-ng has fewer
            voices.

    Example:
        >>> import torch
        >>> def beep(text, voice, speed, pitch):
        ...     return Waveform(torch.sin(torch.arange(2000) * 0.3), 8000)
        >>> made = make_words(["yes", "no"], 3, synthesize=beep)
        >>> [one.word for one in made], len({one.voice for one in made})
        (['yes', 'no', 'yes', 'no', 'yes', 'no'], 3)
    """
    check_whole(voices, "voices")
    check_whole(rate, "rate")
    check_whole(seed, "seed", 0)
    drawn = random.Random(seed)
    accents, variants = list(ACCENTS), list(_VARIANTS)
    if synthesize is None:
        accents, variants = [
            [one for one in wanted if one in known]
            for wanted, known in ((accents, set(espeak_voices())), (variants, set(espeak_variants())))
        ]
    if voices > (most := len(accents) * len(variants)):
        raise ConfigError.of("voices", voices, f"expected at most {most}, which espeak-ng has")
    drawn.shuffle(variants)
    # Variants differ more than accents, so each variant comes once before one comes again.
    pairs = [
        f"{accents[(turn + place) % len(accents)]}+{variant}"
        for turn, (place, variant) in product(range(len(accents)), enumerate(variants))
    ][:voices]
    jobs = [(word, voice, drawn.randint(*_SPEEDS), drawn.randint(*_PITCHES)) for voice in pairs for word in words]

    def make(job: tuple[str, str, int, int]) -> SpokenWord:
        word, voice, speed, pitch = job
        made = synthesize(*job) if synthesize is not None else _speak(word, voice, speed=speed, pitch=pitch)
        samples = trim_silence(made.resampled(rate).samples, rate, _BELOW)
        return SpokenWord(word, voice, samples * (_PEAK / samples.abs().max().clamp(min=1e-6)))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(make, jobs))
