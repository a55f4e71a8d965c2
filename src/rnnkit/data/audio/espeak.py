"""Speech that the program espeak-ng makes of texts: voices, variants, speeds and pitches, the same for the same words.

A voice is an accent and a variant, such as ``en-us+f3``. espeak-ng makes formants by rule; its voices are plainer than
people's. It is a program of the system; nothing of it is part of rnnkit.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import torch

from ...errors import ConfigError, DataError, Remedy, check_number, check_whole, suggest
from .waveforms import Waveform

PROGRAM = "espeak-ng"
INSTALL = "apt install espeak-ng (Debian, Ubuntu), dnf install espeak-ng (Fedora), brew install espeak-ng (macOS)"
_HEADER = 44  # bytes of the WAV that the program writes


def find_espeak() -> str:
    """Return the path of the program.

    Raises:
        DataError: it is not installed; the message says what to type.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise DataError(
            f"the program {PROGRAM}, which makes speech of texts, is not installed; type one of: {INSTALL}. Or name "
            "recordings of your own"
        )
    return found


def espeak_version() -> str:
    """Return the version of the program, such as "1.51".

    Raises:
        DataError: it is not installed, or does not run.
    """
    words = _run([find_espeak(), "--version"]).decode(errors="replace").split()
    return next((word for word in words if word[0].isdigit()), "unknown")


def espeak_voices() -> tuple[str, ...]:
    """Return the names of the languages and accents of the program, such as "en-us".

    Raises:
        DataError: it is not installed, or does not run.
    """
    return tuple(dict.fromkeys(row[1] for row in _table("--voices") if not row[3].startswith("!v/")))


def espeak_variants() -> tuple[str, ...]:
    """Return the names of the variants of voices, such as "f3" and "croak".

    Raises:
        DataError: it is not installed, or does not run.
    """
    return tuple(row[3].removeprefix("!v/") for row in _table("--voices=variant") if row[3].startswith("!v/"))


def speak(text: str, voice: str = "en-us", *, speed: int = 170, pitch: int = 50) -> Waveform:
    """Make speech of a text.

    Args:
        text: what is said; a plain sentence.
        voice: an accent, and a variant behind a plus sign: "en-us", "en-gb+f3"; see `espeak_voices` and
            `espeak_variants`. The program takes a known one in place of an unknown variant, without a word.
        speed: words a minute, 80 to 450.
        pitch: 0 to 99.

    Raises:
        DataError: the program is not installed, or says nothing. ConfigError: it has no such voice, or a number is
            outside its range.

    Example:
        >>> import shutil
        >>> samples = speak("light", "en-us+f2").samples if shutil.which("espeak-ng") else torch.zeros(9000)
        >>> len(samples) > 4000
        True
    """
    check_whole(speed, "speed", 80)
    check_whole(pitch, "pitch", 0)
    check_number(speed, "speed", below=451)
    check_number(pitch, "pitch", below=100)
    program, accent = find_espeak(), voice.partition("+")[0]
    command = [program, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"]
    found = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if found.returncode:
        if (known := espeak_voices()) and accent not in known:
            raise ConfigError.of("voice", voice, suggest(accent, known).removeprefix("; "))
        raise DataError(f"{PROGRAM} failed: {found.stderr.decode(errors='replace').strip()}")
    data = found.stdout
    samples = np.frombuffer(data[_HEADER : len(data) // 2 * 2], "<i2")
    if data[:4] != b"RIFF" or not len(samples):
        raise DataError(f"{PROGRAM} made no sound of {text[:60]!r}", remedy=Remedy("text", "one with a word"))
    rate = int.from_bytes(data[24:28], "little")
    return Waveform(torch.from_numpy(samples.astype(np.float32) / 32768), rate)


def _table(option: str) -> list[list[str]]:
    """Return the columns of a list of voices: priority, language, age and gender, name, file."""
    lines = _run([find_espeak(), option]).decode(errors="replace").splitlines()[1:]
    rows = [line.split() for line in lines]
    return [[row[0], row[1], row[2], row[4]] for row in rows if len(row) > 4]


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DataError(f"{command[0]} does not run ({error}); install it again: {INSTALL}") from None
