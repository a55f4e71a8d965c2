"""The table of a model: what it holds and costs, and that looking changes nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training.resuming.preserve import tensors


@pytest.fixture
def model():
    torch.manual_seed(0)
    return rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, num_layers=2, bidirectional=True), classes=4, dropout=0.5)


class Tokens(nn.Module):
    """Token ids to classes, with an activation, products of its own, and a layer that nobody calls."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 6)
        self.body = nn.GRU(6, 8, batch_first=True)
        self.act = nn.ReLU()
        self.mix = nn.Parameter(torch.randn(8, 5))
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return self.act(self.body(self.table(x))[0][:, -1]) @ self.mix


def row(summary, name):
    (found,) = [row for row in summary.rows if row.name == name]
    return found


def test_rows_and_totals(model):
    found = rnnkit.summary(model, (5, 7, 3))
    assert [(one.name, one.level) for one in found.rows] == [("body", 0), ("layer 0", 1), ("layer 1", 1), ("head", 0)]
    body, first, second, head = found.rows
    assert (body.kind, head.kind) == ("rnnkit.LSTM", "Linear")
    assert (body.output, head.output) == ((7, 5, 16), (5, 4))
    assert found.parameters == found.trainable == sum(one.numel() for one in model.parameters())
    assert (first.trainable, second.trainable) == (2 * (4 * 8 * (3 + 8) + 64), 2 * (4 * 8 * (16 + 8) + 64))
    assert body.trainable == first.trainable + second.trainable
    column = 2 * 2 * 5 * 7 * 4 * 8
    assert (first.forward, first.backward) == (column * (3 + 8), column * (3 + 16))
    assert (second.forward, second.backward) == (column * (16 + 8), 2 * column * (16 + 8))
    assert (head.forward, head.backward) == (2 * 5 * 16 * 4, 2 * 2 * 5 * 16 * 4)
    assert found.flops == first.forward + first.backward + second.forward + second.backward + 3 * head.forward
    assert found.weights == found.gradients == 4 * found.parameters
    assert found.optimizer_state == 8 * found.parameters + 4 * len(list(model.parameters()))
    assert body.activations == 4 * 5 * 7 * (2 * 2 * 6 * 8 + 2 * 16)
    assert found.uncounted == ()


def test_without_a_shape_only_what_is_known_then(model):
    found = rnnkit.summary(model)
    assert not found.ran
    assert found.parameters == rnnkit.summary(model, (5, 7, 3)).parameters
    assert {(one.output, one.forward, one.activations) for one in found.rows} == {(None, None, None)}
    assert "need a shape" in str(found)


def test_tokens_and_what_is_not_counted():
    model = Tokens()
    model.table.requires_grad_(False)
    found = rnnkit.summary(model, (3, 9))
    assert row(found, "table").output == (3, 9, 6)
    assert (row(found, "table").trainable, row(found, "table").frozen) == (0, 120)
    assert row(found, "table").gradients == row(found, "table").optimizer == 0
    assert row(found, "body").backward == 2 * 3 * 9 * 24 * (6 + 16)  # nothing flows on to a frozen table
    assert row(found, "act").forward is None
    assert found.uncounted == ("act",)
    itself = row(found, "(model)")
    assert (itself.trainable, itself.forward) == (40, 2 * 3 * 8 * 5)
    assert "flop_counter" in itself.note
    assert row(found, "spare").output is None
    text = str(found)
    for words in ("not counted", "not called", "FLOPs not counted: act", "activations not known: (model), act"):
        assert words in text


def test_products_beside_the_layers_are_seen():
    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(3, 3)

        def forward(self, x):
            return self.one(x) @ torch.ones(3, 4)

    found = rnnkit.summary(nn.Sequential(Between()), (2, 3))
    assert row(found, "0, itself").forward == 2 * 2 * 3 * 4
    assert row(found, "0.one").forward == 2 * 2 * 3 * 3


def test_a_cell_that_runs_over_time_is_counted_at_each_step():
    found = rnnkit.summary(rnnkit.RNN(rnnkit.GRUCell(3, 5)), (7, 4, 3))
    assert row(found, "cell").forward == 7 * 2 * 4 * 15 * (3 + 5)
    assert "cell: called 7 times" in str(found)


def test_true_lengths_of_sequences_and_packed_sequences(model):
    rows = [torch.randn(length, 3) for length in (2, 7, 3)]
    ragged = rnnkit.summary(model, rnnkit.Sequences.from_list(rows))
    assert row(ragged, "body").forward == rnnkit.summary(model, (1, 12, 3)).rows[0].forward
    assert rnnkit.summary(model, rows).rows == ragged.rows

    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.LSTM(3, 8, batch_first=True)

        def forward(self, x, lengths):
            return self.body(nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False))[1][0][0]

    body = row(rnnkit.summary(Packed(), rows), "body")
    assert body.forward == 2 * 12 * 4 * 8 * (3 + 8)
    assert body.output == (3, 7, 8)


def test_every_kind_of_data_gives_the_same_table(model):
    x, y = torch.randn(50, 7, 3), torch.zeros(50, dtype=torch.int64)
    expected = rnnkit.summary(model, (32, 7, 3))
    batches = [(x[:32], y[:32])]
    for data in (x[:32], x[:32].numpy(), (x, y), batches, torch.utils.data.TensorDataset(x, y)):
        assert rnnkit.summary(model, data) == expected
    assert rnnkit.summary(model, (x, y), batch_size=5).rows[0].output == (7, 5, 16)
    assert rnnkit.summary(model, np.zeros((2, 7, 3))).rows[0].output == (7, 2, 16)


