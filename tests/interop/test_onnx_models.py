"""The models of every task as ONNX graphs: each equals rnnkit, whole and in chunks."""

import pytest
import torch
from onnx_checks import graphs_agree, perturbed

import rnnkit
from rnnkit.interop.onnx.exporting import prepared, serialized
from rnnkit.models.plain_encoder_decoder import PlainEncoderDecoder
from rnnkit.types import WindowLayout

ACTIVATIONS = ["none", "sigmoid", "tanh", "relu", "softmax"]
POOLINGS = ["last", "mean", "max", "concat", "attention"]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_classifier(pooling, bidirectional):
    body = rnnkit.GRU(6, 5, bidirectional=bidirectional)
    model = perturbed(rnnkit.SequenceClassifier(body, ["a", "b", "c"], pooling=pooling))
    found = graphs_agree(model)["model"]
    assert {"logits", "probabilities"} <= set(found.largest)
    assert (found.in_chunks is not None) == (pooling == "last" and not bidirectional)
    assert prepared(model)[0].notes["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "model",
    [
        rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), 2, front=torch.nn.Embedding(20, 6)),
        rnnkit.SequenceClassifier(rnnkit.GRU(12, 5), 2, front=rnnkit.ConvFront(4, channels=12, stride=2)),
        rnnkit.SequenceClassifier(rnnkit.GRU(1, 5), 2, front=rnnkit.PixelFront(3, 4)),
        rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), 2, augment=rnnkit.SeriesAugment()),
        rnnkit.SequenceRegressor(rnnkit.LSTM(6, 5, num_layers=2), 2),
        *(rnnkit.SequenceTagger(rnnkit.LSTM(6, 5), 3, activation=name) for name in ACTIVATIONS),
        rnnkit.SequenceTagger(rnnkit.GRU(6, 5, bidirectional=True), 3),
        rnnkit.LanguageModel(50, embedding_size=8, hidden_size=16, num_layers=2, hidden_dropout=0.1),
        rnnkit.LanguageModel(50, "gru", embedding_size=8, hidden_size=16, num_layers=1, tied=False),
        rnnkit.LanguageModel(50, "simple_rnn", 8, 16, 2, tied=False, cutoffs=(5, 20)),
        rnnkit.LanguageModel(50, embedding_size=8, hidden_size=16, num_layers=2).classifier(["a", "b"]),
    ],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_a_model_over_sequences(model):
    graphs_agree(perturbed(model), parts=["model"])


def test_tied_weights_are_stored_once():
    models = [rnnkit.LanguageModel(4000, "lstm", 32, 16, 1, tied=tied) for tied in (True, False)]
    sizes = [len(serialized(prepared(model)[0])) for model in models]
    assert sizes[0] < 1.2 * 4000 * 32 * 4 < sizes[1]


@pytest.mark.parametrize("coverage", [False, True])
@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
@pytest.mark.parametrize("form", ["parallel", "input_feeding", "bahdanau"])
def test_an_encoder_decoder(form, attention, coverage):
    # The options that do not depend on the form are divided among the cases.
    layer = rnnkit.LSTM if attention == "general" else rnnkit.GRU
    copy = {"copy": True, "unknown": 1} if coverage else {}
    inputs = {"parallel": 8, "input_feeding": 8 + 12, "bahdanau": 8 + 12}[form]
    upper = None if form == "input_feeding" or attention == "dot" else layer(24, 10)
    model = rnnkit.EncoderDecoder(
        layer(8, 6, bidirectional=True), layer(inputs, 12, num_layers=2 if attention == "dot" else 1), 30, 30,
        upper=upper, form=form, attention=attention, coverage=coverage, bridge=attention != "general",
        tied="all" if form == "parallel" else "none", start=2, **copy,
    )  # fmt: skip
    graphs_agree(perturbed(model), parts=["encoder", "decoder"])
    encoder, decoder = prepared(model)
    assert decoder.notes["start"] == 2
    assert {state.input for state in decoder.states} <= {port.name for port in encoder.outputs}


@pytest.mark.parametrize("layer", [rnnkit.GRU, rnnkit.LSTM])
def test_an_encoder_decoder_without_attention(layer):
    model = PlainEncoderDecoder(layer(8, 6, num_layers=2), layer(8, 6, num_layers=2), 20, 30, start=3)
    graphs_agree(perturbed(model), parts=["encoder", "decoder"])


def causal():
    return rnnkit.CausalConv(10, channels=16, strides=(2, 2))


