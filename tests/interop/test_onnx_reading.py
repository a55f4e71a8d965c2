"""ONNX files of other programs as rnnkit's models, and files that are refused."""

import time
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx_checks import perturbed
from torch import nn

import rnnkit
from rnnkit.errors import DataError
from rnnkit.interop.onnx import export, from_onnx
from rnnkit.ops.machine import reset_peak, resident

BODIES = {
    "LSTM": lambda: rnnkit.LSTM(6, 8, num_layers=2),
    "LSTM both ways": lambda: rnnkit.LSTM(6, 8, num_layers=2, bidirectional=True, peepholes=True),
    "GRU": lambda: rnnkit.GRU(6, 8, reset_after=False),
    "GRU both ways": lambda: rnnkit.GRU(6, 8, bidirectional=True, bias=False),
    "SimpleRNN": lambda: rnnkit.SimpleRNN(6, 8, nonlinearity="relu"),
    "dense around": lambda: rnnkit.Chain(
        nn.Linear(6, 7), nn.Tanh(), rnnkit.GRU(7, 5), nn.LayerNorm(5), rnnkit.LSTM(5, 4)
    ),
    "dense behind": lambda: rnnkit.Chain(rnnkit.GRU(6, 5), nn.LayerNorm(5)),
}


def same(model, path, x, lengths=None):
    """What the file is read as; it answers as the model does."""
    found = from_onnx(path)
    with torch.no_grad():
        expected = model(x) if lengths is None else model(x, lengths)
        torch.testing.assert_close(found(x, lengths), expected, rtol=1e-5, atol=1e-5)
    return found


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("body", BODIES)
def test_a_classifier_comes_back(tmp_path, body, pooling):
    model = perturbed(rnnkit.SequenceClassifier(BODIES[body](), 3, pooling=pooling))
    export(model, tmp_path / "m.onnx")
    found = same(model, tmp_path / "m.onnx", torch.randn(3, 7, 6), torch.tensor([7, 2, 5]))
    assert isinstance(found, rnnkit.SequenceClassifier)
    assert found.pooling == pooling


def test_ids_heads_and_steps_come_back(tmp_path):
    embedded = rnnkit.SequenceTagger(rnnkit.GRU(6, 8), 4, front=nn.Embedding(20, 6))
    export(perturbed(embedded), tmp_path / "m.onnx")
    assert isinstance(same(embedded, tmp_path / "m.onnx", torch.randint(20, (2, 5))), rnnkit.SequenceTagger)
    head = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    regressor = rnnkit.SequenceRegressor(rnnkit.GRU(6, 8), 2, head=head)
    export(perturbed(regressor), tmp_path / "r.onnx", states=False)
    assert isinstance(same(regressor, tmp_path / "r.onnx", torch.randn(2, 5, 6)), rnnkit.SequenceRegressor)


class OfTorch(nn.Module):
    def __init__(self, kind, batch_first):
        super().__init__()
        self.body, self.head = kind(6, 8, batch_first=batch_first), nn.Linear(8, 3)
        self.axis = 1 if batch_first else 0

    def forward(self, x):
        return torch.softmax(self.head(self.body(x)[0].select(self.axis, -1)), -1)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_what_pytorch_exported(tmp_path, kind, batch_first):
    model, x = OfTorch(kind, batch_first).eval(), torch.randn(2, 5, 6)
    given = x if batch_first else x.transpose(0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "a", 1: "b"}}
        torch.onnx.export(model, (given,), tmp_path / "m.onnx", dynamo=False, input_names=["x"], dynamic_axes=axes)
    found = from_onnx(tmp_path / "m.onnx")
    with torch.no_grad():
        torch.testing.assert_close(found(x).softmax(-1), model(given), rtol=1e-5, atol=1e-5)


def test_what_was_read_trains_saves_and_loads(tmp_path):
    export(rnnkit.SequenceClassifier(rnnkit.LSTM(6, 8), 2), tmp_path / "m.onnx")
    model = from_onnx(tmp_path / "m.onnx")
    x, y = torch.randn(32, 5, 6), torch.randint(2, (32,))
    learner = rnnkit.Learner(model)
    learner.fit((x, y), epochs=1, progress=False)
    learner.save(tmp_path / "again")
    with torch.no_grad():
        torch.testing.assert_close(rnnkit.load(tmp_path / "again")(x), model.eval()(x))


# --- what is refused -------------------------------------------------------------------------------------------------


def graph(nodes, weights=(), inputs=None, outputs=("y",), **more):
    """The bytes of a file with such nodes."""
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, ["T", "B", 3])] if inputs is None else inputs
    made = helper.make_graph(
        nodes, "g", inputs, [value(one, TensorProto.FLOAT, None) for one in outputs], list(weights)
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], **more)
    return model.SerializeToString()


def weight(name, *sizes, fill=0.1):
    return onnx.numpy_helper.from_array(np.full(sizes, fill, np.float32), name)


def gru(**attributes):
    return helper.make_node("GRU", ["x", "W", "R"], ["y"], "cell", hidden_size=4, **attributes)


