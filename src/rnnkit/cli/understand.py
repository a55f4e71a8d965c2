"""``rnnkit understand``: a run of speech and a run of intents, joined.

It is a verb of its own. The other verbs take one run, whose recipe says what it can do; here neither run can do it
alone, and each stays as it is: a better recogniser or a new set of intents is a matter of naming another run. A stored
pair would have to be stored again for each of them. The one network from sound to intent (``spoken-intents``) is one
run, and answers by ``rnnkit predict``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, DataError
from ..runs.settings import override
from . import standard_input
from .arguments import Device, Files, several_files, shorthands, trained_recipe_of
from .misplaced import check_data, check_run
from .output import plain_warnings, report, warn
from .sounds import check_out, open_lines, transcribe_each

if TYPE_CHECKING:
    from ..recipes import Recipe
    from ..tasks.speech import Transcript
    from ..tasks.spoken_understanding import SpokenUnderstanding


def understand(
    recogniser: Annotated[Path, typer.Argument(metavar="RECOGNISER", help="The folder of a run of speech.")],
    intents: Annotated[Path, typer.Argument(metavar="INTENTS", help="The folder of a run of intents.")],
    files: Files = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Sound files, or folders of them; may be repeated. Or recordings to score on: JSON lines with path, "
            "text, intent and slots, or a folder with test.jsonl."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file for a line of JSON a sound file.")] = None,
    device: Device = None,
) -> None:
    """Print what is said in sound files and what is meant: a line of JSON a file with text, intent and slots.

    Recordings with their truth are scored, on recognised and on true words; INTENTS/understanding.json has the figures.
    """
    paths = several_files(files, data)
    check_run("understand", recogniser)
    check_run(f"understand {recogniser}", intents)
    check_data("understand", f"{recogniser} {intents}", [path for path in paths if not path.is_dir()])
    scored = _scored(paths)
    if not paths and not standard_input.is_piped():
        raise ConfigError(f"no file arrived; type `rnnkit understand {recogniser} {intents} FILE.wav`")
    check_out(out, (recogniser, intents), paths)
    hears = _recipe(recogniser, "RECOGNISER", "transcribe", "speech", device)
    understands = _recipe(intents, "INTENTS", "understand", "intents", device)
    with plain_warnings():
        from ..tasks.spoken_understanding import SpokenUnderstanding

        joined = SpokenUnderstanding(hears.transcriber(recogniser), understands.understander(intents))
        if scored is not None:
            _score(joined, recogniser, intents, scored, out)
        else:
            _answer(joined, paths or [standard_input.DASH], out)


def _scored(paths: list[Path]) -> Path | None:
    """Return the recordings to score on; None where none have their truth.

    Raises:
        ConfigError: they arrived with other files.
        DataError: a folder holds neither sound files nor a test.jsonl.
    """
    from ..data.audio.sound_files import SUFFIXES
    from ..ordering import files_inside
    from ..recipes.spoken_cascade import has_truth

    scored = [path for path in paths if has_truth(path)]
    if scored and len(paths) > 1:
        raise ConfigError(f"{scored[0]} is scored on, and arrived with other files; name it alone")
    for path in paths:
        if not scored and path.is_dir() and not files_inside(path, SUFFIXES):
            raise DataError(f"{path} holds no sound files, and no test.jsonl of recordings to score on")
    return scored[0] if scored else None


def _recipe(run: Path, place: str, verb: str, name: str, device: str | None) -> Recipe:
    """Return the recipe of a run, which must serve a verb."""
    chosen = trained_recipe_of(run, None)
    if verb not in chosen.capabilities():
        raise ConfigError(
            f"{run} arrived as {place}, and its recipe cannot {verb}; expected a run of `rnnkit train {name}`: "
            "rnnkit understand RECOGNISER INTENTS FILE"
        )
    return override(chosen, shorthands(chosen, {"--device": device}))


def _answer(joined: SpokenUnderstanding, paths: list[Path], out: Path | None) -> None:
    with open_lines(out) as lines:

        def tell(name: str, transcript: Transcript) -> None:
            [meaning] = joined.of_transcripts([transcript])
            lines.write(json.dumps({"file": name, **meaning.to_json()}, ensure_ascii=False))

        transcribe_each(joined.transcriber, paths, tell)


def _score(joined: SpokenUnderstanding, recogniser: Path, intents: Path, data: Path, out: Path | None) -> None:
    from ..recipes import spoken_cascade

    speech = spoken_cascade.read_tagged_speech(data)
    for sentence in speech.findings:
        warn(sentence)
    scores = spoken_cascade.score(joined, speech)
    if out is not None:
        with open_lines(out) as lines:
            for answer in spoken_cascade.answers(speech, scores):
                lines.write(json.dumps(answer, ensure_ascii=False))
    report(scores.figures)
    typer.echo(spoken_cascade.summary(scores.figures))
    written = spoken_cascade.write_scores(intents, recogniser, data, scores.figures, len(speech.texts))
    typer.echo(f"Figures: {written}")
