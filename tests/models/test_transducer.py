"""A transducer: its lattice, its decoders against each other and against the loss, its stream."""

import math
import pickle

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.ops.transducer import transducer_loss

VOCABULARY = 5


def made(predictor=None, *, blank=0, seed=0, vocabulary=VOCABULARY, **settings):
    """A model whose probabilities are far from even."""
    torch.manual_seed(seed)
    encoder = rnnkit.GRU(3, 8, batch_first=True)
    model = rnnkit.TransducerModel(encoder, predictor or rnnkit.LSTM(4, 7), 6, vocabulary, blank=blank, **settings)
    with torch.no_grad():
        for part in (model.output, model.from_encoder, model.from_predictor, model.embedding):
            part.weight.mul_(4)
    return model.eval()


def frames(*lengths, seed=1):
    """x [B, T, 3] with NaN behind each row."""
    x = torch.randn(len(lengths), max(lengths), 3, generator=torch.Generator().manual_seed(seed))
    x[torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]] = math.nan
    return x


@pytest.mark.parametrize("predictor", [rnnkit.LSTM(4, 7, num_layers=2), torch.nn.GRU(4, 7, batch_first=True)], ids=repr)
def test_the_lattice_is_that_of_single_labels(predictor):
    model, x = made(predictor), frames(6, 4)
    targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
    logits, lengths = model(x, targets, lengths=[6, 4])
    assert logits.shape == (2, 6, 4, VOCABULARY)
    assert lengths.tolist() == [6, 4]
    encoded, _ = model.encode(x, [6, 4])
    at_labels, state = model.start(2)
    for u in range(4):
        expected = model.join(model.from_encoder(encoded), at_labels[:, None])
        assert_close(logits[:, :, u].detach(), expected.detach())
        if u < 3:
            at_labels, state = model.read_label(targets[:, u], state)


def test_padding_changes_nothing():
    model, x = made(), frames(6, 4)
    targets = torch.tensor([[1, 4, 2], [3, 3, 0]])
    logits, lengths = model(x, targets, lengths=[6, 4])
    losses = transducer_loss(logits, targets, lengths, [3, 2], reduction="none")
    alone = model(x[1:, :4], targets[1:, :2])
    assert_close(losses[1:], transducer_loss(alone[0], targets[1:, :2], *alone[1:], reduction="none"))
    losses.sum().backward()
    assert all(one.grad.isfinite().all() for one in model.parameters())


@pytest.mark.parametrize("blank", [0, VOCABULARY - 1])
def test_greedy_takes_the_most_probable_token_at_each_node(blank):
    model, x = made(blank=blank), frames(9, 5, 1)
    found = model.greedy(x, [9, 5, 1], max_symbols=3)
    assert any(one.tokens for one in found)
    for row, length in enumerate((9, 5, 1)):
        # The same by the equations, on whole rows.
        tokens, times, score = [], [], 0.0
        for t in range(length):
            for symbol in range(4):
                logits, _ = model(x[row : row + 1, :length], torch.tensor([tokens], dtype=torch.long))
                log_p = logits[0, t, -1].log_softmax(-1)
                token = blank if symbol == 3 else int(log_p.argmax())
                score += log_p[token].item()
                if token == blank:
                    break
                tokens.append(token)
                times.append((t, t + 1))
        assert found[row].tokens == tokens
        assert found[row].times == times
        assert found[row].score == pytest.approx(score, abs=1e-4)
        assert all(0 < one <= 1 for one in found[row].confidences)


def test_symbols_at_one_frame_have_a_limit():
    model = made()
    with torch.no_grad():
        model.output.bias[model.blank] -= 100  # it never comes by itself
    found = model.greedy(frames(3), max_symbols=2)[0]
    assert found.times == [(t, t + 1) for t in range(3) for _ in range(2)]
    best = model.beam(frames(3), width=2, max_symbols=1)[0]
    assert all(len(one.tokens) <= 3 for one in best)


def test_a_wide_beam_finds_the_probabilities_of_the_loss():
    model, x = made(vocabulary=3), frames(2)
    # At most 2 labels at each of 2 frames: 1 + 2 + 4 + 8 + 16 label sequences, of which all are kept.
    found = model.beam(x, width=40, max_symbols=2)[0]
    assert len(found) == 31
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        if len(one.tokens) > 2:
            continue  # some of their alignments have more labels at a frame
        logits, lengths = model(x, torch.tensor([one.tokens], dtype=torch.long))
        loss = transducer_loss(logits, torch.tensor([one.tokens], dtype=torch.long), lengths)
        assert one.score == pytest.approx(-loss.item(), abs=1e-5)
        assert len(one.times) == len(one.tokens) == len(one.confidences)


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_is_no_worse_than_greedy(seed):
    model, x = made(seed=seed), frames(8, 5)
    greedy = model.greedy(x, [8, 5], max_symbols=3)
    beams = model.beam(x, [8, 5], width=6, max_symbols=3)
    for one, best in zip(greedy, beams, strict=True):
        assert len(best) <= 6
        assert len({tuple(other.tokens) for other in best}) == len(best)
        assert best[0].score >= one.score - 1e-4


