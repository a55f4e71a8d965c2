"""ONNX files with weights in 8 bits, read as models in float32."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from commands import call, refused
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import rnnkit
from rnnkit.errors import DataError, DataWarning
from rnnkit.interop.onnx import export, from_onnx

MODELS = {
    "LSTM": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64, peepholes=True), 10),
    "LSTM both ways": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(28, 48, num_layers=2, bidirectional=True), 10),
    "GRU": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(28, 64, reset_after=False), 10),
    "identity": lambda: rnnkit.SequenceClassifier(rnnkit.SimpleRNN(28, 64, nonlinearity="relu", init="identity"), 10),
    "tagger": lambda: rnnkit.SequenceTagger(rnnkit.LSTM(28, 128), 200),
    "ids": lambda: rnnkit.SequenceTagger(rnnkit.GRU(16, 32), 5, front=nn.Embedding(50, 16)),
    "tied": lambda: rnnkit.LanguageModel(600, embedding_size=32, hidden_size=48),
}


def answers(file: Path, x: torch.Tensor) -> torch.Tensor:
    """What ONNX Runtime computes of the file as it is written: it rounds inputs where it may change the graph."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options)
    given = {"x": x.numpy(), "ids": x.numpy(), "lengths": np.full(len(x), x.shape[1])}
    fed = {
        one.name: given[one.name]
        if one.name in given
        else np.zeros([len(x) if isinstance(size, str) else size for size in one.shape], np.float32)
        for one in session.get_inputs()
    }
    return torch.from_numpy(session.run(None, fed)[0])


@pytest.mark.parametrize("form", ["runtime", "portable"])
@pytest.mark.parametrize("name", MODELS)
def test_what_was_exported_comes_back_rounded(tmp_path, name, form):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    file = export(model, tmp_path / "m.onnx", int8=form, bits=8).files["model"]
    with pytest.warns(DataWarning, match="has weights in 8 bits; they are read as float32"):
        found = from_onnx(file)
    x = torch.randint(50, (3, 9)) if name in ("ids", "tied") else torch.randn(3, 9, 28)
    with torch.no_grad():
        torch.testing.assert_close(found(x), model(x), rtol=0, atol=0.02)
        if form == "portable":  # nothing else is rounded
            torch.testing.assert_close(found(x), answers(file, x), rtol=1e-5, atol=1e-5)


class OfTorch(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.body = nn.Embedding(50, 16), nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 40)

    def forward(self, ids):
        return torch.softmax(self.head(self.body(self.table(ids))[0][:, -1]), -1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per_channel", [False, True])
def test_what_onnx_runtime_rounded(tmp_path, per_channel):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    torch.manual_seed(0)
    model, ids = OfTorch().eval(), torch.randint(50, (2, 5))
    axes = {"ids": {0: "a", 1: "b"}}
    torch.onnx.export(model, (ids,), tmp_path / "f.onnx", dynamo=False, input_names=["ids"], dynamic_axes=axes)
    quantize_dynamic(tmp_path / "f.onnx", tmp_path / "m.onnx", weight_type=QuantType.QInt8, per_channel=per_channel)
    found = from_onnx(tmp_path / "m.onnx")
    with torch.no_grad():
        torch.testing.assert_close(found(ids).softmax(-1), model(ids), rtol=0, atol=2e-3)


def test_the_command_says_so_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(MODELS["GRU"](), "m.onnx", int8="portable")
    result = call("import", "m.onnx", "--out", "run")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Warning: m.onnx: has weights in 8 bits; they are read as float32") == 1


def rounded(*nodes, **arrays):
    """A file with constants of whole numbers in front of a GRU."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "B", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    arrays = {"q": np.ones((12, 3), np.int8), "s": np.ones(12, np.float32), **arrays}
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    made = helper.make_graph(list(nodes), "g", [x], [y], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])


NODE = helper.make_node
COLUMN = np.ones((1 << 14, 1), np.float32)
HUGE = np.array([1 << 20, 1 << 20], np.int64)
REFUSED = {
    "scales of another size": (
        rounded(NODE("DequantizeLinear", ["q", "t"], ["w"], axis=0), t=np.ones(5, np.float32)), "does not fit"),
    "a constant of any size": (rounded(NODE("ConstantOfShape", ["n"], ["w"]), n=HUGE), "does not fit"),
    "a product of any size": (
        rounded(NODE("Mul", ["a", "b"], ["w"]), a=COLUMN, b=COLUMN.T),
        "does not fit"),
    "an activation": (rounded(NODE("Relu", ["q"], ["y"])), "whole numbers 'q' in a form that is not read.*--portable"),
    "a product of constants": (rounded(NODE("MatMulInteger", ["x", "q"], ["y"])), "something else than rounded values"),
    "an LSTM without scales": (
        rounded(NODE("DynamicQuantizeLSTM", ["x", "q", "q"], ["y"], domain="com.microsoft")), "with their scales"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_whole_numbers_in_another_form_are_refused(tmp_path, name):
    model, said = REFUSED[name]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match=said):
        from_onnx(tmp_path / "m.onnx")


def test_old_sets_of_operators_are_refused(tmp_path):
    model = onnx.load(export(MODELS["GRU"](), tmp_path / "m.onnx").files["model"])
    model.opset_import[0].version = 6
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match="ONNX's set of operators 6; rnnkit reads 7 and later ones: convert it"):
        from_onnx(tmp_path / "m.onnx")


def test_layers_that_no_run_can_have_are_told(tmp_path):
    export(MODELS["LSTM"](), tmp_path / "m.onnx")
    said = refused(call("import", tmp_path / "m.onnx", "--out", tmp_path / "run"), "LSTM with peepholes", "from_onnx")
    assert said
    assert not (tmp_path / "run").exists()
