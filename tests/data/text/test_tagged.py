import json

import pytest

from rnnkit.data import TaggedText, Tokenizer, read_tagged_texts
from rnnkit.data.text.tagged import Slot, check_slots, cut_words, join_words, slots_of, tags_of
from rnnkit.data.text.tagged_files import parts_of
from rnnkit.data.text.tagged_words import TaggedWordTokenizer
from rnnkit.data.text.tokenizer import Preparation
from rnnkit.errors import DataError, Place


def write(folder, name, content, encoding="utf-8"):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding)
    return folder / name


@pytest.mark.parametrize(
    ("tags", "slots"),
    [
        ("O O O", []),
        ("B-x I-x O", [("x", 0, 2)]),
        ("B-x B-x", [("x", 0, 1), ("x", 1, 2)]),
        ("O I-x I-x", [("x", 1, 3)]),  # I- behind O begins
        ("B-x I-y", [("x", 0, 1), ("y", 1, 2)]),  # and so does I- of another kind
        ("I-x O I-x", [("x", 0, 1), ("x", 2, 3)]),
        ("B-x I-x B-y I-y", [("x", 0, 2), ("y", 2, 4)]),
    ],
)
def test_slots_of_tags(tags, slots):
    assert slots_of(tags.split()) == [Slot(*slot) for slot in slots]


def test_tags_of_slots_are_read_back():
    slots = [Slot("x", 0, 2), Slot("x", 2, 3), Slot("y", 4, 6)]
    assert tags_of(slots, 7) == ["B-x", "I-x", "B-x", "O", "B-y", "I-y", "O"]
    assert slots_of(tags_of(slots, 7)) == slots


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Play Jay's song.", ["Play", "Jay", "'s", "song", "."]),
        ("it’s 8 o'clock", ["it", "’s", "8", "o'clock"]),
        ("播放U2的歌", ["播", "放", "U2", "的", "歌"]),
        ("  a\n\tb ", ["a", "b"]),
        ("'s", ["'", "s"]),
    ],
)
def test_words_have_their_places(text, words):
    assert [text[begin:end] for begin, end in cut_words(text)] == words


def test_words_are_joined_as_their_script_has_it():
    text, places = join_words(["播", "放", "Jay", "Chou", "的", "歌"])
    assert text == "播放Jay Chou的歌"
    assert [text[begin:end] for begin, end in places] == ["播", "放", "Jay", "Chou", "的", "歌"]


def test_slots_that_cut_words_have_whole_ones():
    text = TaggedText("at 10am today", "x", (Slot("hour", 3, 5), Slot("half", 5, 7), Slot("day", 8, 13)))
    assert text.words == ("at", "10am", "today")
    assert text.word_slots == (Slot("hour", 1, 2), Slot("day", 2, 3))
    assert text.inexact == 2


def test_new_tags_become_stretches_of_the_text():
    text = TaggedText("rain in New York?")
    found = text.with_tags(["O", "O", "B-city", "I-city", "O"], "weather")
    assert (found.intent, found.slots) == ("weather", (Slot("city", 8, 16),))


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([Slot("a", 0, 4), Slot("b", 3, 9)], "'a' and 'b' overlap"),
        ([Slot("a", 4, 4)], "holds no text"),
        ([Slot("a", 4, 5)], "holds no text"),
        ([Slot("a", 5, 99)], "the text has 9"),
        ([Slot("", 0, 4)], "has no name"),
    ],
)
def test_slots_that_cannot_be(slots, words):
    with pytest.raises(DataError, match=words):
        check_slots("rain soon", slots, Place("x"))


def test_spaces_at_the_ends_are_no_part_of_a_slot():
    assert check_slots("in Oslo ?", [Slot("city", 2, 8)], Place()) == (Slot("city", 3, 7),)


def test_snips(tmp_path):
    pieces = [{"text": "play "}, {"text": "Café", "entity": "album"}, {"text": " "}, {"text": " ", "entity": "x"}]
    write(tmp_path, "train_Play_full.json", json.dumps({"Play": [{"data": pieces}]}, ensure_ascii=False), "latin-1")
    write(tmp_path, "train_Play.json", {"Play": []})
    write(tmp_path, "validate_Play.json", {"Play": [{"data": [{"text": "stop"}]}]})
    parts = parts_of(tmp_path)
    assert {name: [file.name for file in files] for name, files in parts.items()} == {
        "train": ["train_Play_full.json"],
        "test": ["validate_Play.json"],
    }
    found = read_tagged_texts(parts["train"])
    assert found.texts[0].tags == ("O", "B-album")
    assert found.texts[0].words == ("play", "Café")
    assert found.notes == ["train_Play_full.json is not UTF-8; it was read as Latin-1."]
    assert read_tagged_texts(parts["test"]).notes == []


