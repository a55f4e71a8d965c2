"""Models of parts that users bring: embeddings, cells of their own, PyTorch's layers, chains."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import rnnkit
from rnnkit.errors import BackendError, ConfigError, DataError, ShapeError
from rnnkit.finetuning.adapters import add_adapters, merge_adapters
from rnnkit.finetuning.groups import layer_groups
from rnnkit.finetuning.heads import replace_head
from rnnkit.serialization import save_module

LENGTHS = [7, 2, 4]


class LeakyCell(nn.Module):
    """h_t = (1 - rate) h_{t-1} + rate tanh(W x_t + U h_{t-1}), y_t = [h_t, -h_t]: a cell as a user writes it."""

    def __init__(self, inputs: int, hidden: int, rate: float = 0.5) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.output_size, self.rate = inputs, hidden, 2 * hidden, rate
        self.inputs = nn.Linear(inputs, hidden)
        self.recurrent = nn.Parameter(torch.randn(hidden, hidden) / hidden**0.5)

    def forward(self, x, state):
        h, steps = state
        h = torch.lerp(h, torch.tanh(self.inputs(x) + h @ self.recurrent.T), self.rate)
        return torch.cat((h, -h), -1), (h, steps + 1)

    def initial_state(self, batch, device, dtype):
        zeros = torch.zeros(batch, self.hidden_size, device=device, dtype=dtype)
        return zeros, torch.zeros(batch, 1, device=device, dtype=dtype)

    def config(self):
        arguments = {"inputs": self.input_size, "hidden": self.hidden_size, "rate": self.rate}
        return {"builder": "LeakyCell", "arguments": arguments}


class Differences(rnnkit.SequenceModule):
    """x_t - x_{t-1}, a layer of the user's over sequences."""

    def forward(self, x, lengths=None):
        y = nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
        return self.masked(y, lengths), lengths, None


class Decay(rnnkit.SequenceModule):
    """s_t = r s_{t-1} + x_t, r = sigmoid(rate): a recurrence of the user's over whole sequences, time on axis 1."""

    stateful, state_batch_axis = True, 1

    def __init__(self, features):
        super().__init__()
        self.input_size = self.output_size = features
        self.rate = nn.Parameter(torch.zeros(features))

    def forward(self, x, lengths=None):
        y, state = self.forward_chunk(x, lengths=lengths)
        return y, lengths, state

    def forward_chunk(self, x, state=None, *, lengths=None, resets=None):
        h = (self.initial_state(len(x), x.device, x.dtype) if state is None else state)[0]
        x = self.masked(x, lengths)
        powers = torch.sigmoid(self.rate) ** torch.arange(x.shape[1] + 1)[:, None]
        y = torch.stack([(powers[: t + 1].flip(0) * x[:, : t + 1]).sum(1) for t in range(x.shape[1])], 1)
        y = y + powers[1:] * h[:, None]
        return self.masked(y, lengths), self.last_output(y, lengths, None)[None]

    def initial_state(self, batch, device=None, dtype=None):
        return torch.zeros(1, batch, self.output_size, device=device, dtype=dtype)


class Square(nn.Module):
    def forward(self, x):
        return x * x


def tokens(rows=3, time=7, vocabulary=11, seed=0):
    return torch.randint(vocabulary, (rows, time), generator=torch.Generator().manual_seed(seed))


def own(kind=rnnkit.SequenceClassifier, **options):
    torch.manual_seed(0)
    options = {"classes": ["no", "yes"]} if kind is rnnkit.SequenceClassifier and not options else options
    return kind(rnnkit.RNN(LeakyCell(4, 5)), front=nn.Embedding(11, 4), **options).eval()


