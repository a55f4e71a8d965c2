"""Figures that are measured of the model after each epoch: columns of the history, and what chooses the epoch."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training import ValidationFigures


def fitted(figures, tmp_path=None, epochs=3, **more):
    torch.manual_seed(0)
    x = torch.randn(12, 2)
    learner = rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse", lr=0.1)
    given = {"validation": 0.5, "seed": 0, "progress": False, "callbacks": [figures]} | more
    return learner, learner.fit((x, x.sum(1)), epochs=epochs, **given)


def measured(seen, values):
    """A figure that takes these values, epoch after epoch; it notes the modes and weights."""

    def measure(model):
        seen.append((model.training, torch.is_grad_enabled(), model.weight.detach().clone()))
        return {"figure": values[len(seen) - 1]}

    return measure


@pytest.mark.parametrize(("higher", "best"), [(True, 2), (False, 3)])
def test_the_epoch_is_chosen_by_the_figure(higher, best):
    seen = []
    figures = ValidationFigures({"figure": higher}, measured(seen, [2.0, torch.tensor(3.0), 1.0]))
    learner, history = fitted(figures, monitor="val_figure", restore_best=True)
    assert history["val_figure"] == [2.0, 3.0, 1.0]
    assert history.best_epoch == best
    assert [one[:2] for one in seen] == [(False, False)] * 3
    assert learner.model.training
    assert torch.equal(learner.model.weight, seen[best - 1][2])
    assert {"val_loss", "loss"} < set(history.columns)


def test_the_figure_is_of_the_averaged_weights():
    seen = []
    learner, _ = fitted(ValidationFigures({"figure": True}, measured(seen, [0.0] * 3)), average="ema")
    assert torch.equal(learner.model.weight, seen[-1][2])


def test_figures_are_refused_that_cannot_be():
    with pytest.raises(ConfigError, match="without validation data; pass validation="):
        fitted(ValidationFigures({"figure": True}, dict), validation=None)
    with pytest.raises(ConfigError, match=r"measure returned \['other'\]; expected figure, too"):
        fitted(ValidationFigures({"figure": True}, lambda model: {"other": 1}))
    with pytest.raises(ConfigError, match="is no column of this run; did you mean 'val_figure'"):
        fitted(ValidationFigures({"figure": True}, dict), monitor="val_figur")
    for names in ({"loss": True}, {}, {"val_a": True}):
        with pytest.raises(ConfigError, match="expected names of figures of your own"):
            ValidationFigures(names, dict)


def test_the_figure_is_drawn():
    _, history = fitted(ValidationFigures({"figure": True}, measured([], [0.0, 1.0, 2.0])))
    assert [axes.get_ylabel() for axes in history.plot().axes] == ["loss", "figure"]
