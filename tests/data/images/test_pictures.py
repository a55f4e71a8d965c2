"""Pictures with labels and texts in every layout, and what is told about their files."""

import zipfile

import pytest
import torch
from data.images.drawing import picture, write

from rnnkit.data.images import Picture, PictureSet, read_pictures
from rnnkit.errors import ConfigError, DataError


def known(pictures):
    return [(one.id, one.text, one.label, one.group, one.part) for one in pictures]


def test_a_folder_a_class(folder):
    for name in ("dog/b.png", "dog/a10.png", "dog/a9.jpg", "cat/c.png", ".hidden/x.png", "__MACOSX/cat/y.png"):
        picture(folder / name)
    pictures = read_pictures(folder)
    assert pictures.layout == "labels"
    assert [one.id for one in pictures] == ["cat/c", "dog/a9", "dog/a10", "dog/b"]
    assert pictures.classes == ("cat", "dog")
    assert pictures.label_numbers == (0, 1, 1, 1)
    assert pictures.findings == ()
    assert pictures.sample(0).label == 0


def test_folders_of_parts_with_folders_of_classes(folder):
    for name in ("train/dog/1.png", "train/cat/1.png", "val/dog/1.png", "test/cat/2.png"):
        picture(folder / name)
    pictures = read_pictures(folder)
    assert pictures.layout == "labels"
    assert pictures.classes == ("cat", "dog")
    assert pictures.parts == ("test", "train", "validation")
    assert len(pictures.part("train")) == 2
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        pictures.part("trian")


def test_texts_beside(folder):
    for name in ("a", "b", "c"):
        picture(folder / f"{name}.png")
    write(folder / "a.txt", "Hello there\n")
    write(folder / "b.gt.txt", "早上好")
    write(folder / "c.txt", "")
    pictures = read_pictures(folder)
    assert pictures.layout == "texts"
    assert [one.text for one in pictures] == ["Hello there", "早上好", ""]
    assert pictures.findings == ("1 of 3 pictures has an empty text: c.",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", "file_name,text\na.png,Hello\nimages/b.png,早上好\n"),
        ("words.tsv", "image\ttranscription\na\tHello\nb\t早上好\n"),
        ("words.jsonl", '{"path": "a.png", "text": "Hello"}\n{"path": "b.png", "text": "早上好"}\n'),
        ("words.csv", "a.png;Hello\nimages\\b.png;早上好\n"),
    ],
)
def test_a_table_of_texts(folder, name, content):
    picture(folder / "a.png")
    picture(folder / "images/b.png")
    write(folder / name, content)
    for path in (folder, folder / name):
        pictures = read_pictures(path)
        assert pictures.layout == "table"
        assert [one.text for one in pictures] == ["Hello", "早上好"]
        assert pictures.image(1, mode="L").shape == (1, 30, 40)


def test_a_table_of_labels_groups_and_parts(folder):
    for name in "abc":
        picture(folder / f"{name}.png")
    write(folder / "t.csv", "id,diagnosis,patient_id,split\na,1,p1,train\nb,0,p1,train\nc,1,p2,test\n")
    pictures = read_pictures(folder, label_column="diagnosis")
    assert known(pictures) == [
        ("a", None, "1", "p1", "train"),
        ("b", None, "0", "p1", "train"),
        ("c", None, "1", "p2", "test"),
    ]
    assert pictures.findings == (
        "t.csv: the column 'id' holds the path, by its name. Name another one if that is wrong.",
    )
    with pytest.raises(DataError, match=r"no column 'lable'; known"):
        read_pictures(folder, label_column="lable")
    with pytest.raises(ConfigError, match="text_column arrived, but .* has no table"):
        read_pictures(folder / "a.png", text_column="x")
    write(folder / "t.csv", "q,b\n1,2\n")
    with pytest.raises(DataError, match="which column holds the path"):
        read_pictures(folder / "t.csv")


def test_groups_by_a_pattern(folder):
    for name in ("p1_a", "p1_b", "p2_a"):
        picture(folder / f"{name}.png")
    pictures = read_pictures(folder, group=r"^(p\d)")
    assert [one.group for one in pictures] == ["p1", "p1", "p2"]
    assert pictures.groups == ("p1", "p2")
    for pattern, problem in {"(p": "regular expression", "p": r"such as \(p\)", "(z)": "no id has it"}.items():
        with pytest.raises(ConfigError, match=problem):
            read_pictures(folder, group=pattern)


