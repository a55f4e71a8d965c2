"""``rnnkit transcribe``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, DataError, check_whole
from ..runs.settings import override
from ..tasks.speech_settings import LOWEST_RATE
from . import standard_input
from .arguments import (
    Decodings,
    Device,
    Files,
    RecipeFile,
    Run,
    check_once,
    several_files,
    shorthands,
    trained_recipe_of,
    with_decoding_alone,
)
from .misplaced import check_data, check_run
from .output import INTERRUPTED, plain_warnings
from .sounds import Lines, SoundData, check_out, open_lines, transcribe_each

if TYPE_CHECKING:
    from ..tasks.speech import Transcriber, Transcript
    from ..tasks.speech_stream import Partial
    from ..tasks.voice_activity import VoiceDetector

_FORMATS = {"s16": 2, "f32": 4}  # bytes of a sample, little-endian
_CHUNK = 0.1  # seconds of sound that are read at a time
_HIGHEST_RATE = 768_000  # samples a second


def transcribe(
    run: Run,
    files: Files = None,
    data: SoundData = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON a file, with times and confidences of the words.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A file for what would be printed.")] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Take raw samples from a pipe, or from the microphone, and print words at once."),
    ] = False,
    rate: Annotated[
        int | None, typer.Option(help="Of --live: samples a second; else those that the run was trained with.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="Of --live: s16, integers of 16 bits, or f32, floats; one channel, little-endian.")
    ] = "s16",
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Of --live: hear the microphone, whatever is piped in.")
    ] = False,
    input: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="The microphone's number or a part of its name; list shows all."),
    ] = None,
    vad: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run of vad: what it hears as speech alone is transcribed.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Beginnings that the beam search follows at a time.")] = None,
    lm: Annotated[
        str | None, typer.Option(metavar="FILE", help="A language model for the beam search: ARPA, or a run of ngram.")
    ] = None,
    words: Annotated[
        str | None, typer.Option(metavar="FILE", help="A list of words, one a line: the beam search writes no others.")
    ] = None,
    hot_word: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="A word to prefer in the beam search; may be repeated.")
    ] = None,
    set_: Decodings = None,
    device: Device = None,
    recipe: RecipeFile = None,
) -> None:
    """Write what is said in sound files, or while it is spoken: `arecord -r 16000 -f S16_LE -t raw | rnnkit transcribe
    RUN --live --rate 16000`.
    """
    paths = several_files(files, data)
    check_run("transcribe", run, paths)
    check_data("transcribe", run, [path for path in paths if not path.is_dir()])
    if live and paths:
        raise ConfigError(f"{paths[0]} and --live arrived; expected one of them: --live reads samples from a pipe")
    if not live and rate is not None:
        raise ConfigError(f"--rate {rate} is of --live; a sound file contains its own rate: leave --rate out")
    if rate is not None and not LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise ConfigError(f"--rate {rate} arrived; expected samples a second, such as 8000, 16000 or 44100")
    if width is not None:
        check_whole(width, "--width")
    check_live(live, microphone, input)
    if vad is not None and not vad.exists():
        raise ConfigError(f"--vad {vad} does not exist; expected the folder of a run of `rnnkit train vad`")
    if format not in _FORMATS:
        raise ConfigError(f"--format {format} arrived; expected {' or '.join(_FORMATS)}")
    check_out(out, [run] if vad is None else [run, vad], paths)
    if not paths and not live and not standard_input.is_piped():
        raise ConfigError(
            f"no file arrived; type `rnnkit transcribe {run} FILE.wav`, or pipe samples into `rnnkit transcribe {run} "
            "--live`"
        )
    chosen = trained_recipe_of(run, recipe)
    chosen = override(chosen, shorthands(chosen, {"--device": device})).require("transcribe", run)
    chosen = with_decoding_alone(chosen, set_)
    given = {"width": width, "lm": lm, "words": words, "hot_words": tuple(hot_word) if hot_word else None}
    changes: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
    check_once(set_ or [], [f"decode.{name}={one}" for name, one in changes.items()])
    with plain_warnings():
        transcriber = chosen.transcriber(run).with_decoding(**changes)
        detector = _detector(vad, device)
        try:
            with open_lines(out) as lines:
                if live and input == "list":
                    _list(run, rate or transcriber.rate)
                elif live:
                    heard = microphone or input is not None or not standard_input.is_piped()
                    _live(transcriber, detector, run, rate, format, lines, heard, input, as_json=as_json)
                else:
                    _files(transcriber, paths or [standard_input.DASH], lines, detector, as_json=as_json)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def check_live(live: bool, microphone: bool, input: str | None) -> None:
    """Refuse options of the microphone without --live."""
    for option, given in (("--microphone", microphone), (f"--input {input}", input is not None)):
        if given and not live:
            raise ConfigError(f"{option} arrived without --live; add it")


def _detector(vad: Path | None, device: str | None) -> VoiceDetector | None:
    if vad is None:
        return None
    from ..tasks.voice_activity import load_voice_detector

    return load_voice_detector(vad, device=device or "auto")


def _list(run: Path, rate: int) -> None:
    from .microphone import list_microphones

    for line in list_microphones(rate, f"rnnkit transcribe {run} --live"):
        typer.echo(line)


def _files(
    transcriber: Transcriber, paths: list[Path], lines: Lines, detector: VoiceDetector | None, *, as_json: bool
) -> None:
    """Write what is said in each file."""
    named = len(paths) > 1 or any(path.is_dir() for path in paths)

    def tell(name: str, transcript: Transcript) -> None:
        if as_json:
            lines.write(json.dumps({"file": name, **transcript.to_json()}, ensure_ascii=False))
        else:
            lines.write(f"{name}\t{transcript.text}" if named else transcript.text)

    transcribe_each(transcriber, paths, tell, detector)


def _live(
    transcriber: Transcriber,
    detector: VoiceDetector | None,
    run: Path,
    rate: int | None,
    format: str,
    lines: Lines,
    heard: bool,
    input: str | None,
    *,
    as_json: bool,
) -> None:
    """Print words as they are recognised in samples of the microphone or a pipe, and how fast that was."""
    wanted = transcriber.rate if rate is None else rate
    chunks: Any
    if heard:
        from .microphone import Microphone

        chunks = Microphone(input, wanted, f"rnnkit transcribe {run} --live --rate {wanted}")
        wanted = chunks.rate
    else:
        chunks = _pipe(wanted, format)
    push, flush = _recognizer(transcriber, detector, wanted)
    shown, busy, slowest, seconds, told = "", 0.0, 0.0, 0.0, False
    try:
        for chunk in chunks:
            begun = time.perf_counter()
            partials = push(chunk)
            needed = time.perf_counter() - begun
            busy, slowest, seconds = busy + needed, max(slowest, needed), partials[-1].seconds
            for partial in partials:
                shown = _tell(partial, shown, lines, as_json=as_json)
    except KeyboardInterrupt:  # what was said is printed to its end
        told = True
    begun = time.perf_counter()
    partials = flush()
    busy += time.perf_counter() - begun
    for partial in partials:
        shown = _tell(partial, shown, lines, as_json=as_json)
    if heard:
        chunks.close()
    share = f" ({busy / seconds:.3f} of real time); the slowest piece took {1e3 * slowest:.0f} ms" if seconds else ""
    typer.echo(f"{seconds:.1f} s of sound in {busy:.2f} s{share}", err=True)
    if told:
        raise typer.Exit(INTERRUPTED)


def _recognizer(
    transcriber: Transcriber, detector: VoiceDetector | None, rate: int
) -> tuple[Callable[[Any], list[Partial]], Callable[[], list[Partial]]]:
    """Return functions that take the next samples, and that end the sound."""
    if detector is None:
        recognizer = transcriber.stream(rate=rate)
        return (lambda samples: [recognizer.push(samples)]), (lambda: [recognizer.flush()])
    from ..tasks.spoken_stream import SpokenStream

    stream = SpokenStream(transcriber, detector, rate=rate)
    return stream.push, stream.flush


def _tell(partial: Any, shown: str, lines: Lines, *, as_json: bool) -> str:
    """Print what is new in a result: JSON, a line that grows on a terminal, else a line an utterance."""
    if as_json:
        if partial.words or partial.endpoint or partial.text != shown:
            lines.write(json.dumps(partial.to_json(), ensure_ascii=False))
    elif lines.is_terminal:
        if partial.text != shown:
            typer.echo("\r\x1b[K" + partial.text, nl=False)
        if partial.endpoint and partial.text:
            typer.echo()
    elif partial.endpoint and partial.text:
        lines.write(partial.text)
    return "" if partial.endpoint else str(partial.text)


def _pipe(rate: int, format: str) -> Iterator[Any]:
    """Yield raw samples of standard input as they come, at most a tenth of a second at a time."""
    import numpy as np

    from ..data.audio.sound_files import marked_format
    from ..data.audio.waveforms import LOUDEST

    size, kind = _FORMATS[format], {"s16": "<i2", "f32": "<f4"}[format]
    most = max(1, round(_CHUNK * rate)) * size
    stream: Any = sys.stdin.buffer
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for more
    rest, first = b"", True
    while data := read(most):
        if first and marked_format(data[:64]) is not None:
            raise DataError(
                f"{standard_input.NAME} is a sound file; expected raw samples for --live: leave --live out, or convert "
                "it, as in `sox FILE -t raw -e signed -b 16 -c 1 -`"
            )
        data, first = rest + data, False
        whole = len(data) // size * size
        rest = data[whole:]
        samples = np.frombuffer(data[:whole], kind)
        if format == "f32" and not (np.abs(samples) <= LOUDEST).all():
            raise DataError(
                f"{standard_input.NAME} has no floats from -1 to 1; expected those of --format f32: leave it out for "
                "integers of 16 bits"
            )
        yield samples
