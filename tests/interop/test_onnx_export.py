"""What an export writes: files, description, metadata; what it refuses, and what it leaves untouched."""

import copy
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx_checks import perturbed

import rnnkit
from rnnkit.errors import ConfigError, DataError, MissingExtraError
from rnnkit.interop.formats import FORMATS, Request, find_format
from rnnkit.interop.onnx import checking, export
from rnnkit.interop.onnx.library import _imported


@pytest.fixture
def classifier():
    return perturbed(rnnkit.SequenceClassifier(rnnkit.LSTM(6, 5), ["calm", "storm"]))


def opened(file):
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def test_a_file_and_its_description(tmp_path, classifier):
    exported = export(classifier, tmp_path / "m.onnx", check=True, description={"preprocessing": {"scale": "standard"}})
    assert exported.files == {"model": tmp_path / "m.onnx"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.onnx"]
    told = json.loads(exported.description.read_text())
    assert told["opset"] == 17
    assert told["preprocessing"] == {"scale": "standard"}
    (part,) = told["parts"]
    assert part["classes"] == ["calm", "storm"]
    assert [one["name"] for one in part["inputs"]] == ["x", "lengths"]
    assert part["states"][0] == {
        "input": "h", "output": "h_out", "type": "float32", "shape": [1, "batch", 5], "start": "zeros",
    }  # fmt: skip
    (deviation,) = exported.deviations
    assert deviation.worst < 1e-5
    assert deviation.in_chunks is not None


def test_the_file_tells_what_it_is(tmp_path, classifier):
    export(classifier, tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    assert model.producer_name == "rnnkit"
    found = {one.key: one.value for one in model.metadata_props}
    assert found["model"] == "SequenceClassifier"
    assert found["description"] == "m.json"
    free = [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert free == ["batch", "time", ""]


def test_a_stream_as_a_user_writes_it(tmp_path, classifier):
    export(classifier, tmp_path / "m.onnx")
    session, x = opened(tmp_path / "m.onnx"), np.random.default_rng(0).normal(size=(2, 9, 6)).astype(np.float32)
    state = {"h": np.zeros((1, 2, 5), np.float32), "c": np.zeros((1, 2, 5), np.float32)}
    for begin, end in ((0, 4), (4, 5), (5, 9)):
        lengths = np.full(2, end - begin)
        logits, _, h, c = session.run(None, {"x": x[:, begin:end], "lengths": lengths, **state})
        state = {"h": h, "c": c}
    with torch.no_grad():
        expected = classifier(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_whole_sequences_need_no_state(tmp_path, classifier):
    export(classifier, tmp_path / "m.onnx", states=False)
    assert [one.name for one in opened(tmp_path / "m.onnx").get_inputs()] == ["x", "lengths"]


def test_a_model_of_two_parts_has_two_files(tmp_path):
    model = rnnkit.EncoderDecoder(rnnkit.GRU(8, 6), rnnkit.GRU(8, 6), 20, 30)
    exported = export(model, tmp_path / "t.onnx", check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"t.encoder.onnx", "t.decoder.onnx", "t.json"}
    assert [part["file"] for part in json.loads(exported.description.read_text())["parts"]] == [
        "t.encoder.onnx", "t.decoder.onnx",
    ]  # fmt: skip


def test_a_greedy_translation_by_the_two_files(tmp_path):
    model = perturbed(rnnkit.EncoderDecoder(rnnkit.GRU(8, 6, bidirectional=True), rnnkit.GRU(8, 10), 20, 30), 0.5)
    exported = export(model, tmp_path / "t.onnx")
    encoder, decoder = opened(exported.files["encoder"]), opened(exported.files["decoder"])
    x, lengths = torch.randint(20, (2, 5), generator=torch.Generator().manual_seed(0)), torch.tensor([5, 3])
    names = [one.name for one in encoder.get_outputs()]
    read = dict(zip(names, encoder.run(None, {"x": x.numpy(), "lengths": lengths.numpy()}), strict=True))
    given = {one.name for one in decoder.get_inputs()}
    told = json.loads(exported.description.read_text())["parts"][1]
    fed = {name: value for name, value in read.items() if name in given}
    ids, written = np.full(2, told["start"]), []
    with torch.no_grad():
        state, memory = model.encode(x, lengths)
        own, expected = torch.full((2,), model.start), []
        for _ in range(6):
            found = dict(
                zip([one.name for one in decoder.get_outputs()], decoder.run(None, {"ids": ids, **fed}), strict=True)
            )
            ids = found["logits"].argmax(1)
            fed |= {one["input"]: found[one["output"]] for one in told["states"]}
            written.append(ids.tolist())
            logits, state, _ = model.decode_step(own, state, memory)
            own = logits.argmax(1)
            expected.append(own.tolist())
    assert written == expected


def test_the_model_itself_stays_as_it_is(tmp_path):
    model = rnnkit.SequenceRegressor(rnnkit.GRU(3, 4, dtype=torch.float64)).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    export(model, tmp_path / "m.onnx", check=True)
    assert model.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize(
    ("path", "said"), [("m.pt", "ends in .onnx"), ("folder.onnx", "is a folder"), ("file/m.onnx", "another place")]
)
def test_a_path_that_cannot_be_written(tmp_path, classifier, path, said):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=said):
        export(classifier, tmp_path / path)


def test_a_graph_that_computes_something_else_is_not_written(tmp_path, classifier, monkeypatch):
    run = checking.Session.__call__
    monkeypatch.setattr(
        checking.Session, "__call__", lambda self, values: {name: one + 1e-3 for name, one in run(self, values).items()}
    )
    with pytest.raises(DataError, match="deviates from rnnkit by"):
        export(classifier, tmp_path / "m.onnx", check=True)
    assert list(tmp_path.iterdir()) == []


def test_answers_that_are_not_finite_pass_no_check(tmp_path, classifier):
    broken = copy.deepcopy(classifier)
    with torch.no_grad():
        broken.body.weight_hh_l0[0, 0] = torch.nan
    with pytest.raises(DataError, match="not finite.*weights hold NaN"):
        export(broken, tmp_path / "m.onnx", check=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match=r"rnnkit\.load"):
        export("runs/mnist", tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="without values"):
        export(rnnkit.GRU(3, 4, device="meta"), tmp_path / "m.onnx")


def test_formats_name_their_options(tmp_path, classifier):
    assert find_format("onnx") is FORMATS["onnx"]
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        find_format("onxx")
    with pytest.raises(ConfigError, match="leave it out"):
        FORMATS["onnx"].write(classifier, tmp_path / "m.onnx", Request(options={"safe": True}))
    report = FORMATS["onnx"].write(classifier, tmp_path / "m.onnx", Request(options={"check": True}))
    assert [path.name for path in report.files] == ["m.onnx", "m.json"]
    assert "in chunks" in report.lines[0]


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_without_the_libraries_the_extra_is_named(tmp_path, classifier, monkeypatch, library):
    _imported.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rnnkit\[onnx\]'"):
        export(classifier, tmp_path / "m.onnx", check=True)
    monkeypatch.undo()
    _imported.cache_clear()
    assert list(tmp_path.iterdir()) == []
