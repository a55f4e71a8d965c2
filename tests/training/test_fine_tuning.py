"""Teaching a trained model something new."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest
import torch
from fitting import quiet, same, trained, weights
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.forgetting import EWC, L2SP
from rnnkit.training.fine_tuning.report import Quality
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import Callback


class Recorder:
    """A callback that keeps the weights after each epoch."""

    def __init__(self):
        self.weights = []

    def __call__(self, learner, row):
        self.weights.append(weights(learner.model))


def named(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


# Fine-tuning ---------------------------------------------------------------------------------------------------------


def test_fine_tune_freezes_the_body_first_and_puts_flags_back(classifier, blobs):
    model = classifier()
    model.body.bias_hh_l0.requires_grad_(False)  # the user's own flag
    learner = Learner(model, lr=0.01)
    quiet(learner, blobs, epochs=1)
    first, kept = weights(model.body), []
    flags = []

    def keep(learner, row):
        kept.append(weights(model.body))
        flags.append([p.requires_grad for p in model.body.parameters()])

    settings = {"epochs": 3, "freeze_body_epochs": 2, "callbacks": [keep], "progress": False, "seed": 0}
    history = learner.fine_tune(blobs, **settings)
    assert [row["lr"] for row in history.rows] == [0.001] * 3
    assert same(kept[0], first)
    assert same(kept[1], first)
    assert not same(kept[2], first)
    assert flags == [[False] * 4, [True, True, True, False], [True, True, True, False]]
    assert [p.requires_grad for p in model.body.parameters()] == [True, True, True, False]
    assert quiet(learner, blobs, epochs=1).rows[0]["lr"] == 0.01


def test_fine_tune_puts_flags_back_after_an_error(classifier, blobs):
    model = classifier()

    def fail(learner, row):
        raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        Learner(model).fine_tune(blobs, freeze_body_epochs=5, callbacks=[fail], progress=False)
    assert all(p.requires_grad for p in model.parameters())


def test_fine_tune_starts_with_a_fresh_optimizer(classifier, blobs):
    trained = Learner(classifier())
    quiet(trained, blobs)
    fresh = classifier()
    fresh.load_state_dict(trained.model.state_dict())
    trained.fine_tune(blobs, lr=0.05, epochs=1, seed=1, progress=False)
    quiet(Learner(fresh, lr=0.05), blobs, epochs=1, seed=1)
    assert same(weights(trained.model), weights(fresh))


def test_fine_tune_refuses_what_it_cannot_do(classifier, blobs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    with pytest.raises(ConfigError, match=r"lr=-1\.0"):
        Learner(classifier()).fine_tune(blobs, lr=-1.0)
    with pytest.raises(ConfigError, match="a model with a body"):
        Learner(model, loss="cross_entropy").fine_tune(blobs, freeze_body_epochs=1)
    own = classifier()
    given = Learner(own, optimizer=torch.optim.SGD(own.parameters(), lr=0.1))
    with pytest.raises(ConfigError, match="fresh optimizer"):
        given.fine_tune(blobs)


def test_fine_tune_divides_the_rate_of_a_callable(classifier, blobs):
    learner = Learner(classifier(), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.5))
    history = learner.fine_tune(blobs, epochs=1, progress=False)
    assert history.rows[0]["lr"] == 0.05


# Rates and freezing --------------------------------------------------------------------------------------------------


def test_gradual_unfreezing_starts_with_the_head_and_goes_down_a_group_an_epoch(blobs):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, num_layers=2), classes=2)
    seen = []

    class Watch(Callback):
        def on_backward_end(self, learner, step):
            if step % 3 == 0:
                seen.append({name.rsplit("_", 1)[-1] for name, p in model.named_parameters() if p.grad is not None})

    settings = {"gradual_unfreezing": True, "epochs": 4, "batch_size": 32, "progress": False}
    history = Learner(model, lr=0.01).fine_tune(blobs, callbacks=[Watch()], **settings)
    head = {"head.weight", "head.bias"}
    assert seen == [head, head | {"l1"}, head | {"l1", "l0"}, head | {"l1", "l0"}]
    assert history.report.trained == sum(p.numel() for p in model.parameters())
    assert history.report.findings == ()
    assert all(p.requires_grad for p in model.parameters())


class StopInEpoch(Callback):
    """Stops after the first step of an epoch, of which each has three."""

    def __init__(self, epoch):
        self.step = 3 * (epoch - 1)

    def on_step_end(self, learner, step):
        if step == self.step:
            learner.stop()


@pytest.mark.parametrize(
    ("epochs", "callbacks", "reached"),
    [(1, [], 1), (2, [], 2), (3, [], 3), (9, [StopInEpoch(1)], 1), (9, [StopInEpoch(2)], 2), (9, [StopInEpoch(3)], 3)],
    ids=["one epoch", "two", "three", "stopped in the first", "in the second", "in the third"],
)
def test_the_report_counts_the_groups_that_gradual_unfreezing_reached(blobs, epochs, callbacks, reached):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, num_layers=2), classes=2)
    before = named(model)
    settings = {"gradual_unfreezing": True, "epochs": epochs, "batch_size": 32, "progress": False}
    report = Learner(model, lr=0.01).fine_tune(blobs, callbacks=callbacks, **settings).report
    moved = [one for name, one in model.named_parameters() if not torch.equal(one, before[name])]
    assert report.trained == sum(one.numel() for one in moved)
    if reached == 3:
        assert report.findings == ()
        return
    begin = {1: "1 epoch reached 1 of 3", 2: "2 epochs reached 2 of 3"}[reached]
    assert report.findings == (
        f"{begin} groups of layers: train 3 epochs or more, or switch gradual unfreezing off with "
        "gradual_unfreezing=False (on the command line: --set gradual_unfreezing=false).",
    )
    assert str(report).endswith("\n" + report.findings[0])
    assert report.to_dict()["findings"] == report.findings


def test_a_resumed_run_counts_the_groups_of_its_earlier_epochs(blobs, tmp_path):
    def tune(epochs):
        torch.manual_seed(0)
        model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, num_layers=2), classes=2)
        settings = {"gradual_unfreezing": True, "checkpoint": tmp_path, "resume": True, "seed": 0, "progress": False}
        return Learner(model).fine_tune(blobs, epochs=epochs, **settings).report

    first = tune(2)
    assert 0 < first.trained < first.parameters
    assert replace(tune(2), new=None, seconds=0) == replace(first, new=None, seconds=0)  # it is finished
    assert tune(3).trained == first.parameters


def test_an_interrupted_run_is_not_told_to_train_longer(blobs):
    class Interrupt(Callback):
        def on_step_end(self, learner, step):
            signal.raise_signal(signal.SIGINT)

    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, num_layers=2), classes=2)
    settings = {"gradual_unfreezing": True, "epochs": 9, "batch_size": 32, "progress": False}
    history = Learner(model).fine_tune(blobs, callbacks=[Interrupt()], **settings)
    assert history.stopped == "interrupted"
    assert history.report.trained == sum(p.numel() for p in model.head.parameters())
    assert history.report.findings == ()


def test_the_report_leaves_out_a_body_that_stayed_frozen(classifier, blobs):
    model = classifier()
    settings = {"epochs": 2, "progress": False}
    head = sum(p.numel() for p in model.head.parameters())
    frozen = Learner(model).fine_tune(blobs, freeze_body_epochs=2, **settings).report
    assert (frozen.trained, frozen.findings) == (head, ())
    assert Learner(model).fine_tune(blobs, freeze_body_epochs=1, **settings).report.trained == frozen.parameters


def test_rates_fall_by_layer_and_follow_the_slanted_triangle(blobs):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, num_layers=2), classes=2)
    rates = []

    class Watch(Callback):
        def on_step_end(self, learner, step):
            rates.append([group["lr"] for group in learner._session.optimizer.param_groups])

    learner = Learner(model, lr=0.01)
    learner.fine_tune(
        blobs, lr=0.1, discriminative=2.0, schedule="slanted_triangular", epochs=4, batch_size=32, progress=False,
        callbacks=[Watch()],
    )  # fmt: skip
    assert len(rates) == 12
    assert max(rates) == pytest.approx([0.1, 0.05, 0.025])
    assert rates.index(max(rates)) == 1
    assert rates[-1][0] < rates[-2][0] < rates[2][0]
    assert learner._session.optimizer is None


def test_what_is_frozen_by_name_does_not_train(classifier, blobs):
    model = classifier()
    before = named(model)
    history = Learner(model, lr=0.1).fine_tune(blobs, freeze=["body.weight_hh*", "head"], epochs=1, progress=False)
    after = named(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"body.weight_ih_l0", "body.bias_ih_l0", "body.bias_hh_l0"}
    assert history.report.trained == 16 + 8 + 8


# Going on ------------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_only_as_it_was_begun(classifier, blobs, tmp_path):
    def tune(epochs, **plan):
        settings = {"checkpoint": tmp_path, "resume": True, "seed": 0, "progress": False}
        return Learner(classifier()).fine_tune(blobs, epochs=epochs, **{"lr": 1e-3, **plan}, **settings)

    tune(1)
    for plan, named in (({"lr": 0.1}, "lr"), ({"protect": "l2-sp"}, "protect"), ({"replay": blobs}, "replay")):
        with pytest.raises(ConfigError, match=f"fine_tune: {named} was"):
            tune(2, **plan)
    assert len(tune(2).rows) == 2


def test_a_run_without_a_seed_goes_on_with_what_the_first_one_drew(classifier, blobs, tmp_path):
    def tune(epochs, folder):
        settings = {"checkpoint": tmp_path / folder, "resume": True, "validation": 0.25, "progress": False}
        model = classifier()
        protect = EWC(strength=1e4, rows=10)
        Learner(model, lr=0.05).fine_tune(blobs, epochs=epochs, protect=protect, old_data=blobs, **settings)
        return weights(model)

    torch.manual_seed(0)
    whole = tune(2, "whole")
    torch.manual_seed(0)
    tune(1, "parts")
    torch.manual_seed(1)
    assert same(tune(2, "parts"), whole)


@pytest.mark.parametrize("shuffle", [True, False])
def test_validation_as_a_share_takes_the_rows_that_fit_takes(classifier, blobs, shuffle):
    settings = {"validation": 0.25, "epochs": 1, "seed": 3, "shuffle": shuffle, "progress": False}
    fitted = Learner(classifier(), lr=0.0).fit(blobs, **settings)
    tuned = Learner(classifier()).fine_tune(blobs, lr=0.0, **settings)
    assert tuned.rows[0]["val_loss"] == pytest.approx(fitted.rows[0]["val_loss"], rel=1e-6)


# Protection ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protect", [L2SP(alpha=10.0), EWC(strength=1e6, rows=32)], ids=str)
def test_protection_holds_the_weights_and_the_old_classes(classifier, blobs, three, protect):
    def drift(protect):
        learner = trained(classifier, blobs)
        before = named(learner.model.body)
        settings = {"epochs": 4, "lr": 0.02, "seed": 0, "progress": False, "freeze": "head"}
        learner.fine_tune(three, classes=3, old_data=blobs, protect=protect, **settings)
        after = named(learner.model.body)
        return sum(float((after[name] - before[name]).square().sum()) for name in before)

    assert drift(protect) < 0.2 * drift(None)


def test_new_rows_of_a_head_have_no_importance_and_moved_ones_keep_theirs(classifier, blobs):
    learner = trained(classifier, blobs)
    seen = {}

    class Watch(EWC):
        def penalty(self, references):
            seen.update({one.name: one for one in references})
            return super().penalty(references)

        def measure(self, parameters, losses):
            self.found = super().measure(parameters, losses)
            return self.found

    watch = Watch(rows=50)
    names = {"classes": ["b", "c", "a"], "old_classes": ["a", "b"]}
    learner.fine_tune(blobs, old_data=blobs, protect=watch, epochs=1, progress=False, **names)
    head = seen["head.weight"]
    assert torch.equal(head.importance[[2, 0]], watch.found["head.weight"])
    assert head.importance[1].abs().sum() == 0
    assert head.old.flatten().tolist() == [True, False, True]
    assert seen["body.weight_hh_l0"].old is None


def test_reported_losses_leave_the_penalty_out(classifier, blobs):
    losses = []
    for protect in (None, L2SP(alpha=1e-3)):
        learner = trained(classifier, blobs)
        rows = learner.fine_tune(blobs, lr=0.0, epochs=1, protect=protect, seed=0, progress=False).rows
        losses.append(rows[0]["loss"])
    assert losses[0] == pytest.approx(losses[1])


# Adapters ------------------------------------------------------------------------------------------------------------


def test_adapters_and_the_head_train_alone_and_a_failure_takes_them_off(classifier, blobs, three):
    learner = trained(classifier, blobs)
    body = named(learner.model.body)
    history = learner.fine_tune(three, adapters=rnnkit.LoRA(2), classes=3, epochs=3, seed=0, progress=False)
    assert history.report.trained == 2 * (8 + 2) + 2 * (8 + 8) + 27
    assert "adapters: LoRA(rank=2" in str(history.report)
    now = named(learner.model.body)
    assert torch.equal(now["parametrizations.weight_hh_l0.original"], body["weight_hh_l0"])
    assert now["parametrizations.weight_hh_l0.0.B"].abs().sum() > 0
    rnnkit.finetuning.merge_adapters(learner.model)
    assert list(named(learner.model)) == list(named(classifier()))

    learner = trained(classifier, blobs)
    before = weights(learner.model)
    with pytest.raises(DataError, match="NaN|nan"):
        learner.fine_tune((three[0] * float("nan"), three[1]), adapters=rnnkit.LoRA(2), classes=3, progress=False)
    assert same(weights(learner.model), before)
    assert all(p.requires_grad for p in learner.model.parameters())


# The report ----------------------------------------------------------------------------------------------------------


def test_the_report_is_measured_on_validation_and_written_as_json(classifier, blobs, tmp_path):
    learner = trained(classifier, blobs)
    x, y = blobs
    report = learner.fine_tune(blobs, epochs=1, validation=0.25, old_data=blobs, seed=0, progress=False).report
    assert (report.new.rows, report.new_from) == (24, "validation")
    assert report.old.rows == 96
    parts = {"validation": (x[:10], y[:10]), "old_data": blobs, "old_validation": (x[:7], y[:7])}
    held = learner.fine_tune((x, y), epochs=1, progress=False, **parts).report
    assert held.new.after == pytest.approx(learner.evaluate((x[:10], y[:10])))
    assert held.old.after == pytest.approx(learner.evaluate((x[:7], y[:7])))
    assert held.old.rows == 7
    report.to_json(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["new"]["before"].keys() == {"loss", "accuracy"}
    assert content["parameters"] == sum(p.numel() for p in learner.model.parameters())
    replace(report, new=Quality(1, None, {"odd": float("nan")})).to_json(tmp_path / "report.json")
    assert '"odd": null' in (tmp_path / "report.json").read_text()
    text = str(report)
    assert "old accuracy (96 rows)" in text
    assert "parameters trained: 114 of 114 (100.0%)" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_body_epochs": 1, "gradual_unfreezing": True}, "leave freeze_body_epochs out"),
        ({"freeze_body_epochs": -1}, "freeze_body_epochs=-1"),
        ({"freeze": "boddy"}, "did you mean 'body"),
        ({"freeze": ["body", "head"]}, "nothing to train"),
        ({"discriminative": 0}, "discriminative=0"),
        ({"adapters": 8}, r"expected rnnkit.LoRA\(rank=8\)"),
        ({"adapters": rnnkit.LoRA(2), "protect": "l2-sp"}, "choose one"),
        ({"protect": "ewc"}, r"pass old_data=\(X, y\)"),
        ({"protect": "ecw"}, "did you mean 'ewc'"),
        ({"replay": 0.2}, r"pass old_data=\(X, y\)"),
        ({"old_classes": ["a", "b"]}, "without classes"),
        ({"classes": 3, "old_classes": ["a", "b"]}, "names for both"),
        ({"classes": 0}, "classes=0"),
        ({"classes": 1}, "at least two classes apart"),
        ({"classes": ["c"], "old_classes": ["a", "b"]}, "at least two classes apart"),
        ({"classes": ["a", "b"]}, "names of the new and of the old"),
        ({"classes": ["a"], "old_classes": ["a"]}, "1 names but the model's head has 2"),
        ({"validation": 1.0}, "leaves rows on both sides"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_do_not_go_together_are_refused_before_anything_changes(classifier, blobs, settings, message):
    learner = Learner(classifier())
    before = weights(learner.model)
    with pytest.raises(ConfigError, match=message):
        learner.fine_tune(blobs, epochs=1, progress=False, **settings)
    assert same(weights(learner.model), before)
    assert all(p.requires_grad for p in learner.model.parameters())
    assert learner._session.optimizer is None
