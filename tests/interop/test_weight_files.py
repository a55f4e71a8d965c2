"""Files of weights of other programs: what they hold is read, and what they hold besides is never executed."""

import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import rnnkit
from rnnkit.errors import DataError
from rnnkit.interop import read_torch_layers
from rnnkit.interop.weight_files import read_weights

KINDS = [
    (torch.nn.LSTM, {}),
    (torch.nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    (torch.nn.LSTM, {"proj_size": 2}),
    (torch.nn.LSTM, {"num_layers": 2, "bidirectional": True, "proj_size": 3}),
    (torch.nn.GRU, {"num_layers": 3}),
    (torch.nn.GRU, {"bias": False, "bidirectional": True}),
    (torch.nn.RNN, {"nonlinearity": "relu"}),
    (torch.nn.RNN, {"num_layers": 2, "bidirectional": True}),
]


class Runs:
    """An object whose pickle calls a function."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_layers_of_torch_compute_the_same(tmp_path, kind, options, suffix):
    layer = kind(5, 4, **options)
    model = torch.nn.ModuleDict({"inner": torch.nn.Sequential(layer), "head": torch.nn.Linear(4, 2)})
    file = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), file)
    given = {"nonlinearity": options["nonlinearity"]} if "nonlinearity" in options else {}
    found = read_torch_layers(file, **given)
    [(name, own)] = found.layers.items()
    assert name == "inner.0"
    assert sorted(found.others) == ["head.bias", "head.weight"]
    x = torch.randn(7, 3, 5)
    torch.testing.assert_close(own(x)[0], layer(x)[0], atol=1e-6, rtol=1e-5)


def test_two_layers_of_a_checkpoint_are_told_apart(tmp_path):
    model = torch.nn.ModuleDict({"encoder": torch.nn.GRU(3, 4), "decoder": torch.nn.LSTM(4, 6, 2)})
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, tmp_path / "checkpoint.pt")
    found = read_torch_layers(tmp_path / "checkpoint.pt", batch_first=True)
    assert isinstance(found.layers["encoder"], rnnkit.GRU)
    assert isinstance(found.layers["decoder"], rnnkit.LSTM)
    assert found.layers["decoder"].batch_first


def test_a_layer_of_a_file_learns_on(tmp_path):
    torch.manual_seed(0)
    torch.save(torch.nn.GRU(1, 8).state_dict(), tmp_path / "gru.pt")
    body = read_torch_layers(tmp_path / "gru.pt", batch_first=True).layers[""]
    x = torch.randn(64, 6, 1)
    learner = rnnkit.Learner(rnnkit.SequenceRegressor(body), lr=0.01)
    before = learner.evaluate((x, x.sum(1)))["loss"]
    learner.fit((x, x.sum(1)), epochs=20, batch_size=16)
    assert learner.evaluate((x, x.sum(1)))["loss"] < before / 3


def test_what_a_pickle_would_call_is_not_called(tmp_path):
    made = tmp_path / "made"
    torch.save({"weight_ih_l0": torch.zeros(4, 2), "more": Runs(made)}, tmp_path / "bad.pt")
    with pytest.raises(DataError, match=r"holds more than weights, .* torch\.save\(model\.state_dict"):
        read_weights(tmp_path / "bad.pt")
    assert not made.exists()
    np.savez(tmp_path / "bad.npz", a=np.array([Runs(made)], dtype=object))
    with pytest.raises(DataError, match="no file of weights"):
        read_weights(tmp_path / "bad.npz")
    assert not made.exists()


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.npy", bytes(40_000_000))
    with pytest.raises(DataError, match="would unpack from .* to 40,000,000 bytes"):
        read_weights(tmp_path / "bomb.npz")


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}", b"x" * 4000, b"\xff" * 8 + b"{}"])
def test_damaged_files_are_named(tmp_path, suffix, content):
    file = tmp_path / f"bad{suffix}"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\{suffix}: "):
        read_weights(file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.pop("weight_hh_l0"), "lacks the tensor 'weight_hh_l0'"),
        (lambda one: one.update(weight_ih_l0=torch.zeros(13, 3)), "13 rows .* 4 .LSTM., 3 .GRU. or 1 .RNN."),
        (
            lambda one: one.update(weight_ih_l0=torch.full((12, 3), torch.nan)),
            "1 array of weights with NaN, .*: .weight_ih_l0.; expected finite",
        ),
        (lambda one: one.update(bias_ih_l0=torch.zeros(11)), r"'bias_ih_l0' has shape \[11\]; expected \[12\]"),
        (lambda one: one.update(weight_ih_l2=torch.zeros(12, 4)), "lacks the tensor 'weight_ih_l1'"),
        (lambda one: one.update(weight_ih_l999999999=torch.zeros(12, 4)), "lacks the tensor 'weight_ih_l1'"),
        (lambda one: one.update(weight_hh_l0=torch.zeros(1).expand(10**6, 10**6)), "otherwise than number by number"),
        (lambda one: one.update(weight_hh_l0=torch.zeros(12, 4).to_sparse()), "otherwise than number by number"),
        (lambda one: one.update(weight_hh_l0=torch.zeros(4)), r"has shape \[4\]; expected \[any, any\]"),
        (lambda one: one.clear() or one.update(a=torch.zeros(2)), "holds no recurrent layer of torch.nn"),
        (lambda one: one.clear() or one.update(a=1), "holds no tensors"),
    ],
)
def test_weights_that_are_no_layer_are_refused(tmp_path, change, told):
    weights = dict(torch.nn.GRU(3, 4).state_dict())
    change(weights)
    torch.save(weights, tmp_path / "gru.pt")
    with pytest.raises(DataError, match=told):
        read_torch_layers(tmp_path / "gru.pt")


def test_files_that_are_not_there_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"ends in \.safetensors, \.pt"):
        read_weights(tmp_path / "a.txt")
