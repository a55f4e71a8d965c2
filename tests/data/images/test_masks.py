"""Masks in files, and boxes and masks for pictures of other sizes or that EXIF turns."""

import numpy as np
import pytest
import torch
from data.images.drawing import boxes_of, coco, mask, picture, square, thing
from PIL import Image

from rnnkit.data.images import read_pictures
from rnnkit.data.images.masks import turn_boxes
from rnnkit.errors import DataError

# Masks in files


def test_a_mask_a_thing(folder):
    for name in "xy":
        picture(folder / f"{name}/images/{name}.png")
    mask(folder / "x/masks/1.png", square(1, 2, 5, 9, 255))
    mask(folder / "x/masks/2.png", square(20, 2, 25, 9, 255))
    mask(folder / "x/masks/3.png", square(0, 0, 0, 0))
    mask(folder / "y/masks/9.png", square(3, 3, 9, 9, 255))
    mask(folder / "y/masks/8.png", square(8, 8, 12, 12, 255))
    pictures = read_pictures(folder)
    assert pictures.layout == "masks"
    assert boxes_of(pictures) == [("object", [1, 2, 5, 9]), ("object", [20, 2, 25, 9])]
    assert not pictures.sample(0).masks.is_stack
    assert pictures.sample(1).masks.is_stack  # one pixel belongs to both
    assert pictures.findings == ("1 of 5 masks is empty, and is left out: 3.png.",)


def test_one_mask_with_numbers_of_things(folder):
    for number in range(3):
        picture(folder / f"images/{number}.png")
        values = sum(square(6 * one, 0, 6 * one + 4, 4, one + 1) for one in range(2 * number + 2))
        mask(folder / f"masks/{number}.png", values)
    pictures = read_pictures(folder)
    assert [len(one.boxes) for one in pictures] == [2, 4, 6]
    assert boxes_of(pictures)[1] == ("object", [6, 0, 10, 4])
    assert pictures.sample(1).masks.areas.tolist() == [16] * 4
    assert 'type mask_values="classes"' in pictures.findings[0]
    classes = read_pictures(folder, mask_values="classes")
    assert classes.classes == ("1", "2", "3", "4", "5", "6")
    assert classes[0].boxes is None


def test_one_mask_with_numbers_of_classes(folder):
    for name in "ab":
        picture(folder / f"{name}.png")
        values = square(0, 0, 10, 10, 1) + square(20, 0, 30, 10, 2)
        values[20:] = 255
        mask(folder / f"{name}_mask.png", values)
    pictures = read_pictures(folder, classes=["road", "sky"])
    assert pictures.classes == ("road", "sky")
    found = pictures.sample(0).class_map
    assert found[0, [0, 15, 25]].tolist() == [1, 0, 2]
    assert found[25, 0] == -100
    with pytest.raises(DataError, match=r"the masks hold 2 classes \(1, 2\).* names 1") as caught:
        read_pictures(folder, classes=["road"])
    assert caught.value.remedies[0].argument == "classes"
    things = read_pictures(folder, mask_values="instances")
    assert len(things[0].boxes) == 3


def test_black_and_white_and_coloured_masks(folder):
    picture(folder / "images/a.png")
    mask(folder / "labels/a.png", square(0, 0, 10, 10, 255))
    pictures = read_pictures(folder)
    assert pictures.classes == ("foreground",)
    assert pictures.sample(0).class_map.unique().tolist() == [0, 1]
    mask(folder / "labels/a.png", square(0, 0, 10, 10, 2))
    assert read_pictures(folder).classes == ("2",)  # it may be one of several classes


def test_each_colour_of_masks_is_a_class_blue_and_white_too(folder):
    for name in "ab":
        picture(folder / f"images/{name}.png")
    colour = np.zeros((30, 40, 3), np.uint8)
    colour[:5, :5], colour[10:, 10:], colour[:5, 10:] = (128, 0, 0), (0, 0, 255), 255
    mask(folder / "labels/a.png", colour)
    mask(folder / "labels/b.png", square(0, 0, 10, 10, 255))  # black and white alone
    pictures = read_pictures(folder)
    assert pictures.classes == ("#ffffff", "#0000ff", "#800000")
    assert pictures.sample(0).class_map[[0, 0, 20, 7], [0, 20, 20, 0]].tolist() == [3, 1, 2, 0]
    assert pictures.sample(1).class_map[[0, 20], [0, 20]].tolist() == [1, 0]
    [told] = [one for one in pictures.findings if "colours" in one]
    assert "each colour but black is taken for a class: #ffffff, #0000ff, #800000; type classes=" in told
    named = read_pictures(folder, classes=["road", "water", "house"])
    assert (named.classes, [one for one in named.findings if "colours" in one]) == (("road", "water", "house"), [])


