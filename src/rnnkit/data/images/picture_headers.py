"""The headers of the files of pictures: the size of each, which cannot be used, and sentences about them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...errors import DataError
from ..sentences import MISNAMED, UNREADABLE, Findings, Phrase, listed
from .picture_entries import Entry
from .picture_files import PictureInfo, picture_info

_TRUNCATED = ("is truncated or damaged, and is left out", "are truncated or damaged, and are left out")
_FRAMES = ("has several frames, of which the first is read", "have several frames, of which the first is read")
_TURNED = ("is turned upright as EXIF says", "are turned upright as EXIF says")
_TINY = ("is smaller than 8 pixels", "are smaller than 8 pixels")
_SMALLEST = 8


class PictureHeaders:
    """Reads the header of each file once, and collects what is to be said."""

    def __init__(self) -> None:
        self._infos: dict[Path, PictureInfo | None] = {}
        self._found = Findings("pictures")
        self._modes: Counter[str] = Counter()

    def examine(self, entry: Entry) -> PictureInfo | None:
        """Return what the header of an entry's file says; None: the file cannot be used."""
        if entry.path not in self._infos:
            self._infos[entry.path] = self._read(entry)
        info = self._infos[entry.path]
        if info is None:
            self._found.examine(entry.id)
            return None
        self._found.examine(entry.id, text=entry.text, label=entry.label, group=entry.group)
        if entry.text is not None and not entry.text.strip():
            self.note(("has an empty text", "have an empty text"), entry.id)
        return info

    def note(self, phrase: Phrase, name: str) -> None:
        """Remember that a picture does something."""
        self._found.note(phrase, name)

    def findings(self) -> list[str]:
        """Return the sentences."""
        said = self._found.sentences(used=sum(info is not None for info in self._infos.values()))
        if len(self._modes) > 1:
            modes = listed([f"{mode} ({count:,})" for mode, count in self._modes.most_common()])
            said.append(
                f"The pictures have different modes: {modes}. They are brought to one mode where they are read."
            )
        return said

    def _read(self, entry: Entry) -> PictureInfo | None:
        path = entry.path
        # Files in several folders often have the same names; ids are paths where there are folders.
        name = entry.id + path.suffix if entry.id.endswith(f"/{path.stem}") else path.name
        try:
            info = picture_info(path)
        except DataError as error:
            self.note(UNREADABLE, f"{name} ({error.problem})")
            return None
        if info.truncated:
            self.note(_TRUNCATED, name)
            return None
        if info.misnamed:
            self.note(MISNAMED, f"{name} ({info.format})")
        if info.frames > 1:
            self.note(_FRAMES, f"{name} ({info.frames})")
        if info.orientation > 1:
            self.note(_TURNED, name)
        if min(info.width, info.height) < _SMALLEST:
            self.note(_TINY, f"{name} ({info.width} × {info.height})")
        self._modes[info.mode] += 1
        return info