def test_one_picture_and_an_archive(folder, tmp_path):
    picture(folder / "cat/a.png")
    picture(folder / "dog/a.png")
    assert read_pictures(folder / "cat/a.png").layout == "plain"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("cat/a.png", "dog/a.png"):
            archive.write(folder / name, f"set/{name}")
    assert read_pictures(tmp_path / "set.zip").classes == ("cat", "dog")
    (tmp_path / "around").mkdir()
    (tmp_path / "set.zip").rename(tmp_path / "around/set.zip")
    assert read_pictures(tmp_path / "around").classes == ("cat", "dog")
    write(tmp_path / "around/other.zip", "")
    with pytest.raises(DataError, match=r"holds 2 archives: other.zip, set.zip; name one of them"):
        read_pictures(tmp_path / "around")


def test_bad_files_are_left_out_and_named(folder):
    for name in ("good", "cut", "gray", "torn"):
        picture(folder / f"{name}.png", mode="L" if name == "gray" else "RGB")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:-200])
    middle = len(whole) // 2
    (folder / "torn.png").write_bytes(whole[:middle] + bytes(20) + whole[middle + 20 :])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    pictures = read_pictures(folder)
    assert [one.id for one in pictures] == ["good", "gray"] or [one.id for one in pictures] == ["gray", "good"]
    told = " ".join(pictures.findings)
    assert "2 of 6 pictures are truncated or damaged, and are left out: cut.png, torn.png." in told
    assert "2 of 6 pictures cannot be read, and are left out: empty.png (the file is empty" in told
    assert "different modes" in told
    for name in ("good", "gray", "cut", "torn"):
        (folder / f"{name}.png").unlink()
    with pytest.raises(DataError, match="no picture that can be read.*file is empty"):
        read_pictures(folder)


def test_files_of_one_name_are_named_with_their_folders(folder):
    for name in ("cat/1", "dog/1"):
        picture(folder / f"{name}.png")
    (folder / "cat/2.png").write_bytes(b"")
    (folder / "dog/2.png").write_bytes(b"")
    [told] = read_pictures(folder).findings
    assert "cat/2.png (the file is empty" in told
    assert "dog/2.png (the file is empty" in told


def test_nothing_to_read(folder):
    with pytest.raises(DataError, match="holds no pictures"):
        read_pictures(folder)
    with pytest.raises(DataError, match="no such file"):
        read_pictures(folder / "none")
    picture(folder / "a.png")
    for layout in ("labels", "masks", "coco", "voc", "yolo", "table", "texts"):
        with pytest.raises(DataError, match="holds no"):
            read_pictures(folder, layout=layout)
    with pytest.raises(ConfigError, match=r"expected a list of names: \['cat'\]"):
        read_pictures(folder, classes="cat")
    with pytest.raises(ConfigError, match="one name, or four"):
        read_pictures(folder, box_column=("a", "b"))
    with pytest.raises(ConfigError, match="did you mean 'labels'"):
        read_pictures(folder, layout="label")


def test_classes_that_are_given(folder):
    for name in ("cat/1.png", "dog/1.png"):
        picture(folder / name)
    assert read_pictures(folder, classes=["dog", "cat", "cow"]).label_numbers == (1, 0)
    with pytest.raises(DataError, match="'dog'") as caught:
        read_pictures(folder, classes=["cat"])
    assert len(read_pictures(folder, **caught.value.remedies[0].arguments)) == 2


def test_the_fingerprint_and_the_shares(folder):
    for number in range(5):
        picture(folder / f"{number}.png")
    pictures = read_pictures(folder)
    first = pictures.fingerprint()
    assert read_pictures(folder).fingerprint() == first
    assert pictures.subset([0, 1]).fingerprint() != first
    picture(folder / "4.png", seed=77)
    assert read_pictures(folder).fingerprint() != first
    shares = [pictures.shard(rank, 2) for rank in range(2)]
    assert [[one.id for one in share] for share in shares] == [["0", "2"], ["1", "3"]]
    assert len(pictures.shard(0, 2, even=False)) == 3


def test_the_cache_gives_the_same_pixels(folder):
    file = picture(folder / "a.png")
    pictures = read_pictures(folder)
    cached = pictures.cached(1)
    assert torch.equal(cached.image(0), pictures.image(0))
    file.unlink()
    assert cached.image(0).shape == (3, 30, 40)
    with pytest.raises(DataError, match="no such file"):
        pictures.image(0)


def test_what_a_set_says():
    pictures = PictureSet((Picture("a", text="u", part="train"), Picture("b", text="v", part="train")))
    assert repr(pictures) == "PictureSet(2 pictures, 2 texts, train 2)"
    assert repr(pictures[:1]) == "PictureSet(1 pictures, 1 texts, train 1)"
