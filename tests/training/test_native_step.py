"""Steps of the common kind go natively, give the numbers of the general way, and give way to everything else."""

import pytest
import torch
from native_steps import Seen, classifier, fitted, rows

import rnnkit
from rnnkit.errors import DivergenceError
from rnnkit.ops.backend import native_core

pytestmark = pytest.mark.skipif(native_core() is None, reason="rnnkit is installed without its native core")


SETTINGS = {
    "plain": {},
    "norm": {"clip_norm": 0.05},
    "value": {"clip_value": 0.01},
    "decay": {"optimizer": "adamw", "weight_decay": 0.2, "decay_biases": False},
    "momentum": {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)},
    "l2": {"l2": 0.1, "clip_norm": 0.05},
}


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_numbers_are_those_of_the_general_way(cell, ragged, settings, general):
    data = rows(ragged=ragged)
    ours, seen = fitted(classifier(cell, layers=2), data, **SETTINGS[settings])
    assert seen.counts == (6, 5)  # the optimizer's first step makes its state
    general()
    theirs, other = fitted(classifier(cell, layers=2), data, **SETTINGS[settings])
    assert other.counts == (0, 0)
    for one, expected in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)
    assert ours.history["loss"] == pytest.approx(theirs.history["loss"], rel=1e-4)


def test_numbers_of_a_regressor_with_a_schedule(general):
    def train():
        torch.manual_seed(0)
        model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(3, 8, num_layers=2, nonlinearity="relu"), outputs=2)
        return fitted(model, rows(labels=False), settings={"schedule": "one_cycle", "validation": 0.25})

    ours, seen = train()
    assert seen.counts == (6, 5)
    general()
    theirs, _ = train()
    for name in ("loss", "val_loss", "lr"):
        assert ours.history[name] == pytest.approx(theirs.history[name], rel=1e-4)


@pytest.mark.parametrize(
    ("model", "learner", "settings", "why"),
    [
        (lambda: classifier(bidirectional=True), {}, {}, "bidirectional"),
        (lambda: classifier(layers=2, dropout=0.1), {}, {}, "dropout"),
        (lambda: classifier(zoneout=0.1), {}, {}, "options"),
        (lambda: classifier(pooling="mean"), {}, {}, "pooling='mean'"),
        (lambda: classifier(backend="reference"), {}, {}, "backend"),
        (lambda: classifier(head=torch.nn.Sequential(torch.nn.Linear(8, 4))), {}, {}, "Sequential"),
        (lambda: classifier("LSTM", proj_size=4), {}, {}, "projection"),
        (classifier, {"label_smoothing": 0.1}, {}, "'cross_entropy'"),
        (classifier, {"recurrent_l2": 0.1}, {}, "penalty"),
        (classifier, {"precision": "bf16-mixed"}, {}, "Fabric"),
        (classifier, {}, {"accumulate": 2}, "several batches"),
        (classifier, {}, {"sample_weight": torch.ones(24)}, "batches"),
    ],
)
def test_what_is_not_common_goes_the_general_way(model, learner, settings, why):
    _, seen = fitted(model(), rows(), settings=settings, **learner)
    assert seen.counts == (0, 0)
    assert why in seen.run.native.describe(seen.run)


class Halved(rnnkit.SequenceClassifier):
    def forward(self, x, lengths=None):
        return super().forward(0.5 * x, lengths)


def test_a_model_that_computes_in_its_own_way_goes_the_general_way():
    _, seen = fitted(Halved(rnnkit.GRU(3, 8), classes=4), rows())
    assert seen.counts == (0, 0)
    assert "Halved" in seen.run.native.describe(seen.run)


def test_gru_with_the_early_reset_is_common():
    _, seen = fitted(classifier(reset_after=False), rows())
    assert seen.counts == (6, 5)


def test_an_optimizer_that_is_not_common_takes_its_own_steps():
    _, seen = fitted(classifier(), rows(), optimizer="rmsprop")
    assert seen.counts == (6, 0)
    assert "RMSprop" in seen.run.native.describe(seen.run)


def watch(run):
    run.calls = []
    run.execution.model.body.register_forward_hook(lambda *_: run.calls.append(1))