BODIES = {
    "layer": lambda: rnnkit.LSTM(4, 5, num_layers=2, bidirectional=True),
    "torch lstm": lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True, proj_size=3),
    "torch gru": lambda: nn.GRU(4, 5, batch_first=True),
    "torch rnn": lambda: nn.RNN(4, 5, nonlinearity="relu", bidirectional=True, batch_first=True),
    "torch cell": lambda: rnnkit.RNN(nn.LSTMCell(4, 5)),
    "own cell": lambda: rnnkit.RNN(LeakyCell(4, 5), batch_first=True),
    "two own cells": lambda: rnnkit.RNN(LeakyCell(4, 5), reverse_cell=LeakyCell(4, 3)),
    "chain": lambda: rnnkit.Chain(rnnkit.GRU(4, 6), nn.Linear(6, 5), nn.LSTM(5, 3)),
    "sequential": lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Conv1d(6, 5, 3, padding="same")),
    "own recurrence": lambda: Decay(4),
    "convolution": lambda: nn.Conv1d(4, 6, 2, stride=2, padding=1),
}


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_padded_row_is_classified_as_if_alone_whatever_the_body(body, pooling):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(body(), 3, pooling)
    x = torch.randn(3, 7, 4)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = float("nan")
    together = model(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(together[row : row + 1], model(x[row : row + 1, :length]))
    together.sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None)
    again = rnnkit.SequenceClassifier(body(), 3, pooling)
    again.load_state_dict(model.state_dict())


@pytest.mark.parametrize("body", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("pooling", ["last", "concat"])
def test_a_body_of_pytorchs_computes_what_ours_does_and_can_be_accelerated(body, pooling):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(body(3, 6, 2, bidirectional=True), 4, pooling).eval()
    x = torch.randn(3, 7, 3)
    before, names = model(x, lengths=LENGTHS), list(model.state_dict())
    report = rnnkit.accelerate(model)
    assert [one.name for one in report.swapped] == ["body"]
    torch.testing.assert_close(model(x, lengths=LENGTHS), before)
    assert list(model.state_dict()) == names


def test_an_embedding_and_a_cell_of_the_users_save_and_load(tmp_path):
    model, x = own(), tokens()
    save_module(model, tmp_path)
    with pytest.raises(ConfigError, match=r"'LeakyCell' is unknown.*builders=\{'LeakyCell': \.\.\.\}"):
        rnnkit.load(tmp_path)
    again = rnnkit.load(tmp_path, builders={"LeakyCell": LeakyCell})
    assert again.config() == model.config()
    assert again.class_names == ("no", "yes")
    assert torch.equal(again(x, lengths=LENGTHS), model(x, lengths=LENGTHS))
    assert {"front.weight", "body.cell.recurrent", "head.weight"} <= set(model.state_dict())


def test_builders_are_registered_by_name(tmp_path, monkeypatch):
    from rnnkit.models import loading

    monkeypatch.setattr(loading, "_REGISTERED", {})
    save_module(own(), tmp_path)
    rnnkit.models.register(LeakyCell)
    assert isinstance(rnnkit.load(tmp_path).body.cell, LeakyCell)
    rnnkit.models.register(lambda inputs, hidden, rate: LeakyCell(inputs, hidden, 0.125), "LeakyCell")
    assert rnnkit.load(tmp_path).body.cell.rate == 0.125
    with pytest.raises(ConfigError, match="give yours another name"):
        rnnkit.models.register(LeakyCell, "GRU")
    with pytest.raises(ConfigError, match="give yours another name"):
        rnnkit.load(tmp_path, builders={"torch.nn.Linear": nn.Linear})
    with pytest.raises(ConfigError, match="expected a class or a function"):
        rnnkit.models.register(LeakyCell(1, 1))


def test_a_part_without_a_description_is_loaded_into_a_module(tmp_path):
    def make():
        return rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2, front=Differences())

    model = make()
    assert model.config() is None
    save_module(model, tmp_path)
    with pytest.raises(DataError, match="pass rnnkit.load"):
        rnnkit.load(tmp_path)
    x = torch.randn(2, 5, 3)
    assert torch.equal(rnnkit.load(tmp_path, model=make())(x), model(x))