def test_masks_of_other_sizes(folder):
    for name in "abcd":
        picture(folder / f"images/{name}.png")
        mask(folder / f"instances/{name}.png", square(0, 0, 20, 15))
    mask(folder / "instances/b.png", square(0, 0, 40, 30, width=80, height=60))
    mask(folder / "instances/c.png", square(0, 0, 9, 9, width=30, height=30))
    (folder / "instances/d.png").write_bytes(b"none")
    mask(folder / "instances/e.png", square(0, 0, 9, 9))
    pictures = read_pictures(folder)
    assert [None if one.boxes is None else one.boxes.xyxy.tolist() for one in pictures] == [
        [[0, 0, 20, 15]],
        [[0, 0, 20, 15]],
        None,
        None,
    ]
    told = " ".join(pictures.findings)
    assert "has a mask of another size, which is scaled: images/b (80 × 60, not 40 × 30)" in told
    assert "has a mask of another shape, and is left without annotation: images/c" in told
    assert "1 of 5 masks belongs to no picture, and is left out: e.png" in told
    assert "cannot be read" in told


# Sizes and orientation


def turned_picture(file, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([square(4, 2, 12, 7, 255)] * 3, 2)).save(file, exif=exif)


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_boxes_follow_the_size_that_the_annotation_tells(folder, orientation):
    turned_picture(folder / "a.png", orientation)
    box = turn_boxes(torch.tensor([[4.0, 2, 12, 7]]), orientation, 40, 30)[0]
    upright = [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]
    sides = (30, 40) if orientation >= 5 else (40, 30)
    polygon = [[box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]]
    shown = {"id": 1, "file_name": "a.png", "width": sides[0], "height": sides[1]}
    coco(folder, [thing(upright, [[float(one) for one in polygon[0]]])], [shown])
    cases = [read_pictures(folder)]
    if orientation >= 5:
        coco(folder, [thing([4, 2, 8, 5], [[4, 2, 12, 2, 12, 7, 4, 7]])])
        cases.append(read_pictures(folder))
        assert "they are turned with it" in " ".join(cases[1].findings)
    for pictures in cases:
        sample = pictures.sample(0)
        marked = sample.image[0] > 0.5
        assert torch.equal(sample.masks.stack()[0], marked)
        assert torch.equal(sample.boxes.xyxy[0], box)


def test_a_mask_of_the_stored_picture_is_turned_with_it(folder):
    turned_picture(folder / "images/a.png", 6)
    mask(folder / "instances/a.png", square(4, 2, 12, 7))
    sample = read_pictures(folder).sample(0)
    assert torch.equal(sample.masks.stack()[0], sample.image[0] > 0.5)
    assert sample.boxes.xyxy.tolist() == sample.masks.boxes().tolist()


def test_annotations_of_a_picture_of_another_size(folder):
    for name in "ab":
        picture(folder / f"{name}.png")
    images = [
        {"id": 1, "file_name": "a.png", "width": 80, "height": 60},
        {"id": 2, "file_name": "b.png", "width": 99, "height": 30},
    ]
    drawn = [[20, 20, 40, 20, 40, 40, 20, 40]]
    coco(folder, [thing([20, 20, 20, 20], drawn), thing([20, 20, 80, 20], image=2)], images)
    pictures = read_pictures(folder)
    assert boxes_of(pictures) == [("cat", [10, 10, 20, 20])]
    assert pictures.sample(0).masks.boxes().tolist() == [[10, 10, 20, 20]]
    assert boxes_of(pictures, 1) == [("cat", [20, 20, 40, 30])]
    told = " ".join(pictures.findings)
    assert "another size than its annotation says, which is scaled: a (80 × 60, not 40 × 30)" in told
    assert "another shape than its annotation says, which is taken as it is: b" in told
    assert "1 of 2 boxes reaches out of its picture, and is cut at the edge: b." in told


def test_faulty_boxes_are_counted_in_a_line_each(folder):
    picture(folder / "a.png")
    boxes = [[9, 2, -8, 6], [2, 2, 90, 5], [4, 4, 0, 5], [1, 2, 8, 6], [50, 1, 10, 8]]
    coco(folder, [thing(box) for box in boxes])
    pictures = read_pictures(folder)
    assert boxes_of(pictures) == [("cat", [1, 2, 9, 8]), ("cat", [2, 2, 40, 7])]
    assert pictures.findings == (
        "1 of 5 boxes has its sides exchanged, and is put right: a.",
        "1 of 5 boxes lies outside of its picture, and is left out: a.",
        "1 of 5 boxes reaches out of its picture, and is cut at the edge: a.",
        "1 of 5 boxes has no width or height, and is left out: a.",
        "1 of 5 boxes is there twice, and is kept once: a.",
    )


def test_the_fingerprint_follows_boxes_and_masks(folder):
    picture(folder / "a.png")
    found = set()
    for box, polygon in (([1, 2, 3, 4], None), ([1, 2, 3, 5], None), ([1, 2, 3, 4], [[0, 0, 9, 0, 9, 9]])):
        coco(folder, [thing(box, polygon)])
        found.add(read_pictures(folder).fingerprint())
    assert len(found) == 3
