"""Batches of rows, mixtures, files of others, and Hugging Face's datasets."""

import numpy as np
import pytest
import torch
from shard_folders import counted_shards, lines, token_shards, write_lines

import rnnkit
from rnnkit.data import TokenBatches, shards, train_tokenizer
from rnnkit.errors import ConfigError, DataError, DataWarning
from rnnkit.types import Batches


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """60 series in 3 files, whose values are their numbers."""
    folder = tmp_path_factory.mktemp("series")
    for part in range(3):
        rows = ["id,time,x,label"]
        rows += [f"{n},{t},{n},{'ab'[n % 2]}" for n in range(part * 20, part * 20 + 20) for t in range(2 + n % 3)]
        (folder / f"{part}.csv").write_text("\n".join(rows) + "\n")
    shards.make_shards(sorted(folder.glob("*.csv")), folder / "out", kind="series")
    return shards.ShardSet.open(folder / "out")


def rows_of(batches):
    return [int(batch.inputs[row, 0, 0]) for batch in batches if batch is not None for row in range(len(batch))]


def test_a_shard_set_in_place_of_its_batches_is_refused_with_the_call(series):
    learner = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), 2))
    for data in (series, shards.Mixture([(series, 1.0), (series, 2.0)])):
        with pytest.raises(DataError, match=r"pass data\.batches\(32\), or pass data\.batches\(32, 100\) and stateful"):
            learner.fit(data)
    with pytest.raises(DataError, match=r"expected .* iterable of batches; pass data\.batches\(32, 100\) and stateful"):
        learner.fit(rnnkit.data.TokenArray(np.arange(9)))
    learner.fit(series.batches(32), epochs=1, progress=False)


def test_rows_become_samples(series):
    batches = series.batches(8)
    assert isinstance(batches, Batches)
    assert rows_of(batches) == list(range(60))
    batch = next(iter(batches))
    assert batch.inputs.shape == (8, 4, 1)
    assert batch.input_lengths.tolist() == [2, 3, 4, 2, 3, 4, 2, 3]
    assert batch.targets.tolist() == [0, 1] * 4
    assert series.labels == ("a", "b")


def test_a_classifier_learns_from_shards(series):
    learner = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), classes=2))
    learner.fit(series.batches(8, shuffle=16), epochs=1, progress=False)
    assert learner.evaluate(series.batches(8))["loss"] > 0


@pytest.mark.parametrize("buffer", [0, 7, 16, 100])
def test_shuffled_rows_come_once_and_go_on_to_the_bit(series, buffer):
    def make():
        return series.batches(8, shuffle=buffer, seed=3)

    whole = make()
    first, second = [rows_of([batch])[:] for batch in whole], rows_of(whole)
    flat = [row for rows in first for row in rows]
    assert sorted(flat) == sorted(second) == list(range(60))
    assert (flat == second) == (buffer == 0)
    for stop in (0, 1, 3, 7, 8):
        begun = make()
        iterator = iter(begun)
        for _ in range(stop):
            next(iterator)
        again = make()
        again.load_state_dict(begun.state_dict())
        assert rows_of(again) == [row for rows in first[stop:] for row in rows]
        assert rows_of(again) == second


@pytest.mark.parametrize("buffer", [0, 9])
@pytest.mark.parametrize("worlds", [(2, 3), (3, 1, 2), (1, 4)])
@pytest.mark.parametrize("even", [True, False])
def test_another_number_of_processes_sees_each_row_once(series, buffer, worlds, even):
    state, seen = None, []
    for index, world in enumerate(worlds):
        parts = [series.batches(3, shuffle=buffer).shard(rank, world, even=even) for rank in range(world)]
        for part in parts if state else ():
            part.load_state_dict(state)
        iterators = [iter(part) for part in parts]
        for _ in range(4 if index < len(worlds) - 1 else 100):
            seen += rows_of(next(iterator, None) for iterator in iterators)
        state = parts[0].state_dict()
        assert all(part.state_dict() == state for part in parts)
    assert len(set(seen)) == len(seen)
    assert len(seen) == 60 if not even else 60 - len(seen) < worlds[-1]


def test_documents_and_texts_are_tokenised_on_the_fly(tmp_path):
    found = token_shards(tmp_path, texts=30)
    by_tokens = list(found.batches(4))
    shards.make_shards(tmp_path / "texts.jsonl", tmp_path / "raw", shard_bytes=1024)
    raw = shards.ShardSet.open(tmp_path / "raw")
    by_text = list(raw.batches(4, tokenizer=found.tokenizer()))
    assert len(by_tokens) == len(by_text) == 8
    for one, other in zip(by_tokens, by_text, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.input_lengths, other.input_lengths)
    assert found.tokenizer().decode(by_tokens[0].inputs[0].tolist()) == lines(30)[0]
    with pytest.raises(ConfigError, match="pass tokenizer="):
        raw.batches(4)
    with pytest.raises(ConfigError, match="tokenizer='char' arrived; expected a Tokenizer"):
        raw.batches(4, tokenizer="char")
    with pytest.raises(ConfigError, match=r"make them by rnnkit shards make"):
        raw.batches(4, window=5)


