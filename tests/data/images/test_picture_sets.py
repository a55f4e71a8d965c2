"""Parts of sets of pictures, and what is told about doubtful pictures and labels."""

import numpy as np
import pytest
from data.images.drawing import picture, write
from PIL import Image

from rnnkit.data.images import (
    Boxes,
    Picture,
    PictureSet,
    picture_findings,
    read_pictures,
    read_split,
    split_pictures,
    write_split,
)
from rnnkit.errors import ConfigError, DataError, Remedy


def made(count=20, **known):
    return PictureSet(
        tuple(Picture(f"{n}.png", id=f"{n}", **{k: v(n) for k, v in known.items()}) for n in range(count))
    )


def ids(part):
    return {picture.id for picture in part}


def test_labels_are_shared_evenly():
    train, test = split_pictures(made(label=lambda n: "ab"[n % 2]), (0.7, 0.3), seed=3)
    assert [sum(one.label == "a" for one in part) for part in (train, test)] == [7, 3]
    assert ids(train) | ids(test) == ids(made())
    assert not ids(train) & ids(test)


def test_groups_stay_together():
    pictures = made(group=lambda n: f"p{n // 4}")
    for seed in range(3):
        parts = split_pictures(pictures, (0.6, 0.2, 0.2), by="group", seed=seed)
        assert [len(part) for part in parts] == [12, 4, 4]
        assert sum(len(part.groups) for part in parts) == 5
    with pytest.raises(DataError, match="1 group arrived; expected at least 2"):
        split_pictures(made(group=lambda n: "one"), by="group")
    with pytest.raises(DataError, match="20 of 20 pictures have no group") as caught:
        split_pictures(made(), by="group")
    remedy = next(one for one in caught.value.remedies if isinstance(one, Remedy))
    assert len(split_pictures(made(), **remedy.arguments)) == 2


def test_a_part_by_hash_is_stable():
    few, many = made(100), made(200)
    before, after = (split_pictures(one, (0.8, 0.2), by="hash") for one in (few, many))
    assert ids(before[0]) <= ids(after[0])
    assert ids(before[1]) <= ids(after[1])
    assert abs(len(after[0]) / 200 - 0.8) < 0.1
    assert ids(split_pictures(few, (0.8, 0.2), by="hash", seed=1)[1]) != ids(before[1])
    backwards = few.subset(range(99, -1, -1))
    assert ids(split_pictures(backwards, (0.8, 0.2), by="hash")[1]) == ids(before[1])
    grouped = split_pictures(made(100, group=lambda n: f"{n // 5}"), (0.5, 0.5), by="hash")
    assert not set(grouped[0].groups) & set(grouped[1].groups)
    with pytest.raises(DataError, match="leaves a part empty"):
        split_pictures(made(1), (0.5, 0.5), by="hash")
    with pytest.raises(ConfigError, match="whose sum is 1"):
        split_pictures(few, (0.8, 0.1), by="hash")


def test_a_split_is_recorded(tmp_path):
    pictures = made()
    train, test = split_pictures(pictures, seed=5)
    write_split(tmp_path / "split.json", {"train": train, "test": test})
    parts = read_split(tmp_path / "split.json", pictures.subset(range(19, -1, -1)))
    assert [one.id for one in parts["train"]] == [one.id for one in train]
    assert [one.id for one in parts["test"]] == [one.id for one in test]
    with pytest.raises(DataError, match="are not in the set"):
        read_split(tmp_path / "split.json", pictures[:5])
    with pytest.raises(DataError, match="is in the parts 'a' and 'b'"):
        write_split(tmp_path / "x.json", {"a": train, "b": train})
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DataError, match="a list of ids for each part"):
        read_split(tmp_path / "x.json", pictures)
    (tmp_path / "x.json").write_text("[")
    with pytest.raises(DataError, match="is no JSON"):
        read_split(tmp_path / "x.json", pictures)
    with pytest.raises(DataError, match="no such file"):
        read_split(tmp_path / "none.json", pictures)


