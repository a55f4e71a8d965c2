"""``rnnkit import`` of an ONNX file: the run that it makes, and what it answers to mistakes."""

import numpy as np
import pytest
import torch
from commands import call, refused_alone

import rnnkit
from rnnkit.interop.onnx import export


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, bidirectional=True), classes=2)
    return export(model, tmp_path / "m.onnx").files["model"], model.eval()


def test_a_run_from_an_onnx_file_predicts(file, tmp_path):
    path, model = file
    result = call("import", path, "--out", tmp_path / "run", "--classes", "calm,storm")
    assert result.exit_code == 0, result.output
    x = torch.randn(4, 5, 3)
    np.savez(tmp_path / "new.npz", x=x.numpy())
    answer = call("predict", tmp_path / "run", tmp_path / "new.npz")
    assert answer.exit_code == 0, answer.output
    with torch.no_grad():
        expected = [("calm", "storm")[one] for one in model(x).argmax(1).tolist()]
    assert all(one in answer.stdout for one in set(expected))
    exported = call("export", tmp_path / "run", "--to", "keras", "--out", tmp_path / "again.keras")
    assert exported.exit_code == 0, exported.output


def test_mistakes(file, tmp_path):
    path, _ = file
    assert refused_alone(call("import", path, "--configuration", "c.json"), "leave it out")
    assert refused_alone(call("import", "no.onnx"), "does not exist", "an .onnx file")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    assert refused_alone(call("import", "bad.onnx"), "no ONNX file")
    assert not (tmp_path / "runs").exists()
