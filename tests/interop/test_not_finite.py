"""Every reader refuses weights that are no finite numbers, with the same sentence."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from commands import call, refused
from keras_files import at, cell_arrays, layer, sequential, write_keras
from safetensors.torch import save_file

import rnnkit
from rnnkit.errors import DataError
from rnnkit.interop import read_torch_layers
from rnnkit.interop.keras import from_keras
from rnnkit.interop.onnx import export, from_onnx

SAID = r"2 arrays of weights with NaN, infinite numbers or numbers beyond float32: '[^']+', '[^']+'; expected finite"


def keras_file(folder: Path, arrays: list[np.ndarray]) -> Path:
    config = sequential(layer("LSTM", units=4), layer("Dense", units=2))
    head = [np.ones((4, 2), "float32"), np.zeros(2, "float32")]
    return write_keras(folder / "m.keras", config, at("layers/lstm/cell", arrays) | at("layers/dense", head))


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_keras(tmp_path, number):
    arrays = [one.astype("float64") for one in cell_arrays(np.random.default_rng(0), 4, 3, 4, (16,))]
    arrays[1][0, 0] = arrays[2][3] = number
    with pytest.raises(DataError, match=SAID) as caught:
        from_keras(keras_file(tmp_path, arrays))
    assert "'/layers/lstm/cell/vars/1', '/layers/lstm/cell/vars/2'" in str(caught.value)
    assert refused(call("import", tmp_path / "m.keras", "--out", tmp_path / "run"), "2 arrays of weights with NaN")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_alone(tmp_path, suffix):
    weights = torch.nn.GRU(3, 4).state_dict()
    weights["weight_hh_l0"][0, 0], weights["bias_hh_l0"][1] = torch.nan, -torch.inf
    file = tmp_path / f"m{suffix}"
    torch.save(weights, file) if suffix == ".pt" else save_file(weights, file)
    with pytest.raises(DataError, match=SAID):
        read_torch_layers(file)


def test_onnx(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), classes=2)
    with torch.no_grad():
        model.body.weight_hh_l0[0, 0] = model.head.bias[0] = torch.nan
    file = export(model, tmp_path / "m.onnx").files["model"]
    with pytest.raises(DataError, match=SAID):
        from_onnx(file)


def test_onnx_beyond_float32(tmp_path):
    model = onnx.load(export(rnnkit.SequenceTagger(rnnkit.GRU(3, 4), 2), tmp_path / "m.onnx").files["model"])
    for one in model.graph.initializer:
        if one.dims == [1, 12, 3]:
            one.CopyFrom(onnx.numpy_helper.from_array(np.full((1, 12, 3), 1e300), one.name))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match="1 array of weights with NaN"):
        from_onnx(tmp_path / "m.onnx")


def test_many_arrays_are_counted(tmp_path):
    torch.save({name: one * torch.nan for name, one in torch.nn.LSTM(3, 4, 2).state_dict().items()}, tmp_path / "m.pt")
    with pytest.raises(
        DataError, match="8 arrays of weights with .*: 'weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', …;"
    ):
        read_torch_layers(tmp_path / "m.pt")