GRU = [weight("W", 1, 12, 3), weight("R", 1, 12, 4)]
TOO_BIG = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 20, 1 << 10], raw_data=b"1234")
NEGATIVE = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[1, -12, 3], raw_data=b"")
ELSEWHERE = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[1, 12, 3], data_location=1)
ELSEWHERE.external_data.add(key="location", value="../../../../etc/passwd")
TEXTS = TensorProto(name="W", data_type=TensorProto.STRING, dims=[1], string_data=[b"rm -rf"])
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 3])


FUNCTION = helper.make_function("d", "F", ["a"], ["b"], [], [helper.make_opsetid("", 17)])


def relu(number):
    return helper.make_node("Relu", ["x"], [f"v{number}"])


def branch():
    return helper.make_node("If", ["x"], ["y"], then_branch=helper.make_graph([], "t", [], []))


HOSTILE = {
    "nothing": (b"", "has 0 bytes"),
    "text": (b"once upon a time " * 10, "no ONNX file"),
    "zeros": (bytes(100_000), "no ONNX file"),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "no ONNX file"),
    "a zip": (b"PK\x03\x04" + bytes(200), "no ONNX file"),
    "cut": (graph([gru()], GRU)[:-30], "no ONNX file"),
    "a length beyond the end": (b"\x08\x08\x3a\xff\xff\xff\xff\x07", "no ONNX file"),
    "an endless number": (b"\xff" * 50, "no ONNX file"),
    "noise in the graph": (b"\x08\x08\x3a\x40" + bytes(range(64)), "is damaged"),
    "an empty graph": (graph([]), "no graph with operators"),
    "sizes without bytes": (graph([gru()], [TOO_BIG, GRU[1]]), "4 bytes"),
    "negative sizes": (graph([gru()], [NEGATIVE, GRU[1]]), r"\[1, -12, 3\]"),
    "a weight elsewhere": (graph([gru()], [ELSEWHERE, GRU[1]]), "another file"),
    "texts for weights": (graph([gru()], [TEXTS, GRU[1]]), "element type"),
    "no number": (graph([gru()], [weight("W", 1, 12, 3, fill=np.nan), GRU[1]]), "1 array of weights with NaN, .*: .W."),
    "weights that do not fit": (graph([gru()], [weight("W", 1, 9, 3), GRU[1]]), "do not fit"),
    "another hidden size": (graph([gru()], [GRU[0], weight("R", 1, 15, 5)]), "do not fit"),
    "a flat weight": (graph([gru()], [weight("W", 36), GRU[1]]), "do not fit"),
    "no weights": (graph([gru()], GRU[:1]), "nothing before it"),
    "only backwards": (graph([gru(direction="reverse")], GRU), "last step to the first"),
    "another activation": (graph([gru(activations=["Relu", "Tanh"])], GRU), "activations"),
    "a clip": (graph([gru(clip=3.0)], GRU), "clip"),
    "an operator of one's own": (graph([helper.make_node("Evil", ["x"], ["y"], "n", domain="evil")]), "domain 'evil'"),
    "a python operator": (graph([helper.make_node("PyOp", ["x"], ["y"], "n", module="os")]), "PyOp"),
    "a branch": (graph([branch()]), "graph of its own"),
    "no recurrence": (graph([helper.make_node("Relu", ["x"], ["y"])]), "no RNN, LSTM or GRU"),
    "no sequences": (graph([gru()], GRU, inputs=[X]), "no input of sequences"),
    "a circle": (graph([helper.make_node("Add", ["y", "x"], ["y"])]), "nothing before it"),
    "two readers": (
        graph([gru(), helper.make_node("GRU", ["x", "W", "R"], ["z"], "two", hidden_size=4)], GRU, outputs=("z",)),
        "branches",
    ),
    "an output of nothing": (graph([gru()], GRU, outputs=("z",)), "no output"),
    "too many operators": (graph([relu(n) for n in range(10_001)]), "10,001 operators"),
    "functions": (graph([gru()], GRU, functions=[FUNCTION]), "functions"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence(tmp_path, name):
    content, said = HOSTILE[name]
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    measured = reset_peak()
    before, began = resident("VmRSS"), time.process_time()
    with pytest.raises(DataError, match=said) as caught:
        from_onnx(file)
    assert time.process_time() - began < 2
    assert str(caught.value).startswith(str(file))
    if measured:
        assert resident("VmHWM") - before < 200 << 20


def test_a_path_that_is_no_file(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    for name, said in (("no.onnx", "no such file"), ("folder.onnx", "is a folder"), ("m.pt", "ends in .onnx")):
        with pytest.raises(DataError, match=said):
            from_onnx(tmp_path / name)


def test_the_last_step_of_both_directions_is_told(tmp_path):
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.GRU(6, 8, bidirectional=True, batch_first=True)

        def forward(self, x):
            return self.body(x)[0][:, -1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Wrong().eval(), (torch.randn(2, 5, 6),), tmp_path / "m.onnx", dynamo=False)
    with pytest.raises(DataError, match="the backward one ends at the first step"):
        from_onnx(tmp_path / "m.onnx")
