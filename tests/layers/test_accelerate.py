"""Other people's models: the same numbers, parameters and habits after their layers were swapped."""

import copy
import io
import re
import warnings
from pathlib import Path

import pytest
import torch
from tolerances import assert_close
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.layers.accelerate import SkippedLayer

LENGTHS = [3, 9, 1, 6]
PLAIN = [
    (lambda **options: nn.RNN(4, 6, nonlinearity="relu", **options), rnnkit.SimpleRNN),
    (lambda **options: nn.LSTM(4, 6, **options), rnnkit.LSTM),
    (lambda **options: nn.LSTM(4, 6, proj_size=2, **options), rnnkit.LSTM),
    (lambda **options: nn.GRU(4, 6, **options), rnnkit.GRU),
]


class Tagger(nn.Module):
    """Packs its input, as everybody does who has sentences."""

    def __init__(self, layer):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.body = layer(8, 12, batch_first=True, bidirectional=True)
        self.head = nn.Linear(24, 5)

    def loss(self, words):
        packed = pack_padded_sequence(self.embedding(words), LENGTHS, batch_first=True, enforce_sorted=False)
        tags, lengths = pad_packed_sequence(self.body(packed)[0], batch_first=True)
        valid = torch.arange(9) < lengths[:, None]
        return nn.functional.cross_entropy(self.head(tags)[valid], words[valid] % 5)


