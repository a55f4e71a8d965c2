"""The decoders of transducers: against each other, against the loss, against all texts, in pieces, with a language."""

import itertools
import pickle

import pytest
import torch
from transducers import VOCABULARY, frames, made

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.generation import TransducerDecoder, train_ngram, transducer_beam_search, transducer_greedy
from rnnkit.ops.transducer import transducer_loss


@pytest.mark.parametrize("blank", [0, VOCABULARY - 1])
def test_greedy_takes_the_most_probable_token_at_each_node(blank):
    model, x = made(blank=blank), frames(9, 5, 1)
    found = transducer_greedy(model, x, [9, 5, 1], max_symbols=3)
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
    found = transducer_greedy(model, frames(3), max_symbols=2)[0]
    assert found.times == [(t, t + 1) for t in range(3) for _ in range(2)]
    best = transducer_beam_search(model, frames(3), width=2, max_symbols=1)[0]
    assert all(len(one.tokens) <= 3 for one in best)


def test_a_wide_beam_finds_the_probabilities_of_the_loss():
    model, x = made(vocabulary=3), frames(2)
    # At most 2 labels at each of 2 frames: 1 + 2 + 4 + 8 + 16 label sequences, of which all are kept.
    found = transducer_beam_search(model, x, width=40, max_symbols=2, token_margin=None)[0]
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
    greedy = transducer_greedy(model, x, [8, 5], max_symbols=3)
    beams = transducer_beam_search(model, x, [8, 5], width=6, max_symbols=3)
    for one, best in zip(greedy, beams, strict=True):
        assert len(best) <= 6
        assert len({tuple(other.tokens) for other in best}) == len(best)
        assert best[0].score >= one.score - 1e-4


LANGUAGE = {
    "tokenizer": ["-", "a", "b", "c", " "],
    "lm": train_ngram(["ab a", "a ca b", "b a"] * 3, order=2),
    "lm_weight": 0.7,
    "word_bonus": 0.5,
    "hot_words": {"ca": 2.0},
}
KINDS = [{"width": None}, {"width": 3}, {"width": 4, **LANGUAGE}, {"width": 3, **LANGUAGE, "words": ["a", "ab", "ca"]}]


@pytest.mark.parametrize("settings", KINDS, ids=["greedy", "beam", "language", "words"])
def test_pieces_are_as_the_whole(settings):
    model, x = made(seed=2), frames(12)
    encoded = model.encode(x)[0][0].detach()
    decoder = TransducerDecoder(model, **settings)
    whole = decoder.decode(encoded)
    assert whole[0].tokens
    for size in (1, 5, 12):
        partials = [decoder.push(encoded[begin : begin + size]) for begin in range(0, 12, size)]
        assert decoder.push(encoded[:0]) == partials[-1]
        assert decoder.frames == 12
        found = decoder.flush()
        assert [one.tokens for one in found] == [one.tokens for one in whole]
        assert found[0].times == whole[0].times
        assert [one.score for one in found] == pytest.approx([one.score for one in whole], abs=1e-4)
        # What was told as stable stays.
        last = partials[-1]
        assert all(last.tokens[: one.stable] == one.tokens[: one.stable] for one in partials)
        assert decoder.partial().tokens == []


@pytest.mark.parametrize("settings", KINDS, ids=["greedy", "beam", "language", "words"])
def test_a_decoder_goes_on_from_a_state(settings):
    model = made(seed=2)
    encoded = model.encode(frames(12))[0][0].detach()
    decoder = TransducerDecoder(model, **settings)
    decoder.push(encoded[:6])
    state = pickle.loads(pickle.dumps(decoder.state_dict()))
    rest = decoder.push(encoded[6:])
    other = TransducerDecoder(model, **settings)
    other.push(encoded[3:5])
    other.load_state_dict(state)
    assert other.frames == 6
    again = other.push(encoded[6:])
    assert (again.tokens, again.times, again.stable) == (rest.tokens, rest.times, rest.stable)
    assert again.score == pytest.approx(rest.score, abs=1e-5)
    assert [one.tokens for one in other.flush()] == [one.tokens for one in decoder.flush()]
    for damaged in ({}, {"frames": 3}, state | {"kind": "other"}, state | {"at_labels": None, "hypotheses": []}):
        with pytest.raises(DataError, match="not the state of such a transducer's decoder"):
            other.load_state_dict(damaged)
    with pytest.raises(DataError, match="not the state"):
        TransducerDecoder(made(rnnkit.GRU(4, 3)), **settings).load_state_dict(state)


def test_old_labels_settle():
    model, x = made(seed=4), frames(60)
    encoded = model.encode(x)[0][0].detach()
    settled, free = (TransducerDecoder(model, width=6, settle_after=after) for after in (4, None))
    early = settled.push(encoded[:40])
    assert early.stable >= free.push(encoded[:40]).stable
    assert all(begin >= 36 for begin, _ in early.times[early.stable :])
    assert settled.push(encoded[40:]).tokens[: early.stable] == early.tokens[: early.stable]


