"""Networks of other programs, on small files of their formats that the tests make, against plain numpy."""

import itertools
import json

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, DataWarning
from rnnkit.generation import encoded, generate
from rnnkit.interop import read_awd_lstm, read_charrnn, read_g2p
from rnnkit.interop.g2p import LETTERS, PHONEMES, letter_ids, phoneme_ids
from rnnkit.models.plain_encoder_decoder import PlainEncoderDecoder

CHARACTERS = " etaoin\nU"
E, H = 5, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- ml5's charRNN ---------------------------------------------------------------------------------------------------


def write_charrnn(folder, *, plural=False, cells=2, vocabulary=None):
    draw = np.random.default_rng(0)
    kernel, bias = ("weights", "biases") if plural else ("kernel", "bias")
    tensors = {"embedding": (len(CHARACTERS), E), "rnnlm/softmax_w": (H, len(CHARACTERS))}
    tensors |= {"rnnlm/softmax_b": (len(CHARACTERS),), "Variable": ()}
    for number in range(cells):
        base = f"rnnlm/multi_rnn_cell/cell_{number}/basic_lstm_cell"
        tensors |= {f"{base}/{kernel}": ((H if number else E) + H, 4 * H), f"{base}/{bias}": (4 * H,)}
    folder.mkdir()
    manifest, arrays = {}, {}
    for name, shape in tensors.items():
        arrays[name] = draw.normal(0, 0.5, shape).astype("<f4")
        arrays[name].tofile(folder / name.replace("/", "_"))
        manifest[name] = {"filename": name.replace("/", "_"), "shape": list(shape)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    ids = {one: number for number, one in enumerate(CHARACTERS)} if vocabulary is None else vocabulary
    (folder / "vocab.json").write_text(json.dumps(ids))
    return [
        arrays["embedding"],
        [(arrays[f"rnnlm/multi_rnn_cell/cell_{n}/basic_lstm_cell/{kernel}"],
          arrays[f"rnnlm/multi_rnn_cell/cell_{n}/basic_lstm_cell/{bias}"]) for n in range(cells)],
        arrays["rnnlm/softmax_w"], arrays["rnnlm/softmax_b"],
    ]  # fmt: skip


def basic_lstm(embedding, cells, weights, bias, ids):
    """The logits after each character, as TensorFlow's BasicLSTMCell computes them."""
    states = [(np.zeros(H), np.zeros(H)) for _ in cells]
    found = []
    for one in ids:
        x = embedding[one].astype(np.float64)
        for number, (kernel, shift) in enumerate(cells):
            c, h = states[number]
            i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + shift, 4)
            c = c * sigmoid(f + 1.0) + sigmoid(i) * np.tanh(j)
            x = np.tanh(c) * sigmoid(o)
            states[number] = c, x
        found.append(x @ weights + bias)
    return np.array(found)


@pytest.mark.parametrize("plural", [False, True])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_a_charrnn_computes_as_its_original(tmp_path, plural, cells):
    parts = write_charrnn(tmp_path / "model", plural=plural, cells=cells)
    model, tokenizer = read_charrnn(tmp_path / "model")
    text = "toe\naUi e"
    expected = basic_lstm(*parts, [CHARACTERS.index(one) for one in text])
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer.encode(text)]))[0]
    known = logits[:, len(tokenizer) - len(CHARACTERS) :].log_softmax(-1)
    torch.testing.assert_close(known, torch.tensor(expected).log_softmax(-1).float(), atol=1e-5, rtol=1e-5)
    every = logits.softmax(-1)
    assert float(every[:, : len(tokenizer) - len(CHARACTERS)].max()) < 1e-30
    assert len(generate(model, "to", max_tokens=9, seed=0, encode=tokenizer.encode, decode=tokenizer.decode).texts[0])


