"""Attention and CTC that write together: the probabilities of CTC's beginnings against all paths."""

import itertools
import math

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.generation.adapters import already_encoded
from rnnkit.generation.beams import beam_search
from rnnkit.generation.ctc_attention import JointDecoder, begin_prefix, extend_prefix, following_tokens

T, V, START, END = 4, 5, 2, 3
LENGTHS = [4, 3]


def scores(seed=0):
    """ln q [2, T, V]; the second row is shorter, and NaN behind its end."""
    found = (2 * torch.randn(2, T, V, generator=torch.Generator().manual_seed(seed))).double().log_softmax(-1)
    found[1, 3] = math.nan
    return found


def texts(log_p, length):
    """p of each labelling, over all paths."""
    found = {}
    for path in itertools.product(range(V), repeat=length):
        labels = tuple(token for token, _ in itertools.groupby(path) if token)
        found[labels] = found.get(labels, 0.0) + math.exp(sum(log_p[t, one].item() for t, one in enumerate(path)))
    return found


def network(form="bahdanau"):
    torch.manual_seed(0)
    inputs = {"bahdanau": 3 + 6, "parallel": 3}[form]
    return rnnkit.EncoderDecoder(
        rnnkit.GRU(4, 6, batch_first=True), rnnkit.GRU(inputs, 5), None, V, form=form, start=START
    ).eval()


@pytest.mark.parametrize("tokens", [(), (1,), (1, 1), (1, 4), (4, 4, 1)])
def test_beginnings_have_the_probability_of_all_their_paths(tokens):
    log_p = scores()
    filled = log_p.clone()
    filled[1, 3], filled[1, 3, 0] = -1e30, 0.0
    prefix = begin_prefix(filled, 0)
    for token in tokens:
        prefix = extend_prefix(prefix, torch.tensor([token, token]), filled, 0)
    found = following_tokens(prefix, filled, END).exp()
    for row, length in enumerate(LENGTHS):
        every = texts(log_p[row], length)

        def begins(labels, every=every):
            return sum(p for one, p in every.items() if one[: len(labels)] == labels)

        if begins(tokens) == 0:
            continue
        expected = [begins((*tokens, token)) / begins(tokens) for token in (1, 2, 4)]
        assert_close(found[row, [1, 2, 4]], torch.tensor(expected, dtype=torch.float64))
        assert found[row, END].item() == pytest.approx(every.get(tokens, 0.0) / begins(tokens), abs=1e-9)


@pytest.mark.parametrize("form", ["bahdanau", "parallel"])
def test_the_search_orders_by_the_scores_of_both(form):
    model, x, log_p = network(form), torch.randn(2, T, 4), scores()
    joint = JointDecoder(model, weight=0.4, blank=0, end=END)
    with torch.no_grad():
        state, memory = model.encode(x, LENGTHS)
        begun = joint.begin(state, memory, log_p, torch.tensor(LENGTHS))
        found = beam_search(
            already_encoded(joint, *begun, rows=2),
            [START],
            end=END,
            width=30,
            n_best=30,
            max_tokens=4,
            length_penalty=0.0,
            forbidden_ids=[0, START],
            early_end=False,
        )
        for row, length in enumerate(LENGTHS):
            every = texts(log_p[row], length)
            checked = 0
            for one in found[row]:
                if not one.ended or one.log_probability < -1e20:
                    continue
                ids = torch.tensor([[START, *one.ids, END]])
                logits = model(x[row : row + 1, :length], ids[:, :-1]).log_softmax(-1)
                attention = logits.gather(2, ids[:, 1:, None]).sum().item()
                expected = 0.6 * attention + 0.4 * math.log(every[tuple(one.ids)])
                assert one.log_probability == pytest.approx(expected, abs=1e-3)
                checked += 1
            assert checked >= 5
            assert [one.score for one in found[row]] == sorted((one.score for one in found[row]), reverse=True)


def test_long_utterances_of_unsure_networks_do_not_vanish():
    log_p = torch.randn(1, 3000, 40).double().log_softmax(-1)
    prefix = begin_prefix(log_p, 0)
    for token in (5, 5, 9):
        prefix = extend_prefix(prefix, torch.tensor([token]), log_p, 0)
    found = following_tokens(prefix, log_p, END)
    assert found.isfinite().all()
    others = [token for token in range(1, 40) if token != END]
    assert found[0, others].exp().sum() + found[0, END].exp() <= 1 + 1e-6