def log_probabilities(model, x, longest, most):
    """ln P of all label sequences, over the alignments with at most so many labels at a frame, by the equations."""
    time = x.shape[1]
    found = {}
    with torch.no_grad():
        for count in range(longest + 1):
            for labels in itertools.product(range(1, VOCABULARY), repeat=count):
                log_p = model(x, torch.tensor([labels], dtype=torch.long))[0][0].log_softmax(-1)  # [T, U + 1, V]
                total = []
                for places in itertools.combinations_with_replacement(range(time), count):
                    if any(places.count(t) > most for t in range(time)):
                        continue
                    value, u = 0.0, 0
                    for t in range(time):
                        for _ in range(places.count(t)):
                            value, u = value + log_p[t, u, labels[u]].item(), u + 1
                        value += log_p[t, u, 0].item()
                    total.append(value)
                if total:
                    found[labels] = torch.tensor(total, dtype=torch.float64).logsumexp(0).item()
    return found


@pytest.mark.parametrize("seed", [0, 3])
def test_texts_are_scored_as_by_their_equation(seed):
    model, x = made(seed=seed), frames(3)
    tokens = LANGUAGE["tokenizer"]
    best = {}
    for labels, log_p in log_probabilities(model, x, 3, 1).items():
        text = " ".join("".join(tokens[one] for one in labels).split())
        words = text.split()
        state, score = LANGUAGE["lm"].begin, 0.0
        for word in words:
            state, value = LANGUAGE["lm"].step(state, word)
            score += 0.7 * value + 0.5 + 2.0 * (word == "ca") - (0.0 if word in LANGUAGE["lm"] else 10.0)
        score += 0.7 * LANGUAGE["lm"].end_of(state)
        best.setdefault(text, [[], score])[0].append(log_p)
    expected = {text: torch.tensor(values).logsumexp(0).item() + score for text, (values, score) in best.items()}
    [found] = transducer_beam_search(
        model, x, width=200, max_symbols=1, token_margin=None, most_tokens=None, **LANGUAGE
    )
    assert {one.text for one in found} == set(expected)
    for one in found:
        assert one.score == pytest.approx(expected[one.text], abs=1e-4)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    # A word list leaves the texts of other words out, and changes nothing else.
    [found] = transducer_beam_search(
        model, x, width=200, max_symbols=1, token_margin=None, most_tokens=None, words=["a", "ca"], **LANGUAGE
    )
    allowed = {text for text in expected if set(text.split()) <= {"a", "ca"}}
    assert {one.text for one in found} == allowed
    assert found[0].score == pytest.approx(max(expected[text] for text in allowed), abs=1e-4)


def test_words_have_times_and_texts():
    model, x = made(seed=2), frames(12)
    [found] = transducer_beam_search(model, x, width=4, tokenizer=LANGUAGE["tokenizer"])
    one = found[0]
    assert one.text == " ".join("".join(LANGUAGE["tokenizer"][token] for token in one.tokens).split())
    assert [word.text for word in one.words] == one.text.split()
    assert transducer_greedy(model, x, tokenizer=LANGUAGE["tokenizer"])[0].text is not None


def test_arguments_of_decoding_are_checked():
    model, x = made(), frames(2)
    with pytest.raises(ConfigError, match="max_symbols=0 arrived"):
        transducer_greedy(model, x, max_symbols=0)
    with pytest.raises(ConfigError, match="width=0 arrived"):
        transducer_beam_search(model, x, width=0)
    for settings, message in [
        ({"max_symbols": 0}, "max_symbols=0 arrived"),
        ({"token_margin": 0}, "token_margin=0 arrived"),
        ({"words": "ab"}, "words='ab' arrived; expected a list of words"),
        ({"hot_words": ["ab"]}, "hot_words arrived without a tokenizer"),
        ({"lm": "lm.arpa", "tokenizer": LANGUAGE["tokenizer"]}, "lm is a str; expected an NGramModel"),
        ({"width": None, **LANGUAGE}, "lm arrived with width=None"),
    ]:
        with pytest.raises(ConfigError, match=message):
            TransducerDecoder(model, **settings)
    decoder = TransducerDecoder(model)
    with pytest.raises(ShapeError, match=r"encoded has shape \(2, 4\); expected \[frames, 8\]"):
        decoder.push(torch.zeros(2, 4))
    with pytest.raises(ShapeError, match="a decoder of its own"):
        decoder.push(torch.zeros(2, 4, 8))
    with pytest.raises(ShapeError, match="float64; expected torch.float32"):
        decoder.push(torch.zeros(2, 8, dtype=torch.float64))


def test_decoding_leaves_the_model_as_it_is():
    model = made(dropout=0.5).train()
    x = frames(6)
    assert transducer_greedy(model, x) == transducer_greedy(model, x)
    assert transducer_beam_search(model, x) == transducer_beam_search(model, x)
    assert model.training
    assert model.predictor.training
    assert not torch.equal(model(x, torch.tensor([[1]]))[0], model(x, torch.tensor([[1]]))[0])
