"""Sound files that users name, and a line for each: what `rnnkit transcribe` and `rnnkit understand` share."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, DataError, DataWarning, Place
from . import standard_input
from .output import INTERRUPTED, check_overwrites, complain

if TYPE_CHECKING:
    from ..data.audio.waveforms import AudioBlocks
    from ..tasks.speech import Transcriber, Transcript
    from ..tasks.voice_activity import VoiceDetector

SoundData = Annotated[list[Path] | None, typer.Option(help="Sound files, or folders of them; may be repeated.")]


class Lines:
    """Lines on standard output, or in a file.

    Args:
        out: the file; None: standard output.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, out: Path | None) -> None:
        try:
            self._file = None if out is None else out.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error

    def write(self, line: str) -> None:
        """Write a line."""
        if self._file is None:
            typer.echo(line)
        else:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self._file is None and sys.stdout.isatty()


@contextmanager
def open_lines(out: Path | None) -> Iterator[Lines]:
    """Give lines on standard output, or in a file that is closed when the block is over."""
    lines = Lines(out)
    try:
        yield lines
    finally:
        lines.close()


def check_out(out: Path | None, runs: Iterable[Path], paths: Sequence[Path]) -> None:
    """Raise ConfigError where there is no folder for the file of --out, or it is read: of a run, or of the paths."""
    if out is None:
        return
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it first")
    for run in runs:
        check_overwrites(out, run, paths)


def transcribe_each(
    transcriber: Transcriber,
    paths: Sequence[Path],
    tell: Callable[[str, Transcript], object],
    detector: VoiceDetector | None = None,
) -> None:
    """Transcribe files one after another, and continue after a file that cannot be read.

    Args:
        transcriber: the recogniser.
        paths: sound files and folders of them, or "-".
        tell: is called with the name of each file and what is said in it, as soon as it is known.
        detector: of voice activity; None: all is recognised.

    Raises:
        DataError: a folder holds no sound files. typer.Exit: with 1 at the end, where a file could not be read; or
            Ctrl-C was pressed: what was heard by then is printed first.
    """
    failed = False
    for path in list_sounds(paths):
        try:
            transcript, interrupted = _transcribe(transcriber, path, detector)
            tell(_name_of(path), transcript)
            if interrupted:
                raise typer.Exit(INTERRUPTED)
        except DataError as error:
            complain(error)
            failed = True
    if failed:
        raise typer.Exit(1)


def list_sounds(paths: Sequence[Path]) -> list[Path]:
    """Return files, and in place of each folder the sound files in it.

    Raises:
        DataError: a folder holds none.
    """
    from ..data.audio.sound_files import SUFFIXES
    from ..ordering import files_inside

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = files_inside(path, SUFFIXES)
        if not inside:
            raise DataError(f"{path} holds no sound files; expected {', '.join(SUFFIXES)} in it")
        found += inside
    return found


def _transcribe(transcriber: Transcriber, path: Path, detector: VoiceDetector | None) -> tuple[Transcript, bool]:
    """Return what is said in a sound file, and whether Ctrl-C ended it.

    The file is read in blocks, so that it may be longer than memory is large. On a terminal a bar shows the progress.
    """
    from ..data.audio.waveforms import open_blocks
    from ..tasks.speech_long import LONG, joined, transcribe_long

    if path == standard_input.DASH:
        with standard_input.as_file(expected="a sound file", suffix="") as file:
            return _transcribe(transcriber, file, detector)
    with open_blocks(path) as blocks:
        seconds, at = blocks.info.seconds, 0.0
        parts: list[Transcript] = []
        hidden = seconds <= LONG or not sys.stderr.isatty()
        with typer.progressbar(length=round(seconds), label=path.name, file=sys.stderr, hidden=hidden) as bar:

            def progress(now: float) -> None:
                nonlocal at
                bar.update(round(now) - round(at))
                at = now

            interrupted = False
            try:
                # What `extend` took before Ctrl-C stays in the list.
                parts.extend(transcribe_long(transcriber, blocks, detector=detector, progress=progress))
            except KeyboardInterrupt:
                interrupted = True
        whole = joined(parts, at)
        for problem, advice in _troubles(blocks):
            warnings.warn(DataWarning(problem, Place(_name_of(path)), advice), stacklevel=2)
        return whole, interrupted


def _troubles(blocks: AudioBlocks) -> list[tuple[str, str]]:
    """Return what is wrong with a sound file that was read to its end, and what to do."""
    from ..data.sentences import MISNAMED

    found = [(f"{MISNAMED[0]}: {blocks.info.format}", "rename it")] if blocks.info.misnamed else []
    for (does, _), detail in blocks.levels.faults():
        loudest = blocks.levels.loudest
        level = f"its loudest sample is {20 * math.log10(loudest):.0f} dB (1 is 0 dB)" if loudest else "all of it is 0"
        found.append((f"{does}: {detail or level}", "look at the microphone and its level"))
    return found


def _name_of(path: Path) -> str:
    return standard_input.NAME if path == standard_input.DASH else str(path)