def test_a_charrnn_is_saved_and_learns_on(tmp_path):
    write_charrnn(tmp_path / "model")
    model, tokenizer = read_charrnn(tmp_path / "model")
    ids = torch.as_tensor(tokenizer.encode("tea to eat " * 40)).long()
    rows = ids[: len(ids) // 11 * 11].view(-1, 11)
    data = rows[:, :-1], rows[:, 1:]
    learner = rnnkit.Learner(model, lr=0.01)
    before = learner.evaluate(data)["loss"]
    learner.fit(data, epochs=10, batch_size=8)
    assert learner.evaluate(data)["loss"] < before / 2
    learner.save(tmp_path / "run")
    again = rnnkit.load(tmp_path / "run")
    torch.testing.assert_close(again(data[0][:2]), model.eval()(data[0][:2]))


def test_letters_that_the_export_lost_are_put_back(tmp_path):
    ids = {one: number for number, one in enumerate(" etaoin")} | {"  ": 7, "": 8}
    write_charrnn(tmp_path / "model", vocabulary=ids)
    with pytest.warns(DataWarning, match="letters u and U were lost"):
        tokenizer = read_charrnn(tmp_path / "model").tokenizer
    assert tokenizer.decode(tokenizer.encode("Unit u")) == "Unit u"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / "manifest.json").unlink(), "there is no such file; expected a folder of ml5"),
        (lambda f: (f / "manifest.json").write_text("[1]"), "is damaged"),
        (lambda f: (f / "manifest.json").write_text('{"a": 3}'), "'a' has no filename and shape"),
        (lambda f: (f / "manifest.json").write_text('{"a": {"filename": "../b", "shape": []}}'), "outside the folder"),
        (lambda f: (f / "manifest.json").write_text('{"a": {"filename": "b", "shape": []}}'), "which is not there"),
        (lambda f: (f / "embedding").write_bytes(b"123"), "has 3 bytes; expected 180"),
        (lambda f: (f / "vocab.json").write_text('{"a": 1}'), "single characters with the ids 0, 1, 2"),
        (lambda f: (f / "vocab.json").write_text('{"ab": 0}'), "single characters with the ids 0, 1, 2"),
        (lambda f: (f / "vocab.json").write_text('{"a": 0}'), r"'embedding' has shape \[9, 5\]; expected \[1, any\]"),
        (
            lambda f: np.full((9, 5), np.inf, "<f4").tofile(f / "embedding"),
            "1 array of weights with NaN, .*: .embedding.; expected finite",
        ),
    ],
)
def test_a_damaged_charrnn_is_named(tmp_path, change, told):
    write_charrnn(tmp_path / "model")
    change(tmp_path / "model")
    with pytest.raises(DataError, match=told):
        read_charrnn(tmp_path / "model")


# --- g2p_en ----------------------------------------------------------------------------------------------------------


def write_g2p(file, size=8):
    draw = np.random.default_rng(1)
    arrays = {"enc_emb": (len(LETTERS), size), "dec_emb": (len(PHONEMES), size)}
    arrays |= {"fc_w": (len(PHONEMES), size), "fc_b": (len(PHONEMES),)}
    for part in ("enc", "dec"):
        arrays |= {f"{part}_w_ih": (3 * size, size), f"{part}_w_hh": (3 * size, size)}
        arrays |= {f"{part}_b_ih": (3 * size,), f"{part}_b_hh": (3 * size,)}
    arrays = {name: draw.normal(0, 0.8, shape).astype(np.float32) for name, shape in arrays.items()}
    np.savez(file, **arrays)
    return arrays


def gru_step(weights, part, x, h):
    inputs = np.split(weights[f"{part}_w_ih"] @ x + weights[f"{part}_b_ih"], 3)
    states = np.split(weights[f"{part}_w_hh"] @ h + weights[f"{part}_b_hh"], 3)
    r, z = sigmoid(inputs[0] + states[0]), sigmoid(inputs[1] + states[1])
    return (1 - z) * np.tanh(inputs[2] + r * states[2]) + z * h


def pronounce(weights, word):
    h = np.zeros(weights["enc_w_hh"].shape[1])
    for one in letter_ids(word):
        h = gru_step(weights, "enc", weights["enc_emb"][one], h)
    found, last = [], 2
    for _ in range(20):
        h = gru_step(weights, "dec", weights["dec_emb"][last], h)
        last = int(np.argmax(weights["fc_w"] @ h + weights["fc_b"]))
        if last == 3:
            break
        found.append(PHONEMES[last])
    return found


def test_g2p_answers_as_its_original(tmp_path):
    weights = write_g2p(tmp_path / "checkpoint20.npz")
    words = ["recurrent", "a", "don't", "Éclair", "neural", "zzzz"]
    assert read_g2p(tmp_path / "checkpoint20.npz")(words) == [pronounce(weights, word) for word in words]


def test_g2p_learns_other_words(tmp_path):
    write_g2p(tmp_path / "checkpoint20.npz")
    pronouncer = read_g2p(tmp_path / "checkpoint20.npz")
    words = {"tea": ["T", "IY1"], "see": ["S", "IY1"], "two": ["T", "UW1"], "so": ["S", "OW1"]}
    rows = [(np.array(letter_ids(word)), np.array(phoneme_ids(found))) for word, found in words.items()] * 8
    inputs, targets = zip(*rows, strict=True)
    learner = rnnkit.Learner(pronouncer.model, objective=rnnkit.training.SequenceToSequence(start=2), lr=0.02)
    learner.fit((list(inputs), list(targets)), epochs=40, batch_size=8)
    assert pronouncer(list(words)) == list(words.values())


def test_g2p_refuses_what_is_no_word(tmp_path):
    write_g2p(tmp_path / "checkpoint20.npz")
    pronouncer = read_g2p(tmp_path / "checkpoint20.npz")
    assert pronouncer([]) == []
    for word, told in ((["ok", " "], "has no characters"), ("word", r"expected a list of words: \['word'\]")):
        with pytest.raises(DataError, match=told):
            pronouncer(word)
    with pytest.raises(DataError, match="'AH' arrived; expected ARPAbet"):
        phoneme_ids(["AH"])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="lacks the tensor 'enc_emb'"):
        read_g2p(tmp_path / "other.npz")


