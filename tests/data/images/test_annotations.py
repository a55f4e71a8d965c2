"""Boxes and masks in every layout, and what becomes of those that are faulty."""

import numpy as np
import pytest
import torch
from data.images.drawing import picture, write
from PIL import Image

from rnnkit.data.images import Boxes, Masks, mend_boxes, read_pictures
from rnnkit.data.images.masks import fill_outlines, turn_boxes, turn_upright
from rnnkit.data.images.outlines import Runs, fill_polygon, fill_runs, read_runs, runs_of
from rnnkit.data.images.yolo import yaml_names
from rnnkit.errors import DataError, ShapeError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def boxes_of(pictures, index=0):
    boxes = pictures[index].boxes
    return (
        None
        if boxes is None
        else [
            (pictures.classes[label], corners)
            for label, corners in zip(boxes.labels.tolist(), boxes.xyxy.tolist(), strict=True)
        ]
    )


def mask(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def square(left, top, right, bottom, value=1, width=40, height=30):
    values = np.zeros((height, width), np.uint8)
    values[top:bottom, left:right] = value
    return values


# Boxes and outlines


def test_boxes_have_one_form():
    with pytest.raises(ShapeError, match=r"xyxy has shape \[2, 3\]"):
        Boxes(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2))
    with pytest.raises(ShapeError, match=r"labels has shape \[1\].*\[2\], one a box"):
        Boxes.of([[0, 0, 1, 1]] * 2, [0])
    empty = Boxes.of([])
    assert (len(empty), empty.areas.tolist(), len(empty.select([]))) == (0, [], 0)
    assert mend_boxes(empty, 5, 5)[0].xyxy.shape == (0, 4)


def test_a_box_that_is_no_number_is_left_out():
    written = Boxes.of([[float("nan"), 0, 1, 1], [0, 0, 1, 1], [0, 0, float("inf"), 1]])
    boxes, kept, faults = mend_boxes(written, 5, 5)
    assert (boxes.xyxy.tolist(), kept.tolist(), dict(faults)) == ([[0, 0, 1, 1]], [1], {"no numbers": 2})


def test_a_pixel_behind_the_edge_is_cut_without_a_word():
    boxes, _, faults = mend_boxes(Boxes.of([[-1, -0.5, 6, 6]]), 5, 5)
    assert (boxes.xyxy.tolist(), dict(faults)) == ([[0, 0, 5, 5]], {})


def test_boxes_of_unlike_classes_at_one_place_stay():
    boxes, _, faults = mend_boxes(Boxes.of([[0, 0, 4, 4]] * 3, [0, 1, 0]), 5, 5)
    assert (boxes.labels.tolist(), dict(faults)) == ([0, 1], {"doubled": 1})


def test_polygons_fill_the_pixels_whose_centres_they_hold():
    triangle = fill_polygon(np.array([[0, 0], [4, 0], [0, 4]], float), 4, 4)
    assert triangle.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    # Two halves of a square share no pixel, and leave none out.
    other = fill_polygon(np.array([[4, 0], [4, 4], [0, 4]], float), 4, 4)
    assert (triangle ^ other).all()
    outside = fill_polygon(np.array([[-9, -9], [90, -9], [90, 90], [-9, 90]], float), 4, 4)
    assert outside.all()
    crossed = fill_polygon(np.array([[0, 0], [4, 4], [4, 0], [0, 4]], float), 4, 4)  # a bow tie
    assert crossed.sum() == 6 or crossed.sum() == 8


def test_a_round_polygon_has_its_area():
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], 1)
    assert abs(fill_polygon(circle, 100, 100).sum() / (np.pi * 900) - 1) < 0.01


def packed(counts):
    """COCO's text of counts, written by its description."""
    text = ""
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            text += chr(bits + (32 if more else 0) + 48)
    return text


def test_runs_there_and_back():
    random = np.random.default_rng(0)
    for shape in ((1, 1), (7, 5), (40, 60)):
        for share in (0, 0.03, 0.5, 1):
            drawn = random.random(shape) < share
            runs = runs_of(drawn)
            assert np.array_equal(fill_runs(runs), drawn)
            counts = runs.counts.tolist()
            for written in (counts, packed(counts), packed(counts).encode()):
                assert read_runs(written, shape).counts.tolist() == counts