def test_a_stream_finds_what_greedy_finds_in_any_pieces():
    model, x = made(seed=2), frames(12)
    whole, encoded = model.greedy(x)[0], model.encode(x)[0][0].detach()
    assert whole.tokens
    for size in (1, 5, 12):
        stream = model.stream()
        pieces = [stream.push(encoded[begin : begin + size]) for begin in range(0, 12, size)]
        assert stream.push(encoded[:0]).tokens == []
        assert stream.frames == 12
        assert [token for one in pieces for token in one.tokens] == whole.tokens
        assert [time for one in pieces for time in one.times] == whole.times
        assert sum(one.score for one in pieces) == pytest.approx(whole.score, abs=1e-4)
        found = stream.flush()
        assert found.tokens == whole.tokens
        assert found.times == whole.times
        assert stream.found.tokens == []
        assert stream.push(encoded).tokens == whole.tokens  # anew


def test_a_stream_goes_on_from_a_state():
    model = made(seed=2)
    encoded = model.encode(frames(12))[0][0].detach()
    stream = model.stream()
    stream.push(encoded[:6])
    state = pickle.loads(pickle.dumps(stream.state_dict()))
    rest = stream.push(encoded[6:])
    other = model.stream()
    other.push(encoded[3:5])
    other.load_state_dict(state)
    assert other.frames == 6
    assert other.push(encoded[6:]) == rest
    assert other.flush() == stream.flush()
    with pytest.raises(DataError, match="not the state of a transducer's stream"):
        other.load_state_dict({"frames": 3})
    with pytest.raises(DataError, match="not the state|another model"):
        made(rnnkit.GRU(4, 3)).stream().load_state_dict(state)


def test_a_stream_tells_frames_that_do_not_fit():
    stream = made().stream()
    with pytest.raises(ShapeError, match=r"encoded has shape \(2, 4\); expected \[frames, 8\]"):
        stream.push(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="a stream of its own"):
        stream.push(torch.zeros(2, 4, 8))
    with pytest.raises(ShapeError, match="float64; expected torch.float32"):
        stream.push(torch.zeros(2, 8, dtype=torch.float64))


def test_decoding_leaves_the_model_as_it_is():
    model = made(dropout=0.5).train()
    x = frames(6)
    assert model.greedy(x) == model.greedy(x)
    assert model.beam(x) == model.beam(x)
    assert model.training
    assert model.predictor.training
    assert not torch.equal(model(x, torch.tensor([[1]]))[0], model(x, torch.tensor([[1]]))[0])


def test_it_is_saved_and_loaded(tmp_path):
    encoder = rnnkit.Chain(rnnkit.ConvFront(3, channels=6, stride=2), rnnkit.GRU(6, 8))
    model = rnnkit.TransducerModel(encoder, rnnkit.SimpleRNN(4, 7), 6, VOCABULARY, blank=2, dropout=0.1)
    rnnkit.Learner(model).save(tmp_path)
    again, x = rnnkit.load(tmp_path), frames(9)
    assert repr(again) == repr(model)
    assert (again.blank, again.dropout) == (2, 0.1)
    logits, lengths = again(x, torch.tensor([[1, 3]]))
    assert lengths.tolist() == [5]
    assert_close(logits.detach(), model.eval()(x, torch.tensor([[1, 3]]))[0].detach())
    assert again.greedy(x) == model.greedy(x)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("blank=5 arrived; expected 0 to 4", {"blank": 5}),
        ("vocabulary=1 arrived", {"vocabulary": 1}),
        ("joiner_size=0 arrived", {"joiner_size": 0}),
        ("dropout=1.0 arrived", {"dropout": 1.0}),
        ("the predictor goes on from a state", {"predictor": rnnkit.GRU(4, 7, bidirectional=True)}),
        ("the predictor goes on from a state, .* has no state", {"predictor": torch.nn.Linear(4, 7)}),
        ("encoder is a Bilinear; expected a layer over sequences", {"encoder": torch.nn.Bilinear(2, 2, 2)}),
    ],
)
def test_settings_that_do_not_fit_are_told(message, change):
    settings = {"encoder": rnnkit.GRU(3, 8), "predictor": rnnkit.GRU(4, 7), "joiner_size": 6, "vocabulary": VOCABULARY}
    with pytest.raises(ConfigError, match=message):
        rnnkit.TransducerModel(**{**settings, **change})


def test_arguments_of_decoding_are_checked():
    model, x = made(), frames(2)
    with pytest.raises(ConfigError, match="max_symbols=0 arrived"):
        model.greedy(x, max_symbols=0)
    with pytest.raises(ConfigError, match="width=0 arrived"):
        model.beam(x, width=0)
    with pytest.raises(ConfigError, match="max_symbols=0 arrived"):
        model.stream(max_symbols=0)
    with pytest.raises(ShapeError, match=r"expected labels \[B, U\]"):
        model(x, torch.tensor([1]))
