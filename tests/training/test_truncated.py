"""Truncated backpropagation: the gradients of K steps, states that are carried, streams of chunks."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights
from torch import nn
from torch.nn.functional import cross_entropy

from rnnkit import GRU, LSTM, Learner, SequenceClassifier, Sequences, SequenceTagger
from rnnkit.errors import ConfigError, DataError
from rnnkit.training.watching.callbacks import Callback

T = 11
LENGTHS = torch.tensor([11, 3, 7, 8, 1, 4])


def tagger(**options):
    torch.manual_seed(0)
    return SequenceTagger(LSTM(2, 5, num_layers=2, batch_first=True, learn_initial_state=True, **options), outputs=3)


def classifier(pooling="last", **options):
    torch.manual_seed(0)
    return SequenceClassifier(GRU(2, 5, batch_first=True, **options), classes=3, pooling=pooling)


@pytest.fixture
def steps():
    """Sequences with a label per step, and one per sequence."""
    torch.manual_seed(1)
    return torch.randn(6, T, 2), torch.randint(3, (6, T)), torch.randint(3, (6,))


class Gradients(Callback):
    def __init__(self):
        self.all = []

    def on_backward_end(self, learner, step):
        zeros = torch.zeros_like
        self.all.append([zeros(p) if p.grad is None else p.grad.clone() for p in learner.model.parameters()])


def gradients(model, data, **settings):
    """The gradients of each step of an epoch, and the loss that it reports."""
    noted = Gradients()
    settings = {"epochs": 1, "batch_size": 6, "shuffle": False, **settings}
    history = quiet(Learner(model, device="cpu", precision=settings.pop("precision", "32-true")), data,
                    callbacks=[noted], **settings)  # fmt: skip
    return noted.all, history.rows[0]["loss"]


def assert_close(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-7)


def cut(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("model", [tagger, classifier])
def test_no_fewer_steps_than_the_sequence_has_is_no_truncation(steps, model, ragged):
    x, per_step, label = steps
    y = per_step if model is tagger else label
    data = (Sequences(x, LENGTHS), y) if ragged else (x, y)
    whole, loss = gradients(model(), data)
    for bptt in (T, 50):
        ours, ours_loss = gradients(model(), data, bptt=bptt)
        assert_close(ours[0], whole[0])
        assert ours_loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("ragged", [False, True])
def test_targets_per_step_equal_chunks_by_hand(steps, ragged):
    x, y, _ = steps
    lengths = LENGTHS.tolist() if ragged else [T] * 6
    model = tagger()
    total = sum(lengths)
    for row, length in enumerate(lengths):  # by hand, row by row
        state = None
        for begin in range(0, length, 4):
            end = min(begin + 4, length)
            output, state = model.body(x[row : row + 1, begin:end], state)
            (cross_entropy(model.head(output[0]), y[row, begin:end], reduction="sum") / total).backward()
            state = cut(state)
    expected = [p.grad for p in model.parameters()]
    ours, loss = gradients(tagger(), (Sequences(x, LENGTHS) if ragged else x, y), bptt=4)
    assert_close(ours[0], expected)
    whole, whole_loss = gradients(tagger(), (Sequences(x, LENGTHS) if ragged else x, y))
    assert loss == pytest.approx(whole_loss, rel=1e-5)  # the figures are the same, the gradients not
    assert not torch.allclose(ours[0][0], whole[0][0], rtol=1e-3)


@pytest.mark.parametrize("ragged", [False, True])
def test_a_target_per_sequence_sees_its_last_steps(steps, ragged):
    x, _, y = steps
    lengths = LENGTHS.tolist() if ragged else [T] * 6
    model = classifier(learn_initial_state=True)
    loss = torch.zeros(())
    for row, length in enumerate(lengths):
        one, state = x[row : row + 1, :length], None
        if length > 4:
            state = cut(model.body(one[:, :-4])[1])
        output, _ = model.body(one[:, -4:], state)
        loss = loss + cross_entropy(model.head(output[:, -1]), y[row : row + 1]) / 6
    loss.backward()
    data = (Sequences(x, LENGTHS) if ragged else x, y)
    ours, _ = gradients(classifier(learn_initial_state=True), data, bptt=4)
    assert_close(ours[0], [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()])


def test_batches_are_joined_with_chunks(steps):
    x, y, _ = steps
    one, _ = gradients(tagger(), (Sequences(x, LENGTHS), y), bptt=4)
    joined, _ = gradients(tagger(), (Sequences(x, LENGTHS), y), bptt=4, batch_size=2, accumulate=3)
    assert len(joined) == 1
    assert_close(joined[0], one[0])


def chunks(x, y, size, resets=None):
    return [
        (x[:, at : at + size], y[:, at : at + size]) + (() if resets is None else (resets[:, at : at + size],))
        for at in range(0, x.shape[1], size)
    ]


def test_streams_carry_their_states_from_batch_to_batch(steps):
    x, y, _ = steps
    model, expected, state = tagger(), [], None
    for inputs, targets in chunks(x, y, 4):
        output, state = model.body(inputs, state)
        loss = cross_entropy(model.head(output).flatten(0, 1), targets.flatten())
        parameters = list(model.parameters())
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        expected.append([torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)])
        state = cut(state)
    learner, noted = Learner(tagger(), lr=0.0), Gradients()
    stream = chunks(x, y, 4)
    history = quiet(learner, stream, validation=chunks(x, y, 4), epochs=2, stateful=True, callbacks=[noted])
    assert len(noted.all) == 6
    for step, ours in enumerate(noted.all):  # the second epoch begins anew
        assert_close(ours, expected[step % 3])
    whole = Learner(tagger()).evaluate((x, y))
    assert history.rows[0]["val_loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert learner.evaluate(stream, stateful=True)["loss"] == pytest.approx(whole["loss"], rel=1e-5)


@pytest.mark.parametrize("bptt", [None, 3])
def test_resets_begin_rows_anew(steps, bptt):
    x, y, _ = steps
    resets = torch.zeros(6, T, dtype=torch.bool)
    resets[1, 4] = resets[2, 6] = resets[3, 0] = True

    def loss(stream):
        return quiet(Learner(tagger(), lr=0.0), stream, epochs=1, stateful=True, bptt=bptt).rows[0]["loss"]

    lengths = torch.tensor([T, 4, 6, T, T, T, 7, 5])  # rows 1 and 2 are two sequences each
    rows = torch.cat([x, torch.zeros(2, T, 2)])
    labels = torch.cat([y, torch.zeros(2, T, dtype=torch.long)])
    rows[6, :7], rows[7, :5], labels[6, :7], labels[7, :5] = x[1, 4:], x[2, 6:], y[1, 4:], y[2, 6:]
    expected = Learner(tagger()).evaluate((Sequences(rows, lengths), labels))["loss"]
    assert loss(chunks(x, y, 4, resets)) == pytest.approx(expected, rel=1e-5)
    assert loss(chunks(x, y, 4)) != pytest.approx(expected, rel=1e-5)
    at_begin = [(*pair, torch.tensor([False, step == 1, *[False] * 4])) for step, pair in enumerate(chunks(x, y, 4))]
    by_step = resets.clone()
    by_step[2:] = False
    assert loss(at_begin) == pytest.approx(loss(chunks(x, y, 4, by_step)), rel=1e-6)


def test_own_models_have_the_same_method(steps):
    x, y, _ = steps

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body, self.head = nn.GRU(2, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            return self.forward_chunk(x)[0]

        def forward_chunk(self, x, state=None):
            output, state = self.body(x, state)
            return self.head(output), state

    noted = []
    for bptt in (None, T, 4):
        history = quiet(Learner(Own(), loss="cross_entropy", lr=0.1), (x, y), epochs=2, bptt=bptt, shuffle=False)
        noted.append([row["loss"] for row in history.rows])
    assert noted[0] == pytest.approx(noted[1], rel=1e-5)
    assert noted[2][0] == pytest.approx(noted[0][0], rel=1e-5)
    assert noted[2][1] != pytest.approx(noted[0][1], rel=1e-5)


def test_mixed_precision_carries_the_state_whole(steps):
    x, y, _ = steps
    half, _ = gradients(tagger(), (x, y), bptt=4, precision="bf16-mixed")
    full, _ = gradients(tagger(), (x, y), bptt=4)
    for left, right in zip(half[0], full[0], strict=True):
        torch.testing.assert_close(left, right, rtol=0.1, atol=0.01)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (lambda: classifier("mean"), {"bptt": 3}, "pooling='mean' looks at all steps"),
        (lambda: classifier(bidirectional=True), {"bptt": 3}, "bidirectional"),
        (lambda: nn.Linear(2, 3), {"bptt": 3, "loss": "mse"}, "Linear does not return its state"),
        (classifier, {"bptt": 0}, "bptt=0"),
        (classifier, {"stateful": True}, "takes an iterable of batches"),
    ],
)
def test_what_cannot_be_truncated_is_refused(steps, model, settings, message):
    x, _, y = steps
    learner = Learner(model(), loss=settings.pop("loss", None))
    with pytest.raises(ConfigError, match=message):
        quiet(learner, (x, y), **settings)


def test_broken_streams_are_refused(steps):
    x, y, _ = steps
    for stream, message in (
        ([(x, y), (x[:4], y[:4])], "a batch of 4 rows follows one of 6"),
        ([(x, y, torch.zeros(6, 3, dtype=torch.bool))], r"resets \[6, 3\]"),
        ([(x, y, torch.zeros(6))], "expected truth values"),
        ([(Sequences(x, LENGTHS), y)], "unequal length"),
    ):
        with pytest.raises(DataError, match=message):
            quiet(Learner(tagger()), stream, epochs=1, stateful=True)


def test_a_stream_that_is_cut_off_goes_on_with_its_states(steps, tmp_path):
    x, y, _ = steps
    whole = Learner(tagger(), lr=0.1)
    quiet(whole, chunks(x, y, 2), epochs=2, stateful=True)

    class Cut(BaseException):
        pass

    class CutAt(Callback):
        def on_step_end(self, learner, step):
            if step == 9:
                raise Cut

    settings = {"epochs": 2, "stateful": True, "checkpoint": tmp_path, "resume": True, "checkpoint_every": 1}
    with pytest.raises(Cut):
        quiet(Learner(tagger(), lr=0.1), chunks(x, y, 2), callbacks=[CutAt()], **settings)
    resumed = Learner(tagger(), lr=0.1)
    quiet(resumed, chunks(x, y, 2), **settings)
    assert same(weights(whole.model), weights(resumed.model))
