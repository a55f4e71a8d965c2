import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DivergenceError, RnnkitError
from rnnkit.recipes.mnist import (
    Data,
    Fit,
    Mnist,
    Model,
    build,
    founding,
    mnist,
    permuted,
    pixels,
    rows_gated,
)
from rnnkit.runs.settings import override
from rnnkit.tasks.settings import Schedule
from rnnkit.training.optimization.schedules import SCHEDULES
from rnnkit.training.watching.progress import Progress

FILES = {
    "recipe.json", "versions.json", "metrics.json", "history.csv", "model.safetensors", "training.safetensors",
    "diagnostics.json", "curves.png", "confusion.png", "mistakes.png",
}  # fmt: skip
SMALL = Mnist(model=Model(hidden_size=16, init="keras"), fit=Fit(epochs=2, lr=0.005), device="cpu")


def train(recipe):
    with runs.start("mnist", recipe) as folder:
        metrics = recipe.run(folder)
    return folder, metrics


@pytest.mark.usefixtures("whole_pictures")
def test_the_folder_holds_everything():
    folder, metrics = train(SMALL)
    assert {path.name for path in folder.iterdir()} == FILES
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert metrics["chosen_on"] == "last epoch; nothing was chosen on test data"
    assert (metrics["epochs"], metrics["stopped"]) == (2, "finished")
    assert metrics["seconds"] > 0
    assert metrics["samples_per_second"] > 0
    assert "validation" not in metrics
    rows = (folder / "history.csv").read_text().splitlines()
    assert rows[0].startswith("epoch,loss,accuracy,")
    assert len(rows) == 3
    assert SMALL.evaluate(folder) == metrics["test"]
    with pytest.raises(ConfigError, match="data.holdout=0"):
        SMALL.validate(folder)
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_it_learns():
    _, metrics = train(replace(SMALL, model=Model(hidden_size=32, init="keras"), fit=replace(SMALL.fit, epochs=8)))
    assert metrics["test"]["accuracy"] > 0.9  # chance is 0.1


def test_the_same_seed_gives_the_same_bits_and_another_does_not(monkeypatch):
    monkeypatch.setattr("rnnkit.recipes.mnist.draw", lambda *_: None)
    weights = [rnnkit.load(train(replace(SMALL, seed=seed))[0]).state_dict() for seed in (3, 3, 4)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not any(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_settings_reach_the_network(cell):
    model = build(Model(cell=cell, hidden_size=5, num_layers=2, bidirectional=True, dropout=0.25, pooling="mean"))
    body = model.body
    assert type(body).__name__.lower() == cell.replace("_", "").lower()
    assert (body.hidden_size, body.num_layers, body.bidirectional, body.dropout) == (5, 2, True, 0.25)
    arguments = model.config()["arguments"]
    assert (arguments["classes"], arguments["pooling"], arguments["dropout"]) == (10, "mean", 0.25)
    assert model(torch.zeros(3, 28, 28)).shape == (3, 10)


def test_initial_weights():
    body = build(mnist().model).body
    assert body.nonlinearity == "relu"
    assert torch.equal(body.weight_hh_l0, torch.eye(128))

    model = build(founding().model)
    recurrent = model.body.weight_hh_l0.detach()
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(128), rtol=0, atol=1e-5)
    assert model.body.weight_ih_l0.abs().max() <= (6 / (28 + 128)) ** 0.5
    assert (6 / (10 + 128)) ** 0.5 * 0.9 < model.head.weight.abs().max() <= (6 / (10 + 128)) ** 0.5
    assert not any(bias.any() for bias in (model.head.bias, model.body.bias_ih_l0, model.body.bias_hh_l0))

    tanh = build(Model(nonlinearity="tanh", hidden_size=8)).body.weight_hh_l0.detach()
    torch.testing.assert_close(tanh @ tanh.T, torch.eye(8), rtol=0, atol=1e-5)


def test_the_founding_program_to_the_letter():
    recipe = founding()
    assert recipe.fit == Fit(epochs=10, batch_size=32, lr=1e-3, schedule=None, optimizer="adam", eps=1e-7)
    assert recipe.data == Data()
    model = recipe.model
    assert (model.cell, model.hidden_size, model.num_layers, model.nonlinearity) == ("simple_rnn", 128, 1, "relu")


def test_eps_leaves_the_decay_decoupled():
    """Adam and AdamW differ in their decay alone, and by name both decouple it."""
    images, labels = torch.rand(64, 28, 28), torch.arange(64) % 10
    weights = []
    for optimizer in ("adam", "adamw"):
        learner = replace(SMALL, fit=Fit(eps=1e-7, weight_decay=0.1, optimizer=optimizer)).learner()
        learner.fit((images, labels), epochs=1, batch_size=16, seed=0, progress=False)
        weights.append(torch.cat([weight.flatten() for weight in learner.model.state_dict().values()]))
    assert torch.equal(*weights)


def test_every_schedule_of_the_learner_has_its_name():
    assert set(get_args(Schedule)) == set(SCHEDULES)


def test_images_held_out_are_not_trained_on():
    recipe = replace(SMALL, data=Data(holdout=20))
    everything = rnnkit.data.mnist.load()
    train_set, held_out, test = recipe.splits()
    assert torch.equal(torch.cat([train_set.images, held_out.images]), everything.train.images)
    assert len(held_out.labels) == 20
    assert torch.equal(test.images, everything.test.images)
    _, metrics = train(recipe)
    assert set(metrics["validation"]) == {"loss", "accuracy"}
    assert metrics["chosen_on"].startswith("last epoch")

    few = replace(recipe, data=Data(holdout=20, limit=7)).splits()
    assert [len(split.labels) for split in few] == [7, 7, 7]


def test_early_stopping_chooses_on_the_images_held_out():
    recipe = replace(SMALL, fit=replace(SMALL.fit, epochs=4, early_stopping=4), data=Data(holdout=20))
    folder, metrics = train(recipe)
    assert metrics["chosen_on"] == "validation (20 held-out training images)"
    rows = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    best = min(float(row[rows[0].index("val_loss")]) for row in rows[1:])
    assert metrics["validation"]["loss"] == pytest.approx(best, rel=1e-5)


def interrupt_at_step(monkeypatch, wanted):
    def step(self, step, *_):
        if step == wanted:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "step", step)


