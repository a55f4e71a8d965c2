"""Models whose layers form a graph, as ONNX graphs: each equals rnnkit, with masks, states and several inputs."""

import pytest
from onnx_checks import graphs_agree, perturbed
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.interop.keras.to_graph import to_graph
from rnnkit.interop.onnx.exporting import prepared
from rnnkit.layers import graph as g
from rnnkit.layers.graph.activations import ACTIVATIONS


def chain(*layers, shape=(None, None, 3), **options):
    """A graph model of layers one behind the other."""
    names = [f"layer_{place}" for place in range(len(layers))]
    nodes = [{"layer": name, "inputs": [[place, 0]]} for place, name in enumerate(names)]
    return g_model(layers, names, nodes, shapes=[list(shape)], **options)


def g_model(layers, names, nodes, results=None, inputs=("x",), **options):
    """A graph model whose only result is the last node, unless others are named."""
    results = [[len(inputs) + len(nodes) - 1, 0]] if results is None else results
    model = rnnkit.GraphModel(list(layers), names, list(inputs), nodes, results, **options)
    return perturbed(model)


def recurrent(kind=rnnkit.LSTM, size=3, units=4, **options):
    return g.Recurrent([kind(size, units, batch_first=True)], **options)


def of_cell(cell, **options):
    return g.Recurrent([rnnkit.RNN(cell, batch_first=True)], **options)


RECURRENT = {
    "last": lambda: recurrent(rnnkit.SimpleRNN),
    "sequences": lambda: recurrent(rnnkit.GRU, return_sequences=True),
    "backward": lambda: recurrent(backward=True, return_sequences=True),
    "two": lambda: g.Recurrent([rnnkit.LSTM(3, 4, batch_first=True), rnnkit.GRU(4, 2, batch_first=True)]),
    "zero": lambda: recurrent(return_sequences=True, zero_masked=True),
    "zero last": lambda: recurrent(zero_masked=True),
    "hard": lambda: of_cell(g.ActivatedLSTMCell(3, 4, recurrent_activation="hard_sigmoid_of_keras_2"), backward=True),
    "linear": lambda: of_cell(g.ActivatedRNNCell(3, 4, "linear"), return_sequences=True),
    "selu": lambda: of_cell(g.ActivatedLSTMCell(3, 4, "selu"), return_sequences=True),
    "softmax": lambda: of_cell(g.ActivatedGRUCell(3, 4, "softmax", recurrent_activation="hard_sigmoid")),
    "before": lambda: of_cell(g.ActivatedGRUCell(3, 4, "softsign", bias=False, reset_after=False)),
    **{
        f"both {merge}": lambda merge=merge: g.BothDirections(
            recurrent(rnnkit.GRU, return_sequences=True), recurrent(return_sequences=True, backward=True), merge
        )
        for merge in ("concat", "sum", "mul", "ave")
    },
    "both last": lambda: g.BothDirections(recurrent(), recurrent(backward=True)),
}  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(name, masked):
    """Lengths are an input where no layer masks; masks of a layer lie anywhere."""
    layers = [RECURRENT[name]()]
    model = chain(*([g.Masking(0.5)] if masked else []), *layers)
    part = prepared(model)[0]
    assert [port.name for port in part.inputs] == ["x", "lengths"]
    assert part.inputs[0].shape == ("batch", "time", 3)
    graphs_agree(model)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    graphs_agree(chain(g.Dense(nn.Linear(3, 4), name), g.Activation(name)))


OPTIONS = [
    ("relu", {"negative_slope": 0.1, "max_value": 0.6, "threshold": 0.2}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.7}),
    ("softmax", {"axis": 1}),
]
OVER_TIME = [
    *(g.Convolution(nn.Conv1d(3, 4, 4, stride), "relu", padding) for stride in (1, 2, 3)
      for padding in ("valid", "same", "causal")),
    g.Convolution(nn.Conv1d(3, 4, 2, dilation=3), "relu", "same"),
    *(g.Pooling(kind, 3, 2, padding) for kind in ("max", "mean") for padding in ("valid", "same")),
    g.GlobalPooling("mean", keep_axis=True), g.GlobalPooling("max"), g.TimeEdges(1, 2), g.TimeEdges(0, -1),
    g.UpSampling(3), g.BatchNormalisation(3), g.LayerNormalisation([3], scale=False), g.Noise("dropout", 0.5),
    g.Rescaling(0.5, [1.0, 2.0, 3.0]), g.TimeDistributed(g.Dense(nn.Linear(3, 4))),
    *(g.Activation(name, options) for name, options in OPTIONS),
]  # fmt: skip


