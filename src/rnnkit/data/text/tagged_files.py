"""Texts with intents and slots from files: SNIPS's JSON, JSON lines, and columns of words and tags."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError, Place, Remedy, check_choice, check_path, suggest
from ...ordering import natural_key
from ..reading import check_encoding
from .decoding import decode_file, lines_of
from .files import suffix_of
from .records import json_problem
from .tagged import Slot, TaggedText, check_slots, check_tags, cut_words, join_words, slots_of

FORMATS = {
    "json": "snips", "jsonl": "jsonl", "ndjson": "jsonl", "conll": "columns", "tsv": "columns", "txt": "columns",
    "bio": "columns", "iob": "columns", "iob2": "columns",
}  # fmt: skip
# How files of a folder begin, and the part that they are. SNIPS calls its test part validate.
_PARTS = {"train": "train", "validate": "test", "test": "test", "valid": "validation", "dev": "validation"}
_TEXT = ("text", "sentence", "utterance", "query", "tokens", "words", "文本", "句子")
_SLOTS = ("slots", "tags", "entities", "spans", "slot", "槽位")
_INTENT = ("intent", "label", "class", "意图")
_NAME = ("slot", "name", "label", "entity", "type", "slot_name")
_INTENT_LINE = re.compile(r"#\s*intent\s*[:=]\s*(.*\S)\s*$", re.IGNORECASE)


class TaggedTexts(NamedTuple):
    """Texts, and sentences about what was unusual in their files.

    Attributes:
        texts: in the order of the files.
        notes: such as that a file is in another encoding than UTF-8.
    """

    texts: list[TaggedText]
    notes: list[str]


def read_tagged_texts(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    encoding: str | None = None,
    text: str | None = None,
    slots: str | None = None,
    intent: str | None = None,
    tagged: bool = True,
) -> TaggedTexts:
    """Read texts with an intent and slots.

    ===========  ==================================================================================================
    "snips"      JSON as SNIPS publishes it: ``{"PlayMusic": [{"data": [{"text": "play "}, {"text": "Jay", "entity":
                 "artist"}]}]}``
    "jsonl"      a JSON object a line: a text or a list of words; an intent; slots as a tag a word, as objects with
                 ``start`` and ``end`` in characters, or as ``{"city": "Oslo"}``
    "columns"    a word and its tag a line, a tab or spaces between, an empty line between sentences, and the line
                 ``# intent: PlayMusic`` before each
    ===========  ==================================================================================================

    A value such as "Oslo" has the first place in the text that no other slot has and that begins and ends with a word,
    the longest value first; where there is none, the first free place within words.

    Args:
        path: a file, or several.
        format: one of the above; None: as the suffix says (.json, .jsonl, .conll, .tsv, .txt).
        encoding: None: UTF-8; a file in SNIPS's JSON that is not UTF-8 is read as Latin-1, which a note reports.
        text, slots, intent: fields of JSON lines; None: those with the usual names.
        tagged: False reads texts to answer, which may lack intents and slots.

    Returns:
        The texts, and notes.

    Raises:
        DataError: a file cannot be read, or a record has no text, no intent, not a tag for each word, or slots that
            overlap; the message names file and line.
        ConfigError: an argument has no such value.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "texts.jsonl"
        >>> record = {"text": "播放周杰伦的歌", "intent": "play", "slots": [{"slot": "singer", "start": 2, "end": 5}]}
        >>> import json
        >>> _ = file.write_text(json.dumps(record, ensure_ascii=False), "utf-8")
        >>> read_tagged_texts(file).texts[0].tags
        ('O', 'O', 'B-singer', 'I-singer', 'I-singer', 'O', 'O')
    """
    check_choice(format, "format", (*dict.fromkeys(FORMATS.values()), None))
    check_encoding(encoding)
    files = [path] if isinstance(path, str | os.PathLike) else list(path)
    found: list[TaggedText] = []
    notes: list[str] = []
    unclear: list[TaggedText] = []
    for file in map(Path, files):
        kind = _format(file) if format is None else format
        if kind == "snips":
            texts = _snips(file, encoding, notes, unclear, tagged)
        elif kind == "jsonl":
            texts = _json_lines(file, encoding, (text, slots, intent), unclear, tagged)
        else:
            texts = _columns(file, encoding, notes, tagged)
        before = len(found)
        found += texts
        if len(found) == before:
            raise DataError("holds no sentence", Place(str(file)))
    inexact = sum(one.inexact for one in found)
    if inexact:
        notes.append(f"{inexact:,} slots begin or end within a word; each has the whole word.")
    if unclear:
        one, (name, start, end) = unclear[0], unclear[0].slots[0]
        position = json.dumps({"slot": name, "start": start, "end": end}, ensure_ascii=False)
        notes.append(
            f"In {len(unclear):,} of {len(found):,} texts a value stands more often than slots name it, such as "
            f"{one.text[start:end]!r} in {one.text[:60]!r} ({one.place}); the first place was taken. Where another is "
            f"meant, give positions, such as {position}, or tokens and their BIO tags."
        )
    return TaggedTexts(found, notes)


def parts_of(path: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Return the files of "train", "validation" and "test": one file is for training; in a folder the names decide.

    Raises:
        DataError: there is no such file, or no file of the folder is called train.
    """
    check_path(path)
    given, place = Path(path), Place(str(path))
    if not given.exists():
        raise DataError("there is no such file or folder", place)
    if not given.is_dir():
        return {"train": [given]}
    parts: dict[str, list[Path]] = {}
    for file in sorted(given.iterdir(), key=lambda file: natural_key(file.name)):
        part = next((part for begin, part in _PARTS.items() if file.name.lower().startswith(begin)), None)
        if part is not None and file.is_file() and suffix_of(file) in FORMATS:
            parts.setdefault(part, []).append(file)
    full = [file for file in parts.get("train", []) if file.stem.endswith("_full")]
    if full:  # SNIPS has a part of each training file beside it
        parts["train"] = full
    if "train" not in parts:
        raise DataError(
            "holds no file to train on; expected train.jsonl, train.conll or SNIPS's train_PlayMusic_full.json", place
        )
    return parts


