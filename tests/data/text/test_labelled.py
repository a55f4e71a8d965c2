import json

import pytest

from rnnkit.data.text.labelled import check_known, labelled_parts, read_labelled_texts
from rnnkit.errors import DataError


def write(folder, name, content):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")
    return file


def read(path, **settings):
    return [(one.text, one.label) for one in read_labelled_texts(path, **settings)]


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("text,label\ngood,1\nbad,0\n", {}),
        ("id,review,sentiment\n7,good,1\n8,bad,0\n", {}),
        ("label,sentence\n1,good\n0,bad\n", {}),
        ("stars,words\n1,good\n0,bad\n", {"text": "words"}),
        ("a,b\ngood,1\nbad,0\n", {}),  # of two columns the first is the text
        ("a,b,c\n1,good,x\n0,bad,x\n", {"text": "b", "label": "a"}),
        ("good,1\nbad,0\n", {"header": False}),
        ("1,good\n0,bad\n", {"header": False, "text": "1", "label": "0"}),
        ("文本,标签\ngood,1\nbad,0\n", {}),
    ],
)
def test_tables(tmp_path, content, settings):
    assert read(write(tmp_path, "a.csv", content), **settings) == [("good", "1"), ("bad", "0")]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_json(tmp_path, suffix):
    rows = [{"text": "好", "label": 5, "id": "x"}, {"text": "坏", "label": 1, "id": "y"}]
    content = json.dumps(rows) if suffix == "json" else "\n".join(map(json.dumps, rows))
    assert read(write(tmp_path, f"a.{suffix}", content)) == [("好", "5"), ("坏", "1")]


def test_a_folder_a_class(tmp_path):
    for name in ("positive/1.txt", "positive/2.txt", "negative/1.txt", ".hidden/1.txt"):
        write(tmp_path, name, f"{name}\n")
    assert read(tmp_path) == [
        ("negative/1.txt", "negative"),
        ("positive/1.txt", "positive"),
        ("positive/2.txt", "positive"),
    ]
    assert labelled_parts(tmp_path) == {"train": tmp_path}


def test_parts_of_a_folder(tmp_path):
    write(tmp_path, "train/positive/1.txt", "a")
    write(tmp_path, "test/positive/1.txt", "b")
    write(tmp_path, "testimony/1.txt", "c")  # no part
    assert labelled_parts(tmp_path) == {"train": tmp_path / "train", "test": tmp_path / "test"}
    other = tmp_path / "other"
    for name in ("train.csv", "dev.csv", "readme.md"):
        write(other, name, "text,label\na,b\n")
    assert labelled_parts(other) == {"train": other / "train.csv", "validation": other / "dev.csv"}
    write(other, "train2.csv", "text,label\na,b\n")
    with pytest.raises(DataError, match=r"holds train2.csv and train.csv, both for train"):
        labelled_parts(other)


def test_texts_to_answer_need_no_label(tmp_path):
    assert read(write(tmp_path, "a.txt", "good\n\nbad\n"), labelled=False) == [("good", ""), ("bad", "")]
    assert read(write(tmp_path, "a.csv", "id,text\n1,good\n"), labelled=False) == [("good", "")]
    assert read(write(tmp_path, "b.csv", "words\ngood\n"), labelled=False) == [("good", "")]
    write(tmp_path, "folder/1.txt", "one\ntwo\n")
    assert read(tmp_path / "folder", labelled=False) == [("one\ntwo", "")]


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        ("a,b,c\n1,2,3\n", {}, r"which field holds the text\? The fields with text are 'a', 'b', 'c'.* text=\"a\""),
        ("text,b,c\n1,2,3\n", {}, r"which field holds the label\? The fields with text are 'b', 'c'.* label=\"b\""),
        ("text,label\n,1\n", {}, r"a\.csv:2: column text: holds no text"),
        ("text,label\ngood,\n", {}, r"a\.csv:2: column label: holds no text"),
        ("text,label\n", {}, "has a header but no rows"),
        ("good,1\n", {"header": False, "text": "words"}, "'words' arrived, but a table without a header has no names"),
        ("text,label\ngood,1\n", {"label": "lable"}, "has no column 'lable'; did you mean 'label'"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, content, settings, words):
    with pytest.raises(DataError, match=words):
        read(write(tmp_path, "a.csv", content), **settings)


def test_rows_without_text_are_left_out_on_request(tmp_path):
    file = write(tmp_path, "a.csv", "text,label\n,1\ngood,1\nbad,\n")
    assert read(file, empty="skip") == [("good", "1")]


def test_no_files(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_labelled_texts(tmp_path / "none")
    with pytest.raises(DataError, match="holds no folder for each class"):
        labelled_parts(tmp_path)
    with pytest.raises(DataError, match="expected a folder of .txt files for each class"):
        read_labelled_texts(tmp_path)


def test_labels_that_a_model_lacks(tmp_path):
    texts = read_labelled_texts(write(tmp_path, "a.csv", "text,label\na,good\nb,bad\n"))
    check_known(texts, ["good", "bad"])
    with pytest.raises(DataError, match=r"a\.csv:3: the label 'bad' is none of the model's"):
        check_known(texts, ["good", "worse"])
    with pytest.raises(
        DataError, match="none of the model's, nor is one of the 1 others; .*; call the fields as in the"
    ):
        check_known(texts, ["x", "y"])