PARTS = {
    "fronts in sequence": lambda: rnnkit.SequenceClassifier(
        rnnkit.GRU(6, 5), 2, front=[nn.Embedding(11, 4, padding_idx=0), rnnkit.ConvFront(4, 6, (3,), stride=2)]
    ),
    "sequential": lambda: rnnkit.SequenceRegressor(
        nn.LSTM(5, 3, proj_size=2, batch_first=True),
        2,
        front=nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 5, bias=False), nn.LayerNorm(5), nn.GELU(), nn.Dropout()),
    ),
    "tagger": lambda: rnnkit.SequenceTagger(rnnkit.RNN(rnnkit.GRUCell(4, 5)), 11, front=nn.Embedding(11, 4)),
    "chain": lambda: rnnkit.SequenceTagger(
        rnnkit.Chain(nn.RNN(4, 5, nonlinearity="relu"), nn.Conv1d(5, 4, 3, padding="same"), rnnkit.PerStep(nn.Tanh())),
        3,
        front=(nn.Embedding(11, 4),),
    ),
    "head": lambda: rnnkit.SequenceClassifier(
        nn.GRU(4, 5), 3, front=nn.Embedding(11, 4), head=nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    ),
}


@pytest.mark.parametrize("make", PARTS.values(), ids=PARTS)
def test_parts_of_pytorchs_save_and_load_without_a_word(tmp_path, make):
    torch.manual_seed(0)
    model, x = make().eval(), tokens()
    save_module(model, tmp_path)
    again = rnnkit.load(tmp_path)
    assert again.config() == model.config()
    assert json.loads(json.dumps(model.config())) == json.loads(json.dumps(again.config()))
    assert torch.equal(again(x, lengths=LENGTHS), model(x, lengths=LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = model(x[row : row + 1, :length])
        together = model(x, lengths=LENGTHS)[row : row + 1]
        torch.testing.assert_close(together[:, : alone.shape[1]], alone)
        if isinstance(model, rnnkit.SequenceTagger):
            assert not together[:, length:].any()


def test_files_of_before_still_load(tmp_path):
    """A description as version 0.1 wrote it, with all parts that it had."""
    arguments = {
        "body": {
            "builder": "GRU",
            "arguments": {
                "input_size": 6, "hidden_size": 5, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
                "bidirectional": False, "init": "torch", "backend": "auto",
            },
        },
        "front": {
            "builder": "ConvFront",
            "arguments": {
                "input_size": 3, "kernel_sizes": [3, 5], "stride": 2, "differences": True, "standardised": True,
                "dropout": 0.0, "channels": 6,
            },
        },
        "augment": {"builder": "SeriesAugment", "arguments": {"jitter": 0.05, "scale": 0.1, "warp": 0.2}},
        "classes": 4, "pooling": "concat", "dropout": 0.0,
    }  # fmt: skip
    described = {"config": {"builder": "SequenceClassifier", "arguments": arguments}, "extra": {}}
    shapes = {
        "front.convs.0.weight": (3, 9, 3), "front.convs.0.bias": (3,), "front.convs.1.weight": (3, 9, 5),
        "front.convs.1.bias": (3,), "front.norm.weight": (6,), "front.norm.bias": (6,), "front.norm.running_mean": (6,),
        "front.norm.running_var": (6,), "front.mix.weight": (6, 6, 3), "front.mix.bias": (6,),
        "front.mix_norm.weight": (6,), "front.mix_norm.bias": (6,), "front.mix_norm.running_mean": (6,),
        "front.mix_norm.running_var": (6,), "body.weight_ih_l0": (15, 6), "body.weight_hh_l0": (15, 5),
        "body.bias_ih_l0": (15,), "body.bias_hh_l0": (15,), "head.weight": (4, 15), "head.bias": (4,),
    }  # fmt: skip
    weights = {name: torch.rand(shape) for name, shape in shapes.items()}
    weights |= {f"front.{name}.num_batches_tracked": torch.tensor(3) for name in ("norm", "mix_norm")}
    save_file(weights, tmp_path / "model.safetensors", {"rnnkit": json.dumps(described)})
    model = rnnkit.load(tmp_path)
    assert set(model.state_dict()) == set(weights)
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in weights)
    assert json.loads(json.dumps(model.config())) == described["config"]
    assert (model.class_names, tuple(model(torch.randn(2, 9, 3), lengths=[9, 4]).shape)) == (None, (2, 4))


@pytest.mark.parametrize("kind", [rnnkit.SequenceClassifier, rnnkit.SequenceTagger])
def test_the_state_is_carried_from_chunk_to_chunk(kind):
    x = tokens(rows=3, time=9)
    for body in (
        rnnkit.RNN(LeakyCell(4, 5)),
        nn.LSTM(4, 5, 2),
        Decay(4),
        rnnkit.Chain(rnnkit.GRU(4, 4), nn.LSTM(4, 5)),
    ):
        model = kind(body, 2, front=nn.Embedding(11, 4)).eval()
        assert model.carry_problem is None
        state, outputs = model.initial_state(3), []
        for chunk in x.split([4, 2, 3], 1):
            output, state = model.forward_chunk(chunk, state)
            outputs.append(output)
        together = torch.cat(outputs, 1) if kind is rnnkit.SequenceTagger else outputs[-1]
        torch.testing.assert_close(together, model(x))
        first, _ = model.forward_chunk(x, lengths=[9, 2, 5])
        torch.testing.assert_close(first, model(x, lengths=[9, 2, 5]))


def test_what_cannot_be_carried_says_why():
    front = [nn.Embedding(11, 4), nn.Conv1d(4, 4, 3, padding="same")]
    for model, message in (
        (rnnkit.SequenceTagger(nn.GRU(4, 5, bidirectional=True), 2), "GRU is bidirectional"),
        (
            rnnkit.SequenceTagger(rnnkit.GRU(4, 5), 2, front=front),
            "Conv1d needs",
        ),
        (rnnkit.SequenceTagger(rnnkit.GRU(3, 5), 2, front=Differences()), "Differences needs whole sequences"),
        (rnnkit.SequenceTagger(nn.Linear(4, 5), 2), "has no state"),
        (rnnkit.SequenceTagger(rnnkit.Chain(rnnkit.GRU(4, 5), rnnkit.RNN(LeakyCell(5, 3))), 2), "different axes"),
    ):
        assert message in model.carry_problem
        with pytest.raises(ConfigError, match=message):
            model.forward_chunk(torch.randn(2, 3, 4))
    model = rnnkit.SequenceTagger(nn.LSTM(4, 5), 2)
    with pytest.raises(BackendError, match=r"rnnkit.accelerate\(model\)"):
        model.forward_chunk(torch.randn(2, 3, 4), resets=torch.zeros(2, 3, dtype=torch.bool))
    rnnkit.accelerate(model)
    model.forward_chunk(torch.randn(2, 3, 4), resets=torch.zeros(2, 3, dtype=torch.bool))


def test_it_trains_fine_tunes_with_adapters_and_merges(tmp_path):
    x = tokens(rows=64, time=6)
    y = (x == 3).any(1).long()
    model = own()
    learner = rnnkit.Learner(model, lr=0.02)
    history = learner.fit((x, y), epochs=12, batch_size=16, progress=False)
    assert history.rows[-1]["loss"] < 0.8 * history.rows[0]["loss"]
    base = copy.deepcopy(model.state_dict())
    tuned = learner.fine_tune((x, y), adapters=rnnkit.LoRA(rank=2), epochs=2, batch_size=16, progress=False)
    assert tuned.rows
    names = {name for name, one in model.named_parameters() if one.requires_grad}
    assert {
        "body.cell.parametrizations.recurrent.0.A",
        "body.cell.inputs.parametrizations.weight.0.B",
    } <= names
    assert torch.equal(model.front.weight, base["front.weight"])
    learner.save(tmp_path)
    again = rnnkit.load(tmp_path, builders={"LeakyCell": LeakyCell})
    model.eval()
    torch.testing.assert_close(again(x), model(x))
    merge_adapters(model)
    assert list(model.state_dict()) == list(base)
    torch.testing.assert_close(again(x), model(x))
    assert not torch.equal(model.body.cell.recurrent, base["body.cell.recurrent"])


def test_adapters_reach_the_cells_of_the_users_and_compute_their_weights_once_a_call(monkeypatch):
    from rnnkit.finetuning.adapters import LowRank

    model, x = own(), tokens()
    before = model(x)
    assert add_adapters(model, rank=2) == ["body.cell.recurrent", "body.cell.inputs.weight"]
    assert torch.equal(model(x), before)
    calls, plain = [], LowRank.forward
    monkeypatch.setattr(LowRank, "forward", lambda self, weight: calls.append(1) or plain(self, weight))
    model(x).sum().backward()
    assert len(calls) == 2
    tied = rnnkit.RNN(LeakyCell(4, 5), recompute=2, batch_first=True)
    plain_layer = rnnkit.RNN(tied.cell, batch_first=True)
    gradients = []
    for layer in (tied, plain_layer):
        model = rnnkit.SequenceTagger(layer, 2, head=nn.Linear(10, 2))
        model.head.load_state_dict({"weight": torch.ones(2, 10).tril(), "bias": torch.zeros(2)})
        if not gradients:
            add_adapters(model, rank=2)
            nn.init.ones_(tied.cell.parametrizations.recurrent[0].B)
        tied.zero_grad()
        model(torch.ones(2, 5, 4), lengths=[5, 3]).square().sum().backward()
        gradients.append([one.grad for one in tied.parameters() if one.requires_grad])
    assert len(gradients[0]) == 4
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(ConfigError, match="no weight"):
        add_adapters(rnnkit.SequenceTagger(nn.Linear(3, 4), 2))


def test_groups_and_heads_of_open_models():
    model = own()
    assert list(layer_groups(model)) == ["front", "body", "head"]
    chained = PARTS["fronts in sequence"]()
    assert list(layer_groups(chained)) == ["front.0", "front.1", "body.l0", "head"]
    replace_head(model, 2)
    assert model.class_names == ("no", "yes")  # as many as before
    replace_head(model, 4)
    assert (model.class_names, model.config()["arguments"]["classes"]) == (None, 4)
    model = PARTS["head"]()
    replace_head(model, 5)
    assert model.config()["arguments"]["classes"] == 5
    assert rnnkit.models.build(model.config()).head[2].out_features == 5


def test_it_is_inspected():
    model, x = own(), tokens(rows=8)
    y = (x == 3).any(1).long()
    text = str(rnnkit.summary(model, x))
    assert "Embedding" in text
    assert "body.cell" in text
    flow = rnnkit.diagnostics.gradient_flow(model, x, y)
    assert flow is not None
    assert str(rnnkit.diagnose(model, x, y))
    for body in (nn.LSTM(4, 5), Decay(4), rnnkit.Chain(nn.Linear(4, 4), rnnkit.GRU(4, 5)), nn.Sequential(nn.GRU(4, 5))):
        assert str(rnnkit.diagnose(rnnkit.SequenceClassifier(body, 2, front=nn.Embedding(11, 4)), x, y))


def test_truncated_training_carries_the_state_of_a_users_cell():
    x = tokens(rows=6, time=12)
    model = own(rnnkit.SequenceTagger, outputs=11)
    learner = rnnkit.Learner(model, lr=0.01)
    history = learner.fit((x[:, :-1], x[:, 1:]), epochs=2, bptt=4, progress=False)
    assert history.rows[1]["loss"] < history.rows[0]["loss"]


def test_packed_sequences_are_taken():
    model, x = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2), torch.randn(3, 7, 3)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(model(packed), model(x, lengths=LENGTHS))


