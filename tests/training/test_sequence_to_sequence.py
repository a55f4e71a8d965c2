"""Teacher forcing, scheduled sampling, the coverage loss, targets that are copied, label smoothing."""

import math

import pytest
import tolerances
import torch

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.ops.losses import LOSSES
from rnnkit.training import ScheduledSampling, SequenceToSequence
from rnnkit.training.objectives.cross_entropy import make_cross_entropy
from rnnkit.training.objectives.sequence_to_sequence import coverage_loss

V = 11


def build(**options):
    torch.manual_seed(0)
    return rnnkit.EncoderDecoder(rnnkit.GRU(4, 6), rnnkit.GRU(4, 6), V, V, start=2, **options)


def batch():
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randint(4, V, (3, 5), generator=generator) for _ in range(2))
    return rnnkit.Batch(x, y, torch.tensor([5, 2, 3]), torch.tensor([4, 5, 1]))


def test_the_start_of_the_model_is_what_its_decoder_reads_first():
    learner = rnnkit.Learner(build(), label_smoothing=0.1)
    assert learner._session.objective.start == 2
    rows = batch()
    loss = learner.evaluate([rows])["loss"]
    logits = learner.model(rows.inputs, learner._session.objective.previous(rows.targets), lengths=rows.input_lengths)
    log_p = logits.log_softmax(-1)
    each = 0.9 * -log_p.gather(-1, rows.targets[..., None])[..., 0] - 0.1 * log_p.mean(-1)
    valid = torch.arange(5) < rows.target_lengths[:, None]
    assert loss == pytest.approx(each[valid].mean().item(), rel=1e-5)


def test_the_coverage_loss_is_added_over_the_valid_steps():
    model, rows = build(attention="additive", coverage=True), batch()
    plain = SequenceToSequence(start=2)
    covering = SequenceToSequence(start=2, coverage=0.5)
    output = covering.call(model, rows)
    logits, weights = output
    valid = torch.arange(5) < rows.target_lengths[:, None]
    expected = 0.5 * coverage_loss(weights)[valid].mean()
    difference = covering(output, rows).loss - plain(logits, rows).loss
    tolerances.assert_close(difference, expected)
    assert expected > 0
    assert covering.identity() != plain.identity()


def test_coverage_loss():
    weights = torch.tensor([[[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]]])
    assert coverage_loss(weights).tolist() == [[0.0, 0.5, 0.75]]


class Reads(torch.nn.Module):
    """Notes what it reads, and predicts label + 1."""

    default_loss = "cross_entropy"

    def __init__(self):
        super().__init__()
        self.bias, self.read = torch.nn.Parameter(torch.zeros(V)), []

    def forward(self, x, previous, lengths=None):
        self.read.append(previous)
        return 9.0 * torch.nn.functional.one_hot((previous + 1) % V, V).float() + self.bias


def test_sampled_labels_are_the_models_own():
    model, rows = Reads(), batch()
    objective = SequenceToSequence(start=2, sampling=1.0)
    true = objective.previous(rows.targets)
    objective.call(model, rows)
    assert torch.equal(model.read[0], true)
    assert torch.equal(model.read[1][:, 0], true[:, 0])
    assert torch.equal(model.read[1][:, 1:], (true[:, :-1] + 1) % V)
    model.read.clear()
    objective.sampling = 0.5
    torch.manual_seed(0)
    objective.call(model, rows)
    own = model.read[1][:, 1:] != true[:, 1:]
    assert 0 < own.sum() < own.numel()
    model.read.clear()
    objective.call(model.eval(), rows)
    assert len(model.read) == 1
    assert torch.equal(model.read[0], true)


def test_the_probability_rises_and_a_resumed_run_goes_on_with_it(tmp_path):
    seen = []

    class Watch(rnnkit.Callback):
        def __init__(self, stops):
            self.stops = stops

        def on_backward_end(self, learner, step):
            seen.append((step, learner._session.objective.sampling))

        def on_step_end(self, learner, step):
            if step == 2 and self.stops:
                import signal

                signal.raise_signal(signal.SIGINT)

    for stops in (True, False):
        learner = rnnkit.Learner(build())
        learner.fit(
            [batch()] * 4,
            epochs=2,
            seed=0,
            checkpoint=tmp_path,
            resume=True,
            progress=False,
            callbacks=[ScheduledSampling(0.8, 4), Watch(stops)],
        )
    assert seen == [(step, pytest.approx(0.8 * min(step / 4, 1))) for step in range(8)]
    assert learner._session.objective.sampling == 0.0
    sigmoid = ScheduledSampling(0.6, 100, "sigmoid")
    assert sigmoid.probability(50) == pytest.approx(0.3)
    assert sigmoid.probability(0) < 0.05 < 0.55 < sigmoid.probability(100) < 0.6 + 1e-9
    assert math.isfinite(sigmoid.probability(10**9))


def test_targets_may_be_words_of_the_batchs_own_sources():
    model = build(copy=True, unknown=1)
    learner = rnnkit.Learner(model, label_smoothing=0.1)
    assert learner._session.objective.copies == V
    with_word, without = batch(), batch()
    with_word.inputs[1, 1] = with_word.targets[1, 3] = V + 2
    assert math.isfinite(learner.evaluate([without, with_word])["loss"])
    without.targets[0, 0] = V
    with pytest.raises(DataError, match=f"label {V} arrived, but the model tells apart a vocabulary of {V}"):
        learner.evaluate([with_word, without])
    learner.fit([with_word] * 3, epochs=1, progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SequenceToSequence(sampling=1.5), "sampling=1.5"),
        (lambda: SequenceToSequence(coverage=-1.0), "coverage=-1"),
        (lambda: ScheduledSampling(2.0, 5), "most=2.0"),
        (lambda: ScheduledSampling(0.5, 0), "steps=0"),
        (lambda: ScheduledSampling(0.5, 5, "square"), "shape='square'"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_scheduled_sampling_needs_a_decoder():
    learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 3)))
    with pytest.raises(ConfigError, match="expected 'seq2seq'"):
        learner.fit((torch.randn(4, 3, 2), torch.randn(4)), callbacks=[ScheduledSampling(0.5, 5)], progress=False)


def test_a_smoothed_loss_can_be_passed_with_the_objective():
    loss = make_cross_entropy(LOSSES["cross_entropy"], 0.1, None)
    objective = SequenceToSequence(start=2, loss=loss)
    named = rnnkit.Learner(build(), label_smoothing=0.1).evaluate([batch()])
    assert rnnkit.Learner(build(), objective=objective).evaluate([batch()]) == named
