"""Texts from files: formats, encodings, places, and errors that name the file and the line."""

import csv
import gzip
import json
import tracemalloc

import pytest

from rnnkit.data import read_texts
from rnnkit.data.text import decoding
from rnnkit.errors import ConfigError, DataError

MIXED = "Grüße, 世界! مرحبا 🎉\r\n\r\nzweite Zeile\rdritte"
PLAIN = "Grüße, 世界! مرحبا 🎉\n\nzweite Zeile\ndritte"


def read(path, **arguments):
    return [(text, place.line) for text, place in read_texts(path, **arguments)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "utf-16-be"])
@pytest.mark.parametrize("chunk", [3, 1 << 18])
def test_encodings_and_line_ends(tmp_path, monkeypatch, encoding, chunk):
    monkeypatch.setattr(decoding, "CHUNK", max(chunk, 4))
    file = tmp_path / "a.txt"
    file.write_bytes(MIXED.encode(encoding))
    named = {"encoding": encoding} if encoding in ("gb18030", "utf-16-be") else {}
    assert read(file, **named) == [(PLAIN, 1)]
    assert read(file, unit="line", **named) == [("Grüße, 世界! مرحبا 🎉", 1), ("zweite Zeile", 3), ("dritte", 4)]
    assert read(file, unit="paragraph", **named) == [("Grüße, 世界! مرحبا 🎉", 1), ("zweite Zeile\ndritte", 3)]


def test_packed_files_and_folders(tmp_path):
    for number in (10, 9):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x.txt.gz").write_bytes(gzip.compress("Ü".encode()))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "y.txt").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.warns(UserWarning, match=r"1 of 4 files in .* has no suffix of texts, and is left out: picture\.png\."):
        assert [text for text, _ in read_texts(tmp_path)] == ["text 9", "text 10", "Ü"]
    (tmp_path / "picture.png").unlink()
    assert [text for text, _ in read_texts([tmp_path / "10.txt", tmp_path / "inner"])] == ["text 10", "Ü"]
    texts = read_texts(tmp_path)
    assert list(texts) == list(texts)


def test_fields_of_json_lines(tmp_path):
    file = tmp_path / "a.jsonl"
    rows = [{"id": 1, "text": "a\nb", "meta": {"title": "T"}}, {"id": 2, "text": "雪", "meta": {"title": "U"}}]
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert read(file) == [("a\nb", 1), ("雪", 2)]
    assert read(file, field="meta.title") == [("T", 1), ("U", 2)]
    file.write_text('"just text"\n"more"')
    assert read(file) == [("just text", 1), ("more", 2)]


def test_arrays_of_records(tmp_path):
    file = tmp_path / "poems.json"
    poems = [{"title": "江雪", "lines": ["千山鸟飞绝", "万径人踪灭"]}, {"title": "登鹳雀楼", "lines": ["白日依山尽"]}]
    for content in (json.dumps(poems, indent=1), json.dumps(poems, ensure_ascii=False)):
        file.write_text(content, "utf-8")
        texts = [text for text, _ in read_texts(file, field="lines")]
        assert texts == ["千山鸟飞绝\n万径人踪灭", "白日依山尽"]
        assert [text for text, _ in read_texts(file)] == ["江雪", "登鹳雀楼"]
    file.write_text('\n[ "a" ,\n\n"b"\n]\n')
    assert read(file) == [("a", 2), ("b", 4)]
    file.write_text('[{"id": 1, "lines": ["a", "b"]}]')
    assert read(file) == [("a\nb", 1)]
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read(packed) == [("a\nb", 1)]
    file.write_text("[]")
    assert read(file, empty="skip") == []


def test_one_format_of_a_folder(tmp_path):
    (tmp_path / "about.json").write_text('{"licence": "MIT"}')
    (tmp_path / "a.txt").write_text("a")
    assert read(tmp_path) == [("a", 1)]
    (tmp_path / "b.csv").write_text("text\nb\n")
    assert read(tmp_path, format="csv") == [("b", 2)]
    assert read(tmp_path, format="txt") == [("a", 1)]