def _format(file: Path) -> str:
    if not file.exists():
        raise DataError("there is no such file", Place(str(file)))
    found = FORMATS.get(suffix_of(file))
    if suffix_of(file) == "csv":
        raise DataError(
            "a table has no place for slots; expected .jsonl, .conll or .json",
            Place(str(file)),
            "for a label a text type rnnkit train text-classify",
        )
    if found is None:
        raise DataError(
            f"its suffix tells no format; expected .{', .'.join(FORMATS)}",
            Place(str(file)),
            [Remedy("format", name) for name in dict.fromkeys(FORMATS.values())],
        )
    return found


def _snips(
    file: Path, encoding: str | None, notes: list[str], unclear: list[TaggedText], tagged: bool
) -> Iterator[TaggedText]:
    place = Place(str(file))
    try:
        text = "".join(decode_file(file, encoding))
    except DataError as error:
        if encoding is not None or "UTF-8" not in str(error).upper():
            raise
        text = "".join(decode_file(file, "latin-1"))
        notes.append(f"{file.name} is not UTF-8; it was read as Latin-1.")
    try:
        whole = json.loads(text)
    except RecursionError:
        raise DataError("the JSON is nested too deep", place) from None
    except ValueError as error:
        remedy = Remedy("format", "jsonl", "if each line is a record")
        raise DataError(f"is not JSON ({error})", place, remedy) from None
    if isinstance(whole, list):  # an array of the records that JSON lines have
        for number, record in enumerate(whole, 1):
            yield _record(record, (None, None, None), place.at(row=number), unclear, tagged)
        return
    if not isinstance(whole, dict):
        raise DataError("holds no object; expected SNIPS's form, an intent and its sentences", place)
    for intent, records in whole.items():
        if not isinstance(records, list):
            raise DataError(f"holds no list of sentences under {intent!r}; expected SNIPS's form", place)
        for number, record in enumerate(records, 1):
            where = place.at(row=number, part=intent)
            if not isinstance(record, dict) or not isinstance(record.get("data"), list):
                raise DataError('has no list "data"; expected the pieces of a sentence, as SNIPS has them', where)
            yield _of_pieces(record["data"], intent, where)


