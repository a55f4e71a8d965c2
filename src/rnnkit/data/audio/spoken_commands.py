"""Spoken commands that espeak-ng makes: several thousand clips with texts, intents, slots and voices, by a seed.

    python -m rnnkit.data.audio.spoken_commands FOLDER --count 4000 --test-count 800

makes ``train.jsonl`` and ``test.jsonl`` with the folders of their clips. A line of the files is

    {"path": "test/00001.wav", "text": "light up the attic", "intent": "lights_on", "slots": ["O", "O", "O", "B-room"],
     "speaker": "f3", "accent": "en-us", "speed": 171, "pitch": 52, "noise_db": 17.3}

The recipes ``spoken-intents``, ``speech`` and ``intents`` learn from them. A speaker is a variant of the voices of
espeak-ng, with any of the accents; no speaker and no text is in both files (``--seen-texts``: any text is in either).
Each clip has a speed, a pitch, a level, silence around it and noise of its own. The same seed, settings and version of
espeak-ng give the same clips.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...errors import ConfigError, DataError, check_number, check_whole
from ..download import cache_folder
from .augmentation import add_noise, coloured_noise
from .command_texts import PATTERNS, Command, Part, draw_commands
from .espeak import espeak_variants, espeak_version, espeak_voices, find_espeak, speak
from .resampling import resample
from .waveforms import Waveform, write_wav

FILES = {"train": "train.jsonl", "test": "test.jsonl"}
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
TRAIN_VARIANTS = (
    "m1", "m3", "m4", "m6", "m7", "f1", "f2", "f4", "croak", "whisper", "klatt", "klatt3", "adam", "Alicia", "linda",
    "paul", "edward", "steph", "victor", "grandma",
)  # fmt: skip
TEST_VARIANTS = ("m2", "m5", "m8", "f3", "f5", "whisperf", "klatt2", "Annie", "max", "grandpa")
_SPEEDS = (130, 215)  # words a minute
_PITCHES = (30, 70)
_SILENCE = (0.05, 0.4)  # seconds before and behind
_LEVELS = (-24.0, -6.0)  # of the largest sample, in dB
_MADE = 1  # raised when the same settings would make other clips

Speak = Callable[[str, str, int, int], Waveform]


@dataclass(frozen=True)
class CommandSettings:
    """What is made; equal settings make equal clips.

    Attributes:
        count: clips to train on.
        test_count: clips to judge by, of other voices.
        seed: of texts, voices, speeds, pitches, levels and noise.
        rate: samples a second.
        intents: some of ``command_texts.PATTERNS``; (): all.
        noise_db: (lowest, highest) signal-to-noise ratio; each clip has one between them.
        train_variants, test_variants: of espeak-ng's voices; no one may be in both.
        accents: of espeak-ng; both parts have them all.
        unseen_texts: whether no text to judge by is among those to train on. False: each part draws any texts, and 54%
            of the usual 800 clips to judge by have a text that is trained on.

    Raises:
        ConfigError: a value outside its range, or a variant in both parts.

    Example:
        >>> CommandSettings(count=20, test_count=10).voices("test")[:2]
        ('en-us+m2', 'en-gb+m2')
    """

    count: int = 4000
    test_count: int = 800
    seed: int = 0
    rate: int = 8000
    intents: tuple[str, ...] = ()
    noise_db: tuple[float, float] = (10.0, 35.0)
    train_variants: tuple[str, ...] = TRAIN_VARIANTS
    test_variants: tuple[str, ...] = TEST_VARIANTS
    accents: tuple[str, ...] = ACCENTS
    unseen_texts: bool = True

    def __post_init__(self) -> None:
        for name in ("count", "test_count", "rate"):
            check_whole(getattr(self, name), name)
        check_whole(self.seed, "seed", 0)
        low, high = self.noise_db
        check_number(high, "noise_db", least=low)
        both = set(self.train_variants) & set(self.test_variants)
        if both or not self.train_variants or not self.test_variants or not self.accents:
            raise ConfigError(
                f"train_variants={self.train_variants}, test_variants={self.test_variants} and accents={self.accents} "
                "arrived; expected some of each, and no variant in both parts"
            )

    def voices(self, part: str) -> tuple[str, ...]:
        """Return the voices of a part, "train" or "test"; the accents of a variant come one behind the other."""
        variants = self.train_variants if part == "train" else self.test_variants
        return tuple(f"{accent}+{variant}" for variant in variants for accent in self.accents)


def make_commands(
    folder: str | os.PathLike[str] | None = None,
    settings: CommandSettings | None = None,
    *,
    synthesize: Speak | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Make spoken commands, unless the folder has them already.

    Args:
        folder: a new one, or one that this function made with the same settings; None: one of the cache.
        settings: what is made; None: 4,000 clips to train on and 800 to judge by.
        synthesize: (text, voice, speed, pitch) → waveform; None: espeak-ng. Another one needs a folder.
        progress: is called with the clips that are made and their number.

    Returns:
        The folder, with ``train.jsonl``, ``test.jsonl`` and ``settings.json``.

    Raises:
        DataError: espeak-ng is not installed, or has too few of the voices; or the folder holds something else.

    Example:
        >>> import tempfile, torch
        >>> settings = CommandSettings(count=3, test_count=2, rate=8000)
        >>> def beep(text, voice, speed, pitch):
        ...     return Waveform(torch.sin(torch.arange(2000) * 0.3) / 2, 8000)
        >>> folder = make_commands(tempfile.mkdtemp() + "/commands", settings, synthesize=beep)
        >>> from rnnkit.data.audio import read_clips
        >>> read_clips(folder / "train.jsonl").fingerprint() != read_clips(folder / "test.jsonl").fingerprint()
        True
    """
    settings = CommandSettings() if settings is None else settings
    own = synthesize is not None
    if own and folder is None:
        raise ConfigError("synthesize arrived without a folder; name one: the cache holds what espeak-ng made")
    described = json.loads(json.dumps({**asdict(settings), "made": _MADE}))
    if folder is not None and (there := Path(folder) / "settings.json").is_file():
        before = {name: one for name, one in json.loads(there.read_text("utf-8")).items() if name != "espeak"}
        if before == described:
            return Path(folder)
        raise DataError(f"{folder} holds commands of other settings; name another folder, or delete it")
    if not own:
        settings = _with_known_voices(settings)
        described["espeak"] = espeak_version()
    if folder is None:
        digest = hashlib.sha256(json.dumps(described | asdict(settings), sort_keys=True).encode()).hexdigest()[:16]
        target = cache_folder() / "commands" / digest
        if (target / "settings.json").is_file():
            return target
    else:
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise DataError(f"{target} is there already, and no folder of commands; name a new folder")
    with _made_whole(target) as partial:
        _fill(partial, settings, synthesize or _espeak, progress)
        (partial / "settings.json").write_text(json.dumps(described, indent=1) + "\n", "utf-8")
    return target


