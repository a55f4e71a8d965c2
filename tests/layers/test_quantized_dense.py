"""Linear layers and embeddings with weights in 8 bits: against the float ones, tied, saved, refused."""

import copy
import pickle

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import BackendError, ConfigError, DataError, RnnkitWarning, ShapeError
from rnnkit.layers.description import describe
from rnnkit.layers.dropout import Embedding
from rnnkit.layers.quantized import quantizable, restore_quantized
from rnnkit.layers.quantized_dense import QuantizedEmbedding, QuantizedLinear
from rnnkit.ops.backend import _warn_once, native_core
from rnnkit.serialization import read_config, save_module

needs_core = pytest.mark.skipif(native_core() is None, reason="without the native core")


def linear(features=40, outputs=30, **options):
    torch.manual_seed(0)
    return rnnkit.quantize(torch.nn.Linear(features, outputs, **options))


@needs_core
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(40,), (5, 40), (0, 40), (2, 3, 40), (2, 0, 40)])
def test_native_equals_the_reference(shape, bias):
    layer, x = linear(bias=bias), torch.randn(shape)
    expected = layer.int8_weight.product(x)
    assert_close(layer(x), expected + layer.bias if bias else expected)
    assert layer(x).shape == (*shape[:-1], 30)


@needs_core
def test_rows_are_computed_by_themselves():
    layer, x = linear(), torch.randn(4, 7, 40)
    whole = layer(x)
    assert torch.equal(torch.stack([layer(row) for row in x.unbind(1)], 1), whole)
    assert torch.equal(layer(x.transpose(0, 1)), whole.transpose(0, 1))
    assert torch.equal(layer(x[:, :1].expand(4, 7, 40)), whole[:, :1].expand(4, 7, 30))
    x[1, 2, 3] = torch.nan
    assert layer(x)[1, 2].isnan().all()
    x[1, 2] = 0
    assert torch.equal(layer(x)[1, 2], layer.bias)


@needs_core
def test_it_sees_changes_of_its_weights_and_of_the_threads():
    layer, x = linear(), torch.randn(5, 40)
    before = layer(x)
    layer.bias.add_(1)
    assert_close(layer(x), before + 1)
    layer.load_state_dict(linear(outputs=30, features=40).state_dict())
    assert torch.equal(layer(x), before)
    layer.weight_scales.mul_(2)
    assert_close(layer(x) - layer.bias, 2 * (before - layer.bias))
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(copied(x), layer(x))
    threads, expected = torch.get_num_threads(), layer(x)
    torch.set_num_threads(3)
    try:
        assert torch.equal(layer(x), expected)
    finally:
        torch.set_num_threads(threads)
    with torch.inference_mode():
        assert torch.equal(linear()(x), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes_run_on_the_reference(dtype):
    layer, x = linear(), torch.randn(5, 40)
    expected = layer.int8_weight.product(x) + layer.bias
    other = copy.deepcopy(layer).to(dtype)
    _warn_once.cache_clear()
    with pytest.warns(UserWarning, match="QuantizedLinear uses its slow reference"):
        found = other(x.to(dtype))
    assert found.dtype == dtype
    assert (found.float() - expected).abs().max() < (1e-5 if dtype == torch.float64 else 0.03)


def test_what_does_not_fit_is_refused():
    layer, x = linear(), torch.randn(5, 40)
    for wrong in (x.double(), x.bfloat16(), x.long()):
        with pytest.raises(ShapeError, match=r"the layer's weights are torch\.float32; convert one"):
            layer(wrong)
    for wrong in (x[:, :3], torch.tensor(1.0)):
        with pytest.raises(ShapeError, match=r"takes \[\.\.\., 40\]"):
            layer(wrong)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x.bfloat16()).dtype == torch.float32
    with pytest.raises(BackendError, match="no gradients"):
        layer(x.requires_grad_())
    for one in (layer, rnnkit.quantize(torch.nn.Embedding(40, 8))):
        with pytest.raises(ConfigError, match="cannot be trained"):
            one.train()
        with pytest.raises(ConfigError, match="cannot be trained"):
            one.reset_parameters()
        state = one.state_dict()
        state["weight_int8"] = torch.full_like(state["weight_int8"], -128)
        with pytest.raises(DataError, match="weight_int8 holds no whole numbers"):
            one.load_state_dict(state)


@pytest.mark.parametrize("kind", [torch.nn.Embedding, Embedding])
def test_an_embedding_makes_floats_of_the_rows_that_are_read(kind, tmp_path):
    torch.manual_seed(0)
    table = kind(50, 12, padding_idx=0)
    with torch.no_grad():
        table.weight[3] *= 1000  # each row has a scale of its own
    small = rnnkit.quantize(table)
    ids = torch.tensor([[0, 3, 49], [7, 7, 1]], dtype=torch.int32)
    assert torch.equal(small(ids), small.weight[ids])
    assert (small(ids) - table(ids)).abs().amax(-1).le(table(ids).abs().amax(-1) / 253).all()
    assert small(ids[:0]).shape == (0, 3, 12)
    assert torch.equal(small(torch.tensor(7)), small.weight[7])
    for wrong in (-1, 50):
        with pytest.raises(IndexError):
            small(torch.tensor([wrong]))
    assert describe(small) == describe(table)
    assert repr(small) == "QuantizedEmbedding(50, 12, padding_idx=0)"
    model = rnnkit.SequenceClassifier(rnnkit.GRU(12, 16), classes=3, front=table)
    save_module(rnnkit.quantize(model), tmp_path)
    again = rnnkit.load(tmp_path)
    assert torch.equal(again.front.weight, small.weight)