@pytest.mark.parametrize(
    "record",
    [
        {"text": "rain in New York", "slots": [{"slot": "city", "start": 8, "end": 16}], "intent": "w"},
        {"text": "rain in New York", "entities": [{"type": "city", "start": 8, "end": 16}], "label": "w"},
        {"sentence": "rain in New York", "slots": "O O B-city I-city", "intent": "w"},
        {"tokens": ["rain", "in", "New", "York"], "tags": ["O", "O", "B-city", "I-city"], "intent": "w"},
        {"text": "rain in New York", "slots": {"city": "New York"}, "intent": "w"},
    ],
)
def test_json_lines(tmp_path, record):
    (text,) = read_tagged_texts(write(tmp_path, "a.jsonl", record)).texts
    assert (text.text, text.intent, text.slots) == ("rain in New York", "w", (Slot("city", 8, 16),))


@pytest.mark.parametrize(
    ("text", "slots", "places"),
    [
        ("a team drinks tea", {"drink": "tea"}, [("drink", 14, 17)]),  # not within another word
        ("from Rome to Rome", {"from": "Rome", "to": "Rome"}, [("from", 5, 9), ("to", 13, 17)]),
        ("from Rome to Rome", {"to": "Rome", "from": "Rome"}, [("to", 5, 9), ("from", 13, 17)]),
        ("from York to New York", {"a": "York", "b": "New York"}, [("a", 5, 9), ("b", 13, 21)]),
        ("from New York to York", {"a": "York", "b": "New York"}, [("b", 5, 13), ("a", 17, 21)]),
        ("play Jay's song by Jay", {"of": ["Jay", " Jay "]}, [("of", 5, 8), ("of", 19, 22)]),
        ("从北京到北京", {"从": "北京", "到": "北京"}, [("从", 1, 3), ("到", 4, 6)]),
        ("从京到北京", {"甲": "京", "乙": "北京"}, [("甲", 1, 2), ("乙", 3, 5)]),
        ("播放U2000和U2", {"歌手": "U2"}, [("歌手", 8, 10)]),
        ("ไปเลยไป", {"a": "ไป", "b": "ไป"}, [("a", 0, 2), ("b", 5, 7)]),
    ],
)
def test_values_are_found_as_words(tmp_path, text, slots, places):
    record = {"text": text, "slots": slots, "intent": "x"}
    found = read_tagged_texts(write(tmp_path, "a.jsonl", record))
    assert found.texts[0].slots == tuple(Slot(*place) for place in places)
    assert found.notes == []


def test_values_within_words_take_the_first_free_place(tmp_path):
    record = {"text": "teatime teams", "slots": {"a": "tea", "b": "tea"}, "intent": "x"}
    found = read_tagged_texts(write(tmp_path, "a.jsonl", record))
    assert found.texts[0].slots == (Slot("a", 0, 3), Slot("b", 8, 11))
    assert found.notes == ["2 slots begin or end within a word; each has the whole word."]
    record = {"text": "from Rome", "slots": {"from": "Rome", "to": "Rome"}, "intent": "x"}
    with pytest.raises(DataError, match="the slots 'from' and 'to' overlap at 'Rome'"):
        read_tagged_texts(write(tmp_path, "a.jsonl", record))