# --- what arrives wrongly --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (nn.LSTMCell(3, 4), r"a cell is a single step: rnnkit\.RNN\(cell\)"),
        (rnnkit.GRU, r"body is the class GRU; expected a module: GRU\(\.\.\.\)"),
        (lambda x, state: (x, state), r"rnnkit\.RNN\("),
        (Square(), r"rnnkit\.PerStep\(Square\(\.\.\.\)\)"),
        (nn.MultiheadAttention(4, 2), "derived from rnnkit.SequenceModule"),
        (None, "body is a NoneType"),
        (rnnkit.RNN(Square()), "attribute output_size"),
        (rnnkit.Chain(nn.Embedding(3, 4), nn.ReLU()), None),
    ],
)
def test_bodies(body, message):
    if message is None:
        rnnkit.SequenceClassifier(body, 2)
        return
    with pytest.raises(ConfigError, match=message):
        rnnkit.SequenceClassifier(body, 2)


def test_parts_that_do_not_fit():
    with pytest.raises(ConfigError, match="front puts out 4 features but body takes 3; build the body with input_s"):
        rnnkit.SequenceClassifier(nn.LSTM(3, 5), 2, front=nn.Embedding(9, 4))
    with pytest.raises(ConfigError, match="part 0 puts out 4 features but part 1 takes 3"):
        rnnkit.Chain(nn.Embedding(9, 4), rnnkit.GRU(3, 4))
    with pytest.raises(ConfigError, match="part 0 puts out 4 features but part 2 takes 3"):
        rnnkit.Chain(nn.Embedding(9, 4), nn.ReLU(), rnnkit.GRU(3, 4))
    with pytest.raises(ConfigError, match="at least one layer"):
        rnnkit.Chain()
    with pytest.raises(ConfigError, match=r"front\[1\] is a Square|part 1 is a Square"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 3), 2, front=[nn.Embedding(9, 4), Square()])
    with pytest.raises(ConfigError, match="head takes 6 features but 5 arrive"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 5), 2, head=nn.Linear(6, 2))
    with pytest.raises(ConfigError, match="head puts out 3 numbers but 2 were asked for"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 5), 2, head=nn.Linear(5, 3))

    class Plain(rnnkit.SequenceModule):
        def forward(self, x, lengths=None):
            return x

    with pytest.raises(ConfigError, match="Plain returned a Tensor; expected y, lengths, state"):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), 2, front=Plain())(torch.randn(2, 4, 3))


