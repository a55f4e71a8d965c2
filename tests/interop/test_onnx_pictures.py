"""Networks over pictures and clips as ONNX graphs: each equals rnnkit, for pictures of any size, frame by frame."""

import pytest
import torch
from onnx_checks import graphs_agree, perturbed
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.interop.onnx.exporting import prepared
from rnnkit.layers.picture_front import PictureFront


@pytest.fixture(autouse=True)
def same_weights():
    """The layer normalisation of a pixel whose few channels are nearly equal enlarges rounding beyond the bound."""
    torch.manual_seed(0)


def front(channels, *widths, stride=2, **options):
    return PictureFront(channels, widths, (stride,) * len(widths), **options)


BODIES = {
    "convolutions": lambda: [front(3, 4, 6)],
    "no residual": lambda: [front(3, 4, blocks=2, residual=False, precision="bfloat16", channels_last=True)],
    "renet": lambda: [rnnkit.ReNet(3, 4, patch=(2, 3)), rnnkit.ReNet(8, 3, layer="lstm", num_layers=2)],
    "torch": lambda: [rnnkit.ReNet(3, 4, layer="torch.nn.RNN", nonlinearity="relu")],
    "options": lambda: [rnnkit.ReNet(3, 4, zoneout=0.1, learn_initial_state=True, layer="gru")],
    "batches": lambda: [front(3, 4, 6, norm="batch")],
    "both": lambda: [front(3, 4, blocks=0), rnnkit.ReNet(4, 3, layer="simple_rnn")],
}


@pytest.mark.parametrize("name", BODIES)
def test_a_classifier(name):
    model = rnnkit.PictureClassifier(BODIES[name](), ["a", "b"], mean=[0.1, 0.2, 0.3], std=0.5)
    part = prepared(perturbed(model))[0]
    assert part.inputs[0].shape == ("batch", 3, "height", "width")
    assert part.notes["classes"] == ["a", "b"]
    graphs_agree(model)


@pytest.mark.parametrize("pooling", ["mean", "max", "concat", "flatten"])
def test_a_classifier_of_one_size(pooling):
    model = perturbed(rnnkit.PictureClassifier(rnnkit.ReNet(1, 4, patch=2), 3, pooling=pooling, size=(6, 9)))
    assert prepared(model)[0].inputs[0].shape == ("batch", 1, 6, 9)
    graphs_agree(model)


@pytest.mark.parametrize("context", [None, "renet", "front", "torch"])
def test_a_segmenter(context):
    made = {
        "renet": rnnkit.ReNet(6, 3),
        "front": front(6, 5, stride=1),
        "torch": rnnkit.ReNet(6, 3, layer="torch.nn.GRU"),
    }
    model = rnnkit.PictureSegmenter(3, 2, (4, 5, 6), shapes=2, context=made.get(context), precision="bfloat16")
    part = prepared(perturbed(model))[0]
    assert [port.name for port in part.inputs] == ["x", "heights", "widths"]
    assert [port.shape[1] for port in part.outputs] == [2, 2]
    graphs_agree(model)


@pytest.mark.parametrize("channels", [12, 13])
@pytest.mark.parametrize("context", [False, True])
def test_a_detector_of_centres(context, channels):
    joined = rnnkit.ReNet(6, 3) if context else None
    model = rnnkit.CentreDetector(front(channels, 4, stride=1), front(4, 6), 2, joined, features=5, patch=2)
    assert prepared(perturbed(model))[0].notes["stride"] == 2
    graphs_agree(model)


def decoder(size, layer=rnnkit.LSTM, **options):
    return rnnkit.SetDecoder(layer(size, 5), steps=3, classes=2, **options)


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_a_detector_of_cells(context, deep):
    size = 6 if deep else 4
    joined = rnnkit.ReNet(size, 3) if context else None
    model = rnnkit.CellDetector(
        front(4, 4, stride=4), decoder(size + 6 * context), joined, front(4, 6) if deep else None
    )
    shape = ("batch", "height_out", "width_out", 3, 3)
    assert prepared(perturbed(model))[0].outputs[0].shape == shape
    graphs_agree(model)


def test_a_decoder_of_sets():
    graphs_agree(perturbed(decoder(4, rnnkit.GRU)))
    graphs_agree(perturbed(decoder(4, front=nn.Sequential(nn.Linear(7, 4), nn.ReLU()))))
    with pytest.raises(ConfigError, match="Conv2d"):
        prepared(decoder(4, front=nn.Sequential(nn.Conv2d(1, 4, 1))))