def test_tied_weights_stay_tied(tmp_path):
    torch.manual_seed(0)
    model = rnnkit.LanguageModel(300, embedding_size=16, hidden_size=24, num_layers=1)
    small = rnnkit.quantize(model)
    assert small.tied
    assert small.head.weight_int8 is small.front.weight_int8
    assert small.head.weight_scales is small.front.weight_scales
    rnnkit.Learner(small).save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert again.tied
    assert again.config() == small.config() == model.config()
    assert copy.deepcopy(again).tied
    ids = torch.arange(60).reshape(3, 20)
    assert torch.equal(again(ids), small(ids))
    assert (tmp_path / "model.safetensors").stat().st_size < 0.4 * sum(p.nbytes for p in model.parameters())
    with pytest.raises(ConfigError, match=r"8 bits.*cannot be extended"):
        small.extended(301)


def test_weights_that_a_float_layer_shares_stay_float():
    parts = torch.nn.ModuleDict({"head": torch.nn.Linear(16, 40), "bag": torch.nn.EmbeddingBag(40, 16)})
    parts["bag"].weight = parts["head"].weight
    parts["front"] = torch.nn.Linear(40, 16)
    with pytest.warns(RnnkitWarning, match=r"head \(Linear\): bag, which stays float, has its weight"):
        small = rnnkit.quantize(parts)
    assert type(small["head"]) is torch.nn.Linear
    assert small["head"].weight is small["bag"].weight
    assert type(small["front"]) is QuantizedLinear


def test_what_stays_float_is_named():
    conv = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 8, 3))
    lazy, broken = torch.nn.LazyLinear(90), torch.nn.Linear(40, 40)
    with torch.no_grad():
        broken.weight[3, 4] = torch.nan
    attention = torch.nn.MultiheadAttention(32, 2)
    small_ones = [torch.nn.Linear(3, 200), torch.nn.Linear(200, 3), torch.nn.Linear(9, 0), torch.nn.Embedding(0, 9)]
    found = quantizable(torch.nn.ModuleList([conv, lazy, broken, attention, *small_ones, torch.nn.LayerNorm(300)]))
    assert [(one.name, one.layer_class) for one in found.skipped] == [("2", "Linear")]
    assert "NaN" in found.skipped[0].reason
    names = ["0", "1", "3", "3.out_proj", "4", "5", "6", "7"]
    assert [one.name for one in found.others] == names
    assert found.others[0].reason == "convolutions have no form in 8 bits"
    assert "next to nothing in 3 × 200 weights" in str(found)
    assert "max_norm" in str(quantizable(torch.nn.Embedding(90, 9, max_norm=1.0)))
    assert "65,536" in str(quantizable(torch.nn.Linear(65_537, 8, device="meta")))
    assert "model.float()" in str(quantizable(torch.nn.Linear(40, 40, dtype=torch.bfloat16)))
    own_cell = rnnkit.RNN(rnnkit.GRUCell(3, 5))
    own_cell.cell.gate = torch.nn.Linear(40, 40)
    assert not quantizable(own_cell).layers  # it goes with the layer, which stays float


def test_models_of_linear_layers_and_code_that_reads_weights():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.hidden = torch.nn.Embedding(40, 16), torch.nn.Linear(16, 16)

        def forward(self, ids):
            return torch.nn.functional.linear(self.hidden(self.table(ids)), self.table.weight)

    torch.manual_seed(0)
    model, ids = Tied().eval(), torch.arange(12).reshape(3, 4)
    small = rnnkit.quantize(model)
    assert [type(part) for part in small.children()] == [QuantizedEmbedding, QuantizedLinear]
    with torch.no_grad():
        assert (small(ids) - model(ids)).abs().max() < 0.03 * model(ids).abs().max()


def test_files_name_the_layers(tmp_path):
    head = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 9))
    small = rnnkit.quantize(rnnkit.SequenceClassifier(rnnkit.GRU(3, 16), classes=9, head=head))
    save_module(small, tmp_path)
    assert read_config(tmp_path)["quantized"] == {"body": {"diagonals": []}, "head.0": {}, "head.2": {}}
    x = torch.randn(2, 5, 3)
    assert torch.equal(rnnkit.load(tmp_path)(x), small(x))
    for name, config in (("head.1", {}), ("front", {})):
        with pytest.raises(DataError, match=f"no layer '{name}'"):
            restore_quantized(rnnkit.SequenceClassifier(rnnkit.GRU(3, 16), classes=9, head=head), {name: config})


def test_a_summary_counts_the_weights_and_warns_of_nothing(recwarn):
    model = rnnkit.LanguageModel(50, embedding_size=8, hidden_size=16, num_layers=2)
    small = rnnkit.quantize(model)
    _warn_once.cache_clear()
    before, after = rnnkit.summary(model, (4, 7)), rnnkit.summary(small, (4, 7))
    assert not [one for one in recwarn if "reference" in str(one.message)]
    assert after.parameters == after.frozen == before.parameters
    assert after.forward == before.forward
    assert after.backward == 0
    assert after.weights < 0.42 * before.weights
    if native_core() is not None:
        with pytest.warns(UserWarning, match="slow reference: torch.compile"):
            torch.export.export(rnnkit.quantize(torch.nn.Linear(40, 30)), (torch.randn(2, 40),))
