"""What a run of detection writes at its end: what was found as COCO's results, tables, and the page ``report.html``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.errors import DataError
from rnnkit.recipes.prepared_training import Judged
from rnnkit.serialization import json_text, replacing

if TYPE_CHECKING:
    from rnnkit.recipes.detect_data import DetectItems
    from rnnkit.tasks.detection import Detector
    from rnnkit.tasks.detection_scores import DetectionScores
    from rnnkit.tasks.found_things import FoundThings

RESULTS, TRUTH, PER_CLASS = "detections.json", "truth.json", "classes.csv"


def judge(detector: Detector, items: DetectItems) -> Judged:
    """Find what is in pictures, and compare with what is there."""
    from rnnkit.tasks.detection_scores import score_detections

    found = detector.find(items.pictures)
    return Judged(items, found, score_detections(items.truth, found, detector.classes, detector.least))


def per_class(scores: DetectionScores) -> dict[str, list[Any]]:
    """Return the table of the classes, a list a column."""
    rows = list(zip(scores.found.classes, scores.counts, strict=True))
    return {
        "class": [one.name for one, _ in rows],
        "true": [two.true for _, two in rows],
        "found": [two.told for _, two in rows],
        "ap50": [_rounded(one.ap50) for one, _ in rows],
        "ap": [_rounded(one.ap) for one, _ in rows],
        "precision": [_rounded(two.precision) for _, two in rows],
        "recall": [_rounded(two.recall) for _, two in rows],
        "count_error": [_rounded(two.mean_error) for _, two in rows],
        "counted_exactly": [_rounded(two.exact) for _, two in rows],
    }


def write_results(
    folder: Path,
    title: str,
    detector: Detector,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> None:
    """Write ``detections.json``, ``truth.json``, ``classes.csv`` and ``report.html``.

    Args:
        folder: the run folder.
        title: the heading of the page.
        detector: of the run.
        judged: what was found, by the name of the test; {}: the page has curves alone.
        history: of the training.
        metrics: what was measured.
    """
    from rnnkit.recipes.detect_page import write_detect_page
    from rnnkit.runs.tables import write_table
    from rnnkit.tasks.found_things import coco_dataset, coco_results

    for one in list(judged.values())[:1]:
        files = [picture.path for picture in one.items.pictures]
        for name, content in (
            (RESULTS, coco_results(one.found)),
            (TRUTH, coco_dataset(one.items.truth, detector.classes, names=files)),
        ):
            with replacing(folder / name) as temporary:
                temporary.write_text(json_text(content), encoding="utf-8")
        write_table(per_class(one.scores), folder / PER_CLASS)
    write_detect_page(folder, title, detector, judged, history, metrics)


def write_detection(found: FoundThings, detector: Detector, path: Path, out: Path) -> None:
    """Write what was found in a picture as ``NAME.json``, COCO's results, and drawn into the picture as ``NAME.png``.

    Args:
        found: what is shown.
        detector: that found it.
        path: the picture's file.
        out: the folder; it is made where it is not there.

    Raises:
        DataError: the picture itself would be written over.
    """
    from rnnkit.data.images import read_picture
    from rnnkit.plotting.found_things import DrawnThings, found_things_picture

    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{path.stem}.png"
    if target.exists() and target.samefile(path):
        raise DataError(f"{path} lies in {out}, where its drawing would take its place; name another folder")
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text(found.to_coco(path.stem, detector.classes)), encoding="utf-8")
    drawn = DrawnThings(found.boxes.numpy(), found.labels.numpy(), [f"{score:.2f}" for score in found.scores.tolist()])
    image = read_picture(path).permute(1, 2, 0).numpy()
    found_things_picture(image, drawn, detector.classes, target, title=counted(found, detector.classes))


def counted(found: FoundThings, classes: tuple[str, ...]) -> str:
    """Return how many of each class there are, in words.

    Example:
        >>> from rnnkit.tasks.found_things import FoundThings
        >>> counted(FoundThings.of((9, 9), [[0, 0, 1, 1]] * 3, [0, 2, 2]), ("cat", "dog", "hen"))
        '1 cat, 2 hen'
        >>> counted(FoundThings.of((9, 9), []), ("cat",))
        'nothing'
    """
    named = zip(classes, found.counts(len(classes)), strict=True)
    return ", ".join(f"{count} {name}" for name, count in named if count) or "nothing"


def table_of(found: FoundThings, classes: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return what was found as a table, a row a thing; coordinates are pixels."""
    columns: dict[str, list[Any]] = {
        "prediction": [classes[label] for label in found.labels.tolist()],
        "score": [round(score, 4) for score in found.scores.tolist()],
    }
    for place, name in enumerate(("left", "top", "right", "bottom")):
        columns[name] = [round(value, 1) for value in found.boxes[:, place].tolist()]
    return columns


def _rounded(value: float) -> float | None:
    return None if value != value else round(value, 4)


def calibrate_detector(detector: Detector, items: DetectItems) -> None:
    """Calibrate a detector's scores on pictures that it did not learn from, and choose from which on things count.

    A class that is absent from the pictures keeps its value, because they do not show how sure the detector is.

    Args:
        detector: it is changed.
        items: of a validation part.
    """
    from rnnkit.tasks.detection_scores import calibrate, true_counts
    from rnnkit.tasks.score_calibration import Calibration

    count = len(detector.classes)
    there = [any(column) for column in zip(*true_counts(items.truth, count), strict=True)]

    def chosen(new: Iterable[float], old: Iterable[float]) -> tuple[float, ...]:
        return tuple(one if known else other for known, one, other in zip(there, new, old, strict=True))

    before, detector.calibration = detector.calibration, Calibration.none(count)
    found, least = calibrate(items.truth, detector.find(items.pictures), count)
    detector.calibration = Calibration(chosen(found.slopes, before.slopes), chosen(found.offsets, before.offsets))
    detector.least = chosen(least, detector.least)


def write_judged(scores: DetectionScores, folder: Path, name: str = "") -> None:
    """Write ``classes.csv`` and ``precision_recall.png``, with a name behind.

    Args:
        scores: of pictures.
        folder: the run folder.
        name: it.
    """
    from rnnkit.plotting.found_things import precision_recall_picture
    from rnnkit.runs.tables import write_table

    write_table(per_class(scores), folder / PER_CLASS.replace(".", f"{name}."))
    curves = [
        (one.name, one.curve.recall, one.curve.precision) for one in scores.found.classes if one.curve is not None
    ]
    precision_recall_picture(curves, folder / f"precision_recall{name}.png")