def test_rows_of_a_damaged_shard_are_left_out(tmp_path):
    found = token_shards(tmp_path)
    expected = sum(len(batch) for batch in found.batches(4))
    name = found.manifest.shards[1].name
    (tmp_path / "shards" / name).write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=name):
        shards.ShardSet.open(tmp_path / "shards")
    with pytest.warns(DataWarning, match=name):
        skipping = shards.ShardSet.open(tmp_path / "shards", damaged="skip")
    batches = list(skipping.batches(4, shuffle=10))
    assert sum(len(batch) for batch in batches) == expected - found.manifest.shards[1].rows
    assert len(skipping.skipped) == 1


def test_recordings_are_samples(tmp_path):
    from sounds import tone

    from rnnkit.data.audio import write_wav

    for word in ("low", "high"):
        (tmp_path / "in" / word).mkdir(parents=True)
        write_wav(tmp_path / "in" / word / "1.wav", tone(word, seed=1), 8000)
    shards.make_shards(tmp_path / "in", tmp_path / "out")
    (batch,) = shards.ShardSet.open(tmp_path / "out").batches(2)
    assert batch.targets.tolist() == [0, 1]
    assert batch.inputs.dtype == torch.float32
    assert 0.01 < float(batch.inputs.abs().max()) <= 1


# --- mixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    found = []
    for name, count in (("much", 3000), ("little", 1500)):
        write_lines(folder / f"{name}.jsonl", count, seed=len(name))
        tokenizer = train_tokenizer("char", lines(50))
        shards.make_shards(folder / f"{name}.jsonl", folder / name, tokenizer=tokenizer, shard_bytes=20_000)
        found.append(shards.ShardSet.open(folder / name))
    return found


def test_a_mixture_has_the_shares_of_its_weights_everywhere(pair, monkeypatch):
    monkeypatch.setitem(shards.Mixture.__init__.__globals__["_PIECE"], True, 500)
    mixture = shards.Mixture([(pair[0], 3), (pair[1], 1)])
    assert mixture.weights.tolist() == [0.75, 0.25]
    assert len(mixture) == min(len(pair[0]) * 4 // 3, len(pair[1]) * 4)
    ranges = mixture.ranges(0, 0, shuffle=True)
    own = np.where(ranges[:, 0] < len(pair[0]), ranges[:, 1] - ranges[:, 0], 0)
    done = np.cumsum(ranges[:, 1] - ranges[:, 0])
    assert np.abs(np.cumsum(own) - 0.75 * done).max() < 1000
    assert (done[-1], own.sum()) == (len(mixture), mixture.counts()[0])


@pytest.mark.parametrize("until", ["first", "all"])
def test_a_mixture_goes_on_and_reads_each_source_as_often_as_told(pair, until):
    mixture = shards.Mixture([(pair[0], 1), (pair[1], 1)], until=until)
    smaller, larger = sorted(map(len, pair))
    assert len(mixture) == 2 * (smaller if until == "first" else larger)
    batches = mixture.batches(4, window=200, shuffle=True, seed=1)
    first = [batch.targets for batch in batches]
    begun = mixture.batches(4, window=200, shuffle=True, seed=1)
    iterator = iter(begun)
    for _ in range(5):
        next(iterator)
    again = mixture.batches(4, window=200, shuffle=True, seed=1)
    again.load_state_dict(begun.state_dict())
    rest = [batch.targets for batch in again]
    assert len(rest) == len(first) - 5
    assert all(map(torch.equal, rest, first[5:]))


@pytest.mark.parametrize("until", ["first", "all"])
def test_a_mixture_goes_on_in_another_number_of_processes_and_sees_its_units_once(tmp_path, monkeypatch, until):
    """Of two sources of 800 and 402 tokens by 1 : 1, read by one process and then by two."""
    monkeypatch.setitem(shards.Mixture.__init__.__globals__["_PIECE"], True, 50)
    found = counted_shards(tmp_path, 1202)
    mixture = shards.Mixture([(found.part(0, 800), 1), (found.part(800, 1202), 1)], until=until)
    begun = mixture.batches(4, window=10, shuffle=True, seed=2)
    iterator, seen = iter(begun), []
    for _ in range(5):
        seen += next(iterator).targets.flatten().tolist()
    for rank in range(2):
        share = mixture.batches(4, window=10, shuffle=True, seed=2).shard(rank, 2)
        share.load_state_dict(begun.state_dict())
        seen += [one for batch in share for one in batch.targets.flatten().tolist()]
    counts = np.bincount(seen, minlength=1202)
    assert len(mixture) - 1 - 8 < len(seen) <= len(mixture) - 1
    assert counts[:800].max() == 1
    assert counts[800:].max() == (1 if until == "first" else 2)
    assert (counts[:800] > 0).sum() > (390 if until == "first" else 790)


def test_a_mixture_of_one_is_its_source(pair):
    mixture = shards.Mixture([(pair[1], 2.5)])
    tokens = np.concatenate([row["tokens"] for row in pair[1]])
    expected = [batch.inputs for batch in TokenBatches(tokens, 4, 300)]
    found = [batch.inputs for batch in mixture.batches(4, window=300)]
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))