def test_hooks_of_the_layers_are_called():
    _, seen = fitted(classifier(), rows(), callback=Seen(begin=watch))
    assert seen.counts == (0, 0)
    assert len(seen.run.calls) == 6


def test_a_callback_sees_gradients_and_may_change_them():
    sums = []

    class Doubles(rnnkit.Callback):
        def on_fit_begin(self, learner, run):
            self.run = run

        def on_backward_end(self, learner, step):
            for parameter in learner.model.parameters():
                parameter.grad.mul_(2.0)
            sums.append(float(learner.model.head.weight.grad.abs().sum()))

    def sgd(parameters, lr):
        return torch.optim.SGD(parameters, lr=lr)

    twice, _ = fitted(classifier(), rows(), callback=Doubles(), optimizer=lambda p: sgd(p, 0.1))
    plain, seen = fitted(classifier(), rows(), optimizer=lambda p: sgd(p, 0.2))
    assert seen.counts == (6, 6)
    assert min(sums) > 0
    for one, other in zip(twice.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def freeze(run, step):
    run.execution.model.body.requires_grad_(step >= 2)


def test_layers_frozen_on_the_way_stand_still():
    kept = []

    def step(run, number):
        kept.append(run.execution.model.body.weight_hh_l0.detach().clone())
        freeze(run, number)

    _, seen = fitted(classifier(), rows(), callback=Seen(step=step))
    assert seen.counts[0] == 4  # of steps 0, 3, 4, 5
    assert torch.equal(kept[0], kept[1])
    assert torch.equal(kept[1], kept[2])
    assert not torch.equal(kept[2], kept[3])


def test_weights_may_be_replaced_on_the_way(general):
    def halve(run, step):
        if step == 2:
            body = run.execution.model.body
            body.weight_hh_l0.data = body.weight_hh_l0.data.clone() * 0.5

    ours, seen = fitted(classifier(), rows(), callback=Seen(step=halve))
    assert seen.counts == (6, 5)
    general()
    theirs, _ = fitted(classifier(), rows(), callback=Seen(step=halve))
    for one, expected in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)


def test_a_weight_in_two_places_has_the_sum_of_its_gradients(general):
    def tied():
        model = classifier("SimpleRNN", layers=2)
        model.body.weight_hh_l1 = model.body.weight_hh_l0
        return model

    ours, seen = fitted(tied(), rows())
    assert seen.counts == (0, 0)
    general()
    theirs, _ = fitted(tied(), rows())
    assert torch.equal(ours.model.body.weight_hh_l0, theirs.model.body.weight_hh_l0)


def test_a_loss_that_is_nan_changes_nothing():
    x, y = rows()
    model = classifier("SimpleRNN")
    learner, _ = fitted(model, (x, y))
    before = [one.detach().clone() for one in model.parameters()]
    norm = float(torch.nn.utils.get_total_norm([one.grad for one in model.parameters()]))
    with torch.no_grad():
        model.head.bias[0] = float("nan")
    with pytest.raises(DivergenceError, match=f"norm of the last gradient {norm:.4g}"):
        learner.fit((x, y), epochs=1, batch_size=8, progress=False)
    for one, old in zip(list(model.parameters())[:-1], before[:-1], strict=True):
        assert torch.equal(one, old)


def test_a_resumed_run_has_the_bits_of_one_that_went_through(tmp_path):
    data = rows()
    whole, _ = fitted(classifier(), data, epochs=4)
    fitted(classifier(), data, epochs=2, settings={"checkpoint": tmp_path / "run"})
    torch.manual_seed(99)
    rest, seen = fitted(classifier(), data, epochs=4, settings={"checkpoint": tmp_path / "run", "resume": True})
    assert seen.counts == (6, 6)
    for one, other in zip(whole.model.parameters(), rest.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_profile_names_it():
    learner, _ = fitted(classifier(), rows())
    assert "two native calls" in str(learner.profile(rows(), steps=2))
    other, _ = fitted(classifier(layer_norm=True), rows())
    assert "operation by operation: the body has options" in str(other.profile(rows(), steps=2))