def _with_known_voices(settings: CommandSettings) -> CommandSettings:
    """Return settings without the variants and accents that this espeak-ng does not have."""
    find_espeak()
    variants, accents = set(espeak_variants()), set(espeak_voices())
    kept: dict[str, Any] = {
        name: tuple(one for one in getattr(settings, name) if one in known)
        for name, known in (("train_variants", variants), ("test_variants", variants), ("accents", accents))
    }
    empty = next((name for name, found in kept.items() if not found), None)
    if empty is not None:
        raise DataError(f"espeak-ng has none of {', '.join(getattr(settings, empty))}; name others: {empty}")
    return CommandSettings(**{**{name: getattr(settings, name) for name in settings.__dataclass_fields__}, **kept})


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """Give a folder that becomes `target` when the block is over, and is deleted when it fails."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="partial-"))
    except OSError as error:
        raise DataError(f"{target} cannot be made ({error.strerror}); name another folder") from error
    try:
        yield partial
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        try:
            partial.rename(target)
        except OSError:  # another process made the same meanwhile
            if not (target / "settings.json").is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _espeak(text: str, voice: str, speed: int, pitch: int) -> Waveform:
    return speak(text, voice, speed=speed, pitch=pitch)


def _fill(
    folder: Path, settings: CommandSettings, synthesize: Speak, progress: Callable[[int, int], object] | None
) -> None:
    total, done = settings.count + settings.test_count, 0
    if progress is not None:
        progress(done, total)
    parts: tuple[tuple[Part, int], ...] = (("train", settings.count), ("test", settings.test_count))
    for part, count in parts:
        (folder / part).mkdir()
        commands = draw_commands(
            count,
            seed=_seed(settings.seed, part),
            intents=settings.intents or tuple(PATTERNS),
            part=part if settings.unseen_texts else None,
        )
        voices = settings.voices(part)

        def make(number: int, part: str = part, commands: Any = commands, voices: Sequence[str] = voices) -> Any:
            return _make(folder, part, number, commands[number], voices, settings, synthesize)

        with (
            ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
            (folder / FILES[part]).open("w", encoding="utf-8", newline="\n") as file,
        ):
            for record in pool.map(make, range(count)):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                done += 1
                if progress is not None:
                    progress(done, total)


def _make(
    folder: Path,
    part: str,
    number: int,
    command: Command,
    voices: Sequence[str],
    settings: CommandSettings,
    synthesize: Speak,
) -> dict[str, Any]:
    """Write a clip, and return its line of the table."""
    drawn = random.Random(_seed(settings.seed, part, number))
    generator = torch.Generator().manual_seed(drawn.getrandbits(62))
    voice = drawn.choice(voices)
    speed, pitch = drawn.randint(*_SPEEDS), drawn.randint(*_PITCHES)
    noise_db = round(drawn.uniform(*settings.noise_db), 1)
    spoken = synthesize(command.text, voice, speed, pitch)
    samples = resample(spoken.samples, spoken.rate, settings.rate)
    before, behind = (torch.zeros(round(drawn.uniform(*_SILENCE) * settings.rate)) for _ in range(2))
    samples = torch.cat([before, samples, behind])
    noise = coloured_noise(len(samples), drawn.uniform(-2.0, 0.0), generator)
    samples = add_noise(samples, noise, noise_db)
    samples = samples / samples.abs().max().clamp(min=1e-6) * 10 ** (drawn.uniform(*_LEVELS) / 20)
    name = f"{part}/{number:05}.wav"
    write_wav(folder / name, samples, settings.rate)
    return {
        "path": name,
        "text": command.text,
        "intent": command.intent,
        "slots": list(command.tags),
        "speaker": voice.rpartition("+")[2],
        "accent": voice.rpartition("+")[0],
        "speed": speed,
        "pitch": pitch,
        "noise_db": noise_db,
    }


def _seed(*parts: object) -> int:
    """Return a seed of what distinguishes one draw from others."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 2


