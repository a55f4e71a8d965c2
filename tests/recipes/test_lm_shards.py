"""`rnnkit train lm --set data.shards=DIR`: on tokens, on text, resumed, evaluated, fine-tuned."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from commands import call
from shard_folders import write_lines

import rnnkit
from rnnkit.cli.arguments import recipe_of
from rnnkit.data import shards
from rnnkit.recipes import lm_results, open_recipe, shard_parts
from rnnkit.runs.settings import override
from rnnkit.training import Checkpoints

SMALL = [
    "--epochs", "1", "--hidden", "6", "--layers", "1", "--batch-size", "8",
    "--set", "model.embedding_size=4", "--set", "fit.window=20",
]  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(lm_results, "SAMPLE_TOKENS", 5)
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_lines("texts.jsonl", 150)


def make(out, **options):
    return shards.make_shards("texts.jsonl", out, shard_bytes=2048, **options)


def done(*words):
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result


def test_on_tokens(tmp_path):
    manifest = make("tokens", tokens="char")
    done("train", "lm", *SMALL, "--set", "data.shards=tokens", "--out", "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert sum(metrics["rows"].values()) == manifest.tokens
    assert metrics["split"].startswith("by place: of ")
    test = metrics["test"]
    share = manifest.characters / manifest.tokens
    assert test["bits_per_character"] == pytest.approx(test["loss"] / 0.6931471805599453 / share, rel=1e-2)
    again = done("evaluate", "run").stdout
    assert f"{test['loss']:.4g}" in again
    done("generate", "run", "--prompt", "the ", "--max-tokens", "5")
    inspected = recipe_of(tmp_path / "run", None).inspection_data(tmp_path / "run")
    assert inspected.inputs.shape == inspected.targets.shape
    assert len(inspected.inputs) == 16
    done("finetune", "run", "texts.jsonl", "--epochs", "1", "--out", "tuned")
    assert (tmp_path / "run" / "report.html").exists()
    make("tokens", tokens="char", level=3, overwrite=True)
    refused = call("evaluate", "run")
    assert refused.exit_code == 2
    assert "tokens" in refused.stderr


def test_on_text_it_is_the_run_on_the_same_files(tmp_path):
    make("raw")
    done("train", "lm", *SMALL, "--set", "data.shards=raw", "--out", "run")
    done("train", "lm", "texts.jsonl", *SMALL, "--out", "files")
    one, other = (rnnkit.load(tmp_path / name).state_dict() for name in ("run", "files"))
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    make("tokens", tokens="char")
    words = ["train", "lm", *SMALL, "--epochs", "2", "--set", "data.shards=tokens"]
    words.remove("1")
    words.remove("--epochs")
    done(*words, "--out", "whole")
    batches, seen = shards.ShardTokenBatches._rest, []

    def stop(self):
        for batch in batches(self):
            seen.append(1)
            if len(seen) == 30:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(shards.ShardTokenBatches, "_rest", stop)
    assert call(*words, "--out", "run").exit_code == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lm_results, "SAMPLE_TOKENS", 5)
    done("train", "--resume", "run")
    one, other = (rnnkit.load(tmp_path / name).state_dict() for name in ("run", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other)


def make_two():
    """Shards of two sources, tokenised alike, of which the second one is shorter."""
    make("tokens", tokens="char")
    write_lines("few.jsonl", 60, seed=1)
    shards.make_shards("few.jsonl", "few", tokenizer="tokens/tokenizer.json", shard_bytes=2048)
    return ["--set", "data.shards=tokens,few", "--set", "data.weights=0.4,0.6"]


def test_several_sources_are_mixed_by_weight_and_go_on_to_the_same_bits(tmp_path, monkeypatch):
    words = ["train", "lm", *SMALL, *make_two(), "--set", "data.test=0.1"]
    result = done(*words, "--out", "whole")
    split = json.loads((tmp_path / "whole" / "metrics.json").read_text())["split"]
    counts = [int(split.split(f" of {name}")[0].split()[-1].replace(",", "")) for name in ("tokens", "few")]
    assert counts[0] / sum(counts) == pytest.approx(0.4, abs=0.01)
    assert "few: loss " in result.stdout
    assert "tokens: loss " in result.stdout
    assert "Loss: " in done("evaluate", "whole").stdout
    done("inspect", "whole")

    def stop(self, learner, step):
        if step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_step_end", stop)
        assert call(*words, "--out", "run").exit_code == 130
    done("train", "--resume", "run")
    one, other = (rnnkit.load(tmp_path / name).state_dict() for name in ("run", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in other)
    write_lines("few.jsonl", 60, seed=2)
    shards.make_shards("few.jsonl", "few", tokenizer="tokens/tokenizer.json", shard_bytes=2048, overwrite=True)
    refused = call("train", "--resume", "run", "--epochs", "2")
    assert refused.exit_code == 2
    assert "few has changed since run was trained on it (few/manifest.json has changed, few/shard-0" in refused.stderr


def test_the_file_of_a_folder_that_has_changed_is_named():
    Path("texts").mkdir()
    for name in ("a", "b", "c"):
        write_lines(f"texts/{name}.jsonl", 60)
    done("train", "lm", "texts", *SMALL, "--out", "run")
    write_lines("texts/b.jsonl", 61)
    Path("texts/c.jsonl").rename("texts/d.jsonl")
    refused = call("train", "--resume", "run", "--epochs", "2")
    assert refused.exit_code == 2
    named = "texts/b.jsonl has changed, texts/c.jsonl is gone, texts/d.jsonl is new"
    assert f"texts has changed since run was trained on it ({named})" in refused.stderr


def test_without_weights_each_token_is_seen_once(tmp_path):
    sources = make_two()[:2]
    prepared = override(open_recipe("lm"), ["data.validation=0", "data.test=0", "fit.keep_best=false", sources[1]])
    parts = prepared.prepare().parts
    assert parts.train.counts() == tuple(len(shards.ShardSet.open(name)) for name in ("tokens", "few"))


def test_nothing_held_back_and_large_parts(tmp_path, monkeypatch):
    make("tokens", tokens="char")
    nothing = ["--set", "data.validation=0", "--set", "data.test=0", "--set", "fit.keep_best=false"]
    done("train", "lm", *SMALL, *nothing, "--set", "data.shards=tokens", "--out", "run")
    monkeypatch.setattr(shard_parts, "LARGEST_HELD", 100)
    done("train", "lm", *SMALL, "--set", "data.shards=tokens", "--out", "held")
    assert json.loads((tmp_path / "held" / "metrics.json").read_text())["rows"]["test"] == 100


def test_a_damaged_shard_is_refused_or_skipped(tmp_path):
    manifest = make("tokens", tokens="char")
    file = tmp_path / "tokens" / manifest.shards[1].name
    words = ["train", "lm", *SMALL, "--set", "data.shards=tokens"]
    whole = file.read_bytes()
    file.write_bytes(whole[:44] + bytes([whole[44] ^ 255]) + whole[45:])  # of a page: it shows when it is trained on
    assert "type --set data.damaged=skip" in call(*words, "--out", "within").stderr
    file.write_bytes(b"PAR1")
    refused = call(*words, "--out", "a")
    assert refused.exit_code == 2
    assert "shard-00001.parquet: has 4 bytes" in refused.stderr
    assert "type --set data.damaged=skip" in refused.stderr
    done(*words, "--set", "data.damaged=skip", "--out", "b")
    assert "shard-00001.parquet was skipped" in json.loads((tmp_path / "b" / "metrics.json").read_text())["troubles"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.shards=nowhere"], "there is no such file or folder"),
        (["data.shards=tokens", "data.path=texts.jsonl"], "data.path=texts.jsonl and data.shards=tokens arrived"),
        (["data.shards=series"], "holds shards of series; expected text or tokens"),
        (["data.shards=tokens", "vocabulary.file=other.json"], "made by another tokenizer"),
        (["data.shards=tokens", "vocabulary.tokens=bpe"], "shards hold tokens of the kind char already"),
        (["data.shards=tokens/shard-00000.parquet"], "type --set vocabulary.file=FILE"),
        (
            ["data.shards=rows.parquet"],
            "rows.parquet: holds shards of rows; expected text or tokens; type --set data.field=",
        ),
        (["data.shards=rows.parquet", "data.field=there"], "--set data.field=there arrived; rows.parquet has no such"),
        (["data.shards=rows.parquet", "data.field=these"], "type --set vocabulary.file=FILE"),
        (["data.shards=tokens", "data.validation=0.999"], "data.validation=0.999"),
        (["data.shards=tokens", "data.damaged=no"], "data.damaged=no"),
        (["data.shards=tokens,few", "data.weights=1"], "data.weights=1.0 arrived for data.shards=tokens,few"),
        (["data.weights=1,2"], "data.weights=1.0,2.0 arrived for no data.shards; expected one number for each"),
        (["data.shards=tokens,few", "data.weights=1,0"], "data.weights=1.0,0.0 arrived; expected numbers above 0"),
        (["data.shards=tokens,few", "data.weights=1,nan"], "data.weights=1,nan arrived"),
        (["data.shards=few,few"], "data.shards=few,few arrived, one of them twice"),
        (["data.shards=tokens,raw"], "raw: holds shards of text; expected tokens"),
        (["data.shards=tokens,words"], "words: these shards were made by another tokenizer than"),
        (["data.shards=tokens,few", "data.weights=1,1e-9", "data.until=all"], "--set data.weights=1.0,1e-09 arrived"),
        (
            ["data.shards=tokens", "data.encoding=gb18030"],
            "data.encoding=gb18030 arrived with data.shards=tokens; leave",
        ),
        (["data.shards=raw", "data.unit=line"], "leave it out: it is for files, and for rnnkit shards make SOURCE"),
        (["data.shards=raw", "data.header=false"], "data.header=false arrived with data.shards=raw; leave it out"),
        (["data.shards=tokens", "data.empty=skip"], "data.empty=skip arrived with data.shards=tokens; leave it out"),
        (["data.shards=tokens", "data.split=text"], "leave it out: shards of tokens are divided by place"),
        (["data.shards=tokens", "data.split_seed=3"], "leave it out: shards of tokens are divided by place"),
        (["data.shards=raw", "data.shuffle=false"], "leave it out: it is for shards of tokens: rnnkit shards make"),
        (["data.shards=tokens", "data.until=all"], "leave it out: it is for several shards, as in data.shards=a,b"),
        (["data.shards=tokens", "data.weights=2"], "leave it out: it is for several shards, as in data.shards=a,b"),
        (["data.damaged=skip"], "data.damaged=skip arrived; leave it out: it is for data.shards"),
        (["data.shuffle=false"], "data.shuffle=false arrived; leave it out: it is for shards of tokens"),
    ],
)
def test_mistakes_are_answered_with_what_to_type(words, said):
    make_two()
    make("raw")
    make("words", tokens="word")
    from pathlib import Path

    from rnnkit.data import train_tokenizer

    train_tokenizer("char", ["xyz"]).save("other.json")
    pq.write_table(pa.table({"these": [[1, 2, 3]]}), "rows.parquet")
    Path("s.csv").write_text("id,time,x\na,0,1\na,1,2\n")
    shards.make_shards("s.csv", "series", kind="series", reading={"targets": None})
    result = call("train", "lm", *SMALL, *(part for word in words for part in ("--set", word)), "--out", "run")
    assert result.exit_code == 2, result.output
    assert said in result.stderr


def test_settings_that_shards_use_are_taken():
    make("raw")
    make("tokens", tokens="char")
    used = ["data.damaged=skip", "data.validation=0.1", "data.test=0.1"]
    override(open_recipe("lm"), [*used, "data.shards=raw", "data.split=text", "data.split_seed=1"]).prepare()
    override(open_recipe("lm"), [*used, "data.shards=tokens", "data.split=place", "data.shuffle=false"]).prepare()