def test_a_mixture_of_parts_and_of_rows(pair, series):
    parts = [(pair[0].part(100, 600), 1), (pair[1].part(50, 550), 1)]
    mixture = shards.Mixture(parts)
    found = torch.cat([batch.targets[0] for batch in mixture.batches(1, window=100)])
    tokens = [np.concatenate([row["tokens"] for row in one]) for one in pair]
    assert found.tolist() == [*tokens[0][101:600].tolist(), *tokens[1][50:550].tolist()]
    rows = shards.Mixture([(series, 1), (series.part(0, 30), 1)]).batches(4, shuffle=8)
    seen = rows_of(rows)
    assert len(seen) == 60
    with pytest.raises(ConfigError, match="a mixture of tokens has no rows"):
        shards.Mixture([(pair[0], 1)]).batches(4)
    with pytest.raises(ConfigError, match="expected a pair"):
        shards.Mixture([pair[0]])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda pair, series: [], "no sources"),
        (lambda pair, series: [("tokens", 1)], r"'tokens' arrived; expected shards; open them by ShardSet.open"),
        (lambda pair, series: [(pair[0], 0)], "weight of source 0=0"),
        (lambda pair, series: [(pair[0], 1), (series, 1)], "sources of series and tokens"),
        (lambda pair, series: [(pair[0], 1), (series.part(0, 1), float("nan"))], "weight of source 1"),
    ],
)
def test_bad_mixtures_are_refused(pair, series, make, problem):
    with pytest.raises(ConfigError, match=problem):
        shards.Mixture(make(pair, series))


# --- files of others -------------------------------------------------------------------------------------------------


def test_parquet_of_others_opens(tmp_path):
    import pandas as pd

    texts = lines(40)
    pd.DataFrame({"id": range(40), "content": texts}).to_parquet(tmp_path / "a.parquet", row_group_size=7)
    found = shards.ShardSet.open(tmp_path)
    assert (found.kind, found.manifest.column, len(found)) == ("text", "content", 40)
    assert [text for text, _ in shards.ShardTexts(found)] == texts
    numbers = pd.DataFrame({"x": [1.5, 2.5], "name": ["a", "b"]})
    numbers.to_parquet(tmp_path / "n.parquet")
    rows = shards.ShardSet.open(tmp_path / "n.parquet")
    assert (rows.kind, list(rows)) == ("rows", [{"x": 1.5, "name": "a"}, {"x": 2.5, "name": "b"}])
    with pytest.raises(ConfigError, match="pass samples="):
        rows.batches(2)
    (batch,) = rows.batches(2, samples=lambda found: [(np.array([row["x"]]), 0) for row in found])
    assert batch.inputs.tolist() == [[1.5], [2.5]]
    with pytest.raises(ConfigError, match="did you mean 'name'"):
        shards.ShardSet.open(tmp_path / "n.parquet", column="nam")
    with pytest.raises(ConfigError, match="x is double"):
        shards.ShardSet.open(tmp_path / "n.parquet", column="x")
    with pytest.raises(DataError, match="has no column 'content'"):
        shards.ShardSet.open(tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        shards.ShardSet.open(tmp_path / "missing")


def test_hugging_face_datasets_opens_shards(tmp_path, series):
    datasets = pytest.importorskip("datasets")
    found = token_shards(tmp_path, texts=20)
    files = sorted(map(str, (tmp_path / "shards").glob("*.parquet")))
    opened = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["tokens"] for row in opened] == [row["tokens"].tolist() for row in found]
    streamed = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert next(iter(streamed))["tokens"] == next(iter(found))["tokens"].tolist()
    file = series.storage.where(series.manifest.shards[0].name)
    opened = datasets.load_dataset("parquet", data_files=[file], split="train", cache_dir=str(tmp_path / "cache"))
    assert np.array_equal(np.array(opened[3]["values"]), next(iter(series.part(3, 4)))["values"])
    saved = datasets.Dataset.from_dict({"text": lines(10)})
    saved.to_parquet(tmp_path / "hf.parquet")
    assert [text for text, _ in shards.ShardTexts(shards.ShardSet.open(tmp_path / "hf.parquet"))] == lines(10)
