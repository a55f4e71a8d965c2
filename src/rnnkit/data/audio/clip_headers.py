"""The headers of the files of clips: how long each is, which cannot be used, and sentences about them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...errors import DataError, MissingExtraError
from ..sentences import MISNAMED, UNREADABLE, Findings
from .clip_layouts import Entry
from .sound_files import AudioInfo
from .waveforms import audio_info

_FASTEST = 35.0  # characters a second that nobody speaks; fast readers reach 25
_SHORT = 0.02  # seconds: less than a window of features
_LETTERS = 24  # of a transcript in a sentence

_BEHIND = (
    "begins behind the end of its file, and is left out",
    "begin behind the ends of their files, and are left out",
)
_CUT = ("ends behind the end of its file, and is cut there", "end behind the ends of their files, and are cut there")
_REVERSED = ("ends before it begins, and is left out", "end before they begin, and are left out")
_HURRIED = ("is too short for its transcript", "are too short for their transcripts")
_NO_SAMPLES = ("holds no samples, and is left out", "hold no samples, and are left out")
_TRUNCATED = ("is truncated, and is read as far as it goes", "are truncated, and are read as far as they go")


class ClipHeaders:
    """Reads the header of each file once, and collects what is to be said.

    Args:
        longest: seconds above which a clip is named.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._infos: dict[Path, AudioInfo | None] = {}
        self._found = Findings("clips")
        self._rates: Counter[int] = Counter()

    def rate_of(self, entry: Entry) -> int:
        """Return the rate of an entry's file."""
        info = self._infos[entry.path]
        assert info is not None
        return info.rate

    def examine(self, entry: Entry) -> tuple[float, float] | None:
        """Return start and length of an entry in seconds; None: it cannot be used."""
        if entry.path not in self._infos:
            self._infos[entry.path] = self._read(entry.path)
        times = self._times(entry, self._infos[entry.path])
        if times is None:
            self._found.examine(entry.id)
        else:
            self._found.examine(entry.id, transcript=entry.text, label=entry.label, speaker=entry.speaker)
        return times

    def _times(self, entry: Entry, info: AudioInfo | None) -> tuple[float, float] | None:
        if info is None:
            return None
        end = info.seconds if entry.end is None else min(entry.end, info.seconds)
        if entry.start >= info.seconds:
            self._found.note(_BEHIND, entry.id)
            return None
        if entry.end is not None and entry.end > info.seconds + 0.05:
            self._found.note(_CUT, entry.id)
        seconds = end - entry.start
        if seconds <= 0:
            self._found.note(_REVERSED, entry.id)
            return None
        self._rates[info.rate] += 1
        if seconds > self._longest:
            than = f"longer than {self._longest:g} seconds"
            self._found.note((f"is {than}", f"are {than}"), f"{entry.id} ({seconds:,.0f} s)")
        if seconds < _SHORT:
            than = f"shorter than {_SHORT * 1000:g} ms"
            self._found.note((f"is {than}", f"are {than}"), entry.id)
        size = _spoken_size(entry.text or "")
        if size > 3 and size / seconds > _FASTEST:
            self._found.note(_HURRIED, f"{entry.id} ({_shortened(entry.text or '')} in {seconds:.2f} s)")
        if entry.text is not None and not entry.text.strip():
            self._found.note(("has an empty transcript", "have an empty transcript"), entry.id)
        return entry.start, seconds

    def findings(self) -> list[str]:
        """Return the sentences."""
        said = self._found.sentences(used=sum(self._rates.values()))
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
            self._found.note(UNREADABLE, f"{path.name} ({error.problem})")
            return None
        if not info.frames:
            self._found.note(_NO_SAMPLES, path.name)
            return None
        if info.truncated:
            self._found.note(_TRUNCATED, path.name)
        if info.misnamed:
            self._found.note(MISNAMED, f"{path.name} ({info.format})")
        return info


def _spoken_size(text: str) -> int:
    """Return about how many letters a text has; a sign of Chinese or Japanese is spoken as long as four."""
    return sum(4 if "\u3040" <= sign <= "\u9fff" else 1 for sign in text)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _LETTERS else text[:_LETTERS] + "…")
