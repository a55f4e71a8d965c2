"""What runs that name pixels or separate things answer and write: figures, tables, masks, and drawn pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit.recipes.prepared_training import Judged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnkit.recipes.segment_data import PixelItems
    from rnnkit.tasks.bowl_scores import BowlScores
    from rnnkit.tasks.found_scores import FoundScores
    from rnnkit.tasks.pixel_scores import PixelScores
    from rnnkit.tasks.segmentation import Segmented, Segmenter

PREDICTIONS, CLASSES = "predictions.csv", "classes.csv"


class SegmentScores(NamedTuple):
    """How good what was found in pictures is.

    Attributes:
        pixels: of the classes of pixels.
        bowl: of whole things, as the Data Science Bowl counts it; None where pixels are named alone.
        coco: the same as COCO counts it.
    """

    pixels: PixelScores
    bowl: BowlScores | None = None
    coco: FoundScores | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Numbers by their names."""
        found = dict(self.pixels.figures)
        if self.bowl is not None:
            found |= self.bowl.figures
        if self.coco is not None:
            found |= {f"coco_{name}": value for name, value in self.coco.figures.items() if value == value}
        return found

    @property
    def each(self) -> list[float]:
        """A number a picture, 1 at best: the precision of things, else the mean IoU of the classes."""
        return self.pixels.each if self.bowl is None else self.bowl.each.mean(1).tolist()


def judge(segmenter: Segmenter, items: PixelItems, *, baselines: bool = True) -> Judged:
    """Find what is in pictures, and compare with what is there.

    Args:
        segmenter: it.
        items: pictures with their masks.
        baselines: whether Otsu's threshold is measured, too, and average precision as COCO counts it.
    """
    from rnnkit.tasks.pixel_scores import score_pixels

    found, true, images = [], [], []
    for index in range(len(items)):
        image = items.image(index, segmenter.reading.mode)
        found.append(segmenter(image))
        true.append(items.class_map(index))
        if baselines:
            images.append(image)
    pixels = score_pixels(true, [one.class_map for one in found], items.classes, images)
    if segmenter.growing is None:
        return Judged(items, found, SegmentScores(pixels))
    return Judged(items, found, _score_things(items, found, pixels, coco=baselines))


def _score_things(items: PixelItems, found: list[Segmented], pixels: PixelScores, *, coco: bool) -> SegmentScores:
    from rnnkit.tasks.bowl_scores import score_bowl
    from rnnkit.tasks.found_scores import score_found

    true = [items.things(index) for index in range(len(items))]
    maps, judged = [], []
    for one in true:
        assert one.masks is not None
        numbers = one.masks.map().numpy()
        maps.append(numbers)
        crowd = [0, *one.boxes.crowd.int().tolist()]
        judged.append(_array(crowd)[numbers] == 0)
    bowl = score_bowl(maps, [things_map(one) for one in found], judged)
    things = [one.things for one in found if one.things is not None]
    return SegmentScores(pixels, bowl, score_found(true, things, items.classes, masks=True) if coco else None)


def things_map(found: Segmented) -> npt.NDArray[np.int32]:
    """Return the numbers of found things, int32 [H, W]; of a network that names pixels alone, those of classes."""
    if found.things is None or found.things.masks is None:
        return found.class_map.numpy().astype("int32")
    numbers: npt.NDArray[np.int32] = found.things.masks.map().numpy()
    return numbers


def answer_of(found: Segmented, segmenter: Segmenter) -> dict[str, list[Any]]:
    """Return the answer about a picture as ``rnnkit predict`` prints it."""
    if found.things is not None:
        counts = zip(segmenter.classes, found.things.counts(len(segmenter.classes)), strict=True)
        text = ", ".join(f"{count} {name}" for name, count in counts if count)
    else:
        shares = zip(segmenter.classes, found.shares(len(segmenter.classes) + 1)[1:], strict=True)
        text = ", ".join(f"{name} {share:.1%}" for name, share in shares if share)
    return {"prediction": [text or "nothing"], "confidence": [found.confidence]}


def table_of(found: Segmented, segmenter: Segmenter) -> dict[str, list[Any]]:
    """Return what was found as a table: a row a thing with its box and its pixels, or a row a class with its share."""
    if found.things is None:
        shares = found.shares(len(segmenter.classes) + 1)[1:]
        shown = [(name, share) for name, share in zip(segmenter.classes, shares, strict=True) if share]
        return {"prediction": [name for name, _ in shown], "share": [round(share, 6) for _, share in shown]}
    from rnnkit.recipes.detect_results import table_of as table_of_boxes

    table = table_of_boxes(found.things, segmenter.classes)
    assert found.things.masks is not None
    return table | {"pixels": found.things.masks.areas.tolist()}