@pytest.mark.parametrize("layer", OVER_TIME, ids=lambda layer: f"{type(layer).__name__}({layer.extra_repr()})")
def test_layers_over_any_number_of_steps(layer):
    graphs_agree(chain(layer))


FIXED = [
    [g.Flatten(), g.Dense(nn.Linear(15, 2))],
    [g.Reshape([3, -1]), recurrent(size=5)],
    [g.Permute([2, 1]), g.PReLU([3, 1]), recurrent(size=5)],
    [recurrent(), g.Repeat(4), recurrent(size=4, return_sequences=True)],
    [g.BatchNormalisation(5, axis=1), g.LayerNormalisation([5, 3])],
]


@pytest.mark.parametrize("layers", FIXED, ids=lambda layers: "+".join(type(one).__name__ for one in layers))
def test_layers_over_a_fixed_number_of_steps(layers):
    model = chain(*layers, shape=(None, 5, 3))
    assert prepared(model)[0].inputs[0].shape == ("batch", 5, 3)
    graphs_agree(model)


def test_a_layer_over_steps_of_steps():
    inner = g.TimeDistributed(recurrent())
    graphs_agree(chain(inner, g.TimeDistributed(g.Rescaling(2.0)), shape=(None, None, 6, 3)))


@pytest.mark.parametrize("mask_zero", [False, True])
def test_ids(mask_zero):
    pooled = [g.Embedding(nn.Embedding(7, 3), mask_zero), recurrent(return_sequences=True), g.GlobalPooling("mean")]
    model = chain(*pooled, shape=(None, None), integers=["x"])
    if mask_zero:  # rows without any word have no mean in either
        model.layer("layer_0").mask_zero = False
        graphs_agree(model)
        model.layer("layer_0").mask_zero = True
        graphs_agree(chain(*pooled[:2], shape=(None, None), integers=["x"]))
    else:
        graphs_agree(model)
    graphs_agree(chain(g.Embedding(nn.Embedding(7, 3)), recurrent(), shape=(None, None)))  # numbers are cut


def test_states_that_go_from_layer_to_layer_and_come_out():
    names = ["first", "second"]
    nodes = [{"layer": "first", "inputs": [[0, 0]]}, {"layer": "second", "inputs": [[1, 0], [2, 1], [2, 2]]}]
    layers = [recurrent(return_state=True), recurrent(size=2, return_sequences=True)]
    shapes, results = [[None, None, 3], [None, None, 2]], [[3, 0], [2, 2]]
    model = g_model(layers, names, nodes, results, ("source", "target"), shapes=shapes, outputs=["y", "source"])
    part = prepared(model)[0]
    assert [port.shape[1] for port in part.inputs] == ["time", "time_target"]
    assert [port.name for port in part.outputs] == ["y", "source_output"]
    graphs_agree(model)


def test_stateful_layers_have_states():
    both = g.BothDirections(*(recurrent(rnnkit.GRU, 4, stateful=True, backward=bool(back)) for back in (0, 1)))
    model = chain(recurrent(stateful=True), g.Repeat(3), both)
    part = prepared(model)[0]
    assert [state.input for state in part.states] == ["h", "c", "h_2", "h_3"]
    graphs_agree(model)
    assert prepared(model, states=False)[0].states == ()
    twice = g_model(
        [recurrent(stateful=True)], ["a"], [{"layer": "a", "inputs": [[0, 0]]}] * 2, shapes=[[None, None, 3]]
    )
    for states in (True, False):
        with pytest.raises(ConfigError, match="several places.*--to keras"):
            prepared(twice, states=states)


