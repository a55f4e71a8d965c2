"""The headers of the files of clips: how long each is, which cannot be used, and sentences about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError, MissingExtraError
from .clip_layouts import Entry
from .sound_files import AudioInfo
from .waveforms import audio_info

_SHOWN = 3
_FASTEST = 35.0  # characters a second that nobody speaks; fast readers reach 25
_SHORT = 0.02  # seconds: less than a window of features


class Headers:
    """Reads the header of each file once, and collects what is to be said.

    Args:
        longest: seconds above which a clip is named.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._infos: dict[Path, AudioInfo | None] = {}
        self._found: dict[str, list[str]] = defaultdict(list)
        self._rates: Counter[int] = Counter()
        self._count = 0

    def rate_of(self, entry: Entry) -> int:
        """Return the rate of an entry's file."""
        info = self._infos[entry.path]
        assert info is not None
        return info.rate

    def examine(self, entry: Entry) -> tuple[float, float] | None:
        """Return start and length of an entry in seconds; None: it cannot be used."""
        self._count += 1
        if entry.path not in self._infos:
            self._infos[entry.path] = self._read(entry.path)
        info = self._infos[entry.path]
        if info is None:
            return None
        end = info.seconds if entry.end is None else min(entry.end, info.seconds)
        if entry.start >= info.seconds:
            self._note("begin behind the end of their file, and are left out", entry.id)
            return None
        if entry.end is not None and entry.end > info.seconds + 0.05:
            self._note("end behind the end of their file, and are cut there", entry.id)
        seconds = end - entry.start
        if seconds <= 0:
            self._note("end before they begin, and are left out", entry.id)
            return None
        self._rates[info.rate] += 1
        if seconds > self._longest:
            self._note(f"are longer than {self._longest:g} seconds", f"{entry.id}: {seconds:,.0f} s")
        if seconds < _SHORT:
            self._note(f"are shorter than {_SHORT * 1000:g} ms", entry.id)
        size = _spoken_size(entry.text or "")
        if size > 3 and size / seconds > _FASTEST:
            self._note("are too short for their transcripts", f"{entry.id}: {entry.text!r:.40} in {seconds:.2f} s")
        if entry.text is not None and not entry.text.strip():
            self._note("have an empty transcript", entry.id)
        return entry.start, seconds

    def findings(self) -> list[str]:
        """Return the sentences."""
        said = [sentence(what, names, self._count) for what, names in self._found.items()]
        if len(self._rates) > 1:
            rates = ", ".join(f"{rate:,} Hz ({count:,})" for rate, count in self._rates.most_common())
            said.append(f"The clips have different rates: {rates}. They are brought to one rate where they are read.")
        return said

    def _read(self, path: Path) -> AudioInfo | None:
        try:
            info = audio_info(path)
        except MissingExtraError:
            raise
        except DataError as error:
            self._note("cannot be read, and are left out", f"{path.name} ({error.problem})")
            return None
        if not info.frames:
            self._note("hold no samples, and are left out", path.name)
            return None
        if info.truncated:
            self._note("are truncated, and are read as far as they go", path.name)
        if info.misnamed:
            what = "have the suffix of another format, and are read by their content"
            self._note(what, f"{path.name} is {info.format}")
        return info

    def _note(self, what: str, name: str) -> None:
        self._found[what].append(name)


def sentence(what: str, names: Sequence[str], count: int) -> str:
    """Return a sentence about some of the clips, the first of them by name.

    Example:
        >>> sentence("are silent", ["a"], 3), sentence("have an offset", ["a", "b", "c", "d"], 9)
        ('1 of 3 clips is silent: a.', '4 of 9 clips have an offset: a, b, c ….')
    """
    shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    return f"{len(names):,} of {count:,} clips {_singular(what) if len(names) == 1 else what}: {shown}."


def _spoken_size(text: str) -> int:
    """Return about how many letters a text has; a sign of Chinese or Japanese is spoken as long as four."""
    return sum(4 if "\u3040" <= sign <= "\u9fff" else 1 for sign in text)


_SINGULAR = {
    "begin": "begins",
    "end": "ends",
    "are": "is",
    "have": "has",
    "hold": "holds",
    "go": "goes",
    "they": "it",
    "their": "its",
    "transcripts": "transcript",
}


def _singular(what: str) -> str:
    """Return a verb phrase of many things for one."""
    words = [(word, word.rstrip(",")) for word in what.split(" ")]
    return " ".join(_SINGULAR.get(bare, bare) + whole[len(bare) :] for whole, bare in words)