def tell_progress(done: int, total: int) -> None:
    """Print on stderr that clips are made, and how many there are; for `progress` of `make_commands`."""
    if done == 0:
        print(f"Making {total:,} spoken commands ...", file=sys.stderr, flush=True)
    elif done % 1000 == 0 or done == total:
        print(f"{done:,} of {total:,} clips", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a folder of commands, as ``python -m rnnkit.data.audio.spoken_commands`` does."""
    parser = argparse.ArgumentParser(
        prog="python -m rnnkit.data.audio.spoken_commands", description=(__doc__ or "").partition("\n")[0]
    )
    usual = CommandSettings()
    parser.add_argument("folder", nargs="?", help="a new folder; else one of the cache")
    parser.add_argument("--count", type=int, default=usual.count, help="clips to train on (%(default)s)")
    parser.add_argument("--test-count", type=int, default=usual.test_count, help="clips of other voices (%(default)s)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="of all draws (%(default)s)")
    parser.add_argument("--rate", type=int, default=usual.rate, help="samples a second (%(default)s)")
    parser.add_argument("--seen-texts", action="store_true", help="let texts of the test be among those to train on")
    given = parser.parse_args(arguments)

    try:
        settings = CommandSettings(
            given.count, given.test_count, given.seed, given.rate, unseen_texts=not given.seen_texts
        )
        print(make_commands(given.folder, settings, progress=tell_progress))
    except (ConfigError, DataError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