# --- fastai ----------------------------------------------------------------------------------------------------------


def write_awd_lstm(file, *, whole, sizes=(4, 7, 7, 4), vocabulary=11):
    """Write a file as fastai's learners do; return its parts."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(vocabulary, sizes[0])
    layers = [torch.nn.LSTM(before, after, batch_first=True) for before, after in itertools.pairwise(sizes)]
    head = torch.nn.Linear(sizes[-1], vocabulary)
    prefix = "0." if whole else ""
    weights = {f"{prefix}encoder.weight": embedding.weight, f"{prefix}encoder_dp.emb.weight": embedding.weight}
    for number, layer in enumerate(layers):
        for name, one in layer.named_parameters():
            dropped = torch.zeros_like(one) if name == "weight_hh_l0" else one
            weights[f"{prefix}rnns.{number}.module.{name}"] = dropped
        weights[f"{prefix}rnns.{number}.weight_hh_l0_raw"] = layer.weight_hh_l0
    if whole:
        weights |= {"1.decoder.weight": embedding.weight, "1.decoder.bias": head.bias}
    weights = {name: one.detach() for name, one in weights.items()}
    torch.save({"model": weights, "opt": {"state": []}} if whole else weights, file)
    return embedding, layers, head.bias if whole else torch.zeros(vocabulary)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("hidden_dropout", [0.0, 0.3])
def test_an_awd_lstm_computes_as_its_original(tmp_path, whole, hidden_dropout):
    embedding, layers, bias = write_awd_lstm(tmp_path / "lm.pth", whole=whole)
    model = read_awd_lstm(tmp_path / "lm.pth", hidden_dropout=hidden_dropout, weight_dropout=0.5)
    ids = torch.randint(11, (3, 8))
    with torch.no_grad():
        x = embedding(ids)
        for layer in layers:
            x, _ = layer(x)
        torch.testing.assert_close(model(ids), x @ embedding.weight.T + bias, atol=1e-5, rtol=1e-5)
    assert model.head.weight is model.front.weight


def test_other_networks_of_fastai_are_refused(tmp_path):
    write_awd_lstm(tmp_path / "lm.pth", whole=False, sizes=(4, 7, 5))
    with pytest.raises(DataError, match=r"layers of \[7, 5\] units and embeddings of 4 features"):
        read_awd_lstm(tmp_path / "lm.pth")
    torch.save(torch.nn.GRU(2, 3).state_dict(), tmp_path / "gru.pth")
    with pytest.raises(DataError, match=r"weight_ih_l0, .* expected encoder\.weight"):
        read_awd_lstm(tmp_path / "gru.pth")
    weights = {"encoder.weight": torch.zeros(5, 4), "rnns.0.layers.0.linear.weight": torch.zeros(12, 4)}
    torch.save(weights, tmp_path / "qrnn.pth")
    with pytest.raises(DataError, match=r"layer rnns\.0 lacks weight_ih_l0"):
        read_awd_lstm(tmp_path / "qrnn.pth")


# --- the model of g2p_en as one's own --------------------------------------------------------------------------------


def test_layers_whose_states_differ_are_refused():
    for decoder in (rnnkit.GRU(4, 6), rnnkit.LSTM(4, 5), rnnkit.GRU(4, 5, 2)):
        with pytest.raises(rnnkit.errors.ConfigError, match="expected the same: build both"):
            PlainEncoderDecoder(rnnkit.GRU(4, 5), decoder, 7, 8)
    with pytest.raises(rnnkit.errors.ConfigError, match="gives no state to go on from"):
        PlainEncoderDecoder(rnnkit.GRU(4, 5, bidirectional=True), rnnkit.GRU(4, 5), 7, 8)


@pytest.mark.parametrize("kind", [rnnkit.LSTM, rnnkit.GRU, rnnkit.SimpleRNN, torch.nn.GRU])
def test_steps_are_those_of_the_whole(tmp_path, kind):
    model = PlainEncoderDecoder(kind(4, 5, 2), kind(4, 5, 2), 7, 8).eval()
    x, previous, lengths = torch.randint(7, (3, 6)), torch.randint(8, (3, 4)), [6, 2, 4]
    with torch.no_grad():
        whole = model(x, previous, lengths)
        session = encoded(model, x, lengths).session(3)
        steps = torch.stack([session.step(one) for one in previous.unbind(1)], 1)
        alone = model(x[1:2, :2], previous[1:2])
    torch.testing.assert_close(steps, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone[0], whole[1], atol=1e-5, rtol=1e-5)
    rnnkit.Learner(model, objective="seq2seq").save(tmp_path)
    torch.testing.assert_close(rnnkit.load(tmp_path)(x, previous, lengths), model(x, previous, lengths))
