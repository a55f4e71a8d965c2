"""Clips: pieces of sound files with their transcripts, labels and speakers."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, overload

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy, check_choice, check_number, suggest
from ...ordering import sorted_names
from ..data_folder import find_data
from ..series import SeriesSet
from ..splits import split
from .clip_headers import ClipHeaders
from .clip_layouts import LAYOUTS, Columns, find_entries
from .waveforms import Waveform, read_audio

Layout = Literal["auto", "labels", "digits", "transcripts", "table", "kaldi", "librispeech", "plain"]


@dataclass(frozen=True)
class Clip:
    """A piece of a sound file, and what is said or heard in it.

    Attributes:
        path: the file.
        text: what is said; None where it is unknown.
        label: the class; None where there is none.
        speaker: who speaks; None where it is unknown.
        start: where the piece begins in the file, in seconds.
        seconds: its length.
        rate: samples a second of the file.
        id: a name that no other clip of the set has.

    Example:
        >>> Clip("a.wav", label="yes", speaker="anna", seconds=1.5, rate=16000).end
        1.5
    """

    path: str
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    start: float = 0.0
    seconds: float = 0.0
    rate: int = 0
    id: str = ""

    @property
    def end(self) -> float:
        """Where the piece ends in the file, in seconds."""
        return self.start + self.seconds


@dataclass(frozen=True, eq=False, repr=False)
class ClipSet(Sequence[Clip]):
    """A list of clips; `read_clips` makes it.

    Attributes:
        clips: the clips.
        source: where they came from.
        layout: how they lay there.
        findings: what is to be known about the files, as sentences; `clip_findings` listens to the samples.

    Example:
        >>> clips = ClipSet((Clip("a.wav", label="yes", seconds=1.0), Clip("b.wav", label="no", seconds=0.5)))
        >>> clips, clips.labels, clips.seconds, clips.subset([1])[0].path
        (ClipSet(2 clips, 1.5 s, 2 labels), ('no', 'yes'), 1.5, 'b.wav')
    """

    clips: tuple[Clip, ...]
    source: str = ""
    layout: str = ""
    findings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> ClipSet: ...

    def __getitem__(self, index: int | slice) -> Clip | ClipSet:
        return replace(self, clips=self.clips[index]) if isinstance(index, slice) else self.clips[index]

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def subset(self, which: Iterable[int] | Callable[[Clip], bool]) -> ClipSet:
        """Return some of the clips: those of the given numbers, or those for which a function returns True."""
        if callable(which):
            return replace(self, clips=tuple(clip for clip in self.clips if which(clip)))
        return replace(self, clips=tuple(self.clips[int(index)] for index in which))

    def waveform(self, index: int, rate: int | None = None) -> Waveform:
        """Read the sound of a clip, its channels as one.

        Args:
            index: the clip's number.
            rate: samples a second; None: as in the file.

        Raises:
            DataError: the file is damaged; see `read_audio`.
        """
        clip = self.clips[index]
        part = None if clip.start == 0 and not clip.seconds else clip.seconds or None
        return read_audio(clip.path, rate=rate, start=clip.start, seconds=part)

    @property
    def seconds(self) -> float:
        """The length of all clips in seconds."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels in order."""
        return sorted_names({clip.label for clip in self.clips if clip.label is not None})

    @property
    def speakers(self) -> tuple[str, ...]:
        """The distinct speakers in order."""
        return sorted_names({clip.speaker for clip in self.clips if clip.speaker is not None})

    @property
    def rate(self) -> int:
        """The rate that most clips have."""
        return Counter(clip.rate for clip in self.clips).most_common(1)[0][0] if self.clips else 0

    def fingerprint(self) -> str:
        """Return a digest of the clips: sizes and first bytes of their files, and what is known of each.

        The names of folders do not count, so that a set may be moved.
        """
        digest = hashlib.sha256()
        files: dict[str, bytes] = {}
        for clip in self.clips:
            if clip.path not in files:
                with open(clip.path, "rb") as file:
                    begin = file.read(1 << 16)
                    files[clip.path] = hashlib.sha256(f"{os.fstat(file.fileno()).st_size}".encode() + begin).digest()
            known = (clip.text, clip.label, clip.speaker, round(clip.start, 6), round(clip.seconds, 6), clip.rate)
            digest.update(files[clip.path] + repr(known).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        parts = [f"{len(self):,} clips", _duration(self.seconds)]
        for names, what in ((self.labels, "labels"), (self.speakers, "speakers")):
            parts += [f"{len(names):,} {what}"] if names else []
        texts = sum(clip.text is not None for clip in self.clips)
        parts += [f"{texts:,} transcripts"] if texts else []
        return f"ClipSet({', '.join(parts)})"


def read_clips(
    path: str | os.PathLike[str],
    *,
    layout: Layout = "auto",
    path_column: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    speaker_column: str | None = None,
    start_column: str | None = None,
    end_column: str | None = None,
    longest: float = 60.0,
) -> ClipSet:
    """Find clips with their transcripts, labels and speakers.

    Layouts:

    - "labels": two or more folders, one a label, ``yes/anna_1.wav``. Names as in Speech Commands
      (``8a28231e_nohash_0.wav``) name the speaker.
    - "digits": names as in the free spoken digits, ``7_jackson_32.wav``: label, speaker and number.
    - "transcripts": a text file for each sound file, ``a.wav`` and ``a.txt`` (or ``a.lab``), beside it or in another
      folder; of a single sound file beside it. Of several folders each is a speaker, unless one has a name such as
      ``train``.
    - "table": a CSV or TSV file, JSON lines or a JSON array, with columns for the path (relative to the table, or
      to a folder beside it) and the text or the label, and maybe the speaker, the start and the end in seconds. A
      folder with sound files and one table is read by the table. A table without a header has the path first and the
      text second.
    - "kaldi": a folder with ``wav.scp`` and ``text``, and maybe ``utt2spk`` and ``segments``.
    - "librispeech": folders with ``*.trans.txt``.
    - "plain": sound files of which nothing is known.

    Args:
        path: a folder, a table, a sound file, or a .tar.gz, .tgz, .tar or .zip of any of these, which is unpacked into
            the cache. It is looked for in the folder ``RNNKIT_DATA``, too.
        layout: one of the above; "auto": what the names of the files say.
        path_column, text_column, label_column, speaker_column, start_column, end_column: of a table, where the names of
            its columns do not name them.
        longest: clips of more seconds are kept, and named in the findings.

    Returns:
        The clips in the order of the table, else by name. Files that cannot be read, that are empty or missing are left
        out. `findings` names them, as sentences, and files that are truncated, misnamed or too long, and transcripts
        that cannot be spoken in the time.

    Raises:
        DataError: there is no such path, no clip in it, or a table is damaged.
        ConfigError: an argument has no such value.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from rnnkit.data.audio import write_wav
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("0_anna_0", "0_ben_0", "1_anna_0"):
        ...     write_wav(folder / f"{name}.wav", torch.randn(4000).clamp(-1, 1) / 10, 8000)
        >>> clips = read_clips(folder)
        >>> clips, clips[1].label, clips[1].speaker, clips.waveform(1)
        (ClipSet(3 clips, 1.5 s, 2 labels, 2 speakers), '0', 'ben', Waveform(0.50 s, 8000 Hz))
    """
    check_choice(layout, "layout", ("auto", *LAYOUTS))
    check_number(longest, "longest", above=0)
    columns = Columns(path_column, text_column, label_column, speaker_column, start_column, end_column)
    found = find_data(os.path.expanduser(path))
    layout_found, entries = find_entries(found, layout, columns)
    headers = ClipHeaders(longest)
    clips: list[Clip] = []
    for entry in entries:
        info = headers.examine(entry)
        if info is None:
            continue
        start, seconds = info
        rate = headers.rate_of(entry)
        clips.append(Clip(str(entry.path), entry.text, entry.label, entry.speaker, start, seconds, rate, entry.id))
    if not clips:
        first = headers.findings()[:1]
        raise DataError(
            "holds no clip that can be read", Place(str(path)), "name another path", note=first[0] if first else ""
        )
    return ClipSet(_unique(clips), str(path), layout_found, tuple(headers.findings()))


def split_clips(
    clips: ClipSet, shares: Sequence[float] = (0.8, 0.2), *, by: Literal["random", "speaker"] = "random", seed: int = 0
) -> tuple[ClipSet, ...]:
    """Split clips into parts; the first is the training part.

    Args:
        clips: the set.
        shares: of the clips, one a part, the sum 1.
        by: "random": each part gets each label's share; "speaker": no speaker is in two parts.
        seed: of the draw.

    Returns:
        One set a share.

    Raises:
        ConfigError: shares that do not make 1, or `by` has no such value.
        DataError: there are fewer clips or speakers than parts, or clips without a speaker.

    Example:
        >>> clips = ClipSet(tuple(Clip(f"{n}.wav", label="ab"[n % 2], speaker="xyz"[n % 3]) for n in range(12)))
        >>> train, test = split_clips(clips, by="speaker", shares=(0.67, 0.33))
        >>> len(train), len(test), set(train.speakers) & set(test.speakers)
        (8, 4, set())
    """
    check_choice(by, "by", ("random", "speaker"))
    speakers = [clip.speaker for clip in clips]
    if by == "speaker" and None in speakers:
        lacking = speakers.count(None)
        raise DataError(
            f"{lacking:,} of {len(clips):,} clips have no speaker", Place(clips.source), Remedy("by", "random")
        )
    there, what = (len(clips.speakers), "speaker") if by == "speaker" else (len(clips), "clip")
    if there < len(shares):
        what += "" if there == 1 else "s"
        raise DataError(f"{there} {what} arrived; expected at least {len(shares)}, one a part", Place(clips.source))
    labels = [clip.label for clip in clips]
    labelled = None if None in labels else np.asarray(labels, np.str_)
    # Series of one value, the number of the clip, are divided in place of the clips.
    series = SeriesSet.from_arrays(
        np.arange(len(clips), dtype=np.float64)[:, None],
        labelled,
        groups=np.asarray(speakers, np.str_) if by == "speaker" else None,
        source=clips.source,
    )
    with warnings.catch_warnings():
        if by == "speaker":  # a label that a speaker alone has; `split` advises arguments that clips have not
            warnings.simplefilter("ignore")
        parts = split(series, shares=shares, by="group" if by == "speaker" else "random", seed=seed)
    return tuple(clips.subset(int(row[0, 0]) for row in part.values) for part in parts)


def leave_out_speaker(clips: ClipSet, speaker: str) -> tuple[ClipSet, ClipSet]:
    """Return the clips of all other speakers, and those of one.

    Raises:
        ConfigError: there is no such speaker.

    Example:
        >>> clips = ClipSet(tuple(Clip(f"{name}.wav", speaker=name) for name in ("anna", "ben")))
        >>> others, own = leave_out_speaker(clips, "ben")
        >>> others[0].speaker, own[0].speaker
        ('anna', 'ben')
    """
    if speaker not in clips.speakers:
        raise ConfigError.of("speaker", speaker, suggest(speaker, clips.speakers).removeprefix("; "))
    return clips.subset(lambda clip: clip.speaker != speaker), clips.subset(lambda clip: clip.speaker == speaker)


def _unique(clips: list[Clip]) -> tuple[Clip, ...]:
    """Give each clip a name of its own."""
    counts = Counter(clip.id for clip in clips)
    seen: Counter[str] = Counter()
    named = []
    for clip in clips:
        seen[clip.id] += 1
        named.append(clip if counts[clip.id] == 1 else replace(clip, id=f"{clip.id}#{seen[clip.id]}"))
    return tuple(named)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
