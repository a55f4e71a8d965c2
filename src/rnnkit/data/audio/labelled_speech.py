"""Recordings in which it is known where somebody speaks: by a table or by label files, else by energy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...errors import DataError, Place, Remedy, check_choice
from ..data_folder import find_data
from ..sentences import sentence
from .clip_headers import ClipHeaders
from .clip_layouts import Columns, Entry, find_entries
from .clips import Clip, ClipSet, Layout, read_clips
from .speech_segments import Segment, is_label_file, merged, read_labels

Labels = Literal["auto", "segments", "energy"]


@dataclass(frozen=True)
class SpokenClip(Clip):
    """A recording, and where somebody speaks in it.

    Attributes:
        segments: in seconds from its beginning; None: unknown, to be found by energy.

    Example:
        >>> SpokenClip("a.wav", seconds=4.0, segments=(Segment(0.5, 2.0),)).segments[0].end
        2.0
    """

    segments: tuple[Segment, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class SpokenClipSet(ClipSet):
    """Recordings with their segments; `read_spoken_clips` makes it."""

    @property
    def labelled(self) -> bool:
        """Whether the segments are known."""
        return all(isinstance(clip, SpokenClip) and clip.segments is not None for clip in self.clips)

    def fingerprint(self) -> str:
        """Return a digest of the recordings and their segments."""
        known = [clip.segments for clip in self.clips if isinstance(clip, SpokenClip)]
        return hashlib.sha256((super().fingerprint() + repr(known)).encode()).hexdigest()


def read_spoken_clips(
    path: str | os.PathLike[str],
    *,
    labels: Labels = "auto",
    names: Sequence[str] = (),
    layout: Layout = "auto",
    path_column: str | None = None,
    label_column: str | None = None,
    speaker_column: str | None = None,
    start_column: str | None = None,
    end_column: str | None = None,
) -> SpokenClipSet:
    """Find recordings, and where somebody speaks in them.

    Segments come from a table with a row a segment (path, start, end, and maybe a label and a speaker; a row without
    times is a recording without speech), from the ``segments`` of Kaldi, or from label files of Audacity beside
    the recordings, ``a.wav`` and ``a.txt``. Without these the recordings are of clean speech.

    Args:
        path: a folder, a table, a sound file, or an archive, as of `read_clips`.
        labels: "segments" asks for them, "energy" reads none, "auto" looks.
        names: the labels that mean speech; none takes all.
        layout, path_column, label_column, speaker_column, start_column, end_column: as of `read_clips`.

    Raises:
        DataError: there are no recordings, or no segments where they were asked for; a label file is damaged.

    Example:
        >>> import tempfile, torch
        >>> from rnnkit.data.audio import write_wav
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_wav(folder / "talk.wav", torch.zeros(16000), 8000)
        >>> _ = (folder / "talk.txt").write_text("0.5\\t1.25\\tspeech\\n")
        >>> clips = read_spoken_clips(folder)
        >>> clips, clips[0].segments
        (ClipSet(1 clips, 2.0 s), (Segment(start=0.5, end=1.25),))
    """
    check_choice(labels, "labels", ("auto", "segments", "energy"))
    columns = Columns(path_column, None, label_column, speaker_column, start_column, end_column)
    if labels != "energy":
        found = find_data(os.path.expanduser(path))
        layout_found, listed = find_entries(found, layout, columns)
        entries = list(listed)
        if any(entry.end is not None for entry in entries):
            return _of_entries(entries, names, str(path), layout_found)
        if (beside := _label_files(entries)) is not None:
            return _of_label_files(entries, beside, names, str(path))
        if labels == "segments":
            raise DataError(
                "holds no segments; expected a table with columns for path, start and end, or label files of Audacity "
                "beside the recordings",
                Place(str(path)),
                Remedy("labels", "energy"),
            )
    clips = read_clips(
        path,
        layout=layout,
        path_column=path_column,
        label_column=label_column,
        speaker_column=speaker_column,
        start_column=start_column,
        end_column=end_column,
        longest=1e6,
    )
    return SpokenClipSet(clips.clips, clips.source, clips.layout, clips.findings)


def _of_entries(entries: list[Entry], names: Sequence[str], source: str, layout: str) -> SpokenClipSet:
    """Return a recording a file, with the segments of its rows."""
    own: dict[Path, list[Segment]] = {}
    speakers: dict[Path, set[str]] = {}
    for entry in entries:
        segments = own.setdefault(entry.path, [])
        if entry.speaker is not None:
            speakers.setdefault(entry.path, set()).add(entry.speaker)
        if entry.end is not None and entry.end > entry.start and (not names or _named(entry) in names):
            segments.append(Segment(entry.start, entry.end))
    who = {path: found.pop() if len(found) == 1 else None for path, found in speakers.items()}
    return _examined(own, who, source, layout, [])


def _named(entry: Entry) -> str:
    return entry.label if entry.label is not None else entry.text or ""


def _label_files(entries: list[Entry]) -> dict[Path, Path] | None:
    """Return the label file beside each recording that has one; None where the text files beside are no labels."""
    beside = {entry.path: entry.path.with_suffix(".txt") for entry in entries}
    beside = {path: text for path, text in beside.items() if text.is_file()}
    # A transcript may be empty, so that one file at least must have a label.
    if not any(text.stat().st_size for text in beside.values()) or not all(map(is_label_file, beside.values())):
        return None
    return beside


def _of_label_files(entries: list[Entry], beside: dict[Path, Path], names: Sequence[str], source: str) -> SpokenClipSet:
    own = {path: read_labels(text, names) for path, text in beside.items()}
    lacking = [entry.id for entry in entries if entry.path not in own]
    said = [
        sentence(
            ("has no label file, and is left out", "have no label file, and are left out"),
            lacking,
            len(entries),
            "clips",
        )
    ]
    speakers = {entry.path: entry.speaker for entry in entries}
    return _examined(own, speakers, source, "labels of Audacity", said if lacking else [])


def _examined(
    own: dict[Path, list[Segment]],
    speakers: dict[Path, str | None],
    source: str,
    layout: str,
    findings: list[str],
) -> SpokenClipSet:
    """Return recordings whose headers can be read, their segments within the sound."""
    headers, clips, beyond = ClipHeaders(1e6), [], []
    for path, segments in own.items():
        entry = Entry(path, speaker=speakers.get(path), id=path.stem)
        if (info := headers.examine(entry)) is None:
            continue
        seconds = info[1]
        if segments and max(one.end for one in segments) > seconds + 0.05:
            beyond.append(path.stem)
        inside = [Segment(one.start, min(one.end, seconds)) for one in merged(segments) if one.start < seconds]
        clip = SpokenClip(str(path), speaker=entry.speaker, seconds=seconds, rate=headers.rate_of(entry), id=path.stem)
        clips.append(replace(clip, segments=tuple(inside)))
    findings = findings + headers.findings()
    if beyond:
        phrase = ("has a segment that ends behind the sound", "have segments that end behind the sound")
        findings.append(sentence(phrase, beyond, len(own), "clips"))
    if not clips:
        raise DataError(
            "holds no recording that can be read", Place(source), "name another path", note="".join(findings[:1])
        )
    return SpokenClipSet(tuple(clips), source, layout, tuple(findings))
