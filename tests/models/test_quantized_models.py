"""Models with recurrent layers in 8 bits: they answer nearly as before, and the same after they were saved."""

import pytest
import torch

import rnnkit
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
