"""The adding recipe on sequences short enough for a test."""

import json
from dataclasses import replace

import pytest
import torch

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError
from rnnkit.recipes.adding import Adding, Data, Fit, Model, adding, build, plain
from rnnkit.runs.settings import override


@pytest.fixture(autouse=True)
def one_thread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("whole_pictures")
def test_it_learns_to_add_and_keeps_what_it_learned():
    recipe = Adding(model=Model(hidden_size=32), fit=Fit(epochs=6, lr=1e-2), data=Data(steps=12, rows=3000))
    with runs.start("adding", recipe) as folder:
        metrics = recipe.run(folder)
    assert metrics["test"]["mse"] < 0.02  # 0.167 is what the constant answer has
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert recipe.evaluate(folder) == pytest.approx(metrics["test"])
    assert 0 < recipe.validate(folder)["mse"] < 0.02
    assert {"curves.png", "history.csv", "model.safetensors"} <= {path.name for path in folder.iterdir()}


def test_the_rows_that_judge_are_others():
    recipe = adding()
    from rnnkit.data.problems import adding as rows

    train, _ = rows(10, recipe.data.steps, seed=recipe.seed)
    assert not torch.equal(recipe.test()[0][:10], train)


def test_gates_are_set_for_the_length():
    torch.manual_seed(0)
    body = build(adding().model, 1000).body
    assert isinstance(body, rnnkit.GRU)
    assert body.bias_ih_l0[64:128].max() > 6  # log 999 is 6.9
    assert isinstance(build(plain().model, 1000).body, rnnkit.SimpleRNN)


def test_refused():
    with pytest.raises(ConfigError, match=r"model\.chrono"):
        override(adding(), ["model.cell=simple_rnn"])
    with pytest.raises(ConfigError, match=r"data\.steps=2"):
        replace(adding(), data=Data(steps=2))
    for name, value in {"fit.lr": "-1", "fit.clip_norm": "0", "fit.epochs": "0", "model.init": "identity"}.items():
        with pytest.raises(ConfigError, match=f"{name}={value}"):
            override(adding(), [f"{name}={value}"])
