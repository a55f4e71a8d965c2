"""Steps of the common kind go natively, give the numbers of the general way, and give way to everything else."""

import pickle
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import DivergenceError, RnnkitError
from rnnkit.models.native_parts import NativeParts
from rnnkit.ops.backend import native_core

pytestmark = pytest.mark.skipif(native_core() is None, reason="rnnkit is installed without its native core")


class Seen(rnnkit.Callback):
    """Keeps the run, and may act at its beginning or after a step."""

    def __init__(self, begin=None, step=None):
        self.run, self.begin, self.step = None, begin, step

    def on_fit_begin(self, learner, run):
        self.run = run
        if self.begin is not None:
            self.begin(run)

    def on_step_end(self, learner, step):
        if self.step is not None:
            self.step(self.run, step)

    @property
    def counts(self):
        return self.run.native.gradient_steps, self.run.native.update_steps


def rows(count=24, *, ragged=False, labels=True, outputs=2):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, 3, generator=generator)
    y = torch.arange(count) % 4 if labels else torch.randn(count, outputs, generator=generator)
    if not ragged:
        return x, y
    return [row[: 1 + number % 6] for number, row in enumerate(x)], y


def classifier(cell="GRU", layers=1, head=None, pooling="last", dropout=0.0, **options):
    torch.manual_seed(0)
    body = getattr(rnnkit, cell)(3, 8, num_layers=layers, **options)
    return rnnkit.SequenceClassifier(body, classes=4, head=head, pooling=pooling, dropout=dropout)


def fitted(model, data, *, epochs=2, callback=None, settings=None, **learner):
    callback = Seen() if callback is None else callback
    made = rnnkit.Learner(model, device="cpu", metrics=[], **learner)
    made.fit(data, epochs=epochs, batch_size=8, seed=1, progress=False, callbacks=[callback], **(settings or {}))
    return made, callback


@pytest.fixture
def general(monkeypatch):
    """Call it, and every step goes the general way."""
    return lambda: monkeypatch.setattr(NativeParts, "problem", lambda parts: "a test turned it off")


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


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


class Acts(rnnkit.Callback):
    """Acts on the run before and after each update."""

    def __init__(self, gradients=None, step=None):
        self.acts = gradients, step

    def on_fit_begin(self, learner, run):
        self.run = run

    def on_backward_end(self, learner, step):
        self.act(0, step)

    def on_step_end(self, learner, step):
        self.act(1, step)

    def act(self, number, step):
        if self.acts[number] is not None:
            self.acts[number](self.run, step)


def other_gradient_memory(run, step):
    for parameter in run.execution.model.parameters():
        parameter.grad.data = parameter.grad.data.clone() * 0.5


def set_gradient(run, step):
    for parameter in run.execution.model.parameters():
        parameter.grad.set_(parameter.grad.clone() * 0.5)


def other_weight_memory(run, step):
    if step % 3 == 2:
        for parameter in run.execution.model.parameters():
            parameter.data = parameter.data.clone() * 0.9


def other_type_and_back(run, step):
    run.execution.model.double().float()


def other_state_memory(run, step):
    for state in run.optimizer.state.values():
        state["momentum_buffer"].data = state["momentum_buffer"].clone() * 0.5


def other_nonlinearity(run, step):
    run.execution.model.body.nonlinearity = "relu" if step >= 2 else "tanh"


def other_loss(run, step):
    objective = run.forward.objective
    if step == 2:
        objective.loss = replace(objective.loss, function=partial(F.cross_entropy, label_smoothing=0.3))


def no_momentum_for_a_while(run, step):
    run.optimizer.param_groups[0]["momentum"] = 0.0 if step in (2, 3) else 0.9


def other_order_of_groups(run, step):
    one, other = run.optimizer.param_groups
    if step == 2:
        one["params"], other["params"] = other["params"], one["params"]


def wider_head(run, step):
    if step == 2:
        head = torch.nn.Linear(8, 6)
        for parameter in head.parameters():
            torch.nn.init.constant_(parameter, 0.1)
        run.execution.model.set_head(head)
        run.optimizer.add_param_group({"params": list(head.parameters())})


def two_groups(parameters):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": 0.5}, {"params": others[-1:]}], lr=0.01)


CHANGES = {
    "gradient.data": (other_gradient_memory, None, momentum),
    "gradient.set_": (set_gradient, None, momentum),
    "weight.data before the update": (other_weight_memory, None, momentum),
    "double and float before the update": (other_type_and_back, None, momentum),
    "double and float": (None, other_type_and_back, momentum),
    "state.data": (None, other_state_memory, momentum),
    "nonlinearity": (None, other_nonlinearity, momentum),
    "loss": (None, other_loss, momentum),
    "momentum": (None, no_momentum_for_a_while, momentum),
    "groups": (None, other_order_of_groups, two_groups),
    "head": (None, wider_head, momentum),
    "nesterov=1": (None, None, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_callbacks_change_has_the_effect_that_it_has_in_the_general_way(change, general):
    gradients, step, optimizer = CHANGES[change]

    def train():
        return fitted(classifier("SimpleRNN"), rows(), callback=Acts(gradients, step), optimizer=optimizer)

    ours, seen = train()
    assert seen.run.native.gradient_steps > 0
    general()
    theirs, _ = train()
    for one, expected in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "body", rnnkit.GRU(3, 4, batch_first=True)),
        lambda model: model.body.double(),
        lambda model: model.to("meta"),
    ],
)
def test_weights_that_do_not_fit_each_other_raise_the_error_of_the_layers(change):
    def act(run, step):
        if step == 2:
            change(run.execution.model)

    with pytest.raises((RuntimeError, RnnkitError)):
        fitted(classifier(), rows(), callback=Acts(step=act))


@pytest.mark.parametrize("natively", [True, False])
def test_gradients_are_of_one_step_whatever_the_optimizer_holds(natively, general):
    """Those of parameters that it lacks, of strangers that it holds, and of a group that is added on the way."""
    if not natively:
        general()
    stranger, seen = torch.nn.Parameter(torch.ones(2)), []

    def gradients(run, step):
        stranger.sum().backward()
        head = run.execution.model.head.bias
        seen.append((float(stranger.grad.sum()), head.grad.clone()))
        if step == 3:
            run.optimizer.add_param_group({"params": [head]})

    def optimizer(parameters):
        return torch.optim.SGD([*list(parameters)[:2], stranger], lr=0.0)

    x, y = rows(8)
    fitted(classifier(), (x, y), epochs=6, callback=Acts(gradients), optimizer=optimizer)
    assert [number for number, _ in seen] == [2.0] * 6
    for _, gradient in seen[1:]:
        torch.testing.assert_close(gradient, seen[0][1])


def test_a_run_may_be_copied_in_the_middle():
    copies = []

    def copy(run, step):
        if step == 2:
            copies.append(deepcopy(run))
            copies.append(pickle.loads(pickle.dumps(run.native)))

    _, seen = fitted(classifier(), rows(), callback=Acts(step=copy))
    assert seen.run.native.gradient_steps == 6
    assert [one.gradient_steps for one in (copies[0].native, copies[1])] == [3, 3]
    batch = next(iter(copies[0].batches))
    assert copies[0].native.score(copies[0], batch) is not None
    kept = copies[0].execution.model.head.weight.grad
    assert kept.data_ptr() != seen.run.execution.model.head.weight.grad.data_ptr()


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
