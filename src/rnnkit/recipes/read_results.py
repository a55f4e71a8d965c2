"""What a run of reading writes at its end: texts with what was read, confusions, and the page ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.prepared_training import Judged

if TYPE_CHECKING:
    from rnnkit.tasks.reading import Reader, Reading
    from rnnkit.tasks.reading_batches import Lines

PREDICTIONS = "predictions.csv"


def judge(reader: Reader, lines: Lines, *, most: int = 256) -> Judged:
    """Read pictures, and compare with what is written in them.

    Args:
        reader: the recogniser.
        lines: with their texts.
        most: pictures that are held at a time.
    """
    from rnnkit.data.line_pictures import Line
    from rnnkit.tasks.recognition_scores import score_characters

    found: list[Any] = []
    for begin in range(0, len(lines), most):
        rows = range(begin, min(begin + most, len(lines)))
        found += reader([Line(lines.picture(row), 1.0) for row in rows])
    return Judged(lines, found, score_characters(list(lines.texts), [one.text for one in found]))


def write_results(
    folder: Path,
    title: str,
    reader: Reader,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
    order: Sequence[str] = (),
) -> None:
    """Write ``predictions.csv``, ``confusions.csv``, ``confusions.png`` and ``report.html``.

    Args:
        folder: the run folder.
        title: the heading of the page.
        reader: the recogniser.
        judged: what was read, by the name of the test; {}: the page has curves alone.
        history: of the training.
        metrics: what was measured.
        order: of characters in the picture of confusions.
    """
    from rnnkit.recipes.read_page import write_read_page
    from rnnkit.recipes.recognition import confusions_of, write_confusions, write_rows

    if judged:
        rows = [
            (name, number, text, found.text, cer, found.confidence)
            for name, one in judged.items()
            for number, (text, found, cer) in enumerate(zip(one.items.texts, one.found, one.scores.each, strict=True))
        ]
        names = ("test", "number", "text", "prediction", "cer", "confidence")
        write_rows(names, rows, folder / PREDICTIONS)
        write_confusions(confusions_of(judged), folder, order)
    write_read_page(folder, title, reader, judged, history, metrics, order)


def write_reading(reading: Reading, path: Path, out: Path) -> None:
    """Write what was read in a picture as ``NAME.json``, and drawn into the picture as ``NAME.png``.

    Args:
        reading: what was read.
        path: the picture's file.
        out: the folder; it is made where it is not there.

    Raises:
        DataError: the picture itself would be written over.
    """
    from rnnkit.data.images import read_grey
    from rnnkit.errors import DataError
    from rnnkit.plotting.text_lines import read_line_picture
    from rnnkit.serialization import json_text, replacing

    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{path.stem}.png"
    if target.exists() and target.samefile(path):
        raise DataError(f"{path} lies in {out}, where its drawing would take its place; name another folder")
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text({"file": str(path), **reading.to_json()}), encoding="utf-8")
    title = f"{reading.text or '(nothing)'}  {reading.confidence:.0%}"
    words = [(word.text, word.start, word.end) for word in reading.words]
    read_line_picture(read_grey(path), words if len(words) > 1 else [], title, target)
