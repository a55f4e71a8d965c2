"""The page of a run of detection, ``report.html``: precision over recall, classes, worst pictures, surest mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.plotting.page import Page
from rnnkit.recipes.run_page import RunPage, page_figures

if TYPE_CHECKING:
    from rnnkit.recipes.prepared_training import Judged
    from rnnkit.tasks.detection import Detector

_SHOWN = 6  # pictures of a grid
_CUT = 1.0  # of a mistake's longer side, shown around it
_LONGEST = 480  # pixels of a picture on the page


def write_detect_page(
    folder: Path,
    title: str,
    detector: Detector,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading.
        detector: of the run.
        judged: what was found, by the name of the test.
        history: of the training.
        metrics: what was measured.

    Returns:
        The page.
    """
    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    for name, one in judged.items():
        _add_classes(page, name, one, detector)
        _add_pictures(page, one, detector)
        _add_mistakes(page, one, detector)
        _add_calibration(page, one)
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the pictures show")
    page.add_curves(history, "Loss and average precision", "val_map50")
    return page.write_run()


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        scores = one.scores
        figures = scores.figures
        if "map50" not in figures:
            sentences.append(f"{name}: nothing is in the {len(one.found):,} pictures.")
            continue
        sentences.append(
            f"{name}: {len(one.found):,} pictures, mean average precision {figures['map50']:.3f} at IoU 0.5 and "
            f"{figures['map']:.3f} over 0.5 to 0.95; scores differ from the share that is right by {scores.ece:.3f}."
        )
    return " ".join(sentences)


def _add_classes(page: Page, name: str, one: Judged, detector: Detector) -> None:
    from rnnkit.plotting.found_things import precision_recall_picture
    from rnnkit.recipes.detect_results import per_class

    table = per_class(one.scores)
    least = ", ".join(f"{own} {score:.2f}" for own, score in zip(detector.classes, detector.least, strict=True))
    page.section(
        f"Classes ({name})",
        f"Precision, recall and counts are of things whose scores reach {least}. The count error is the mean "
        "difference of a picture.",
    )
    page.table([label.replace("_", " ") for label in table], [_cells(row) for row in zip(*table.values(), strict=True)])
    curves = [
        (own.name, own.curve.recall, own.curve.precision) for own in one.scores.found.classes if own.curve is not None
    ]
    if curves:
        told = "; ".join(f"{own.name} {own.ap50:.3f}" for own in one.scores.found.classes if own.curve is not None)
        page.picture(
            lambda path: precision_recall_picture(curves, path),
            f"Precision over recall at IoU 0.5. Average precision: {told}.",
            title="Precision and recall",
            caption="A thing is right from an intersection over the union of 0.5 on.",
        )


def _cells(row: Sequence[Any]) -> list[str]:
    return ["" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]


def _add_pictures(page: Page, one: Judged, detector: Detector) -> None:
    from rnnkit.plotting.found_things import found_things_grid

    order = sorted(range(len(one.found)), key=lambda row: (-one.scores.errors[row], row))[:_SHOWN]
    worst = [row for row in order if one.scores.errors[row]]
    if not worst:
        page.section("Worst pictures", "In no picture is a thing missed or wrong.")
        return
    page.section(
        "Worst pictures", "Found things are drawn whole, missed ones with a broken line; a cross marks a wrong one."
    )
    images, things, captions = [], [], []
    for row in worst:
        image, factor = _image(one, row)
        drawn, missed, wrong = _drawn(one, row, detector, factor)
        images.append(image)
        things.append(drawn)
        captions.append(f"{one.items.names[row]}: {missed} missed, {wrong} wrong")
    page.picture(
        lambda path: found_things_grid(images, things, captions, path),
        f"{len(worst)} pictures with the most errors. {'; '.join(captions)}.",
    )


