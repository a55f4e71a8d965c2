"""A recogniser with an attention decoder and a branch of CTC: padding, loading, more tokens, settings."""

import math

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError

V, START, END = 9, 2, 3


def made(seed=0, **options):
    torch.manual_seed(seed)
    encoder = rnnkit.Chain(rnnkit.CausalConv(4, 6, kernel_sizes=(3,), strides=(2,)), rnnkit.GRU(6, 5, batch_first=True))
    network = rnnkit.EncoderDecoder(encoder, rnnkit.GRU(3 + 5, 7), None, V, form="bahdanau", start=START)
    return rnnkit.AttentionRecognizer(network, END, **options).eval()


def batch():
    x = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(1))
    x[1, 7:] = math.nan
    return x, torch.tensor([[START, 4, 8, 5], [START, 6, 6, 7]]), [12, 7]


def test_padding_changes_nothing():
    model, (x, previous, lengths) = made(), batch()
    logits, ctc, steps = model(x, previous, lengths, return_ctc=True)
    alone = model(x[1:, :7], previous[1:], return_ctc=True)
    assert steps.tolist() == [6, 4]
    assert_close(logits[1:], alone[0])
    assert_close(ctc[1:, :4], alone[1])
    assert_close(model(x, previous, lengths), logits)


def test_it_is_saved_and_loaded(tmp_path):
    model, (x, previous, lengths) = made(ctc_weight=0.4), batch()
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert repr(again) == repr(model)
    assert (again.stride, again.start, again.end, again.vocabulary) == (2, START, END, V)
    assert_close(again(x, previous, lengths).detach(), model(x, previous, lengths).detach())


def test_more_tokens_leave_the_others_as_they_are(tmp_path):
    model, (x, previous, lengths) = made(), batch()
    before = model(x, previous, lengths, return_ctc=True)
    model.grow(V + 2, generator=torch.Generator().manual_seed(0))
    after = model(x, previous, lengths, return_ctc=True)
    assert_close(after[0][..., :V], before[0])
    assert_close(after[1][..., :V], before[1])
    rnnkit.Learner(model).save(tmp_path)
    assert rnnkit.load(tmp_path).vocabulary == V + 2
    with pytest.raises(ConfigError, match="vocabulary=3 arrived"):
        model.grow(3)


def test_without_a_branch_there_is_none():
    model, (x, previous, lengths) = made(ctc_weight=0), batch()
    assert model.ctc is None
    assert model(x, previous, lengths).shape == (2, 4, V)
    with pytest.raises(ConfigError, match="ctc_weight=0, without a branch of CTC"):
        model(x, previous, lengths, return_ctc=True)


def test_it_does_not_stream():
    assert "the whole utterance before the first token" in made().carry_problem


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("ctc_weight=1 arrived", {"ctc_weight": 1}),
        ("end=9 arrived; expected 0 to 8", {"end": V}),
        ("start=2, end=2 and blank=0 arrived; expected three different", {"end": START}),
        ("expected a rnnkit.EncoderDecoder over frames", {"network": torch.nn.Linear(2, 2)}),
        (
            "source_vocabulary=None and copy=False",
            {"network": rnnkit.EncoderDecoder(rnnkit.GRU(3, 4), rnnkit.GRU(3, 4), 5, 6)},
        ),
    ],
)
def test_settings_that_do_not_fit_are_told(message, change):
    with pytest.raises(ConfigError, match=message):
        rnnkit.AttentionRecognizer(**{"network": made().network, "end": END, **change})


def test_what_is_no_tokens_is_told():
    with pytest.raises(ShapeError, match=r"expected ids \[B, T\]"):
        made()(batch()[0], torch.zeros(2, 3))