def test_shared_weights_are_counted_once():
    one = nn.Linear(4, 4)
    tied = nn.Linear(4, 4)
    tied.weight = one.weight
    found = rnnkit.summary(nn.Sequential(one, tied, one), (2, 4))
    assert found.parameters == 16 + 4 + 4
    assert row(found, "0").forward == 2 * 2 * 2 * 16
    assert row(found, "1").trainable == 4


def test_weights_in_8_bits_are_counted_as_bytes():
    layer = rnnkit.GRU(3, 5)
    (row,) = rnnkit.summary(rnnkit.quantize(layer), (7, 2, 3)).rows
    (plain,) = rnnkit.summary(layer, (7, 2, 3)).rows
    assert (row.trainable, row.forward) == (0, plain.forward)
    assert row.weights == 15 * (3 + 5) + 2 * 4 * 15 + 2 * 4 * 15  # whole numbers, scales, biases


@pytest.mark.parametrize(
    ("optimizer", "each", "single"),
    [
        ("adam", 2, 4),
        ("sgd", 0, 0),
        ("rmsprop", 1, 4),
        (lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9), 1, 0),
        (lambda parameters: torch.optim.Adam(parameters, amsgrad=True), 3, 4),
    ],
)
def test_the_optimizers_state_is_what_it_will_be(optimizer, each, single):
    model = nn.Linear(5, 3)
    found = rnnkit.summary(model, optimizer=optimizer)
    assert found.optimizer_state == 4 * each * 18 + 2 * single
    learner = rnnkit.Learner(model, loss="mse", optimizer=optimizer)
    learner.fit((torch.zeros(4, 5), torch.zeros(4, 3)), epochs=1, progress=False)
    state = learner._session.optimizer.state
    held = sum(one.nbytes for of in state.values() for one in of.values() if isinstance(one, torch.Tensor))
    assert found.optimizer_state == held == learner.summary().optimizer_state


def test_an_optimizer_that_cannot_be_tried_is_said_to_be_unknown():
    model = nn.Linear(5, 3)
    found = rnnkit.summary(model, optimizer=torch.optim.LBFGS(model.parameters()))
    assert found.optimizer_state is None
    assert "LBFGS's state not counted" in str(found)


def test_looking_changes_nothing(model):
    norm = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2))
    norm.train()
    norm[2].eval()
    before = copy.deepcopy(norm.state_dict()), torch.get_rng_state()
    rnnkit.summary(norm, (4, 2, 3))
    assert all(torch.equal(one, before[0][name]) for name, one in norm.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before[1])
    assert [part.training for part in norm] == [True, True, False, True]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in norm.modules())


def test_learner_summary_takes_its_own_optimizer_and_data(model):
    learner = rnnkit.Learner(model, optimizer="sgd")
    x = torch.randn(40, 7, 3)
    found = learner.summary((x, torch.zeros(40, dtype=torch.int64)))
    assert found == rnnkit.summary(model, (32, 7, 3), optimizer="sgd")
    assert (found.optimizer, found.optimizer_state) == ("SGD", 0)
    assert learner._session.optimizer is None


def test_the_table_reads_well(model):
    found = rnnkit.summary(model, (5, 7, 3))
    lines = str(found).splitlines()
    assert lines[0].split()[:5] == ["layer", "kind", "output", "trainable", "frozen"]
    assert lines[2].split()[:3] == ["body", "rnnkit.LSTM", "7"]
    assert lines[3].startswith("  layer 0")
    assert max(map(len, lines[:8])) < 120
    html = found._repr_html_()
    assert html.count("<tr>") == 2 + len(found.rows)
    assert "rnnkit.LSTM" in html


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ((5, 7, 4), ShapeError, "does not run on a batch of shape (5, 7, 4)"),
        ((5, 0, 3), ShapeError, "sizes of at least 1"),
        ("mnist", DataError, "a str arrived as data"),
        ([], DataError, "without a row"),
        (iter([3]), ConfigError, "can be read once"),
    ],
)
def test_what_it_cannot_be_run_on(model, data, error, words):
    with pytest.raises(error) as caught:
        rnnkit.summary(model, data)
    assert words in str(caught.value)


def test_what_is_no_model():
    with pytest.raises(ConfigError, match="expected a torch.nn.Module"):
        rnnkit.summary((32, 28, 28))
    with pytest.raises(ConfigError, match="0.weight has no shape yet"):
        rnnkit.summary(nn.Sequential(nn.LazyLinear(3)), (2, 3))
    with pytest.raises(ConfigError, match="optimizer='adan' arrived; did you mean 'adam'"):
        rnnkit.summary(nn.Linear(3, 3), optimizer="adan")


def test_tensors_come_back_as_the_same_objects_with_the_same_bits():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    objects, bits = list(model.parameters()), copy.deepcopy(model.state_dict())
    gradient = objects[0].grad = torch.ones(2, 2)

    def spoil():
        with tensors(model):
            assert objects[0].grad is None
            for one in (*model.parameters(), *model.buffers()):
                one.data.fill_(float("nan") if one.is_floating_point() else 7)
            model[1].running_mean = torch.zeros(2)
            raise KeyError

    with pytest.raises(KeyError):
        spoil()
    assert all(one is before for one, before in zip(model.parameters(), objects, strict=True))
    assert all(torch.equal(one, bits[name]) for name, one in model.state_dict().items())
    assert objects[0].grad is gradient
