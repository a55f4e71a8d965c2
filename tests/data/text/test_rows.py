"""Several fields of each record, and parallel files."""

import gzip
import json

import pytest

from rnnkit.data import read_parallel_texts, read_text_rows
from rnnkit.errors import ConfigError, DataError

RECORDS = [
    {"title": "江雪", "lines": ["千山鸟飞绝", "万径人踪灭"], "year": 805, "by": {"name": "柳宗元"}},
    {"title": "b", "lines": ["c"], "year": 1, "by": {"name": "d"}},
]


def rows(file, fields=None, **arguments):
    return [row for row, _ in read_text_rows(file, fields, **arguments)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.json.gz"])
def test_fields_of_json(tmp_path, name):
    lines = (
        json.dumps(RECORDS, indent=1) if ".json" in name and "l" not in name else "\n".join(map(json.dumps, RECORDS))
    )
    raw = lines.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    found = rows(tmp_path / name, ["lines", "by.name", "year"])
    assert found[0] == {"lines": ["千山鸟飞绝", "万径人踪灭"], "by.name": "柳宗元", "year": "805"}
    assert found[1] == {"lines": ["c"], "by.name": "d", "year": "1"}
    assert list(found[0]) == ["lines", "by.name", "year"]
    assert rows(tmp_path / name)[1] == {"title": "b", "lines": ["c"], "year": "1", "by.name": "d"}


def test_columns_of_tables(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('label;text;id\n+;"a;\nb";1\n\n-;雪;2\n', "utf-8")
    found = list(read_text_rows(file, ["text", "label"]))
    assert [row for row, _ in found] == [{"text": "a;\nb", "label": "+"}, {"text": "雪", "label": "-"}]
    assert [place.line for _, place in found] == [2, 5]
    assert rows(file, [0, 2]) == [{0: "+", 2: "1"}, {0: "-", 2: "2"}]
    assert rows(file)[1] == {"label": "-", "text": "雪", "id": "2"}
    pairs = tmp_path / "pairs.txt"
    pairs.write_text('Hi.\t嗨。\n"So\twhat"\n', "utf-8")
    how = {"format": "tsv", "header": False, "quotes": False}
    assert rows(pairs, [1, 0], **how) == [{1: "嗨。", 0: "Hi."}, {1: 'what"', 0: '"So'}]
    assert rows(pairs, **how)[0] == {0: "Hi.", 1: "嗨。"}


def test_rows_are_read_again_and_have_a_fingerprint(tmp_path):
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    found = read_text_rows(tmp_path, ["a"])
    assert list(found) == list(found)
    assert [(row, place.source) for row, place in found] == [
        ({"a": "1"}, str(tmp_path / "1.csv")),
        ({"a": "1"}, str(tmp_path / "2.csv")),
    ]
    assert found.fingerprint() == read_text_rows(tmp_path, ["a"]).fingerprint()
    assert found.fingerprint() != read_text_rows(tmp_path, ["b"]).fingerprint()
    (tmp_path / "2.csv").write_text("a,b\n1,3\n")
    assert found.fingerprint() != read_text_rows(tmp_path / "1.csv", ["a"]).fingerprint()


def test_rows_without_text_are_left_out_or_kept(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"a": "x", "b": null}\n{"a": " ", "b": ["y"]}\n{"a": "z", "b": []}\n{"a": "v", "b": "w"}\n')
    assert rows(file, ["a", "b"], empty="skip") == [{"a": "v", "b": "w"}]
    kept = [{"a": "x", "b": ""}, {"a": "", "b": ["y"]}, {"a": "z", "b": []}, {"a": "v", "b": "w"}]
    assert rows(file, ["a", "b"], empty="keep") == kept


@pytest.mark.parametrize(
    ("name", "content", "fields", "problem"),
    [
        ("a.jsonl", b'{"a": "x"}\n{"b": "x"}', ["a"], "a.jsonl:2: has no field 'a'; did you mean 'b'|known: 'b'"),
        ("a.jsonl", b'{"text": "x"}\n{"txt": "x"}', ["text"], "a.jsonl:2: has no field 'text'; did you mean 'txt'"),
        ("a.jsonl", b'{"a": "x", "b": null}', ["a", "b"], 'a.jsonl:1: field b: holds null.*type empty="skip"'),
        ("a.jsonl", b'{"a": {"b": "x"}}', ["a"], 'a.jsonl:1: field a: holds an object.*type fields=\\["a.b"\\]'),
        ("a.jsonl", b'"x"', ["a"], "a.jsonl:1: the line holds text; expected an object"),
        ("a.json", b'[{"a": "x"},\n{"b": 1}]', ["a"], "a.json:2: record 2: has no field 'a'"),
        ("a.json", b'[{"a": ["x", "\\ud83d"]}]', ["a"], "a.json:1: record 1, field a: character 1 of the text is U"),
        ("a.json", b'{"A": [{"data": []}]}', ["a"], "a.json: holds an object; expected a JSON array of records"),
        ("a.csv", b"a,b\n1,\n", ["a", "b"], "a.csv:2: column b: holds no text; expected text"),
        ("a.csv", b"text,b\n1,2\n", ["txt"], "a.csv:1: has no column 'txt'; did you mean 'text'"),
        ("a.csv", b"a,b\n1,2\n", [2], "the table has the columns 0 to 1"),
        ("a.csv", b"a,a\n1,2\n", ["a"], "has 2 columns 'a'; type fields=\\[0\\] to take one by its number"),
        ("a.csv", b"", ["a"], "a.csv: the file is empty; expected text"),
        ("a.csv", b"a\nGr\xfc\xdfe", ["a"], 'a.csv:2: byte 0xfc is not UTF-8; type encoding="gb18030"'),
        ("a.txt", b"x", ["a"], 'a.txt: is plain text, which has no fields.*type format="tsv".*read_parallel_texts'),
    ],
)
def test_errors_name_the_file_the_line_and_the_field(tmp_path, name, content, fields, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        rows(tmp_path / name, fields)


def test_arguments_of_the_wrong_kind(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "a.jsonl").write_text('{"a": "1"}')
    for fields, problem in (("a", "expected a list of names: \\['a'\\]"), ([], "at least one"), (["a", "a"], "once")):
        with pytest.raises(ConfigError, match=problem):
            read_text_rows(tmp_path / "a.csv", fields)
    with pytest.raises(ConfigError, match="expected a list of names, or of the numbers"):
        read_text_rows(tmp_path / "a.csv", [1.5])
    with pytest.raises(ConfigError, match="expected the names of fields"):
        read_text_rows(tmp_path / "a.jsonl", [0])
    with pytest.raises(ConfigError, match="expected numbers, from 0"):
        read_text_rows(tmp_path / "a.csv", ["a"], header=False)
    with pytest.raises(ConfigError, match="delimiter=';' arrived; leave it out: JSON lines has no use for it"):
        read_text_rows(tmp_path / "a.jsonl", ["a"], delimiter=";")
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_text_rows(tmp_path / "b.csv", ["a"])


def parallel(folder, first, second, **arguments):
    (folder / "t.en").write_text(first, "utf-8")
    (folder / "t.de.gz").write_bytes(gzip.compress(second.encode()))
    return read_parallel_texts((folder / "t.en", folder / "t.de.gz"), **arguments)


def test_parallel_files(tmp_path):
    texts = parallel(tmp_path, "A dog.\r\n\r\nTwo\u2028men.\n", "Ein Hund.\n\nZwei Männer.\n\n\n")
    expected = [(("A dog.", "Ein Hund."), 1), (("Two\u2028men.", "Zwei Männer."), 3)]
    assert [(pair, place.line) for pair, place in texts] == expected
    assert list(texts) == list(texts)
    assert next(iter(texts))[1].source == str(tmp_path / "t.en")
    print_before = texts.fingerprint()
    assert parallel(tmp_path, "A dog.\n", "Ein Hund!\n").fingerprint() != print_before


def test_parallel_files_of_different_lengths(tmp_path):
    texts = parallel(tmp_path, "a\nb\nc\nd\n", "a\nb\n")
    with pytest.raises(DataError, match=r"not parallel: .*t.en has 4 lines; .*t.de.gz has 2 lines; expected as many"):
        list(texts)


def test_a_line_that_one_file_lacks(tmp_path):
    with pytest.raises(DataError, match=r't.de.gz:2: the line is empty, and not in .*t.en; .*type empty="skip"'):
        list(parallel(tmp_path, "a\nb\nc\n", "x\n \nz\n"))
    kept = parallel(tmp_path, "a\nb\nc\n", "x\n\nz\n", empty="keep")
    assert [pair for pair, _ in kept] == [("a", "x"), ("b", ""), ("c", "z")]
    left = parallel(tmp_path, "a\nb\nc\n", "x\n\nz\n", empty="skip")
    assert [pair for pair, _ in left] == [("a", "x"), ("c", "z")]


def test_errors_of_parallel_files(tmp_path):
    with pytest.raises(DataError, match="t.de.gz: the file is empty; expected text"):
        list(parallel(tmp_path, "a\n", ""))
    with pytest.raises(DataError, match="none.de: there is no such file"):
        read_parallel_texts((tmp_path / "t.en", tmp_path / "none.de"))
    with pytest.raises(DataError, match="is a folder; expected a file"):
        read_parallel_texts((tmp_path, tmp_path))
    with pytest.raises(ConfigError, match="expected two files or more"):
        read_parallel_texts(tmp_path / "t.en")
    with pytest.raises(ConfigError, match="expected two files or more"):
        read_parallel_texts([tmp_path / "t.en"])
    (tmp_path / "t.en").write_bytes(b"ok\n\xff\n")
    with pytest.raises(DataError, match="t.en:2: byte 0xff is not UTF-8"):
        list(read_parallel_texts((tmp_path / "t.en", tmp_path / "t.de.gz")))