def test_inputs_that_do_not_fit_say_what_to_type():
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(4, 8), classes=2)
    with pytest.raises(
        ShapeError, match=r"x has shape \[4, 10\], read as \[batch, time\]; LSTM expects \[batch, time, 4\]$"
    ):
        model(torch.randn(4, 10))
    with pytest.raises(ShapeError, match=r"\[10, 4\].*for a single sequence type x\[None\]"):
        model(torch.randn(10, 4))
    with pytest.raises(ShapeError, match=r"type x\.transpose\(1, 2\)"):
        model(torch.randn(3, 4, 10))
    with pytest.raises(ShapeError, match=r"\[3, 5, 10\].*build it with 10 input features"):
        model(torch.randn(3, 5, 10))
    with pytest.raises(ShapeError, match="it has no time step"):
        model(torch.randn(3, 0, 4))
    with pytest.raises(ShapeError, match=r"x is a list; expected a tensor: torch\.as_tensor\(x\)"):
        model([[1.0]])
    with pytest.raises(ShapeError, match=r"front=torch\.nn\.Embedding\(vocabulary, 4\)"):
        model(tokens())
    for body in (rnnkit.GRU(1, 4), nn.GRU(1, 4), rnnkit.RNN(LeakyCell(1, 4))):
        univariate = rnnkit.SequenceClassifier(body, 2)
        x = torch.randn(5, 10)
        with pytest.raises(
            ShapeError, match=r"x has shape \[5, 10\], read .* \w+ expects \[batch, time, 1\].*type x\[\.\.\., None\]"
        ):
            univariate(x)
        assert univariate(x[..., None]).shape == (5, 2)
    model = own()
    with pytest.raises(ShapeError, match=r"\[3, 7\] and is torch.float32; torch.nn.Embedding expects.*x\.long\(\)"):
        model(tokens().float())
    with pytest.raises(ShapeError, match="integer ids"):
        model(torch.randn(2, 3, 4))
    with pytest.raises(DataError, match=r"ids from 0 to 12 arrived.*at least 13 rows"):
        model(torch.tensor([[0, 12]]))
    assert model(torch.tensor([[1, -1], [2, 3]]), lengths=[1, 2]).shape == (2, 2)  # -1 is padding
    with pytest.raises(ShapeError, match="leaves no step of so short a row"):
        rnnkit.SequenceClassifier(nn.Conv1d(3, 4, 3), 2)(torch.randn(2, 5, 3), lengths=[5, 2])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("ab", "expected a number or a list of names"),
        (2.0, "expected a whole number or a list of names"),
        (True, "expected a whole number"),
        ([1, 2], r"expected a number or names: classes=\['1', '2'\]"),
        (["a", "a"], r"\['a'\] occur twice"),
        ([], "number of class names=0"),
        (0, "0 outputs"),
    ],
)
def test_classes_are_a_number_or_names(classes, message):
    with pytest.raises(ConfigError, match=message):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), classes)


