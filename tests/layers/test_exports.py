"""Tools that know PyTorch's own layers: scripting, tracing, quantisation, ONNX, torch.fx, torch.export."""

import copy
import io
import warnings

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import BackendError, ConfigError, RnnkitWarning

PAIRS = [(nn.RNN, rnnkit.SimpleRNN), (nn.GRU, rnnkit.GRU), (nn.LSTM, rnnkit.LSTM)]
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit", "ignore:torch.ao.quantization", "ignore:.*slow reference")


class Network(nn.Module):
    def __init__(self, layer, **options):
        super().__init__()
        self.body = layer(4, 6, batch_first=True, **options)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        output, _ = self.body(x)
        return self.head(output)


def accelerated(layer):
    torch.manual_seed(0)
    model = Network(layer).eval()
    assert len(rnnkit.accelerate(model).swapped) == 1
    return model, torch.randn(2, 5, 4)


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_to_torch_is_the_inverse_of_accelerate(theirs, ours):
    model, x = accelerated(theirs)
    expected, body, weight = model(x), model.body, model.body.weight_hh_l0
    report = rnnkit.to_torch(model)
    assert [(one.name, one.original, one.replacement, one.backend) for one in report.swapped] == [
        ("body", f"rnnkit.{ours.__name__}", f"torch.nn.{theirs.__name__}", "torch")
    ]
    assert str(report).startswith("1 recurrent layer swapped, 0 skipped")
    assert type(model.body) is theirs
    assert model.body is body
    assert model.body.weight_hh_l0 is weight
    assert vars(model.body).keys() == vars(theirs(4, 6)).keys()
    assert_close(model(x), expected)
    assert str(rnnkit.to_torch(model)).endswith("the model has no rnnkit.SimpleRNN, LSTM or GRU")
    assert len(rnnkit.accelerate(model).swapped) == 1
    assert type(model.body) is ours


def test_to_torch_keeps_parametrisations():
    layer = nn.utils.parametrizations.weight_norm(rnnkit.GRU(4, 6), "weight_hh_l0")
    x = torch.randn(3, 2, 4)
    expected = layer(x)
    rnnkit.to_torch(layer)
    assert isinstance(layer, nn.GRU)
    assert not isinstance(layer, rnnkit.GRU)
    assert_close(layer(x), expected)


class Subclass(rnnkit.GRU):
    pass


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: rnnkit.GRU(4, 6, zoneout=0.1, layer_norm=True), "have no zoneout, layer_norm"),
        (lambda: rnnkit.LSTM(4, 6, learn_initial_state=True), "have no learn_initial_state"),
        (lambda: rnnkit.SimpleRNN(4, 6, nonlinearity="sigmoid"), "no sigmoid"),
        (lambda: Subclass(4, 6), "subclass"),
    ],
)
def test_to_torch_skips_what_pytorch_lacks(build, reason):
    layer = build()
    kind = type(layer)
    (skipped,) = rnnkit.to_torch(nn.Sequential(layer)).skipped
    assert reason in skipped.reason
    assert type(layer) is kind


def test_to_torch_of_no_model():
    with pytest.raises(ConfigError, match=r"rnnkit.to_torch\(model\)"):
        rnnkit.to_torch("lstm")


@pytest.mark.parametrize(("theirs", "_"), PAIRS)
def test_scripting_says_what_to_type(theirs, _):
    model, x = accelerated(theirs)
    with pytest.raises(BackendError, match="torch.jit.script cannot compile") as caught:
        torch.jit.script(model)
    assert "rnnkit.to_torch(model)" in str(caught.value)
    assert_close(torch.jit.trace(model, (x,))(x), model(x))  # the remedies
    assert_close(torch.export.export(model, (x,)).module()(x), model(x))
    rnnkit.to_torch(model)
    assert_close(torch.jit.script(model)(x), model(x))