def test_a_text_of_runs_that_another_tool_wrote():
    # The mask of 2 × 3 pixels with one pixel in the first row, second column.
    assert fill_runs(read_runs("213", [2, 3])).astype(int).tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("written", ["\x01", "o", [1, -1], [5], None, "ab"])
def test_damaged_runs(written):
    with pytest.raises(DataError, match="runs of"):
        read_runs(written, [2, 3])


def test_masks_that_overlap_are_a_stack():
    one, two = square(0, 0, 3, 3, width=6, height=4), square(2, 2, 6, 4, width=6, height=4)
    masks = Masks.of_stack(torch.from_numpy(np.stack([one, two]).astype(bool)))
    assert masks.is_stack
    assert masks.areas.tolist() == [9, 8]
    assert masks.boxes().tolist() == [[0, 0, 3, 3], [2, 2, 6, 4]]
    assert int(masks.map()[2, 2]) == 2  # the smaller one is seen
    alone = masks.select([1])
    assert not alone.is_stack
    assert alone.boxes().tolist() == [[2, 2, 6, 4]]
    assert torch.equal(alone.stack()[0], torch.from_numpy(two.astype(bool)))
    nothing = Masks.of_stack(torch.zeros(0, 4, 6, dtype=torch.bool))
    assert (len(nothing), nothing.values.shape, nothing.boxes().shape) == (0, (4, 6), (0, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation):
    drawn = square(1, 2, 4, 7, width=12, height=9)
    turned = turn_upright(drawn, orientation)
    found = Masks(torch.from_numpy(turned.astype(np.int32)), 1).boxes()
    assert torch.equal(turn_boxes(torch.tensor([[1.0, 2.0, 4.0, 7.0]]), orientation, 12, 9), found)


# COCO


def coco(folder, annotations, images=None, name="annotations.json", **more):
    images = images or [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    write(folder / name, {"images": images, "annotations": annotations, "categories": categories, **more})


def thing(box=None, segmentation=None, image=1, category=3, **more):
    found = {"image_id": image, "category_id": category, **more}
    found |= {} if box is None else {"bbox": box}
    return found | ({} if segmentation is None else {"segmentation": segmentation})


def test_coco(folder):
    picture(folder / "images/a.png")
    runs = runs_of(square(30, 20, 40, 30).astype(bool)).counts.tolist()
    annotations = [
        thing([1, 2, 10, 5], [[1, 2, 11, 2, 11, 7, 1, 7]], category=7),
        thing(None, [[20, 2, 25, 2, 25, 7, 20, 7], [28, 2, 30, 2, 30, 7, 28, 7]]),
        thing([30, 20, 10, 10], {"counts": runs, "size": [30, 40]}, iscrowd=1),
        thing(None, {"counts": packed(runs), "size": [30, 40]}, category=7),
        thing([0, 0, 5, 5], image=9),
    ]
    coco(folder, annotations)
    for path in (folder, folder / "annotations.json"):
        pictures = read_pictures(path)
        assert pictures.layout == "coco"
        assert pictures.classes == ("cat", "dog")
        assert boxes_of(pictures) == [
            ("dog", [1, 2, 11, 7]),
            ("cat", [20, 2, 30, 7]),
            ("cat", [30, 20, 40, 30]),
            ("dog", [30, 20, 40, 30]),
        ]
        assert pictures[0].boxes.crowd.tolist() == [False, False, True, False]
        masks = pictures.sample(0).masks
        assert masks.areas.tolist() == [50, 35, 100, 100]
        assert masks.is_stack
    assert "1 annotations belong to no picture" in pictures.findings[0]


def test_coco_with_parts_and_a_file_a_part(folder):
    for name in ("train2017/a.png", "val2017/a.png", "val2017/b.png"):
        picture(folder / name)
    images = [{"id": 1, "file_name": "a.png"}]
    coco(folder, [thing([0, 0, 5, 5])], images, "annotations/instances_train2017.json")
    coco(folder, [], [*images, {"id": 2, "file_name": "b.png"}], "annotations/instances_val2017.json")
    write(folder / "annotations/captions_val2017.json", {"images": images, "annotations": [{"caption": "A dog."}]})
    pictures = read_pictures(folder)
    assert [(one.id, one.part, len(one.boxes)) for one in pictures] == [
        ("train2017/a", "train", 1),
        ("val2017/a", "validation", 0),
        ("val2017/b", "validation", 0),
    ]


def test_damaged_coco(folder):
    picture(folder / "a.png")
    coco(folder, [thing([1, 2, 3])])
    with pytest.raises(DataError, match=r"annotations.json: annotations\[0\]: bbox \[1, 2, 3\] arrived"):
        read_pictures(folder)
    coco(folder, [thing(None, {"counts": [3], "size": [2, 2]})])
    with pytest.raises(DataError, match=r"annotations\[0\]: runs of 3 pixels"):
        read_pictures(folder)
    coco(folder, [thing([1, 1, 5, 5], image={}), thing([1, 1, 5, 5], category=[3])])
    assert boxes_of(read_pictures(folder)) == [("[3]", [1, 1, 6, 6])]
    write(folder / "annotations.json", '{"images": [{"file_name"')
    with pytest.raises(DataError, match="no whole JSON"):
        read_pictures(folder)


# Pascal VOC


def voc(things, size=(40, 30), filename="a.png", database=""):
    written = "".join(
        f"<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box, hard in things
    )
    told = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    source = f"<source><database>{database}</database></source>"
    return f"<annotation><filename>{filename}</filename>{source}{told}{written}</annotation>"


def test_voc(folder):
    for name in "abc":
        picture(folder / f"JPEGImages/{name}.png")
    write(folder / "Annotations/a.xml", voc([("dog", (1, 2, 11, 7), 0), ("cat", (3, 3, 9, 9), 1)]))
    write(
        folder / "Annotations/b.xml", voc([("dog", (1, 1, 10, 10), 0)], filename="x", database="The VOC2007 Database")
    )
    for part, names in {"train": "a 1\n", "trainval": "a\nb\n", "test": "c\n"}.items():
        write(folder / f"ImageSets/Main/{part}.txt", names)
    pictures = read_pictures(folder)
    assert pictures.layout == "voc"
    assert boxes_of(pictures) == [("dog", [1, 2, 11, 7]), ("cat", [3, 3, 9, 9])]
    assert pictures[0].boxes.crowd.tolist() == [False, True]
    assert boxes_of(pictures, 1) == [("dog", [0, 0, 10, 10])]
    assert pictures[2].boxes is None
    assert [one.part for one in pictures] == ["train", "train", "test"]


def test_damaged_voc(folder):
    for name in "ab":
        picture(folder / f"{name}.png")
    write(folder / "a.xml", voc([("dog", (1, 2, "x", 7), 0), ("dog", (0, 0, 9, 9), 0)]))
    write(folder / "b.xml", "<annotation><object>")
    write(folder / "c.xml", voc([], filename="other.png"))
    pictures = read_pictures(folder)
    assert boxes_of(pictures) == [("dog", [0, 0, 9, 9])]
    told = " ".join(pictures.findings)
    assert "1 of 3 XML files is damaged, and is left out: b.xml (no element found" in told
    assert "1 of 3 XML files belongs to no picture, and is left out: c.xml." in told
    assert "1 of 2 boxes has a corner that is no number, and is left out: a." in told


# YOLO


def test_yolo(folder):
    for name in ("train/images/a", "train/images/b", "val/images/c"):
        picture(folder / f"{name}.png")
    write(folder / "data.yaml", "train: train/images\nnames: ['a cat', dog]\n")
    write(folder / "train/labels/a.txt", "1 0.5 0.5 0.5 0.2\n0 0.1 0.1 0.2 0.2 0.9\n")
    write(folder / "train/labels/b.txt", "")
    write(folder / "val/labels/z.txt", "0 0.5 0.5 0.1 0.1\n")
    pictures = read_pictures(folder)
    assert pictures.layout == "yolo"
    assert pictures.classes == ("a cat", "dog")
    torch.testing.assert_close(pictures[0].boxes.xyxy, torch.tensor([[10.0, 12, 30, 18], [0, 0, 8, 6]]))
    assert len(pictures[1].boxes) == 0
    assert pictures[2].boxes is None
    assert [one.part for one in pictures] == ["train", "train", "validation"]
    assert pictures.findings == ("1 of 3 label files belongs to no picture, and is left out: z.txt.",)


def test_yolo_polygons_beside_the_pictures(folder):
    picture(folder / "a.png")
    write(folder / "a.txt", "0 0.25 0.5 0.5 0.5 0.5 1 0.25 1\n")
    write(folder / "classes.txt", "leaf\n")
    sample = read_pictures(folder).sample(0)
    assert sample.boxes.xyxy.tolist() == [[10, 15, 20, 30]]
    assert torch.equal(sample.masks.stack()[0], torch.from_numpy(square(10, 15, 20, 30).astype(bool)))


def test_damaged_yolo(folder):
    picture(folder / "a.png")
    write(folder / "a.txt", "0 0.1 0.1 0.2 0.2\n0 0.1 0.1 0.2\n")
    with pytest.raises(DataError, match=r"a.txt:2: '0 0.1 0.1 0.2' arrived; expected a class and 4 numbers"):
        read_pictures(folder)
    write(folder / "a.txt", "3 0.1 0.1 0.2 0.2\n")
    assert read_pictures(folder).classes == ("3",)
    write(folder / "classes.txt", "leaf\n")
    with pytest.raises(DataError, match="a.txt:1: the class 3 has no name"):
        read_pictures(folder)


def test_names_in_yaml():
    assert yaml_names("names: [a,\n  b]\n") == {0: "a", 1: "b"}
    assert yaml_names("names: {0: a, 1: b}") == {0: "a", 1: "b"}
    assert yaml_names("nc: 3") == {}


# Tables


@pytest.mark.parametrize(
    "content",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,dog,1,2,11,7\na.png,40,30,cat,0,0,5,5\nb.png,40,30,,,,,\n",
        "image_id;label;x;y;w;h\na;dog;1;2;10;5\na;cat;0;0;5;5\nb;;;;;\n",
        'path,class,bbox\na.png,dog,"[1, 2, 10, 5]"\na.png,cat,"[0, 0, 5, 5]"\nb.png,,\n',
        "a.png,1,2,11,7,dog\na.png,0,0,5,5,cat\nb.png,,,,,\n",
    ],
)
def test_a_table_of_boxes(folder, content):
    for name in "ab":
        picture(folder / f"{name}.png")
    write(folder / "boxes.csv", content)
    pictures = read_pictures(folder)
    assert pictures.layout == "table"
    assert boxes_of(pictures) == [("dog", [1, 2, 11, 7]), ("cat", [0, 0, 5, 5])]
    assert boxes_of(pictures, 1) == []


def test_columns_of_boxes_that_are_named(folder):
    picture(folder / "a.png")
    write(folder / "t.csv", "file,l,t,r,b\na.png,1,2,11,7\n")
    assert read_pictures(folder).pictures[0].boxes is None
    pictures = read_pictures(folder, box_column=("l", "t", "r", "b"))
    assert boxes_of(pictures) == [("object", [1, 2, 11, 7])]
    write(folder / "t.csv", "file,bbox,label\na.png,1 2 10,u\n")
    with pytest.raises(DataError, match=r"t.csv:2: column bbox: .* expected \[left, top, width, height\]"):
        read_pictures(folder)
    write(folder / "t.csv", "file,xmin,ymin,xmax,ymax\na.png,1,u,3,4\n")
    with pytest.raises(DataError, match=r"column ymin: 'u' is no number of pixels"):
        read_pictures(folder)


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
    colour = np.zeros((30, 40, 3), np.uint8)
    colour[:5, :5], colour[10:, 10:] = (128, 0, 0), (0, 128, 0)
    mask(folder / "labels/a.png", colour)
    assert read_pictures(folder).classes == ("32768", "#800000")


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


def test_runs_of_the_wrong_size_are_scaled():
    assert fill_outlines([Runs(np.array([0, 4]), (2, 2))], 4, 4).all()