def _of_pieces(pieces: list[Any], intent: str, place: Place) -> TaggedText:
    text, slots = "", []
    for piece in pieces:
        if not isinstance(piece, dict) or not isinstance(piece.get("text"), str):
            raise DataError('has a piece without "text"', place)
        begin = len(text)
        text += piece["text"]
        if piece.get("entity") is not None and piece["text"].strip():
            slots.append(Slot(str(piece["entity"]), begin, len(text)))
    return _made(text, intent, slots, place)


def _json_lines(
    file: Path, encoding: str | None, fields: tuple[str | None, ...], unclear: list[TaggedText], tagged: bool
) -> Iterator[TaggedText]:
    for line, number in lines_of(decode_file(file, encoding), file):
        if not line.strip():
            continue
        place = Place(str(file), number)
        try:
            record = json.loads(line)
        except RecursionError:
            raise DataError("the JSON is nested too deep", place) from None
        except ValueError as error:
            columns = Remedy("format", "columns", "if it has a word and a tag a line")
            remedy = columns if number == 1 else "correct the line, or take it out of the file"
            raise DataError(f"the line is not JSON ({json_problem(error)})", place, remedy) from None
        yield _record(record, fields, place, unclear, tagged)


def _record(
    record: Any, fields: tuple[str | None, ...], place: Place, unclear: list[TaggedText], tagged: bool
) -> TaggedText:
    if not isinstance(record, dict):
        raise DataError("is no JSON object; expected a text, an intent and slots", place)
    text = _field(record, fields[0], "text", _TEXT, place)
    if not tagged:
        words = text if isinstance(text, list) else None
        return TaggedText(text, place=place) if isinstance(text, str) else _of_words(words or [None], None, "", place)
    intent = _field(record, fields[2], "intent", _INTENT, place)
    given = _field(record, fields[1], "slots", _SLOTS, place, optional=True)
    if not isinstance(intent, str) or not intent.strip():
        raise DataError(f"the intent is {json.dumps(intent)}; expected text", place)
    if isinstance(text, list):
        return _of_words(text, given, intent, place)
    if not isinstance(text, str):
        raise DataError(f"the text is {json.dumps(text)[:40]}; expected text, or a list of words", place)
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], str)):
        words = text.split()
        count = len(given.split() if isinstance(given, str) else given)
        without_spaces = [one for one in text if not one.isspace()]
        return _of_words(without_spaces if len(words) != count == len(without_spaces) else words, given, intent, place)
    if isinstance(given, Mapping):
        return _made(text, intent, _found_in(text, given, place, unclear), place)
    return _made(text, intent, [_slot(one, place) for one in given or ()], place)


def _field(
    record: dict[str, Any],
    name: str | None,
    argument: str,
    usual: Sequence[str],
    place: Place,
    *,
    optional: bool = False,
) -> Any:
    chosen = next((one for one in usual if one in record), None) if name is None else name
    if chosen in record:
        return record[chosen]
    if optional and name is None:
        return None
    known = list(record)
    what = f"has no field {name!r}{suggest(name, known)}" if name else f"has no {argument}; its fields are {known}"
    raise DataError(what, place, Remedy(argument))


def _of_words(words: Any, tags: Any, intent: str, place: Place) -> TaggedText:
    """Return the text of words and their tags."""
    tags = ["O"] * len(words) if tags is None else tags.split() if isinstance(tags, str) else tags
    if not all(isinstance(word, str) and word.strip() for word in words):
        raise DataError("one of the words holds no text", place)
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError("the slots of a list of words are no tags; expected a tag for each word", place)
    if len(tags) != len(words):
        raise DataError(f"{len(tags)} tags arrived for {len(words)} words; expected one for each", place)
    check_tags(tags, place)
    text, places = join_words([word.strip() for word in words])
    slots = [Slot(name, places[start][0], places[end - 1][1]) for name, start, end in slots_of(tags)]
    return _made(text, intent, slots, place)


