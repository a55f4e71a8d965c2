"""Weights in 8 bits: sizes, accuracy, and the operators of each form."""

import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.interop.formats import FORMATS, Request
from rnnkit.interop.onnx import export
from rnnkit.interop.onnx.checking import Session, check_part
from rnnkit.interop.onnx.exporting import prepared, serialized
from rnnkit.interop.onnx.quantising import bits_here, quantise, quantised_rows
from rnnkit.ops.int8 import dwarfing_diagonal


def in_int8(model, form, bits=None):
    """The part, and the bytes of its file before and after."""
    part = prepared(model)[0]
    plain = serialized(part)
    return part, plain, quantise(onnx.load_model_from_string(plain), form=form, bits=bits).SerializeToString()


def kinds(content):
    return {node.op_type for node in onnx.load_model_from_string(content).graph.node}


MODELS = {
    "LSTM": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64, peepholes=True), 10),
    "LSTM both ways": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(28, 48, num_layers=2, bidirectional=True), 10),
    "GRU": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(28, 64, reset_after=False), 10),
    "SimpleRNN": lambda: rnnkit.SequenceClassifier(rnnkit.SimpleRNN(28, 128), 10),
    "projected": lambda: rnnkit.SequenceTagger(rnnkit.LSTM(28, 128, proj_size=64, zoneout=0.1), 10),
    "tied": lambda: rnnkit.LanguageModel(1000, embedding_size=32, hidden_size=64, num_layers=2),
    "convolutions": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(48, 64), 2, front=rnnkit.ConvFront(8, channels=48)),
    "stream": lambda: rnnkit.SpeechRecognizer(rnnkit.LSTM(48, 64), 12, front=rnnkit.CausalConv(40, channels=48)),
}


@pytest.mark.parametrize("form", ["runtime", "portable"])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_less_than_a_third_and_computes_nearly_the_same(name, form):
    torch.manual_seed(0)
    part, plain, small = in_int8(MODELS[name]().eval(), form)
    assert len(small) <= 0.32 * len(plain)
    deviation = check_part(part, Session(small, threads=1), lengths=(1, 7))
    assert 0 < deviation.worst < 0.02


@pytest.mark.parametrize("form", ["runtime", "portable"])
def test_each_part_of_a_stream_and_of_an_encoder_decoder(form):
    torch.manual_seed(0)
    models = (MODELS["stream"](), rnnkit.EncoderDecoder(rnnkit.GRU(32, 48), rnnkit.GRU(32, 48), 200, 200, tied="all"))
    for model in models:
        for part in prepared(model.eval()):
            plain = onnx.load_model_from_string(serialized(part))
            small = quantise(plain, form=form).SerializeToString()
            assert len(small) < 0.4 * len(serialized(part))
            assert check_part(part, Session(small, threads=1), lengths=(1, 7)).worst < 0.02


def test_the_operators_of_each_form():
    model = rnnkit.SequenceTagger(rnnkit.LSTM(16, 128), 200).eval()
    assert {"DynamicQuantizeLSTM", "MatMulInteger"} <= kinds(in_int8(model, "runtime")[2])
    portable = onnx.load_model_from_string(in_int8(model, "portable")[2])
    onnx.checker.check_model(portable, full_check=True)
    assert {one.domain for one in portable.opset_import} == {""}
    assert {"LSTM", "DequantizeLinear"} <= {node.op_type for node in portable.graph.node}


def test_a_recurrence_that_began_as_the_identity_keeps_its_digits():
    torch.manual_seed(0)
    layer = rnnkit.SimpleRNN(8, 64, nonlinearity="relu", init="identity")
    with torch.no_grad():
        layer.weight_hh_l0.add_(0.01 * torch.randn(64, 64))
    assert dwarfing_diagonal(layer.weight_hh_l0) is not None
    assert dwarfing_diagonal(rnnkit.GRU(8, 64).weight_hh_l0.reshape(3, 64, 64)) is None
    part, _, small = in_int8(rnnkit.SequenceRegressor(layer).eval(), "portable")
    assert check_part(part, Session(small, threads=1), lengths=(7,)).worst < 0.01


def test_rows_of_zeros_and_bits():
    weight = np.array([[1.0, -0.25], [0.0, 0.0]], np.float32)
    q, scale = quantised_rows(weight, (0,), 7)
    assert (q.tolist(), scale[1]) == ([[63, -16], [0, 0]], 1.0)
    assert bits_here() in (7, 8)
    with pytest.raises(ConfigError, match="bits=4"):
        in_int8(rnnkit.SequenceRegressor(rnnkit.GRU(3, 4)).eval(), "runtime", bits=4)


def test_seven_bits_stay_below_the_limit():
    model = rnnkit.SequenceRegressor(rnnkit.LSTM(28, 64)).eval()
    weights = [
        onnx.numpy_helper.to_array(one)
        for one in onnx.load_model_from_string(in_int8(model, "runtime", bits=7)[2]).graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 3
    ]
    assert len(weights) == 2
    assert max(int(np.abs(one.astype(int)).max()) for one in weights) == 63