@pytest.mark.parametrize("name", ["convolutions", "renet"])
def test_a_layer_over_pictures_by_itself(name):
    found = graphs_agree(perturbed(BODIES[name]()[0]))
    assert set(found["model"].largest) == {"y", "heights_out", "widths_out"}


# --- clips -----------------------------------------------------------------------------------------------------------


def clips(pooling="mean", body=None, **options):
    frames = rnnkit.FrameFront(1, (3, 4), (2, 2), features=6, grid=3, **options)
    return rnnkit.SequenceClassifier(body or rnnkit.LSTM(6, 5), ["a", "b"], pooling=pooling, front=frames)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat"])
def test_classes_of_clips_frame_by_frame(pooling):
    model = perturbed(clips(pooling, differences=pooling != "last"))
    graphs_agree(model, parts=["model", "stream"])
    stream = prepared(model)[1]
    assert {"seen", "frame", "h", "c"} <= {state.input for state in stream.states}
    assert all(state.start is None for state in stream.states)
    graphs_agree(model, parts=["model"], states=False)


@pytest.mark.parametrize(
    "model",
    [
        clips(body=rnnkit.GRU(6, 5, bidirectional=True)),
        clips(body=nn.Identity()),
        clips(body=rnnkit.CausalConv(6, 4, (3,), (1,))),
        clips("attention"),
    ],
    ids=["both ways", "none", "convolutions", "attention"],
)
def test_clips_that_are_read_whole(model):
    graphs_agree(perturbed(model), parts=["model"])


def test_a_regressor_of_clips_and_a_tagger_of_frames():
    frames = rnnkit.FrameFront(2, (3,), (2,), features=6, grid=2, blocks=1)
    graphs_agree(perturbed(rnnkit.SequenceRegressor(rnnkit.GRU(6, 5), front=frames)), parts=["model", "stream"])
    graphs_agree(perturbed(rnnkit.SequenceTagger(rnnkit.GRU(6, 5), 3, front=frames)), parts=["model"])


MAPS = [
    *(rnnkit.ConvGRU(2, 3, reset_after=after, bias=after, kernel_size=5) for after in (True, False)),
    rnnkit.ConvGRU(2, 16, reset_after=False),
    *(rnnkit.ConvLSTM(2, 3, peepholes=peepholes, algorithm="direct") for peepholes in (True, False)),
    rnnkit.ConvLSTM(2, 16, algorithm="tiles"),
]


@pytest.mark.parametrize("layer", MAPS, ids=lambda layer: f"{type(layer).__name__}({layer.extra_repr()})")
def test_recurrences_over_maps(layer):
    found = graphs_agree(perturbed(layer))
    assert found["model"].in_chunks is not None
    graphs_agree(layer, states=False)


@pytest.mark.parametrize(("channels", "motions", "reach"), [(1, 2, 4), (3, 1, 2), (2, 0, 1)])
def test_the_next_frames(channels, motions, reach):
    model = perturbed(rnnkit.FrameForecaster(channels, (4, 5), frames=8, motions=motions, reach=reach))
    assert graphs_agree(model)["model"].in_chunks is not None
    graphs_agree(model, states=False)


def test_predictions_that_are_fed_back_are_a_forecast():
    """As the description says: the last prediction is the next frame, with the states."""
    from rnnkit.interop.onnx.checking import Session
    from rnnkit.interop.onnx.exporting import serialized

    model = perturbed(rnnkit.FrameForecaster(1, (4, 5), frames=8))
    part = prepared(model)[0]
    session = Session(serialized(part), threads=1)
    given = part.example(2, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.forecast(given["x"], 3)
    given["seen"], told = torch.zeros(2), []
    for _ in range(3):
        found = session(given)
        told.append(found["next"][:, -1])
        given = {state.input: found[state.output] for state in part.states} | {"x": told[-1][:, None]}
    torch.testing.assert_close(torch.stack(told, 1), expected, atol=1e-5, rtol=0)


class Own(nn.Module):
    input_size = output_size = 3

    def output_sizes(self, heights, widths):
        return heights, widths

    def forward(self, x, heights=None, widths=None):
        return x


def test_a_layer_of_a_users_own_is_named():
    for model in (
        rnnkit.PictureClassifier(Own(), 2),
        rnnkit.PictureSegmenter(1, 2, (2, 3), context=Own()),
    ):
        with pytest.raises(ConfigError, match=r"\.Own, for which rnnkit writes no ONNX operators"):
            prepared(model)
    with pytest.raises(ConfigError, match=r"rnnkit.ConvGRU"):
        prepared(rnnkit.RNN(rnnkit.ConvGRUCell(1, 2)))
