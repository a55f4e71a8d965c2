"""Models with recurrent layers in 8 bits: they answer nearly as before, and the same after they were saved."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.generation import TransducerDecoder, transducer_beam_search, transducer_greedy
from rnnkit.layers.quantized import quantizable
from rnnkit.ops.backend import native_core

IDS = torch.arange(27).reshape(3, 9) % 20
X = torch.linspace(-2, 2, 135).reshape(3, 9, 5)
CASES = {
    "language model": (
        lambda: rnnkit.LanguageModel(20, embedding_size=8, hidden_size=16, weight_dropout=0.2),
        lambda model: model(IDS),
    ),
    "encoder and decoder": (
        lambda: rnnkit.EncoderDecoder(rnnkit.LSTM(8, 8, bidirectional=True), rnnkit.LSTM(8, 16), 20, 20),
        lambda model: model(IDS, IDS),
    ),
    "tagger over chained layers": (
        lambda: rnnkit.SequenceTagger(rnnkit.Chain(rnnkit.GRU(5, 8), torch.nn.ReLU(), rnnkit.SimpleRNN(8, 8)), 3),
        lambda model: model(X, [9, 4, 7]),
    ),
    "language model with clusters": (
        lambda: rnnkit.LanguageModel(
            300, "gru", embedding_size=16, hidden_size=16, num_layers=1, tied=False, cutoffs=(40, 90)
        ),
        lambda model: model(IDS),
    ),
    "tied encoder and decoder": (
        lambda: rnnkit.EncoderDecoder(rnnkit.GRU(32, 32), rnnkit.GRU(32, 32), 20, 20, tied="all", attention="general"),
        lambda model: model(IDS, IDS),
    ),
    "transducer": (
        lambda: rnnkit.TransducerModel(rnnkit.GRU(5, 16), rnnkit.LSTM(16, 16), joiner_size=16, vocabulary=20),
        lambda model: model(X, IDS),
    ),
    "pictures": (
        lambda: rnnkit.PictureClassifier(rnnkit.ReNet(1, 8, 2), 3),
        lambda model: model(torch.ones(2, 1, 8, 8)),
    ),
}


def first(found):
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.skipif(native_core() is None, reason="without the native core")
@pytest.mark.parametrize("name", CASES)
def test_models_answer_nearly_as_before(name, tmp_path):
    build, answer = CASES[name]
    torch.manual_seed(0)
    model = build().eval()
    small = rnnkit.quantize(model)
    assert quantizable(small).done
    assert not quantizable(small).layers
    with torch.no_grad():
        expected, found = first(answer(model)), first(answer(small))
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()
    rnnkit.Learner(small).save(tmp_path)
    assert torch.equal(first(answer(rnnkit.load(tmp_path))), found)


@pytest.mark.skipif(native_core() is None, reason="without the native core")
def test_a_language_model_goes_on_from_its_state():
    torch.manual_seed(0)
    small = rnnkit.quantize(rnnkit.LanguageModel(20, embedding_size=8, hidden_size=16, num_layers=2))
    with torch.no_grad():
        whole = small(IDS)
        first_part, state = small.forward_chunk(IDS[:, :4])
        steps = [first_part]
        for t in range(4, 9):
            y, state = small.forward_chunk(IDS[:, t : t + 1], state)
            steps.append(y)
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-6)


def test_streams_equal_whole_sequences():
    torch.manual_seed(0)
    model = rnnkit.SequenceTagger(rnnkit.GRU(16, 32), 9, front=torch.nn.Embedding(20, 16))
    small = rnnkit.quantize(model)
    stream = small.stream(3)
    with torch.no_grad():
        assert torch.equal(torch.stack([stream(ids) for ids in IDS.unbind(1)], 1), small(IDS))


def test_a_decoder_goes_on_by_its_stream():
    torch.manual_seed(0)
    model = rnnkit.EncoderDecoder(rnnkit.GRU(16, 32), rnnkit.GRU(16, 32), 20, 20, attention="general")
    small = rnnkit.quantize(model)
    with torch.no_grad():
        state, memory = small.encode(IDS)
        stream = small.decoder_stream(state, memory)
        for ids in IDS[:, :4].unbind(1):
            logits, state, _ = small.decode_step(ids, state, memory)
            if stream is not None:
                assert torch.allclose(stream(ids)[0], logits, atol=1e-5)


def test_transducers_decode():
    torch.manual_seed(0)
    model = rnnkit.TransducerModel(rnnkit.GRU(5, 16), rnnkit.LSTM(16, 16), joiner_size=16, vocabulary=20)
    small = rnnkit.quantize(model)
    [found, *_] = transducer_greedy(small, X, max_symbols=2)
    with torch.no_grad():
        encoded = small.encode(X)[0][0]
    assert TransducerDecoder(small, width=None, max_symbols=2).decode(encoded)[0].tokens == found.tokens
    assert transducer_beam_search(small, X, width=2, max_symbols=2)[0]
    with pytest.raises(ConfigError, match="8 bits.*cannot get more tokens"):
        small.grow(30)
