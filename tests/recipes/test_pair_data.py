"""The pairs that a translator learns from: files, tables, parts, vocabularies, and what is wrong with them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pair_files import write_pairs

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import find
from rnnkit.recipes.pair_network import make_tokenizers
from rnnkit.recipes.text_pairs import divide
from rnnkit.runs.settings import override
from rnnkit.tasks.text_pairs import PairTokenizers, TextPair


def test_parallel_files_and_files_for_each_part(tmp_path):
    rows = write_pairs(tmp_path / "pairs.csv", 50)
    for name, part in (("train", rows[:40]), ("test", rows[40:])):
        for side, suffix in enumerate(("en", "zh")):
            (tmp_path / f"{name}.{suffix}").write_text("\n".join(row[side] for row in part) + "\n", "utf-8")
    named = [f"data.path={tmp_path / 'train.en'}", f"data.target_path={tmp_path / 'train.zh'}",
             f"data.test_path={tmp_path / 'test.en'}", f"data.test_target_path={tmp_path / 'test.zh'}"]  # fmt: skip
    parts = divide(override(find("translate")(), [*named, "data.validation=0.2"]).data)
    assert [(pair.source, *pair.targets) for pair in parts.pairs["test"]] == rows[40:]
    assert len(parts.pairs["train"]) + len(parts.pairs["validation"]) == 40
    with pytest.raises(DataError, match="one text a line"):
        divide(override(find("translate")(), named[:1]).data)


def test_tables_without_a_header_and_a_folder_of_data(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "pairs.txt").write_text('Say "hi".\t嗨。\tsome notes\nRun.\t跑。\tnotes\n', "utf-8")
    chosen = ["data.path=set/pairs.txt", "data.format=tsv", "data.header=false", "data.source=0", "data.target=1"]
    recipe = override(find("translate")(), [*chosen, "data.validation=0", "data.test=0"])
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    monkeypatch.chdir(tmp_path / "set")
    with pytest.raises(DataError, match="let the variable RNNKIT_DATA name"):
        divide(recipe.data)
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    assert [pair.source for pair in divide(recipe.data).pairs["train"]] == ['Say "hi".', "Run."]
    with pytest.raises(ConfigError, match="data.path is missing"):
        divide(find("translate")().data)


def test_a_vocabulary_that_is_too_small_is_told_by_its_setting(tmp_path):
    rows = write_pairs(tmp_path / "pairs.csv", 30)
    data = override(find("translate")(), ["data.tokenizer=bpe", "data.vocabulary=200"]).data
    with pytest.raises(ConfigError, match=r"^--set data.vocabulary=200 arrived; expected at least 259"):
        make_tokenizers(data, [TextPair(source, (target,)) for source, target in rows], copy=False)


def test_each_side_may_have_a_tokenizer_of_its_own(tmp_path):
    rows = write_pairs(tmp_path / "pairs.csv", 30)
    data = override(find("translate")(), ["data.tokenizer=word", "data.target_tokenizer=char"]).data
    pairs = [TextPair(source, (target,)) for source, target in rows]
    made = make_tokenizers(data, pairs, copy=False)
    assert (made.source.kind, made.target.kind) == ("word", "char")
    again = PairTokenizers.from_dict(json.loads(json.dumps(made.to_dict())))
    assert (again.source, again.target) == (made.source, made.target)
    with pytest.raises(ConfigError, match="both sides share a vocabulary"):
        make_tokenizers(data, pairs, copy=True)
    with pytest.raises(ConfigError, match="data.target_tokenizer=char"):
        make_tokenizers(replace(data, shared="yes"), pairs, copy=False)
    same = make_tokenizers(replace(data, target_tokenizer=None, shared="yes"), pairs, copy=True)
    assert same.source is same.target
    assert PairTokenizers.from_dict(same.to_dict()).source is not None


def test_the_recipes_of_public_sets_name_their_files():
    assert find("translate-multi30k")().data.files()["test"][0] == "multi30k/test_2016_flickr.en.gz"
    assert find("translate-tatoeba")().data.header is False
    assert Path(find("summarize-scitldr")().data.path).name == "train.jsonl"


@pytest.mark.parametrize(
    ("name", "content", "more", "words"),
    [
        ("a.csv", "en,zh\none,一\n", [], "no column 'source'.*type --set data.source=NAME --set data.target=NAME, or "),
        ("a.csv", "en,zh\none,一\n", [], "or --set data.header=false --set data.source=0 --set data.target=1 if the"),
        ("a.jsonl", '{"en": "one"}', [], "no field 'source'.*type --set data.source=NAME --set data.target=NAME$"),
        ("a.csv", "source,target\none,\n", [], "type --set data.empty=skip to leave it out"),
        ("a.csv", "source,target\none,一,二\n", [], "type --set data.delimiter=, or --set data.quotes=false"),
        ("a.csv", "source,target\none,一\n", ["data.encoding=ascii"], "type --set data.encoding= with another name"),
        ("a.en", "one\ntwo\n", ["data.target_path=a.zh"], "type --set data.empty=skip to leave such lines out"),
    ],
)
def test_what_is_wrong_with_pairs_is_told_in_settings(tmp_path, monkeypatch, name, content, more, words):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content, "utf-8")
    Path("a.zh").write_text("\n二\n", "utf-8")
    with pytest.raises(DataError, match=words):
        divide(override(find("translate")(), [f"data.path={name}", *more]).data)


def test_settings_of_tables_are_used(tmp_path):
    (tmp_path / "a.csv").write_text('source|target\n"one|一\n|二\nthree|三\n', "utf-8")
    data = override(find("translate")().data, [f"path={tmp_path / 'a.csv'}", "delimiter=|", "quotes=false"])
    data = override(data, ["empty=skip", "validation=0", "test=0"])
    assert [pair.source for pair in divide(data).pairs["train"]] == ['"one', "three"]