def test_doubled_pictures_and_leaks(tmp_path):
    for name in ("train/cat/a", "train/cat/b", "test/cat/c", "train/dog/d", "test/dog/e"):
        picture(tmp_path / f"{name}.png")
    picture(tmp_path / "test/cat/again.png", seed=sum(map(ord, "a.png")))
    picture(tmp_path / "train/dog/other.png", seed=sum(map(ord, "b.png")))
    said = picture_findings(read_pictures(tmp_path))
    assert said[0] == (
        "4 pictures are the same as another one: test/cat/again = train/cat/a, train/cat/b = train/dog/other. "
        "Keep them in one part of a split."
    )
    assert said[1] == (
        "1 such picture is in different parts, so a test knows what was trained on: test/cat/again = train/cat/a."
    )
    assert said[2] == "1 such picture has different labels: train/cat/b = train/dog/other."
    pictures = read_pictures(tmp_path / "train")
    assert not any("nearly" in one for one in said)
    parts = pictures.subset(lambda one: one.label == "cat"), pictures.subset(lambda one: one.label == "dog")
    assert any("in different parts" in one for one in picture_findings(*parts))


def test_nearly_the_same_pictures(tmp_path):
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).resize((80, 60), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.png")
    smooth.save(tmp_path / "b.jpg", quality=60)
    smooth.resize((40, 30)).point(lambda one: min(one + 20, 255)).save(tmp_path / "c.png")
    smooth.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "d.png")
    Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / "e.png")
    Image.new("RGB", (20, 20), (99, 9, 9)).save(tmp_path / "f.png")
    said = picture_findings(read_pictures(tmp_path))
    assert said == [
        "2 of 6 pictures show one colour alone: e, f.",
        "3 pictures are nearly the same as another one: a = b = c. Keep them in one part of a split.",
    ]


def test_damaged_and_dark_pictures(tmp_path):
    Image.fromarray(np.arange(100, dtype=np.uint16).reshape(10, 10) * 40).save(tmp_path / "dark.png")
    picture(tmp_path / "gone.png")
    pictures = read_pictures(tmp_path)
    (tmp_path / "gone.png").unlink()
    said = picture_findings(pictures)
    assert said[0].startswith(
        "1 of 2 pictures has more than 8 bits and uses the lowest tenth of its values; multiply them first, or type "
    )
    assert "1 of 2 pictures cannot be read: gone (there is no such file)." in said


def test_doubtful_boxes(tmp_path):
    images, annotations = [], []
    for number in range(6):
        picture(tmp_path / f"{number}.png", 100, 100)
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 100})
        lefts = range(0 if number == 5 else 4)
        annotations += [{"image_id": number, "category_id": 1, "bbox": [10 * left, 0, 9, 9]} for left in lefts]
    annotations[0]["bbox"] = [50, 50, 2, 20]
    annotations[1]["category_id"] = 2
    categories = [{"id": 1, "name": "Cell"}, {"id": 2, "name": "cell "}, {"id": 3, "name": "none"}]
    write(tmp_path / "coco.json", {"images": images, "annotations": annotations, "categories": categories})
    said = picture_findings(read_pictures(tmp_path))
    assert said == [
        "2 of 3 classes have fewer than 10 examples: cell  (1), none (0).",
        "Some names of classes differ by small and capital letters, spaces or marks alone: Cell = cell . "
        "Are they the same?",
        "1 of 6 pictures has no boxes: 5, while others have 4 in the middle. Were they looked at?",
        "1 of 20 boxes has a side below 4 pixels: 0.",
    ]


def test_pictures_without_annotation_beside_annotated_ones():
    known = Boxes.of([[0, 0, 9, 9]] * 3)
    pictures = PictureSet((Picture("a", boxes=known, id="a"), Picture("b", id="b")), ("thing",))
    assert "1 of 2 pictures has no annotation, while others have boxes: b." in picture_findings(pictures, most=0)


def test_nothing_to_say(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png", seed=number)
    assert picture_findings(read_pictures(tmp_path)) == []
    assert picture_findings(PictureSet(())) == []