def lines():
    return rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16)


def transducer(front, layer):
    return rnnkit.TransducerModel(rnnkit.Chain(front, rnnkit.LSTM(16, 12)), layer(8, 16), 24, 11)


def attentive():
    encoder = rnnkit.Chain(causal(), rnnkit.GRU(16, 12))
    network = rnnkit.EncoderDecoder(encoder, rnnkit.GRU(16 + 12, 20), None, 11, form="bahdanau", start=2)
    return rnnkit.AttentionRecognizer(network, end=3)


TRANSDUCER = ["encoder", "predictor", "joiner"]


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (rnnkit.SpeechRecognizer(rnnkit.GRU(16, 12), 9, front=causal()), ["model", "stream"]),
        (rnnkit.SpeechRecognizer(rnnkit.Chain(rnnkit.LSTM(16, 12), rnnkit.GRU(12, 8)), 9), ["model", "stream"]),
        (rnnkit.SpeechRecognizer(rnnkit.GRU(16, 12, bidirectional=True), 9, front=causal()), ["model"]),
        (rnnkit.LineRecognizer(rnnkit.LSTM(16, 8, bidirectional=True), 11, front=lines()), ["model"]),
        (transducer(causal(), rnnkit.GRU), [*TRANSDUCER, "encoder_stream"]),
        (transducer(rnnkit.ConvFront(10, channels=16, stride=2), rnnkit.LSTM), TRANSDUCER),
        (attentive(), ["encoder", "decoder"]),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_recogniser(model, parts):
    graphs_agree(perturbed(model), parts=parts)


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("intent_size", [0, 4])
def test_intents_and_slots(crf, intent_size):
    front = rnnkit.WordFront(words=100, characters=20, word_size=16, filters=4, character_size=3)
    body, tags = rnnkit.LSTM(20, 8, bidirectional=True), ["O", "B-c", "I-c", "B-d", "I-d"]
    model = rnnkit.IntentSlotModel(body, ["w", "m"], tags, front, crf=crf, intent_size=intent_size)
    perturbed(model, 0.3)
    with torch.no_grad():
        front.characters.weight[0] = 0  # as it stays in training
    graphs_agree(model)


LAYOUTS = {
    "plain": WindowLayout(lookback=12, horizon=5),
    "known": WindowLayout(lookback=12, horizon=5, known=("a", "b"), past=("p",)),
    "all": WindowLayout(lookback=12, horizon=5, known=("a",), past=("p",), static=("s", "t"), observed=True, series=3),
}
OUTPUTS = {
    "plain": ["point", "student_t"],
    "known": ["quantile", "gaussian"],
    "all": [{"name": "quantile", "levels": [0.1, 0.5, 0.9], "form": "increments"}, "gaussian", "negative_binomial"],
}


FORMS = [(layout, output) for layout, outputs in OUTPUTS.items() for output in outputs]
NORMS = ["none", "standard", "last", "mean"]


@pytest.mark.parametrize(("layout", "output"), FORMS)
@pytest.mark.parametrize("norm", NORMS)
def test_forecasters(layout, output, norm):
    """The models write norm and output by the same functions: each meets all of both, and one at a time each pair."""
    if output == "negative_binomial" and norm in ("standard", "last"):
        pytest.skip("counts have no such normalisation")
    lay, common = LAYOUTS[layout], {"output": output, "norm": norm, "hidden_size": 6}
    feedback = norm in ("last", "mean")
    models = [
        lambda: rnnkit.DirectForecaster(lay, linear=norm == "standard", **common),
        lambda: rnnkit.EncoderDecoderForecaster(lay, "lstm", num_layers=2, feedback=feedback, **common),
        lambda: rnnkit.SegmentForecaster(lay, segment=3, **common),
    ]
    turn = (FORMS.index((layout, output)) + NORMS.index(norm)) % len(models)
    for make in models if output == "negative_binomial" else models[turn : turn + 1]:
        graphs_agree(perturbed(make()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_forecasters(layout):
    graphs_agree(perturbed(rnnkit.DirectForecaster(LAYOUTS[layout], hidden_size=6, conv_channels=4, conv_stride=2)))
    both = rnnkit.DirectForecaster(LAYOUTS[layout], hidden_size=6, conv_channels=4, conv_views=True, bidirectional=True)
    graphs_agree(perturbed(both))
    graphs_agree(perturbed(rnnkit.DeepAR(LAYOUTS[layout], hidden_size=6)))
