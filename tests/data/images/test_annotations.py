"""Boxes and outlines in COCO's, Pascal VOC's and YOLO's form and in tables."""

import json

import pytest
import torch
from data.images.drawing import boxes_of, coco, packed, picture, square, thing, write

from rnnkit.data.images import read_pictures
from rnnkit.data.images.outlines import runs_of
from rnnkit.data.images.yolo import yaml_names
from rnnkit.errors import DataError

# COCO


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
    assert "Annotations belonging to no picture of the file, which are left out: 1 in " in pictures.findings[0]


def test_pictures_that_coco_does_not_list_are_told(folder):
    for name in ("a.png", "b.png", "more/c.png"):
        picture(folder / f"images/{name}")
    coco(folder, [thing([1, 2, 3, 4])])
    pictures = read_pictures(folder)
    assert len(pictures) == 1
    said = "2 of 3 pictures are not listed in annotations.json, and are left out: b.png, c.png."
    assert pictures.findings == (said,)


def test_categories_of_coco_without_names_are_told(folder):
    picture(folder / "a.png")
    coco(folder, [thing([1, 2, 3, 4], category=99), thing([5, 2, 3, 4], category=98)])
    file = folder / "annotations.json"
    content = json.loads(file.read_text())
    content["categories"] = [{"id": 98, "name": " "}, {"id": 1, "name": "cat"}]
    file.write_text(json.dumps(content))
    pictures = read_pictures(folder)
    assert pictures.classes == ("cat", "98", "99")
    assert pictures.findings == ("Categories without a name, which are called by their numbers: 99.",)


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


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", "{"), ("a.csv", "bild,links\na.png,1\n"), ("a.csv", ""), ("labels/a.txt", "cat 0.5 0.5 0.1 0.1")],
)
def test_what_describes_pictures_in_no_known_form_is_told(folder, name, content):
    picture(folder / "a.png")
    write(folder / name, content)
    pictures = read_pictures(folder)
    assert (pictures.layout, pictures[0].boxes) == ("plain", None)
    told = pictures.findings[0]
    assert f" {name} " in told
    assert " has no form that was recognised; type layout=" in told


def test_a_table_is_found_where_the_first_pictures_are_lost(folder):
    picture(folder / "b.png")
    write(folder / "t.csv", "file,xmin,ymin,xmax,ymax\na.png,1,2,3,4\nb.png,5,6,9,9\n")
    pictures = read_pictures(folder)
    assert (pictures.layout, len(pictures)) == ("table", 1)
    assert "a.png (there is no such file)" in pictures.findings[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("file,text\nb.png,你好\n".encode("gb18030"), "byte 0xc4 is not UTF-8"),
        (b"file,text\nb.png,yes\n", "there is no file 'b.png'"),
        (b"file,size\na.png,4\n", "it has no column of boxes, labels or texts; the columns are 'file', 'size'"),
        (b"file,xmin,ymin,breit,hoch\na.png,1,2,3,4\n", "it has no column of boxes"),
        (b"file,xmin,ymin,breit,ymax\na.png,1,2,3,4\n", "which columns hold the edges of a box"),
    ],
)
def test_why_a_table_is_not_read_is_told(folder, content, why):
    picture(folder / "a.png")
    (folder / "t.csv").write_bytes(content)
    [told] = read_pictures(folder).findings
    assert f"t.csv ({why}" in told
    assert told.endswith('type layout="table" to be told what is wrong.')


def test_a_table_that_is_not_utf_8_is_to_be_saved_so(folder):
    picture(folder / "a.png")
    (folder / "t.csv").write_bytes("file,text\na.png,你好\n".encode("gb18030"))
    with pytest.raises(DataError, match=r"t\.csv:2: byte 0xc4 is not UTF-8; save the table as UTF-8"):
        read_pictures(folder, layout="table")


def test_a_damaged_line_of_the_first_label_file_is_named(folder):
    for name in "abc":
        picture(folder / f"images/{name}.png")
        write(folder / f"labels/{name}.txt", "0 0.5 0.5 0.2" if name == "a" else "0 0.5 0.5 0.2 0.2")
    with pytest.raises(DataError, match=r"a\.txt:1: '0 0.5 0.5 0.2' arrived"):
        read_pictures(folder)


def test_pixels_are_no_shares(folder):
    picture(folder / "images/a.png")
    write(folder / "labels/a.txt", "0 20 15 10 10\n")
    with pytest.raises(DataError, match="expected shares"):
        read_pictures(folder)