@pytest.mark.parametrize(("step", "epochs"), [(3, 0), (13, 1)])
def test_ctrl_c_leaves_a_usable_folder(monkeypatch, step, epochs):
    interrupt_at_step(monkeypatch, step)  # an epoch has 10 steps
    folder, metrics = train(SMALL)
    assert {path.name for path in folder.iterdir()} == FILES - ({"diagnostics.json"} if epochs == 0 else set())
    assert (metrics["stopped"], metrics["epochs"]) == ("interrupted", epochs)
    assert metrics["chosen_on"] == "last step before Ctrl-C; nothing was chosen on test data"
    assert (metrics["samples_per_second"] is None) == (epochs == 0)
    assert SMALL.evaluate(folder) == metrics["test"]


def test_a_run_that_diverges_keeps_what_it_had():
    with pytest.raises(DivergenceError):
        train(replace(SMALL, fit=Fit(optimizer="sgd", lr=1e30)))
    assert list(Path("runs").iterdir()) == []  # not one epoch was finished


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["model.hidden_size=0"], "model.hidden_size=0"),
        (["model.num_layers=0"], "model.num_layers=0"),
        (["model.dropout=1"], "model.dropout=1.0 arrived"),
        (["model.cell=gru", "model.nonlinearity=tanh"], "gru has its own"),
        (["model.cell=gru", "model.init=identity"], "model.init=identity"),
        (["fit.epochs=0"], "epochs=0"),
        (["fit.batch_size=0"], "batch_size=0"),
        (["fit.lr=-1"], "fit.lr=-1"),
        (["fit.clip_norm=0"], "fit.clip_norm=0"),
        (["fit.weight_decay=-1"], "fit.weight_decay=-1"),
        (["fit.recurrent_l2=-1"], "fit.recurrent_l2=-1"),
        (["fit.eps=0"], "fit.eps=0"),
        (["fit.eps=1", "fit.optimizer=sgd"], "fit.eps=1.0 arrived for sgd"),
        (["fit.schedule=plateau"], "fit.schedule=plateau needs images to judge by; add data.holdout=5000"),
        (["fit.early_stopping=2"], "add data.holdout=5000"),
        (["data.holdout=-1"], "data.holdout=-1"),
        (["data.holdout=320"], "expected less than the 320 training images"),
        (["data.limit=0"], "data.limit=0"),
    ],
)
def test_settings_out_of_range_are_refused_and_nothing_stays(assignments, message):
    with pytest.raises(ConfigError) as caught:
        train(override(SMALL, assignments))
    assert message in str(caught.value)
    assert isinstance(caught.value, RnnkitError)
    assert not Path("runs").exists() or list(Path("runs").iterdir()) == []


@pytest.mark.parametrize("make", [rows_gated, pixels, permuted])
def test_the_gated_readers_train_and_are_read_again(make, monkeypatch):
    """On a few images, one step's worth: 784 steps a row are slow."""
    monkeypatch.setattr("rnnkit.recipes.mnist.draw", lambda *_: None)
    recipe = override(make(), ["model.hidden_size=8", "fit.epochs=1", "data.limit=8", "device=cpu"])
    folder, metrics = train(recipe)
    assert metrics["epochs"] == 1
    assert recipe.evaluate(folder) == pytest.approx(metrics["test"])
    front = rnnkit.load(folder).front
    assert (front is None) == (recipe.data.order == "rows")
    if front is not None:
        assert (front.permutation is not None) == (recipe.data.order == "permuted")


def test_single_pixels_have_settings_of_their_own():
    with pytest.raises(ConfigError, match=r"data\.shift=1"):
        override(mnist(), ["data.shift=1"])
    with pytest.raises(ConfigError, match=r"model\.chrono"):
        override(mnist(), ["model.chrono=true"])