class Translator(nn.Module):
    """An encoder, and a decoder that is a cell in a Python loop."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.encoder = nn.LSTM(8, 12)
        self.decoder = nn.LSTMCell(8, 12)
        self.head = nn.Linear(12, 20)

    def loss(self, words):
        embedded = self.embedding(words.T)
        _, (h, c) = self.encoder(embedded)
        state, guesses = (h[0], c[0]), []
        for x in embedded:
            state = self.decoder(x, state)
            guesses.append(self.head(state[0]))
        return nn.functional.cross_entropy(torch.cat(guesses[:-1]), words.T[1:].reshape(-1))


class Classifier(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.body = layer(8, 12, num_layers=2, dropout=0.3, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(24, 3)

    def loss(self, words):
        state = self.body(self.embedding(words.T))[1]
        return nn.functional.cross_entropy(
            self.head(self.dropout(torch.cat((state[-2], state[-1]), 1))), words[:, 0] % 3
        )


def losses(model, optimizer):
    torch.manual_seed(5)
    words = torch.randint(20, (4, 9))
    found = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model.loss(words)
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
    return torch.stack(found)


def weight_normed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.LSTM(4, 6), "weight_hh_l0")


def pruned():
    layer = nn.GRU(4, 6)
    prune.l1_unstructured(layer, "weight_hh_l0", 0.5)
    return layer


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


class Subclass(nn.LSTM):
    pass


class Special(nn.Parameter):
    """As sharded and quantised weights are."""


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.nn.quantized.dynamic.LSTM(4, 6)


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.LSTM(4, 6))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Tagger(nn.LSTM),
        lambda: Tagger(nn.RNN),
        Translator,
        lambda: Classifier(nn.GRU),
        lambda: Classifier(nn.RNN),
    ],
    ids=["tagger", "plain tagger", "translator", "classifier", "plain classifier"],
)
def test_typical_models_train_to_the_same_losses(build):
    torch.manual_seed(0)
    model = build()
    before = copy.deepcopy(model)
    # The optimizer is made first: it must hold the parameters that the swapped layers use.
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    assert {"body", "encoder"} & {layer.name for layer in rnnkit.accelerate(model).swapped}
    expected = losses(before, torch.optim.Adam(before.parameters(), lr=0.01))
    assert_close(losses(model, optimizer), expected)
    assert expected[-1] < expected[0]
    original = build()
    original.load_state_dict(model.state_dict())
    words = torch.arange(36).view(4, 9) % 20
    assert_close(original.eval().loss(words), model.eval().loss(words))


@pytest.mark.parametrize(("build", "ours"), PLAIN)
def test_a_swapped_layer_is_like_one_made_by_us(build, ours):
    """Whatever options our constructors grow: nothing that they set may be missing."""
    options = {"num_layers": 2, "batch_first": True, "dropout": 0.1, "bidirectional": True, "bias": False}
    layer = build(**options)
    before = {name: id(parameter) for name, parameter in layer.named_parameters()}
    report = rnnkit.accelerate(layer)
    assert [swapped.name for swapped in report.swapped] == [""]
    assert type(layer) is ours
    assert {name: id(parameter) for name, parameter in layer.named_parameters()} == before
    made = ours(**layer.config()["arguments"])
    assert vars(made).keys() == vars(layer).keys()
    for name, value in vars(made).items():
        if isinstance(value, int | float | str | None):
            assert getattr(layer, name) == value, name
        elif isinstance(value, dict):
            assert vars(layer)[name].keys() == value.keys(), name
    assert repr(made) == repr(layer)
    made.load_state_dict(layer.state_dict())
    x = torch.randn(3, 5, 4)
    assert_close(made.eval()(x), layer.eval()(x))


def test_everything_that_hangs_on_a_layer_stays():
    seen = []
    body = nn.RNN(4, 6).double().eval()
    body.weight_hh_l0.requires_grad_(False)
    tied = nn.ModuleDict({"body": body, "again": body, "other": nn.RNN(4, 6).double()})
    tied["other"].weight_hh_l0 = body.weight_hh_l0
    body.register_forward_pre_hook(lambda *_: seen.append("pre"))
    body.register_forward_hook(lambda *_: seen.append("forward"))
    body.register_full_backward_hook(lambda *_: seen.append("backward"))
    body.register_state_dict_post_hook(lambda *_: seen.append("state dict"))
    body.note = "mine"
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    expected = body(x)
    seen.clear()
    report = rnnkit.accelerate(tied)
    assert [layer.name for layer in report.swapped] == ["body", "other"]
    assert [layer.dtype for layer in report.swapped] == ["float64"] * 2
    assert tied["again"] is body
    assert body.weight_hh_l0 is tied["other"].weight_hh_l0
    assert not body.weight_hh_l0.requires_grad
    assert not body.training
    assert tied["other"].training
    assert body.note == "mine"
    output = body(x)
    assert_close(output, expected)
    output[0].sum().backward()
    assert body.weight_hh_l0.grad is None
    tied.state_dict()
    assert seen[:3] == ["pre", "forward", "backward"]
    assert "state dict" in seen


@pytest.mark.parametrize("parametrisation", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrisations_stay(parametrisation):
    torch.manual_seed(0)
    # While training, spectral_norm goes on with each look at the weight, and PyTorch looks more often than we do.
    layer = parametrisation(nn.RNN(4, 6), "weight_hh_l0").eval()
    before = copy.deepcopy(layer)  # PyTorch lets copies share their class
    assert len(rnnkit.accelerate(layer).swapped) == 1
    assert isinstance(layer, rnnkit.SimpleRNN)
    assert not isinstance(before, rnnkit.SimpleRNN)
    x = torch.randn(3, 2, 4)
    for _ in range(3):
        found = [torch.autograd.grad(one(x)[0].sum(), list(one.parameters())) for one in (layer, before)]
        assert_close(*found)
    assert [name for name, _ in layer.named_parameters()] == [name for name, _ in before.named_parameters()]
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is rnnkit.SimpleRNN


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda layer: torch.compile(layer, backend="eager")])
def test_wrappers_go_on_working(wrap):
    wrapped = wrap(nn.RNN(4, 6))
    x = torch.randn(3, 2, 4)
    expected = wrapped(x)
    assert len(rnnkit.accelerate(wrapped).swapped) == 1
    assert_close(wrapped(x), expected)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: nn.LSTMCell(4, 6), "use PyTorch's cells too"),
        (lambda: rnnkit.GRU(4, 6), "already an rnnkit layer"),
        (lambda: Subclass(4, 6), "a subclass may compute something else"),
        (quantised, "quantised"),
        (scripted, "scripted"),
        (weight_normed, "weight_hh_l0 is no parameter"),
        (pruned, "weight_hh_l0 is no parameter"),
        (lambda: changed(nn.LSTM(4, 6), forward=lambda x: x), "its forward was replaced"),
        (lambda: changed(nn.LSTM(4, 6), step=3), "uses itself: step"),
        (lambda: changed(nn.RNN(4, 6), weight_ih_l0=nn.UninitializedParameter()), "has no shape yet"),
        (
            lambda: changed(nn.RNN(4, 6), weight_ih_l0=Special(torch.zeros(6, 4))),
            "is a Special, not a plain",
        ),
        (lambda: changed(nn.RNN(4, 6), hidden_size=5), "the layer's sizes give"),
    ],
)
def test_skipped_layers_have_a_reason(build, reason):
    layer = build()
    kind = type(layer)
    report = rnnkit.accelerate(nn.Sequential(nn.Linear(4, 4), layer))
    assert report.swapped == ()
    assert [skipped.name for skipped in report.skipped] == ["1"]
    assert reason in report.skipped[0].reason
    assert reason in str(report)
    assert type(layer) is kind


def test_the_report_reads_well():
    model = nn.ModuleDict({"body": nn.RNN(4, 6), "decoder": Subclass(4, 6)})
    text = str(rnnkit.accelerate(model)).splitlines()
    assert text[0] == "1 recurrent layer swapped, 1 skipped"
    assert text[1].split() == ["body", "torch.nn.RNN", "→", "rnnkit.SimpleRNN", "native", "on", "cpu,", "float32"]
    assert text[2].startswith("  decoder  ")
    assert "skipped: a subclass" in text[2]


def test_the_guide_shows_its_report(capsys):
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "accelerate.md").read_text()
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", guide, re.S)[:2]
    exec(code, {})
    assert capsys.readouterr().out == shown


def test_twice_is_harmless():
    layer = nn.RNN(4, 6)
    rnnkit.accelerate(layer)
    layer.backend = "reference"
    again = rnnkit.accelerate(layer)
    assert again.swapped == ()
    assert again.skipped == (SkippedLayer("", "rnnkit.SimpleRNN", "already an rnnkit layer"),)
    assert layer.backend == "reference"
    assert "(the model)" in str(again)


def test_nothing_to_swap():
    report = rnnkit.accelerate(nn.Linear(2, 2))
    assert report.swapped == report.skipped == ()
    assert str(report).startswith("no recurrent layer found")


def test_no_random_number_and_no_warning_is_spent():
    with pytest.warns(UserWarning, match="dropout option"):
        layer = nn.GRU(4, 6, dropout=0.5)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rnnkit.accelerate(layer)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_whole_model_is_pickled_as_ours():
    model = nn.Sequential(nn.RNN(4, 6))
    rnnkit.accelerate(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert type(again[0]) is rnnkit.SimpleRNN
    x = torch.randn(3, 2, 4)
    assert_close(again(x), model(x))


@pytest.mark.parametrize(
    ("model", "arrived"), [("lstm", "a str"), (nn.LSTM, "the class LSTM"), ([nn.LSTM(1, 1)], "a list")], ids=str
)
def test_what_is_no_model(model, arrived):
    with pytest.raises(ConfigError, match=f"model is {arrived}; expected a torch.nn.Module"):
        rnnkit.accelerate(model)