def test_columns_of_tables(tmp_path):
    file = tmp_path / "a.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["label", "Text"], ["1", 'say "x", then\nend'], ["2", "雪"], [], ["3", "z"]])
    assert read(file) == [('say "x", then\nend', 2), ("雪", 4), ("z", 6)]
    assert read(file, field="label") == [("1", 2), ("2", 4), ("3", 6)]
    file.write_text("a;b\n1;x, y\n", "utf-8")
    assert read(file, field="b") == [("x, y", 2)]
    tab = tmp_path / "a.tsv"
    tab.write_text('1\t"Hello," he said.\n2\tSo "what"?\n')
    assert read(tab, header=False, field=1, quotes=False) == [('"Hello," he said.', 1), ('So "what"?', 2)]
    long = "word " * 40_000
    file.write_text(f"text\n{long}\n")
    assert read(file) == [(long, 2)]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "problem"),
    [
        ("a.txt", b"", {}, "a.txt: the file is empty; expected text"),
        ("a.txt", b" \n\n", {}, "a.txt: the file is empty; expected text"),
        ("a.txt", b"ok\nGr\xfc\xdfe", {}, 'a.txt:2: byte 0xfc is not UTF-8; type encoding="gb18030"'),
        ("a.txt", "好".encode()[:2], {}, "a.txt:1: byte 0xe5 is not UTF-8"),
        ("a.txt", b"\xff\xfea\0b", {}, "a.txt:1: byte 0x62 is not UTF-16"),
        ("a.txt", "a\nbc".encode("utf-16-le"), {}, 'a.txt:1: holds zero bytes.*type encoding="utf-16-le"'),
        ("a.txt.gz", b"plain", {}, "a.txt.gz: is no gzip file, as its name says; rename it without .gz"),
        ("a.txt.gz", gzip.compress(b"plain" * 99, mtime=0)[:-9], {}, "a.txt.gz: is not a whole gzip file"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 5}', {}, "a.jsonl:2: field text: holds the number 5; expected text"),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}', {}, "a.jsonl:2: has no field 'text'; did you mean 'txt'"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ', {}, "a.jsonl:2: the line is not JSON"),
        ("a.jsonl", b"plain", {}, 'a.jsonl:1: the line is not JSON.*type format="txt"'),
        ("a.jsonl", b'{"text": null}', {}, 'a.jsonl:1: field text: holds null; expected text; type empty="skip"'),
        ("a.jsonl", b'{"text": " "}', {}, "a.jsonl:1: field text: holds no text; expected text"),
        ("a.jsonl", b'{"text": ["a", 1]}', {"field": "text"}, "field text: holds a list; expected text"),
        ("a.jsonl", b'{"text": []}', {"field": "text"}, "field text: holds no text; expected text"),
        (
            "a.jsonl",
            b'[{"text": "a"},',
            {},
            'a.jsonl:1: the line is not JSON.*format="json" if the file is one JSON array',
        ),
        (
            "a.jsonl",
            b'{"a": "x", "b": ["y"], "c": "z"}',
            {},
            "several fields hold text: 'a', 'b', 'c'; type field=\"a\"",
        ),
        ("a.jsonl", b"[1]", {}, "a.jsonl:1: the line holds a list; expected an object"),
        ("a.jsonl", b"[" * 100_000, {}, "a.jsonl:1: the"),
        (
            "a.jsonl",
            b'{"a": "x", "b": "y"}',
            {},
            "several fields hold text: 'a', 'b'; type field=\"a\", or field=\"b\"",
        ),
        ("a.jsonl", b'{"a": 1}', {}, "no field holds text: 'a'"),
        ("a.jsonl", b'{"a": {"n": 1, "b": "x"}}', {}, "no field holds text: 'a'; type field=\"a.b\""),
        ("a.jsonl", b'{"text": "a"}\n{"text": 3}', {}, "holds the number 3; expected text in quotation marks; correct"),
        ("a.jsonl", b'{"text": "\\ud83d"}', {}, "a.jsonl:1: field text: character 1 of the text is U\\+D83D"),
        ("a.csv", b"a,b\n1,2\n", {}, "a.csv:1: which column holds the text\\? .*'a', 'b'; type field=\"a\""),
        ("a.csv", b"a,text\n1\n", {}, "a.csv:2: has 1 cells; expected 2"),
        ("a.csv", b"a,text\n1,\n", {}, 'a.csv:2: column text: holds no text; expected text; type empty="skip"'),
        ("a.csv", b"a,text\n", {}, "a.csv: has a header but no rows"),
        ("a.csv", b'a,text\n1,"open\n2,b\n', {}, "a.csv:2: the row is not a table's .* Type quotes=False"),
        ("a.csv", b'a,text\n1,"x" y\n', {}, "a.csv:2: the row is not a table's"),
        (
            "a.csv",
            b"a,text\n1,x\n",
            {"field": "txt"},
            "a.csv:1: has no column 'txt'; did you mean 'text'. Type field=\"text\"",
        ),
        ("a.csv", b"text,text\n1,x\n", {"field": "text"}, "has 2 columns 'text'; type field=0"),
        ("a.csv", b"a,text\n1,x\n", {"field": 2}, "field=2 arrived; the table has the columns 0 to 1"),
        ("a.csv", b"1,x\n", {"header": False}, "the table has 2 columns and no header; type field=0"),
        ("a.json", b"[]", {}, "a.json: the array holds no records; expected at least one"),
        (
            "a.json",
            b'{"text": "a"}',
            {},
            'a.json: holds an object; expected a JSON array.*type format="jsonl" if each line',
        ),
        ("a.json", b"plain", {}, 'a.json: holds no array; expected a JSON array.*or format="txt"'),
        ("a.json", b'[\n{"text": "a"},\n{"text": 5}]', {}, "a.json:3: record 2, field text: holds the number 5"),
        ("a.json", b'[{"text": "a"}, ["b"]]', {}, "a.json:1: record 2: the record holds a list; expected an object"),
        ("a.json", b'[{"text": "a"}\n{"text": "b"}]', {}, "a.json:1: record 1: the file is not JSON .*'{' follows"),
        ("a.json", b'[{"text": "a"},\n', {}, "a.json:2: record 2: the file is not JSON"),
        ("a.json", b'[{"text": "a"}', {}, "a.json:1: record 1: the file is not JSON .the file ends; expected ',' or"),
        ("a.json", b'[{"text": "a"},]', {}, "a.json:1: record 2: the file is not JSON"),
        ("a.json", b'[{"text": "a"}]\n{}', {}, "a.json:2: '{' follows the array; expected one array"),
        ("a.json", b'[{"text":\n"a}]', {}, "a.json:2: record 1: the file is not JSON"),
        ("a.json", b"[" * 100_000, {}, "a.json:1: record 1: the"),
        ("a.json", b'[{"text": "Gr\xfc"}]', {}, "a.json:1: byte 0xfc is not UTF-8"),
        ("a.pdf", b"%PDF", {}, "a.pdf: a document of this format is not read; save it as plain text"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, name, content, arguments, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        list(read_texts(tmp_path / name, **arguments))


def test_the_line_of_a_wrong_byte_far_on(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"line\n" * 200_000 + b"\xff\n")
    with pytest.raises(DataError, match="a.txt:200001: byte 0xff is not UTF-8"):
        list(read_texts(tmp_path / "a.txt"))


def test_empty_texts_are_left_out_or_kept(tmp_path):
    (tmp_path / "1.txt").write_text("")
    (tmp_path / "2.txt").write_text("b")
    with pytest.raises(DataError, match='1.txt: the file is empty; expected text; type empty="skip"'):
        list(read_texts(tmp_path))
    assert [text for text, _ in read_texts(tmp_path, empty="skip")] == ["b"]
    assert [text for text, _ in read_texts(tmp_path, empty="keep")] == ["", "b"]
    (tmp_path / "a.csv").write_text("n,text\n1,\n2,x\n")
    assert read(tmp_path / "a.csv", empty="skip") == [("x", 3)]
    assert read(tmp_path / "a.csv", empty="keep") == [("", 2), ("x", 3)]


def test_arguments_of_the_wrong_kind(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "a.csv").write_text("text\na")
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_texts(tmp_path / "none.txt")
    with pytest.raises(DataError, match='holds files of several formats: csv, txt; type format="csv", or format="txt"'):
        read_texts(tmp_path)
    assert read(tmp_path / "a.csv", format="txt") == [("text\na", 1)]
    with pytest.raises(ConfigError, match="field='x' arrived; leave it out: plain text has no use for it"):
        read_texts(tmp_path / "a.txt", field="x")
    with pytest.raises(ConfigError, match="unit='line' arrived; leave it out: a table has no use for it"):
        read_texts(tmp_path / "a.csv", unit="line")
    with pytest.raises(ConfigError, match="unit='lines' arrived; did you mean 'line'"):
        read_texts(tmp_path / "a.txt", unit="lines")
    with pytest.raises(ConfigError, match="encoding='utf8x' arrived; expected a name such as"):
        read_texts(tmp_path / "a.txt", encoding="utf8x")
    with pytest.raises(ConfigError, match="field='x' arrived; expected a number"):
        read_texts(tmp_path / "a.csv", field="x", header=False)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match="holds no files; expected .txt"):
        read_texts(tmp_path / "pictures")
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holds files of formats that are not read \(.png\)"):
        read_texts(tmp_path / "pictures")
    with pytest.raises(DataError, match="no path arrived"):
        read_texts([])


def test_texts_too_long_for_memory_are_refused(tmp_path, monkeypatch):
    for module in ("texts", "decoding", "records"):
        monkeypatch.setattr(f"rnnkit.data.text.{module}.LONGEST", 100)
    (tmp_path / "a.txt").write_text("ok\n" + "x" * 150)
    with pytest.raises(DataError, match="a.txt:1: a text has more than 100 characters.*give the path to tokenize"):
        list(read_texts(tmp_path / "a.txt"))
    with pytest.raises(DataError, match="a.txt:2: a line has more than 100 characters"):
        list(read_texts(tmp_path / "a.txt", unit="line"))
    (tmp_path / "a.json").write_text(json.dumps(["x" * 60, "y" * 60]))
    with pytest.raises(DataError, match=r"a.json: has more than 100 characters.*save it as JSON lines \(.jsonl\)"):
        list(read_texts(tmp_path / "a.json"))


def test_pieces_join_to_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "PIECE", 50)
    content = "Zeile mit Wörtern.\n\n  " * 40 + "中" * 300 + "e\u0301" * 100 + "a b " * 60
    (tmp_path / "a.txt").write_text(content, "utf-8")
    pieces = list(read_texts(tmp_path / "a.txt").pieces())
    assert "".join(piece.text for piece in pieces) == content
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert max(len(piece.text) for piece in pieces) <= 100
    assert not any(piece.text.startswith("\u0301") for piece in pieces)
    lines = [1 + content[: sum(len(one.text) for one in pieces[:n])].count("\n") for n in range(len(pieces))]
    assert [piece.place.line for piece in pieces] == lines
    assert next(iter(read_texts(tmp_path / "a.txt")))[0] == content


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    line = "some words of a line, größer\n"
    if name == "a.txt":
        content = line * 300_000
    elif name == "a.jsonl":
        content = f'{{"text": "{"some words of a line" * 100}"}}\n' * 4_000
    else:
        content = "n,text\n" + f"1,{'some words of a line' * 100}\n" * 4_000
    (tmp_path / name).write_text(content, "utf-8")
    texts = read_texts(tmp_path / name)
    tracemalloc.start()
    try:
        count = sum(len(piece.text) for piece in texts.pieces())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count >= 8_000_000
    assert peak < 4_000_000
