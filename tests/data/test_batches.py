"""Token arrays, streams and arrays as batches: their shares, their fingerprints, and going on to the bit."""

import tracemalloc
from itertools import chain

import numpy as np
import pytest
import torch

from rnnkit.data import ArrayDataset, IndexedBatches, SeriesSet, StreamedBatches, TokenArray, TokenBatches
from rnnkit.errors import ConfigError, DataError
from rnnkit.types import Batches, Dataset


def samples():
    for number in range(23):
        yield np.full((number % 4 + 1, 2), number, np.float32), number


def tokens(count=103):
    return np.random.default_rng(0).integers(0, 50, count)


SOURCES = {
    "tokens": lambda seed=0: TokenBatches(tokens(), 3, 7, seed=seed),
    "random windows": lambda seed=0: TokenBatches(tokens(2003), 3, 20, random_windows=True, seed=seed),
    "stream": lambda seed=0: StreamedBatches(samples, 4, seed=seed),
    "shuffled stream": lambda seed=0: StreamedBatches(samples, 4, shuffle=6, seed=seed),
    "stream of batches": lambda seed=0: StreamedBatches(lambda: iter(range(9)), shuffle=4, seed=seed),
    "arrays": lambda seed=0: IndexedBatches(ArrayDataset(np.zeros((23, 4, 2)), np.arange(23)), 4, seed=seed),
}


def plain(batch):
    if not hasattr(batch, "inputs"):
        return batch
    return [None if one is None else one.tolist() for one in (batch.inputs, batch.targets, batch.input_lengths)]


def epoch(batches):
    return [plain(batch) for batch in batches]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("through_a_file", [False, True])
def test_they_go_on_in_the_middle_of_an_epoch(name, through_a_file, tmp_path):
    whole = SOURCES[name]()
    assert isinstance(whole, Batches)
    epochs = [epoch(whole) for _ in range(3)]
    assert len(epochs[0]) > 3
    for behind in (0, 1, 3, len(epochs[1])):
        stopped = SOURCES[name]()
        epoch(stopped)
        iterator = iter(stopped)
        for _ in range(behind):
            next(iterator)
        state = stopped.state_dict()
        if through_a_file:
            torch.save(state, tmp_path / "state.pt")
            state = torch.load(tmp_path / "state.pt")
        resumed = SOURCES[name]()
        resumed.load_state_dict(state)
        assert epoch(resumed) == epochs[1][behind:]
        assert epoch(resumed) == epochs[2]


@pytest.mark.parametrize("name", ["random windows", "shuffled stream", "stream of batches", "arrays"])
def test_each_epoch_and_each_seed_has_another_order(name):
    batches = SOURCES[name]()
    first, second = epoch(batches), epoch(batches)
    assert first != second
    assert epoch(SOURCES[name]()) == first
    assert epoch(SOURCES[name](seed=1)) != first
    assert batches.fingerprint() == SOURCES[name]().fingerprint() != SOURCES[name](seed=1).fingerprint()


def test_steps_are_told_where_they_are_known():
    for name, make in SOURCES.items():
        batches = make()
        assert batches.steps in (None, len(epoch(batches))), name
    assert SOURCES["tokens"]().steps == 5
    assert SOURCES["arrays"]().steps == 6


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
@pytest.mark.parametrize("suffix", ["npy", "bin"])
def test_tokens_are_mapped_from_a_file(tmp_path, dtype, suffix):
    file = tmp_path / f"tokens.{suffix}"
    written = TokenArray.write(file, tokens(), dtype)
    again = TokenArray.open(file, None if suffix == "npy" else dtype)
    for array in (written, again):
        assert isinstance(array.tokens, np.memmap)
        assert array.tokens.dtype == np.dtype(dtype)
        assert array[:].tolist() == tokens().tolist()
        assert (array[5:8].dtype, array[[3, 1]].tolist()) == (np.int64, tokens()[[3, 1]].tolist())
    assert again.fingerprint() == written.fingerprint()
    assert isinstance(again, Dataset)
    assert again.schema[0][:3] == ("tokens", dtype, ())
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name]
    if suffix == "npy":
        assert np.load(file).tolist() == tokens().tolist()