def _drawn(one: Judged, row: int, detector: Detector, factor: float) -> tuple[Any, int, int]:
    import numpy as np

    from rnnkit.plotting.found_things import DrawnThings

    shown = one.found[row].above(detector.least)
    matches, boxes = one.scores.matches[row], one.items.truth[row].boxes
    missed = matches.missed.numpy()
    corners = np.concatenate([shown.boxes.numpy(), boxes.xyxy.numpy()[missed]]) * factor
    labels = np.concatenate([shown.labels.numpy(), boxes.labels.numpy()[missed]])
    wrong = (matches.of_found == -1).tolist()
    texts = [f"× {score:.2f}" if bad else "" for bad, score in zip(wrong, shown.scores.tolist(), strict=True)] + [
        ""
    ] * int(missed.sum())
    dashed = [False] * len(shown) + [True] * int(missed.sum())
    return DrawnThings(corners, labels, texts, None, dashed), int(missed.sum()), sum(wrong)


def _image(one: Judged, row: int) -> tuple[Any, float]:
    """Return a picture [H, W, 3] for the page, and its pixels for a pixel of the file."""
    from rnnkit.data.images.picture_scaling import shrink

    image = shrink(one.items.image(row), _LONGEST)
    return image.permute(1, 2, 0).numpy(), image.shape[2] / one.items.truth[row].size[1]


def _add_mistakes(page: Page, one: Judged, detector: Detector) -> None:
    """Add the wrong things of the highest scores, cut out of their pictures."""
    import numpy as np

    from rnnkit.plotting.found_things import DrawnThings, found_things_grid

    rows = []
    for row, (found, matches) in enumerate(zip(one.found, one.scores.matches, strict=True)):
        shown = found.above(detector.least)
        rows += [(score, row, at) for at, score in enumerate(shown.scores.tolist()) if matches.of_found[at] == -1]
    if not rows:
        page.section("Surest mistakes", "Nothing that is shown is wrong.")
        return
    images, things, captions = [], [], []
    for score, row, at in sorted(rows, reverse=True)[:_SHOWN]:
        shown = one.found[row].above(detector.least)
        image, factor = _image(one, row)
        label = int(shown.labels[at])
        left, top, right, bottom = (shown.boxes[at] * factor).tolist()
        around = _CUT * max(right - left, bottom - top)
        x0, y0 = max(int(left - around), 0), max(int(top - around), 0)
        cut = image[y0 : max(int(bottom + around), y0 + 2), x0 : max(int(right + around), x0 + 2)]
        boxes = one.items.truth[row].boxes
        corners = np.concatenate([shown.boxes[at : at + 1].numpy(), boxes.xyxy.numpy()]) * factor - [x0, y0, x0, y0]
        labels = np.concatenate([[label], boxes.labels.numpy()])
        images.append(cut)
        things.append(
            DrawnThings(corners, labels, [f"{score:.2f}", *[""] * len(boxes)], None, [False, *[True] * len(boxes)])
        )
        captions.append(f"{detector.classes[label]} {score:.2f} in {one.items.names[row]}")
    page.section("Surest mistakes", "Each wrong thing is drawn whole, and what is true around it with broken lines.")
    page.picture(
        lambda path: found_things_grid(images, things, captions, path),
        f"{len(images)} wrong things with the highest scores. {'; '.join(captions)}.",
    )


def _add_calibration(page: Page, one: Judged) -> None:
    from rnnkit.plotting.found_things import calibration_picture

    if not one.scores.bins:
        return
    told = "; ".join(f"{score:.2f}: {share:.2f} of {count}" for score, share, count in one.scores.bins)
    page.section("What the scores mean")
    page.picture(
        lambda path: calibration_picture(one.scores.bins, path),
        f"The share of right things over their score. {told}.",
        caption="Of things with a score of 0.8, eight of ten should be right, as on the broken line. The mean distance "
        f"from it is {one.scores.ece:.3f}, of things with a score of at least 0.1.",
    )