def _slot(given: Any, place: Place) -> Slot:
    name = next((given[key] for key in _NAME if key in given), None) if isinstance(given, dict) else None
    if name is None or not all(type(given.get(key)) is int for key in ("start", "end")):
        shown = json.dumps(given, ensure_ascii=False)[:60]
        raise DataError(f'the slot {shown} arrived; expected {{"slot": "city", "start": 8, "end": 12}}', place)
    return Slot(str(name), given["start"], given["end"])


def _found_in(text: str, given: Mapping[str, Any], place: Place, unclear: list[TaggedText]) -> list[Slot]:
    """Return where the values of slots lie; where one stands as a word once more, `unclear` gets the text with that."""
    values: list[tuple[str, str]] = []
    for name, several in given.items():
        for one in several if isinstance(several, list) else [several]:
            value = one.strip() if isinstance(one, str) else ""
            if not value or value not in text:
                raise DataError(f"the value {one!r} of the slot {name!r} is not in the text {text[:60]!r}", place)
            values.append((name, value))
    begins, ends = ({word[side] for word in cut_words(text)} for side in (0, 1))
    found: list[Slot] = []

    def best(value: str) -> tuple[bool, bool, int]:
        """Return of the best place that is left: whether a slot has it, whether it cuts a word, and its begin."""
        places = ((at, at + len(value)) for at in range(len(text)) if text.startswith(value, at))
        return min(
            (
                any(begin < slot.end and slot.start < end for slot in found),
                begin not in begins or end not in ends,
                begin,
            )
            for begin, end in places
        )

    for name, value in sorted(values, key=lambda one: -len(one[1])):
        begin = best(value)[2]  # if all are taken, the slots overlap, which is refused later
        found.append(Slot(name, begin, begin + len(value)))
    for name, value in values:
        taken, cuts, begin = best(value)
        if not (taken or cuts):
            unclear.append(TaggedText(text, slots=(Slot(name, begin, begin + len(value)),), place=place))
            break
    return found


def _columns(file: Path, encoding: str | None, notes: list[str], tagged: bool) -> Iterator[TaggedText]:
    loose = 0
    for words, tags, intent, place in _sentences(lines_of(decode_file(file, encoding), file), file, tagged):
        if not tagged:
            yield _of_words(words, None, "", place)
            continue
        if intent is None:
            raise DataError(
                "the sentence that begins here has no intent; expected the line '# intent: NAME' before it", place
            )
        loose += check_tags(tags, place)
        yield _of_words(words, tags, intent, place)
    if loose:
        notes.append(
            f"{file.name}: {loose:,} tags I-x stand behind neither B-x nor I-x; each was read as the beginning of a "
            "slot."
        )


def _sentences(
    lines: Iterable[tuple[str, int]], file: Path, tagged: bool
) -> Iterator[tuple[list[str], list[str], str | None, Place]]:
    words: list[str] = []
    tags: list[str] = []
    intent, begin = None, 0
    for line, number in lines:
        found = _INTENT_LINE.match(line)
        cells = [cell for cell in (line.split("\t") if "\t" in line else line.split()) if cell.strip()]
        if found is not None or not cells:
            if words:
                yield words, tags, intent, Place(str(file), begin)
                words, tags, intent = [], [], None
            if found is not None:
                intent = found[1]
            continue
        if cells[0].strip() == "-DOCSTART-" or (line.startswith("# ") and "\t" not in line):
            continue
        if len(cells) < 2 and tagged:
            raise DataError(
                f"{line.strip()[:60]!r} has no tag; expected a word, a tab and its tag", Place(str(file), number)
            )
        if not words:
            begin = number
        words.append(cells[0].strip())
        tags.append(cells[-1].strip())
    if words:
        yield words, tags, intent, Place(str(file), begin)


def _made(text: str, intent: str, slots: list[Slot], place: Place) -> TaggedText:
    if not text.strip():
        raise DataError("holds no text", place)
    return TaggedText(text, intent.strip(), check_slots(text, slots, place), place)