def write_found(found: Segmented, segmenter: Segmenter, path: Path, out: Path) -> None:
    """Write what was found in a picture: as JSON, as a mask, and drawn into the picture.

    ``NAME_mask.png`` has the numbers of classes or things, 0 where nothing is. ``NAME.json`` is the list of things in
    COCO's form, with packed runs of pixels (RLE); of a network that names pixels alone, the share of each class.

    Args:
        found: what was found.
        segmenter: it.
        path: the picture's file.
        out: the folder; it is made where it is not there.

    Raises:
        DataError: a picture would be written over.
    """
    from PIL import Image

    from rnnkit.data.images import read_picture
    from rnnkit.errors import DataError
    from rnnkit.plotting.class_maps import class_map_picture
    from rnnkit.plotting.found_things import DrawnThings, found_things_picture
    from rnnkit.serialization import json_text, replacing

    out.mkdir(parents=True, exist_ok=True)
    drawn, mask = out / f"{path.stem}.png", out / f"{path.stem}_mask.png"
    if any(one.exists() and one.samefile(path) for one in (drawn, mask)):
        raise DataError(f"{path} lies in {out}, where its answer would take its place; name another folder")
    numbers = things_map(found)
    wide = int(numbers.max(initial=0)) > 255
    with replacing(mask) as temporary:
        Image.fromarray(numbers.astype("uint16" if wide else "uint8")).save(temporary, format="PNG")
    content: Any
    if found.things is not None:
        content = found.things.to_coco(path.stem, segmenter.classes)
    else:
        shares = found.shares(len(segmenter.classes) + 1)
        content = {
            "file": str(path),
            "size": list(found.class_map.shape),
            "mask": mask.name,
            "classes": {
                name: {"number": number, "share": round(shares[number], 6)}
                for number, name in enumerate(segmenter.classes, 1)
            },
            "confidence": round(found.confidence, 4),
        }
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")
    image = shown(read_picture(path, mode="RGB"))
    title = answer_of(found, segmenter)["prediction"][0]
    if found.things is None:
        class_map_picture(image, found.class_map.numpy(), segmenter.classes, drawn, title=title)
        return
    things = found.things
    assert things.masks is not None
    marked = DrawnThings(things.boxes.numpy(), things.labels.numpy(), (), things.masks.stack().numpy())
    found_things_picture(image, marked, segmenter.classes, drawn, title=title)


def shown(image: Any) -> npt.NDArray[Any]:
    """Return a picture [I, H, W] as it is drawn: [H, W, 3], or [H, W] of one channel."""
    array: npt.NDArray[Any] = image[0].numpy() if len(image) == 1 else image[:3].permute(1, 2, 0).numpy()
    return array


def write_tables(folder: Path, judged: Mapping[str, Judged]) -> None:
    """Write ``predictions.csv``, a row a picture, and ``classes.csv``, a row a class.

    Args:
        folder: the run folder.
        judged: what was found, by the name of the test.
    """
    from rnnkit.recipes.recognition import write_rows

    rows = []
    for name, one in judged.items():
        for picture, found, score in zip(one.items.names, one.found, one.scores.each, strict=True):
            shares = found.shares(len(one.items.classes) + 1)[1:]
            count = "" if found.things is None else len(found.things)
            rows.append((name, picture, score, count, *(round(share, 6) for share in shares)))
    if rows:
        classes = next(iter(judged.values())).items.classes
        quality = "mean_iou" if next(iter(judged.values())).scores.bowl is None else "bowl_map"
        write_rows(
            ("test", "picture", quality, "things", *(f"share_{one}" for one in classes)), rows, folder / PREDICTIONS
        )
        write_rows(*class_rows(judged), folder / CLASSES)


def class_rows(judged: Mapping[str, Judged]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the names of columns, and a row for each class of each test."""
    rows: list[tuple[Any, ...]] = []
    things = any(one.scores.coco is not None for one in judged.values())
    for name, one in judged.items():
        pixels = one.scores.pixels
        counts = pixels.counts.sum(1).tolist()
        for number, title in enumerate(("background", *pixels.classes)):
            row = [name, title, counts[number], *(_rounded(part[number]) for part in (pixels.iou, pixels.dice))]
            if things:
                coco = None if one.scores.coco is None or not number else one.scores.coco.classes[number - 1]
                row += ["", "", ""] if coco is None else [coco.count, _rounded(coco.ap50), _rounded(coco.ap)]
            rows.append(tuple(row))
    names = ("test", "class", "pixels", "iou", "dice")
    return (*names, "things", "coco_ap50", "coco_ap") if things else names, rows


def _rounded(value: float) -> Any:
    return "" if value != value else round(value, 4)


def _array(values: list[int]) -> npt.NDArray[Any]:
    import numpy

    return numpy.array(values)