@pytest.mark.parametrize("suffix", ["npy", "bin"])
def test_tokens_are_written_piece_by_piece(tmp_path, suffix):
    pieces = (tokens()[begin : begin + 10] for begin in range(0, 103, 10))
    written = TokenArray.write(tmp_path / f"tokens.{suffix}", pieces)
    assert (written[:].tolist(), written.tokens.dtype.name) == (tokens().tolist(), "uint32")
    assert TokenArray.write(tmp_path / "a.npy", [1, 70_000]).tokens.dtype.name == "uint32"
    assert TokenArray.write(tmp_path / "a.npy", [1, 65_535]).tokens.dtype.name == "uint16"
    assert TokenArray.write(tmp_path / "a.npy", [np.array([1, 2]), np.array([3])])[:].tolist() == [1, 2, 3]


def test_a_fingerprint_tells_content_order_and_size():
    other, last, swapped = tokens(5000), tokens(5000), tokens(5000)
    other[0] += 1
    last[-1] += 1
    swapped[[0, 1]] = swapped[[1, 0]]
    assert swapped[0] != swapped[1]
    arrays = [tokens(5000), other, last, swapped, tokens(4999), tokens(5000).astype(np.uint16)]
    assert len({TokenArray(array).fingerprint() for array in arrays}) == len(arrays)


def test_streams_of_tokens_are_continuous_and_targets_are_shifted_by_one():
    batches = list(TokenBatches(tokens(), 4, 6))
    inputs, targets = (torch.cat([getattr(batch, name) for batch in batches], 1) for name in ("inputs", "targets"))
    assert inputs.dtype == targets.dtype == torch.int64
    assert [batch.inputs.shape[1] for batch in batches] == [6, 6, 6, 6, 1]
    length = 102 // 4
    assert inputs.flatten().tolist() == tokens()[: 4 * length].tolist()
    assert targets.flatten().tolist() == tokens()[1 : 4 * length + 1].tolist()