@pytest.mark.parametrize(
    ("text", "slots", "first", "example"),
    [
        ("from Rome to Rome please", {"city": "Rome"}, 5, {"slot": "city", "start": 13, "end": 17}),
        ("从北京到北京", {"城市": "北京"}, 1, {"slot": "城市", "start": 4, "end": 6}),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_values_that_stand_more_often_are_reported(tmp_path, text, slots, first, example, suffix):
    records = [{"text": text, "slots": slots, "intent": "x"}, {"text": "stop", "intent": "x"}]
    lines = "\n".join(map(json.dumps, records)) if suffix == "jsonl" else records
    file = write(tmp_path, f"a.{suffix}", lines)
    found = read_tagged_texts(file)
    (value,) = slots.values()
    assert found.texts[0].slots == (Slot(example["slot"], first, first + len(value)),)
    assert found.notes == [
        f"In 1 of 2 texts a value stands more often than slots name it, such as {value!r} in {text!r} "
        f"({found.texts[0].place}); the first place was taken. Where another is meant, give positions, such as "
        f"{json.dumps(example, ensure_ascii=False)}, or tokens and their BIO tags."
    ]
    record = {"text": text, "slots": [example], "intent": "x"}  # what the note says to type
    found = read_tagged_texts(write(tmp_path, "b.jsonl", record))
    assert found.texts[0].slots == (Slot(*example.values()),)
    assert found.notes == []


def test_chinese_json_lines(tmp_path):
    records = [
        {"text": "播放周杰伦", "intent": "play", "slots": ["O", "O", "B-singer", "I-singer", "I-singer"]},
        {"tokens": ["播放", "周杰伦"], "intent": "play", "slots": ["O", "B-singer"]},
        {"text": "停", "intent": "stop"},
    ]
    file = write(tmp_path, "a.jsonl", "\n".join(json.dumps(record, ensure_ascii=False) for record in records))
    found = read_tagged_texts(file).texts
    assert [text.slots for text in found] == [(Slot("singer", 2, 5),), (Slot("singer", 2, 5),), ()]
    assert found[0].words == found[1].words == tuple("播放周杰伦")


def test_columns(tmp_path):
    rows = "# intent: w\nrain\tO\nin\tO\nOslo\tB-city\n\n# intent = 播放\n-DOCSTART- O\n听 O\n歌 I-song\n手 I-song\n"
    found = read_tagged_texts(write(tmp_path, "a.conll", rows))
    assert [(text.text, text.intent, text.slots) for text in found.texts] == [
        ("rain in Oslo", "w", (Slot("city", 8, 12),)),
        ("听歌手", "播放", (Slot("song", 1, 3),)),
    ]
    assert found.notes == [
        "a.conll: 1 tags I-x stand behind neither B-x nor I-x; each was read as the beginning of a slot."
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", {"text": "a b", "slots": ["O"], "intent": "x"}, r"a\.jsonl:1: 1 tags arrived for 2 words"),
        ("a.jsonl", {"text": "a b", "slots": ["O", "X"], "intent": "x"}, "the tag 'X' arrived; expected O, B-x or I-x"),
        ("a.jsonl", {"text": "a b"}, r"has no intent; its fields are \['text'\]; type intent="),
        ("a.jsonl", {"text": "a b", "intent": 3}, "the intent is 3; expected text"),
        ("a.jsonl", {"intent": "x"}, "has no text"),
        ("a.jsonl", {"text": "", "intent": "x"}, "holds no text"),
        ("a.jsonl", {"text": "a", "intent": "x", "slots": [{"start": 0, "end": 1}]}, 'expected {"slot": "city"'),
        ("a.jsonl", {"text": "a", "intent": "x", "slots": {"city": "b"}}, "'b' of the slot 'city' is not in the text"),
        ("a.jsonl", "x\n", 'the line is not JSON .*type format="columns"'),
        ("a.jsonl", "[1]\n", "is no JSON object"),
        ("a.conll", "a\tO\n", "a.conll:1: the sentence that begins here has no intent"),
        ("a.conll", "# intent: x\na\tO\nb\n", "a.conll:3: 'b' has no tag"),
        ("a.conll", "# intent: x\n", "holds no sentence"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "3", "holds no object"),
        ("a.json", {"x": 3}, "holds no list of sentences under 'x'"),
        ("a.json", {"x": [{"text": "a"}]}, 'row 1: x: has no list "data"'),
        ("a.json", {"x": [{"data": [{}]}]}, 'has a piece without "text"'),
        ("a.dat", "a", "its suffix tells no format"),
        ("a.csv", "a", "a table has no place for slots.*rnnkit train text-classify"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, words):
    with pytest.raises(DataError, match=words):
        read_tagged_texts(write(tmp_path, name, content))


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_tagged_texts(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="there is no such file or folder"):
        parts_of(tmp_path / "none")
    with pytest.raises(DataError, match="holds no file to train on"):
        parts_of(tmp_path)


def test_the_tokenizer_cuts_words_as_slots_do():
    tokenizer = TaggedWordTokenizer.of_words([["Jay", "'s", "well-known"], ["jay"]], Preparation(lowercase=True))
    assert tokenizer.tokens[4:] == ("jay", "'s", "well-known")
    assert tokenizer.encode("Jay's Song") == [4, 5, 1] == [*tokenizer.ids_of(["Jay", "'s", "Song"])]
    assert tokenizer.split("Jay's Song") == ["jay", "'s", "song"]
    assert Tokenizer.from_dict(tokenizer.to_dict()) == tokenizer