def merged(layer, masked=True):
    """Two branches, of which one is masked, and what becomes of both."""
    layers = [g.Masking(0.5), g.Dense(nn.Linear(3, 3)), layer, recurrent(size=6 if layer.kind == "concat" else 3)]
    nodes = [
        {"layer": "mask", "inputs": [[0, 0]]},
        {"layer": "dense", "inputs": [[0, 0]]},
        {"layer": "merge", "inputs": [[1, 0], [2, 0] if not masked else [1, 0]]},
        {"layer": "end", "inputs": [[3, 0]]},
    ]
    return g_model(layers, ["mask", "dense", "merge", "end"], nodes, shapes=[[None, None, 3]])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["concat", "add", "subtract", "multiply", "average", "maximum", "minimum"])
def test_merging_and_its_masks(kind, masked):
    graphs_agree(merged(g.Merge(kind), masked))


def test_merging_steps_of_two_branches():
    layers = [g.Masking(0.5), g.Dense(nn.Linear(3, 3)), g.Merge("concat", 1), recurrent()]
    nodes = [{"layer": name, "inputs": inputs} for name, inputs in (
        ("mask", [[0, 0]]), ("dense", [[0, 0]]), ("merge", [[1, 0], [2, 0]]), ("end", [[3, 0]]))]  # fmt: skip
    graphs_agree(g_model(layers, ["mask", "dense", "merge", "end"], nodes, shapes=[[None, None, 3]]))


OPERATIONS = [
    *(["add", "subtract", "multiply", "divide", "maximum", "minimum"]),
    *(["equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or"]),
]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_on_two(name):
    layers = [g.Dense(nn.Linear(3, 3)), g.Operation(name, [None, None]), g.Operation(name, [0.5, None])]
    nodes = [{"layer": "dense", "inputs": [[0, 0]]}, {"layer": "two", "inputs": [[0, 0], [1, 0]]},
             {"layer": "number", "inputs": [[1, 0]]}]  # fmt: skip
    graphs_agree(g_model(layers, ["dense", "two", "number"], nodes, [[2, 0], [3, 0]], shapes=[[None, None, 3]]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("negative", {}), ("logical_not", {}), ("any", {"axis": -1}), ("all", {"axis": 1, "keepdims": True}),
        ("expand_dims", {"axis": -1}), ("squeeze", {"axis": 2}), ("ones_like", {"bool": True}), ("zeros_like", {}),
    ],
)  # fmt: skip
def test_operations_on_one(name, options):
    graphs_agree(chain(g.Operation(name, [None], options)))


def test_masks_that_nodes_name():
    layers = [g.Operation("not_equal", [None, 0]), g.Embedding(nn.Embedding(7, 3)), recurrent()]
    nodes = [{"layer": "mask", "inputs": [[0, 0]]}, {"layer": "embed", "inputs": [[0, 0]]},
             {"layer": "end", "inputs": [[2, 0]], "mask": [1, 0]}]  # fmt: skip
    model = g_model(layers, ["mask", "embed", "end"], nodes, shapes=[[None, None]], integers=["x"])
    assert [port.name for port in prepared(model)[0].inputs] == ["x"]
    graphs_agree(model)


def test_models_in_models():
    inner = g.Graph([recurrent(return_sequences=True)], ["a"], ["x"], [{"layer": "a", "inputs": [[0, 0]]}], [[1, 0]])
    graphs_agree(chain(g.Masking(0.5), inner, g.GlobalPooling("max")))


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("final", ["linear", "softmax", "sigmoid"])
def test_what_comes_out_last(final, logits):
    model = chain(recurrent(), g.Dense(nn.Linear(4, 3)), final=[final], logits=logits, outputs=["answer"])
    names = [port.name for port in prepared(model)[0].outputs]
    assert names == (["answer", "probabilities"] if logits and final == "softmax" else ["answer"])
    graphs_agree(model)


def test_a_classifier_of_rnnkit_as_a_graph():
    graphs_agree(to_graph(rnnkit.SequenceClassifier(rnnkit.GRU(3, 5, num_layers=2, bidirectional=True), 2)).eval())


class Own(g.GraphLayer):
    def compute(self, x, mask):
        return x


def test_what_cannot_be_written_is_named():
    with pytest.raises(ConfigError, match=r"\.Own, for which rnnkit writes no ONNX operators"):
        prepared(chain(Own()))
    with pytest.raises(ConfigError, match=r"shapes=\[\[None, None, 3\]\]"):
        prepared(g_model([recurrent()], ["a"], [{"layer": "a", "inputs": [[0, 0]]}]))