def test_random_windows_cover_the_same_streams():
    batches = list(SOURCES["random windows"]())
    sizes = [batch.inputs.shape[1] for batch in batches]
    assert len(set(sizes)) > 5
    assert min(sizes[:-1]) >= 5
    whole = torch.cat([batch.inputs for batch in batches], 1)
    assert whole.flatten().tolist() == tokens(2003)[: 3 * (2002 // 3)].tolist()
    many = [batch.inputs.shape[1] for batch in TokenBatches(np.zeros(400_000, np.int64), 1, 70, random_windows=True)]
    assert np.mean(many) == pytest.approx(0.95 * 70 + 0.05 * 35, rel=0.02)


@pytest.mark.parametrize("world", [1, 2, 5])
def test_shares_are_disjoint_and_together_everything(world):
    array = TokenArray(tokens())
    parts = [array.shard(rank, world, even=False)[:].tolist() for rank in range(world)]
    assert list(chain(*parts)) == tokens().tolist()
    data = ArrayDataset(np.zeros((23, 4, 2)), np.arange(23))
    rows = [data.shard(rank, world, even=False)[:].targets.tolist() for rank in range(world)]
    assert sorted(chain(*rows)) == list(range(23))
    stream = StreamedBatches(samples, 3, shuffle=5)
    seen = [batch.targets.tolist() for rank in range(world) for batch in stream.shard(rank, world, even=False)]
    assert sorted(chain(*seen)) == list(range(23))
    series = SeriesSet.from_arrays(np.zeros((23, 4)), np.arange(23))
    ids = [series.shard(rank, world, even=False).ids for rank in range(world)]
    assert sorted(chain(*ids), key=int) == list(series.ids)
    prints = {stream.shard(rank, world).fingerprint()["share"][0] for rank in range(world)}
    assert len(prints) == world


def test_a_share_of_a_share():
    stream = StreamedBatches(samples, 30)
    part = stream.shard(1, 2, even=False).shard(1, 3, even=False)
    assert [batch.targets.tolist() for batch in part] == [[3, 9, 15, 21]]
    for part in (stream.shard(1, 2).shard(1, 3), stream.shard(1, 2).shard(1, 3, even=False)):
        assert [batch.targets.tolist() for batch in part] == [[3, 9, 15]]


@pytest.mark.parametrize("count", [20, 21, 22, 23, 24])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("random_windows", [False, True])
def test_all_processes_make_the_same_number_of_steps(count, world, random_windows):
    def numbered():
        return ((np.full((1, 1), number), number) for number in range(count))

    shares = [
        (
            ArrayDataset(np.zeros((count, 2)), np.arange(count)).shard(rank, world).batches(2),
            IndexedBatches(ArrayDataset(np.zeros((count, 2)), np.arange(count)).shard(rank, world), 2, shuffle=False),
            TokenBatches(np.arange(10 * count), 2, 3, random_windows=random_windows).shard(rank, world),
            StreamedBatches(numbered, 2, shuffle=3).shard(rank, world),
            StreamedBatches(numbered).shard(rank, world),
        )
        for rank in range(world)
    ]
    for parts in zip(*shares, strict=True):
        shapes = [[np.shape(batch[0] if type(batch) is tuple else batch.inputs) for batch in part] for part in parts]
        assert shapes[0]
        assert all(shape == shapes[0] for shape in shapes)
        assert len({part.steps for part in parts}) == 1
        assert all(part.steps in (None, len(shapes[0])) for part in parts)
    targets = [[number for batch in share[0] for number in batch.targets.tolist()] for share in shares]
    assert sorted(chain(*targets)) == list(range(count - count % world))
    assert len({len(SeriesSet.from_arrays(np.zeros((count, 4))).shard(rank, world)) for rank in range(world)}) == 1


def test_even_and_uneven_shares_of_a_stream_have_other_fingerprints():
    stream = StreamedBatches(samples, 2)
    assert stream.shard(0, 2).fingerprint() != stream.shard(0, 2, even=False).fingerprint()
    assert stream.shard(0, 1).fingerprint() == stream.fingerprint()


def test_ranks_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="rank=2 arrived; expected a whole number below world=2"):
        TokenArray(tokens()).shard(2, 2)
    with pytest.raises(ConfigError, match="world=0"):
        StreamedBatches(samples, 2).shard(0, 0)
    with pytest.raises(DataError, match="2 tokens arrived for 3 processes"):
        TokenArray(np.arange(2)).shard(0, 3)
    for rows in (ArrayDataset(np.zeros((2, 1))), SeriesSet.from_arrays(np.zeros((2, 4)))):
        with pytest.raises(DataError, match="2 rows arrived for 3 processes; expected at least one for each"):
            rows.shard(0, 3)


def test_a_stream_holds_no_more_than_its_buffer():
    def large():
        for _ in range(400):
            yield np.zeros(25_000, np.float32), 0

    batches = StreamedBatches(large, 4, shuffle=10)
    tracemalloc.start()
    assert sum(1 for _ in batches) == 100
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 100_000  # of 400 samples of 100 kB


def test_a_stream_of_a_source_with_a_fingerprint_and_a_schema():
    series = ArrayDataset(np.zeros((5, 3)), np.arange(5))

    class Source:
        schema = series.schema

        def __iter__(self):
            yield from samples()

        def fingerprint(self):
            return "mine"

    batches = StreamedBatches(Source(), 4, drop_last=True)
    assert (batches.schema, batches.fingerprint()["source"]) == (series.schema, "mine")
    assert len(list(batches)) == 5
    assert isinstance(batches, Dataset)
    assert StreamedBatches(samples, 4).fingerprint()["source"] == "samples"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StreamedBatches(samples(), 2), ConfigError, "read only once; pass the function that makes it"),
        (lambda: StreamedBatches(3, 2), ConfigError, "a int arrived; expected an iterable"),
        (lambda: StreamedBatches(samples, 0), ConfigError, "batch_size=0"),
        (lambda: StreamedBatches(samples, 2, shuffle=-1), ConfigError, "shuffle=-1"),
        (lambda: list(StreamedBatches(lambda: [(1.0, 2), 3.0], 2)), DataError, "only some samples are pairs"),
        (lambda: list(StreamedBatches(lambda: [np.ones((2, 3)), np.ones((2, 4))], 2)), DataError, "sample 1 has shape"),
        (lambda: list(StreamedBatches(lambda: ["a", "b"], 2)), DataError, "a sample of type <U1"),
        (lambda: TokenBatches(np.arange(3), 3, 2), DataError, "3 tokens arrived; expected at least 4, for 3 streams"),
        (lambda: TokenBatches(np.arange(30), 3, 0), ConfigError, "window=0"),
        (lambda: TokenArray(np.zeros(3)), DataError, r"tokens \(3,\) of float64 arrived; expected integers"),
        (lambda: TokenArray(np.zeros((3, 2), int)), DataError, r"tokens \(3, 2\)"),
        (lambda: TokenArray(np.zeros(0, int)), DataError, "no tokens arrived"),
        (lambda: ArrayDataset(np.zeros((3, 2)), [1, 2]), DataError, "2 targets arrived for 3 inputs"),
        (
            lambda: ArrayDataset(np.zeros((3, 2)), input_lengths=[1, 2, 3]),
            DataError,
            r"input_lengths \(3,\) of int64 arrived; expected integers \[N\] in 1 … 2",
        ),
        (lambda: ArrayDataset(np.array(["a"])), DataError, "expected numbers"),
        (lambda: ArrayDataset(np.zeros((0, 2))), DataError, "no rows arrived"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_files_of_tokens_that_are_refused(tmp_path):
    with pytest.raises(DataError, match="none.npy: there is no such file"):
        TokenArray.open(tmp_path / "none.npy")
    (tmp_path / "a.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match='does not say what they are; type dtype="uint16", or dtype="uint32"'):
        TokenArray.open(tmp_path / "a.bin")
    with pytest.raises(DataError, match="has 3 bytes; expected a multiple of 2"):
        TokenArray.open(tmp_path / "a.bin", "uint16")
    with pytest.raises(ConfigError, match="dtype='float32' arrived; expected one of uint16"):
        TokenArray.open(tmp_path / "a.bin", "float32")
    (tmp_path / "a.npy").write_bytes(b"abc")
    with pytest.raises(DataError, match=r"cannot be read as an \.npy file"):
        TokenArray.open(tmp_path / "a.npy")
    for wrong, dtype in (([-1, 2], "uint16"), ([70_000], "uint16"), ([0.5], None)):
        with pytest.raises(DataError, match="arrived"):
            TokenArray.write(tmp_path / "b.npy", wrong, dtype)
    assert not list(tmp_path.glob("b.*"))  # nothing is left of what failed


def test_dtypes_follow_the_arrays_not_the_number_of_axes():
    data = ArrayDataset(np.zeros((2, 3, 4), np.uint8), np.zeros((2, 5)), target_lengths=[2, 5], weights=[0.5, 1])
    batch = data[:]
    assert (batch.inputs.dtype, batch.targets.dtype, batch.weights.dtype) == (torch.int64, torch.float32, torch.float32)
    assert [(field.name, field.shape, field.role) for field in data.schema] == [
        ("inputs", (3, 4), "input"),
        ("targets", (None,), "target"),
        ("target_lengths", (), "length"),
        ("weights", (), "weight"),
    ]
    assert tuple(data[[0]].targets.shape) == (1, 2)  # without the padding that the row does not need


def test_memory_mapped_rows_stay_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(6, 4))
    data = ArrayDataset(np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(6))
    assert isinstance(data.arrays()[0], np.memmap)
    assert isinstance(data.shard(1, 2)._arrays["inputs"], np.memmap)
    assert data[[4, 1]].inputs.tolist() == [[16, 17, 18, 19], [4, 5, 6, 7]]


def test_reprs_are_short():
    series = SeriesSet.from_arrays([np.zeros((3, 9)), np.zeros((5, 9))], [0.5, 1.5], source="my.csv")
    shown = "'channel 0', 'channel 1', 'channel 2', 'channel 3' and 5 more"
    assert repr(series) == f"SeriesSet(2 series of 3 to 5 steps; channels {shown}; 1 number each; from my.csv)"
    for make in SOURCES.values():
        assert len(repr(make())) < 200
    assert "share 1 of 2" in repr(StreamedBatches(samples, 2).shard(1, 2))


def test_a_series_set_tells_its_schema_and_fingerprint():
    labels = SeriesSet.from_arrays(np.zeros((4, 3)), list("abab"))
    numbers = SeriesSet.from_arrays(np.zeros((4, 3)), np.zeros((4, 2)))
    assert isinstance(labels, Dataset)
    assert [tuple(field) for field in labels.schema] == [
        ("values", "float64", (None, 1), "input"),
        ("targets", "str", (), "target"),
    ]
    assert numbers.schema[1].dtype == "float64"
    assert numbers.schema[1].shape == (2,)
    assert len({labels.fingerprint(), numbers.fingerprint(), labels[::-1].fingerprint()}) == 3
    single = SeriesSet.from_arrays(np.zeros((4, 3), np.float32), list("abab"))
    assert single.schema[0].dtype == "float32"
    assert labels.fingerprint() == single.fingerprint()