def test_an_export_tells_what_changed(tmp_path):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(6, 64), 3).eval()
    x, y = torch.randn(40, 9, 6), torch.randint(3, (40,))
    exported = export(model, tmp_path / "m.onnx", int8="runtime", rows=(x, y, "cross_entropy"))
    (told,) = exported.quantised
    assert told.sizes[1] < 0.35 * told.sizes[0]
    assert set(told.figures) == {"loss", "accuracy"}
    with torch.no_grad():
        own = nn.functional.cross_entropy(model(x), y)
    assert told.figures["loss"][0] == pytest.approx(own.item(), abs=1e-5)
    assert told.figures["loss"][1] == pytest.approx(own.item(), abs=1e-2)
    assert json.loads((tmp_path / "m.json").read_text())["int8"][0]["bits"] == bits_here()
    assert (tmp_path / "m.onnx").stat().st_size == pytest.approx(told.sizes[1], abs=300)


@pytest.mark.parametrize(
    ("layer", "form", "bits", "said"),
    [
        (rnnkit.LSTM, "runtime", 7, "in 7 bits, as asked"),
        (rnnkit.LSTM, "runtime", 8, "in 8 bits, as asked"),
        (rnnkit.LSTM, "runtime", None, f"in {bits_here()} bits, as "),
        (rnnkit.LSTM, "portable", 7, "in 8 bits, as no weight meets inputs of 8 bits"),
        (rnnkit.GRU, "runtime", None, "in 8 bits, as no weight meets inputs of 8 bits"),
    ],
)
def test_the_report_says_how_many_bits_and_why(tmp_path, layer, form, bits, said):
    exported = export(rnnkit.SequenceRegressor(layer(6, 32)), tmp_path / "m.onnx", int8=form, bits=bits)
    assert said in exported.quantised[0].lines()[0]


def test_bits_without_int8_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="bits=7 arrived without int8"):
        export(rnnkit.SequenceRegressor(rnnkit.GRU(3, 5)), tmp_path / "m.onnx", bits=7)


def test_the_report_says_that_a_small_model_stays_float(tmp_path):
    exported = export(rnnkit.SequenceRegressor(rnnkit.GRU(3, 5)), tmp_path / "m.onnx", int8="runtime")
    assert "in 32 bits, as no weight has 256 entries" in exported.quantised[0].lines()[0]
    assert exported.quantised[0].change == 0


def test_figures_of_a_tagger_with_lengths(tmp_path):
    torch.manual_seed(0)
    model = rnnkit.SequenceTagger(rnnkit.GRU(6, 64), 3).eval()
    rows = rnnkit.Sequences.from_list([torch.randn(length, 6) for length in (9, 4, 7)])
    exported = export(model, tmp_path / "m.onnx", int8="portable", rows=(rows, torch.randint(3, (3, 9)), None))
    assert set(exported.quantised[0].figures) == {"loss", "accuracy"}


def test_the_report_of_the_format(tmp_path):
    model = rnnkit.SequenceRegressor(rnnkit.LSTM(6, 64)).eval()
    report = FORMATS["onnx"].write(model, tmp_path / "m.onnx", Request(options={"int8": True, "check": True}))
    said = "\n".join(report.lines)
    assert "kB →" in said
    assert "ms a call" in said
    with pytest.raises(ConfigError, match="add --int8"):
        FORMATS["onnx"].write(model, tmp_path / "m.onnx", Request(options={"bits": 7}))


def test_rows_that_do_not_fit_are_told(tmp_path):
    model, x = rnnkit.SequenceClassifier(rnnkit.GRU(8, 32), 3), torch.randn(6, 5, 8)
    y = torch.arange(6) % 3
    assert export(model, tmp_path / "m.onnx", int8="portable", rows=(x.numpy(), y)).quantised[0].figures
    for rows, said in (
        (x, "rows= has a Tensor; expected .inputs, targets."),
        ((x,), "rows= has 1 values; expected"),
        ((x, y[:5]), r"inputs \[6, 5, 8\] and targets \[5\]"),
        ((x[0, 0], y), r"inputs \[8\] and targets \[6\]"),
        (("digits", y), "inputs that are no array of numbers"),
        ((x, list("abcabc")), "targets that are no array of numbers"),
        ((x[..., :7], y), r"inputs \[6, 5, 7\] of float32 and targets \[6\] of int64, which do not fit the model"),
        ((x, y + 1), "which do not fit the model"),
        ((x, torch.zeros(6, 4)), "which do not fit the model"),
        ((x.to(torch.complex64), y), "inputs of torch.complex64; expected numbers"),
    ):
        with pytest.raises((ConfigError, DataError), match=said):
            export(model, tmp_path / "n.onnx", int8="portable", rows=rows)
    with pytest.raises(ConfigError, match="rows= arrived without int8"):
        export(model, tmp_path / "n.onnx", rows=(x, y))
    assert not (tmp_path / "n.onnx").exists()