@pytest.mark.parametrize(
    ("build", "x"),
    [
        (lambda: rnnkit.SequenceClassifier(rnnkit.GRU(4, 6), 2), torch.randn(2, 5, 4)),
        (lambda: rnnkit.RNN(rnnkit.GRUCell(4, 6)), torch.randn(5, 2, 4)),
    ],
)
def test_models_and_own_cells_are_traced_not_scripted(build, x):
    model = build().eval()
    with pytest.raises(BackendError, match="torch.jit.trace") as caught:
        torch.jit.script(model)
    assert "to_torch" not in str(caught.value)
    assert_close(torch.jit.trace(model, (x,))(x), model(x))
    assert_close(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("layer", [ours for _, ours in PAIRS])
def test_tracing_with_and_without_gradients(layer, grad):
    """With PyTorch's own check of the trace; other sizes go in, and the file is read back."""
    model = Network(layer, num_layers=2)
    x, other = torch.randn(2, 5, 4), torch.randn(3, 7, 4)
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(model, (x,))
    assert_close(traced(other), model(other))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    assert_close(torch.jit.load(file)(other), model(other))


@pytest.mark.skipif(not hasattr(torch.ao, "quantization"), reason="this PyTorch has no torch.ao.quantization")
@pytest.mark.parametrize("theirs", [nn.GRU, nn.LSTM])
def test_quantisation_passes_no_layer_over_silently(theirs):
    model, x = accelerated(theirs)
    with pytest.warns(RnnkitWarning, match=r"is not quantised.*rnnkit.to_torch\(model\)"):
        quantised = torch.ao.quantization.quantize_dynamic(model)
    assert_close(quantised.body(x), model.body(x))
    assert type(quantised.head) is not nn.Linear
    rnnkit.to_torch(model)  # the remedy
    with warnings.catch_warnings():
        warnings.simplefilter("error", RnnkitWarning)
        quantised = torch.ao.quantization.quantize_dynamic(model)
    assert type(quantised.body).__module__.startswith("torch.ao.nn.quantized")
    torch.testing.assert_close(quantised(x), model(x), rtol=0.1, atol=0.1)
    (skipped,) = rnnkit.accelerate(quantised).skipped
    assert "quantised" in skipped.reason


def test_prepared_layers_are_not_swapped():
    layer = nn.LSTM(4, 6)
    layer.qconfig = object()
    assert "prepared for quantisation" in rnnkit.accelerate(layer).skipped[0].reason
    layer.qconfig = None
    assert len(rnnkit.accelerate(layer).swapped) == 1


def onnx_operators(monkeypatch, model, inputs):
    """The operators that torch.onnx.export would have to convert; it needs packages that the tests do not have."""
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    program = torch.export.export(model, inputs)
    return program, {str(node.target) for node in program.graph.nodes}


@pytest.mark.parametrize("layer", [ours for _, ours in PAIRS])
def test_onnx_gets_pytorchs_layer(monkeypatch, layer):
    model, x = Network(layer).eval(), torch.randn(2, 5, 4)
    expected = model(x)
    program, operators = onnx_operators(monkeypatch, model, (x,))
    assert not any("rnnkit" in one for one in operators)
    assert any(f"aten.{name}" in one for one in operators for name in ("rnn_tanh", "gru", "lstm"))
    assert_close(program.module()(x), expected)


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"reset_after": False}, {"lengths": True}], ids=str)
def test_onnx_gets_the_reference_where_pytorch_has_no_such_layer(monkeypatch, options):
    class Ragged(Network):
        def forward(self, x, lengths):
            return self.body(x, lengths=lengths)[0]

    options = dict(options)
    ragged = options.pop("lengths", False)
    model = (Ragged if ragged else Network)(rnnkit.GRU, **options).eval()
    inputs = (torch.randn(2, 5, 4), torch.tensor([5, 3]))[: 1 + ragged]
    expected = model(*inputs)
    program, operators = onnx_operators(monkeypatch, model, inputs)
    assert not any("rnnkit" in one or "pack" in one for one in operators)
    assert_close(program.module()(*inputs), expected)


def test_onnx_of_a_native_layer_names_the_backend(monkeypatch):
    model, x = Network(rnnkit.GRU, backend="native").eval(), torch.randn(2, 5, 4)
    with pytest.raises(BackendError, match='ONNX has no operator.*use backend="auto"'):
        onnx_operators(monkeypatch, model, (x,))
    model.body.backend = "auto"
    onnx_operators(monkeypatch, model, (x,))


@pytest.mark.parametrize("dynamo", [True, False])
def test_onnx_export(tmp_path, dynamo):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime", reason="reads the exported file")
    model, x = Network(rnnkit.GRU).eval(), torch.randn(2, 5, 4)
    path = str(tmp_path / "model.onnx")
    torch.onnx.export(model, (x,), path, dynamo=dynamo)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_close(torch.from_numpy(found), model(x))


@pytest.mark.parametrize("layer", [ours for _, ours in PAIRS])
def test_fx_records_one_call_of_the_layer(layer):
    model, x = Network(layer), torch.randn(2, 5, 4)
    graph = torch.fx.symbolic_trace(model)
    assert [str(node.target) for node in graph.graph.nodes if node.op == "call_module"] == ["body", "head"]
    assert_close(graph(x), model(x))


def test_layers_are_copied_and_pickled():
    for layer in (rnnkit.SimpleRNN(4, 6), rnnkit.LSTM(4, 6, zoneout=(0.1, 0.2), layer_norm=True), rnnkit.GRU(4, 6)):
        file = io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        x = torch.randn(3, 2, 4)
        layer.eval()
        for other in (copy.deepcopy(layer), torch.load(file, weights_only=False).eval()):
            assert type(other) is type(layer)
            assert other.options == layer.options
            assert_close(other(x), layer(x))
