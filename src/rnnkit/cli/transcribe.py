"""``rnnkit transcribe``."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, DataError
from ..runs.settings import override
from . import standard_input
from .arguments import Device, RecipeFile, Run, shorthands, trained_recipe_of
from .misplaced import check_data, check_run
from .output import INTERRUPTED, complain, plain_warnings

if TYPE_CHECKING:
    from ..tasks.speech import Transcriber, Transcript

_FORMATS = {"s16": 2, "f32": 4}  # bytes of a sample, little-endian
_CHUNK = 0.1  # seconds of sound that are read at a time


def transcribe(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Sound files, or folders of them; - is a sound file on standard input."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON a file, with times and confidences of the words.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A file for what would be printed.")] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Take raw samples from a pipe, or from the microphone, and tell words at once."),
    ] = False,
    rate: Annotated[
        int | None, typer.Option(help="Of --live: samples a second; else those that the run was trained with.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="Of --live: s16, integers of 16 bits, or f32, floats; one channel, little-endian.")
    ] = "s16",
    width: Annotated[int | None, typer.Option(help="Beginnings that the beam search follows at a time.")] = None,
    lm: Annotated[
        str | None, typer.Option(metavar="FILE", help="A language model for the beam search: ARPA, or a run of ngram.")
    ] = None,
    hot_word: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="A word to prefer in the beam search; may be repeated.")
    ] = None,
    device: Device = None,
    recipe: RecipeFile = None,
) -> None:
    """Write what is said in sound files, or while it is spoken: `arecord -r 16000 -f S16_LE -t raw | rnnkit transcribe
    RUN --live --rate 16000`.
    """
    paths = [Path(file) for file in files or ()]
    check_run("transcribe", run, paths)
    check_data("transcribe", run, [path for path in paths if not path.is_dir()])
    if live and paths:
        raise ConfigError(f"{paths[0]} and --live arrived; expected one of them: --live reads samples from a pipe")
    if not live and rate is not None:
        raise ConfigError(f"--rate {rate} is of --live; a sound file tells its own rate: leave --rate out")
    if format not in _FORMATS:
        raise ConfigError(f"--format {format} arrived; expected {' or '.join(_FORMATS)}")
    if out is not None and not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it first")
    if not paths and not live and not standard_input.is_piped():
        raise ConfigError(
            f"no file arrived; type `rnnkit transcribe {run} FILE.wav`, or pipe samples into `rnnkit transcribe {run} "
            "--live`"
        )
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("transcribe", run)
    changes: dict[str, Any] = {"width": width, "lm": lm, "hot_words": tuple(hot_word) if hot_word else None}
    with plain_warnings():
        transcriber = chosen.transcriber(run)
        transcriber = transcriber.with_decoding(**{name: one for name, one in changes.items() if one is not None})
        printed = _Printed(out)
        try:
            if live:
                _live(transcriber, run, rate, format, printed, as_json=as_json)
            else:
                _files(transcriber, paths or [standard_input.DASH], printed, as_json=as_json)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        finally:
            printed.close()


class _Printed:
    """Lines on standard output, or in a file."""

    def __init__(self, out: Path | None) -> None:
        try:
            self._file = None if out is None else out.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written ({error.strerror}); name another file") from error

    def line(self, text: str) -> None:
        if self._file is None:
            typer.echo(text)
        else:
            self._file.write(text + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_terminal(self) -> bool:
        return self._file is None and sys.stdout.isatty()


def _files(transcriber: Transcriber, paths: list[Path], printed: _Printed, *, as_json: bool) -> None:
    """Print what is said in each file as soon as it is there, and continue after a file that cannot be read."""
    found = list(_sounds(paths))
    several, failed = len(found) > 1 or any(path.is_dir() for path in paths), False
    for path in found:
        try:
            transcript = _read(transcriber, path)
        except DataError as error:
            complain(error)
            failed = True
            continue
        name = standard_input.NAME if path == standard_input.DASH else str(path)
        if as_json:
            printed.line(json.dumps({"file": name, **transcript.to_json()}, ensure_ascii=False))
        else:
            printed.line(f"{name}\t{transcript.text}" if several else transcript.text)
    if failed:
        raise typer.Exit(1)


def _sounds(paths: list[Path]) -> Iterator[Path]:
    from ..data.audio.sound_files import SUFFIXES
    from ..ordering import natural_key

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = [one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file()]
        if not inside:
            raise DataError(f"{path} holds no sound files; expected {', '.join(SUFFIXES[:5])} in it")
        yield from sorted(inside, key=lambda one: natural_key(str(one)))


def _read(transcriber: Transcriber, path: Path) -> Transcript:
    from ..data.audio.waveforms import read_audio

    source: Any = io.BytesIO(sys.stdin.buffer.read()) if path == standard_input.DASH else path
    sound = read_audio(source, rate=transcriber.rate)
    return transcriber([sound.samples])[0]


def _live(
    transcriber: Transcriber, run: Path, rate: int | None, format: str, printed: _Printed, *, as_json: bool
) -> None:
    """Tell words as they are recognised in samples that come, and how fast that went."""
    recognizer = transcriber.stream(rate=rate)
    chunks = (
        _pipe(recognizer.rate, format)
        if standard_input.is_piped()
        else _microphone(recognizer.rate, f"`rnnkit transcribe {run} --live`")
    )
    shown, busy, seconds, told = "", 0.0, 0.0, False
    try:
        for chunk in chunks:
            begun = time.perf_counter()
            partial = recognizer.push(chunk)
            busy, seconds = busy + time.perf_counter() - begun, partial.seconds
            shown = _tell(partial, shown, printed, as_json=as_json)
    except KeyboardInterrupt:  # what was said is told to its end
        told = True
    begun = time.perf_counter()
    partial = recognizer.flush()
    busy += time.perf_counter() - begun
    _tell(partial, shown, printed, as_json=as_json)
    share = f" ({busy / seconds:.3f} of real time)" if seconds else ""
    typer.echo(f"{seconds:.1f} s of sound in {busy:.2f} s{share}", err=True)
    if told:
        raise typer.Exit(INTERRUPTED)


def _tell(partial: Any, shown: str, printed: _Printed, *, as_json: bool) -> str:
    """Print what is new in a result: JSON, a line that grows on a terminal, else a line an utterance."""
    if as_json:
        if partial.words or partial.endpoint or partial.text != shown:
            printed.line(json.dumps(partial.to_json(), ensure_ascii=False))
    elif printed.is_terminal:
        if partial.text != shown:
            typer.echo("\r\x1b[K" + partial.text, nl=False)
        if partial.endpoint and partial.text:
            typer.echo()
    elif partial.endpoint and partial.text:
        printed.line(partial.text)
    return "" if partial.endpoint else str(partial.text)


def _pipe(rate: int, format: str) -> Iterator[Any]:
    """Yield raw samples of standard input as they come, at most a tenth of a second at a time."""
    import numpy as np

    size, kind = _FORMATS[format], {"s16": "<i2", "f32": "<f4"}[format]
    most = max(1, round(_CHUNK * rate)) * size
    stream: Any = sys.stdin.buffer
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for more
    rest, first = b"", True
    while data := read(most):
        if first and data[:4] in (b"RIFF", b"fLaC", b"OggS"):
            raise DataError(
                f"{standard_input.NAME} is a sound file; expected raw samples for --live: leave --live out, or convert "
                "it, as in `sox FILE -t raw -e signed -b 16 -c 1 -`"
            )
        data, first = rest + data, False
        whole = len(data) // size * size
        rest = data[whole:]
        yield np.frombuffer(data[:whole], kind)


def _microphone(rate: int, typed: str) -> Iterator[Any]:
    """Yield samples of the microphone, where the package sounddevice is there."""
    try:
        import sounddevice  # type: ignore[import-not-found]
    except (ImportError, OSError):
        raise ConfigError(
            f"no samples arrived, and the microphone needs the package sounddevice; type `pip install sounddevice`, or "
            f"pipe samples in: `arecord -r {rate} -f S16_LE -t raw | {typed[1:]}"
        ) from None
    block = max(1, round(_CHUNK * rate))
    with sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32", blocksize=block) as stream:
        while True:
            yield stream.read(block)[0][:, 0]