def test_class_names_are_kept(tmp_path):
    import numpy as np

    for names in (["a", "b"], ("a", "b"), np.array(["a", "b"])):
        model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), names)
        assert (model.class_names, model.head.out_features) == (("a", "b"), 2)
        save_module(model, tmp_path)
        assert rnnkit.load(tmp_path).class_names == ("a", "b")
    model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), np.int64(2))
    assert (model.class_names, model.config()["arguments"]["classes"]) == (None, 2)


def test_reprs_are_one_line():
    model = rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), ["a", "b"], "mean", front=rnnkit.ConvFront(3, 6, stride=2))
    assert "\n" not in repr(model)
    assert repr(model).startswith("SequenceClassifier(GRU(6, 5")
    assert "classes=['a', 'b'], pooling='mean', front=ConvFront(input_size=3" in repr(model)
    assert repr(rnnkit.SequenceTagger(nn.LSTM(3, 4), 2)) == "SequenceTagger(LSTM(3, 4), outputs=2)"
    for make in PARTS.values():
        assert "\n" not in repr(make())
    adapted = own()
    add_adapters(adapted)
    assert "\n" not in repr(adapted)
    assert "Parametrized" not in repr(adapted)


def test_a_front_and_an_augmentation_of_ones_own_need_no_base_class():
    class Double(nn.Module):
        output_size = 4

        def forward(self, x, lengths=None):
            return torch.cat((x, x), -1), lengths

    class Noise(nn.Module):
        def forward(self, x, lengths=None):
            return x + 1.0 if self.training else x

    model = rnnkit.SequenceClassifier(rnnkit.GRU(4, 6), classes=3, front=Double(), augment=Noise()).eval()
    plain = rnnkit.SequenceClassifier(rnnkit.GRU(4, 6), classes=3).eval()
    plain.load_state_dict(model.state_dict())
    x, lengths = torch.randn(3, 5, 2), [5, 2, 4]
    assert torch.equal(model(x, lengths), plain(torch.cat((x, x), -1), lengths))
    assert torch.equal(model.train()(x, lengths), plain(torch.cat((x + 1, x + 1), -1), lengths))
    assert "needs whole sequences" in model.carry_problem
    with pytest.raises(ConfigError, match="front puts out 4 features but body takes 5"):
        rnnkit.SequenceClassifier(rnnkit.GRU(5, 6), classes=3, front=Double())
