"""The page ``report.html`` of a run that names pixels or separates things: figures, pictures, classes, curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.plotting.page import Page
from rnnkit.recipes.run_page import RunPage, page_figures
from rnnkit.recipes.segment_results import class_rows, shown, things_map

if TYPE_CHECKING:
    from rnnkit.recipes.prepared_training import Judged
    from rnnkit.tasks.segmentation import Segmenter

_SHOWN = 6  # pictures of a grid
_LONGEST = 400  # pixels of the longer side of a picture of the page


def write_segment_page(
    folder: Path,
    title: str,
    segmenter: Segmenter,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading.
        segmenter: what the run learned.
        judged: what was found, by the name of the test.
        history: of the training.
        metrics: what was measured.

    Returns:
        The page.
    """
    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics, "growing"))
    page.add_troubles("What the pictures show")
    if judged:
        names, rows = class_rows(judged)
        page.section("Classes", "IoU and Dice are over all pixels of all pictures.").table(
            [name.replace("_", " ") for name in names], rows
        )
        _add_pictures(page, segmenter, judged)
        _add_precision(page, judged)
    page.add_curves(history, "Loss and quality", "val_mean_iou", "val_bowl_map")
    return page.write_run()


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        figures = one.scores.figures
        told = f"{name}, {len(one.found):,} pictures: mean IoU {figures.get('mean_iou', 0.0):.3f}"
        if "otsu_iou" in figures:
            told += f"; foreground {figures['foreground_iou']:.3f}, by Otsu's threshold {figures['otsu_iou']:.3f}"
        if "bowl_ap50" in figures:
            told += (
                f". Things, as the Data Science Bowl counts them: {figures['bowl_ap50']:.3f} at IoU 0.5, "
                f"{figures['bowl_map']:.3f} at 0.5 to 0.95"
            )
        if "coco_map50" in figures:
            told += f"; as COCO does: {figures['coco_map50']:.3f} and {figures['coco_map']:.3f}"
        sentences.append(told + ".")
    return " ".join(sentences)


def _add_pictures(page: Page, segmenter: Segmenter, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.class_maps import edges_grid

    order = sorted((score, name, row) for name, one in judged.items() for row, score in enumerate(one.scores.each))
    page.section("Pictures", "The edges of what is there are orange, those of what was found are blue.")
    first = [(judged[name].scores.each[row], name, row) for name in judged for row in range(len(judged[name].found))]
    for title, chosen, caption in (
        ("The worst ones", order[:_SHOWN], "The number is what the table of pictures has."),
        ("The first ones", first[: _SHOWN // 2], "Nobody chose them."),
    ):
        parts = [_drawn(segmenter, judged[name], row) for _, name, row in chosen]
        captions = [f"{_short(judged[name].items.names[row])}  {score:.2f}" for score, name, row in chosen]
        page.picture(
            lambda path, parts=parts, captions=captions: edges_grid(  # type: ignore[misc]
                [one[0] for one in parts], [one[1] for one in parts], [one[2] for one in parts], captions, path
            ),
            f"{len(chosen)} pictures with the edges of what is there and of what was found: {'; '.join(captions)}.",
            title=title,
            caption=caption,
        )


def _drawn(segmenter: Segmenter, one: Judged, row: int) -> tuple[Any, Any, Any]:
    """Return a picture, what is there, and what was found, small enough for a page."""
    from rnnkit.data.images.masks import resized
    from rnnkit.data.images.moves import resize_image

    image = one.items.image(row, segmenter.reading.mode)
    found = one.found[row]
    if found.things is None:
        true = one.items.class_map(row).clamp(min=0).numpy()
    else:
        masks = one.items.things(row).masks
        assert masks is not None
        true = masks.map().numpy()
    height, width = image.shape[1:]
    factor = min(1.0, _LONGEST / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    image = segmenter.reading.prepared(image) if segmenter.reading.contrast else image
    return shown(resize_image(image, *size)), resized(true, *size), resized(things_map(found), *size)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _add_precision(page: Page, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.found_things import precision_recall_picture

    for name, one in judged.items():
        if one.scores.coco is None:
            continue
        curves = [
            (each.name, each.curve.recall, each.curve.precision) for each in one.scores.coco.classes if each.curve
        ]
        if curves:
            page.section("Precision and recall")
            page.picture(
                lambda path, curves=curves: precision_recall_picture(curves, path),  # type: ignore[misc]
                f"Precision over recall of things of {name} at IoU 0.5, a curve a class.",
                title=f"Things of {name}, IoU 0.5",
                caption="Things are taken from the highest score on.",
            )
