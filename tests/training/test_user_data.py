"""What users' numbers and labels become on their way to a model, and what is said about those that do not fit."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from fitting import quiet, same, weights
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import rnnkit
from rnnkit.data import SeriesSet
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.tasks.series import Fit, classify
from rnnkit.training.learner import Learner
from rnnkit.types import Sequences

# Shapes --------------------------------------------------------------------------------------------------------------


def univariate():
    torch.manual_seed(0)
    return rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), classes=2)


@pytest.mark.parametrize(
    "make",
    [lambda x: x, pd.DataFrame, torch.tensor, lambda x: (x * 9).astype(int)],
    ids=["array", "DataFrame", "tensor", "integers"],
)
def test_an_error_shows_the_shape_that_arrived_and_its_remedy_works(make):
    x, y = np.random.default_rng(0).normal(size=(10, 24)), np.arange(10) % 2
    learner = Learner(univariate())
    given = make(x)
    with pytest.raises(ShapeError, match=r"x has shape \[10, 24\].* type np.asarray\(x\)\[..., None\]$") as caught:
        quiet(learner, given, y=y)
    typed = str(caught.value).split("type ")[-1]
    quiet(learner, eval(typed, {"np": np, "x": given}), y=y)


def test_remedies_for_axes_and_ids_work_on_arrays():
    x, y = np.random.default_rng(0).normal(size=(10, 7, 1)), np.arange(10) % 2
    with pytest.raises(ShapeError, match=r"\[10, 1, 7\].*np.swapaxes\(x, 1, 2\)"):
        quiet(Learner(univariate()), np.swapaxes(x, 1, 2), y=y)
    quiet(Learner(univariate()), np.swapaxes(np.swapaxes(x, 1, 2), 1, 2), y=y)
    words = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), classes=2, front=nn.Embedding(9, 3))
    ids = np.random.default_rng(0).integers(0, 9, (10, 5)).astype(float)
    with pytest.raises(ShapeError, match=r"\[10, 5\] and is torch.float32.*np.asarray\(x\).astype\(int\)"):
        quiet(Learner(words), ids, y=y)
    quiet(Learner(words), np.asarray(ids).astype(int), y=y)


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_a_sequence_without_a_step_is_named(classifier, make):
    rows = [make((0, 2)), make((3, 2)), make((2, 2))]
    with pytest.raises(DataError, match=r"sequence 0 has shape \(0, 2\), no step; expected at least one"):
        quiet(Learner(classifier()), rows, y=[0, 1, 0])
    with pytest.raises(DataError, match=r"sequence 2 has shape \(0,\), no step"):
        Sequences.from_list([[1.0], [1.0, 2.0], []])
    with pytest.raises(DataError, match=r"sequence 1 has shape \(2, 3\); expected \(time, 2\) as in sequence 0"):
        Sequences.from_list([make((3, 2)), make((2, 3))])


def test_columns_of_new_frames_are_compared_with_those_of_training(classifier):
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"x": rng.normal(size=4), "y": rng.normal(9, 1, 4)}) for _ in range(6)]
    y, swapped = [0, 1] * 3, [frame[["y", "x"]] for frame in frames]
    learner = Learner(classifier())
    quiet(learner, frames, y=y)
    advice = r"DataFrame 0 has the columns 'y', 'x'; the model was trained on 'x', 'y': X = \[frame"
    for call in (learner.predict, lambda given: learner.evaluate(given, y), lambda given: learner.fine_tune(given, y)):
        with pytest.raises(DataError, match=advice) as caught:
            call(swapped)
        assert torch.equal(
            learner.predict(eval(str(caught.value).split("X = ")[1], {"X": swapped})), learner.predict(frames)
        )
    learner.fine_tune(frames, y, epochs=1, progress=False)
    with pytest.raises(DataError, match=advice):
        learner.predict(swapped)
    with pytest.raises(DataError, match="DataFrame 1 has the columns 'y', 'x'"):
        quiet(Learner(classifier()), [frames[0], *swapped[1:]], y=y)
    with pytest.raises(DataError, match="DataFrame 0 has the columns 'x', 'z'; the model was trained on 'x', 'y'$"):
        learner.predict([frame.rename(columns={"y": "z"}) for frame in frames])
    learner.predict([frame.to_numpy() for frame in frames])
    table = pd.DataFrame(rng.normal(size=(6, 3)), columns=list("abc"))
    flat = Learner(nn.Linear(3, 2), loss="cross_entropy")
    quiet(flat, table, y=y)
    with pytest.raises(DataError, match=r"the DataFrame has the columns 'c', 'a', 'b'; .*: X = X\[\['a', 'b', 'c'\]\]"):
        flat.predict(table[["c", "a", "b"]])


def test_an_array_of_arrays_is_a_list(classifier):
    rows = np.empty(4, object)
    rows[:] = [np.ones((length, 2)) for length in (3, 2, 4, 3)]
    learner = Learner(classifier())
    quiet(learner, rows, y=np.array([0, 1, 0, 1], object))
    assert torch.equal(learner.predict(rows), learner.predict(list(rows)))


# Scale ---------------------------------------------------------------------------------------------------------------

PIXELS = torch.randint(0, 256, (8, 5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(8) % 2


@pytest.mark.parametrize(
    "data",
    [
        (PIXELS, LABELS),
        (PIXELS.numpy().astype(int), LABELS),
        (PIXELS.float(), LABELS),
        ([row[: 2 + at % 3].numpy() for at, row in enumerate(PIXELS)], LABELS),
        TensorDataset(PIXELS, LABELS),
        DataLoader(TensorDataset(PIXELS, LABELS), batch_size=4),
        [(PIXELS, LABELS)],
    ],
    ids=["tensor", "int64", "floats", "list", "dataset", "loader", "batches"],
)
def test_bytes_are_warned_of_in_every_form(classifier, data):
    with pytest.warns(UserWarning, match="bytes up to .*divide by 255") as caught:
        quiet(Learner(classifier()), data)
    assert len(caught) == 1


def test_an_offset_that_float32_cannot_resolve_is_warned_of(classifier, blobs):
    x, y = blobs[0].double() + torch.tensor([0.0, 1e7]), blobs[1]
    for data in ((x, y), (x.numpy(), y), list(x.numpy()), [(x, y)]):
        with pytest.warns(UserWarning, match=r"input 1 has values of about 1e\+07 .*: subtract the mean while"):
            quiet(Learner(classifier()), data, **({"y": y} if isinstance(data, list) and len(data) > 1 else {}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(Learner(classifier()), x - x.mean((0, 1)), y=y)
        quiet(Learner(classifier().double(), precision="64-true"), x, y=y)
        quiet(Learner(classifier()), (10 * blobs[0]).abs().round(), y=y)  # counts
        quiet(Learner(nn.Sequential(nn.Embedding(300, 2), nn.Flatten(), nn.Linear(10, 2)), loss="cross_entropy"),
              PIXELS[..., 0].long(), y=LABELS)  # fmt: skip


# Labels --------------------------------------------------------------------------------------------------------------

MISSING = {
    "None": lambda names: [*names[:-1], None],
    "NaN in a list": lambda names: [*names[:-1], float("nan")],
    "NaN in an array": lambda names: np.array([*names[:-1], np.nan], object),
    "text nan of NumPy": lambda names: np.array([*names[:-1], np.nan]),
    "None first": lambda names: [None, *names[1:]],
    "a Series": lambda names: pd.Series([*names[:-1], None], dtype="string"),
    "numbers": lambda names: np.array([*range(len(names) - 1), None]),
}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_a_missing_label_is_no_class(classifier, blobs, missing):
    x, y = blobs[0][:6], missing(["a", "b"] * 3)
    calls = [
        lambda x, y: quiet(Learner(classifier(6)), x, y=y),
        lambda x, y: SeriesSet.from_arrays(x.numpy(), y),
        lambda x, y: classify(x.numpy(), y, fit=Fit(steps=1)),
        lambda x, y: rnnkit.RNNClassifier(epochs=1, hidden_size=2, front="none").fit(x.numpy(), y),
    ]
    for call in calls:
        with pytest.raises(DataError, match="holds? no label in row [05]: .*leave these rows out: keep = ") as caught:
            call(x, y)
        y = np.asarray(y, object) if isinstance(y, list) else y
        typed = str(caught.value).split("keep = ")[1].split(", then")[0]
        keep = np.asarray(eval(typed, {"pandas": pd, "y": y}), bool)
        assert keep.sum() == 5
        call(x[torch.tensor(keep)], y[keep])


def test_names_in_rows_of_unequal_lengths(tagger):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(length, 2)) for length in (3, 5, 2, 4)]
    numbers = [(row[:, 0] > 0).astype(int) for row in x]
    expected = Learner(tagger())
    quiet(expected, x, y=numbers)
    names = np.array(["low", "up"])
    for targets in ([names[row] for row in numbers], [names[row].tolist() for row in numbers]):
        learner = Learner(tagger())
        quiet(learner, x, y=targets, validation=(x, targets))
        assert learner.class_names == ("low", "up")
        assert same(weights(learner.model), weights(expected.model))
    with pytest.raises(DataError, match="only some of the rows of targets hold names"):
        quiet(Learner(tagger()), x, y=[names[numbers[0]], *numbers[1:]])


class Named(Dataset):
    def __init__(self, x, names):
        self.x, self.names = x, names

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.names[index]


def test_names_in_batches_are_those_of_the_model(blobs):
    x, names = blobs[0], np.array(["no", "yes"])[blobs[1]]

    def model(classes):
        torch.manual_seed(0)
        return rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=classes)

    expected = Learner(model(2))
    quiet(expected, x, y=blobs[1], shuffle=False)
    batches = [(x[at : at + 32], names[at : at + 32]) for at in range(0, 96, 32)]
    for data in (batches, Named(x, names.tolist()), DataLoader(Named(x, names.tolist()), batch_size=32)):
        learner = Learner(model(["no", "yes"]))
        quiet(learner, data, shuffle=False)
        assert same(weights(learner.model), weights(expected.model))
        assert learner.evaluate(data)["accuracy"] == pytest.approx(expected.evaluate(x, blobs[1])["accuracy"])
        with pytest.raises(
            DataError, match=r"'no' arrived in a batch.*name them in the model: classes=\['name', ...\]"
        ):
            quiet(Learner(model(2)), data)
    with pytest.raises(DataError, match="the label 'yes' is none of the classes"):
        quiet(Learner(model(["no", "maybe"])), batches)


@pytest.mark.parametrize(
    ("shift", "classes", "advice"),
    [
        (5, 5, "labels run from 5 to 9; expected 0 to 4: subtract 5, or give the model 10 classes, classes=10"),
        (1, 5, "labels run from 1 to 5; expected 0 to 4: subtract 1, or give the model 6 classes, classes=6"),
        (0, 3, "labels run from 0 to 4; expected 0 to 2: give the model 5 classes, classes=5"),
        (-1, 5, "labels run from -1 to 3; expected 0 to 4: negative labels are not classes"),
    ],
)
def test_labels_out_of_range_say_what_to_do(classifier, blobs, shift, classes, advice):
    x, y = blobs[0][:20], torch.arange(20) % 5
    with pytest.raises(DataError, match=advice):
        quiet(Learner(classifier(classes)), x, y=y + shift)
    learner = Learner(classifier(2))
    quiet(learner, blobs)
    with pytest.raises(DataError, match=advice):
        learner.fine_tune(x, y + shift, classes=classes, epochs=1, progress=False)
    if "classes=" in advice:
        learner.fine_tune(x, y + shift, classes=int(advice.split("classes=")[1]), epochs=1, progress=False)


# Losses and metrics --------------------------------------------------------------------------------------------------


def one_output():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(10, 1))


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits])
def test_a_loss_of_pytorch_says_what_the_outputs_are(blobs, loss):
    x, y = blobs
    metrics = ["accuracy", "f1", "auc"]
    named, own = (
        Learner(one_output(), loss="bce_logits", metrics=metrics),
        Learner(one_output(), loss=loss, metrics=metrics),
    )
    quiet(named, x, y=y)
    quiet(own, x, y=y)
    assert same(weights(named.model), weights(own.model))
    assert own.evaluate(x, y) == named.evaluate(x, y)
    assert torch.equal(own.predict_proba(x), named.predict(x).sigmoid())
    assert own.evaluate(x, y)["accuracy"] == pytest.approx(
        ((own.predict(x)[:, 0] > 0) == (y == 1)).float().mean().item()
    )


def test_cross_entropy_of_pytorch_has_probabilities_and_names(classifier, blobs):
    x, y = blobs
    learner = Learner(classifier(), loss=nn.CrossEntropyLoss(ignore_index=-100))
    quiet(learner, x, y=np.array(["no", "yes"])[y])
    assert torch.equal(learner.predict_proba(x), learner.predict(x).softmax(-1))
    assert set(learner.predict_classes(x)) == {"no", "yes"}
    quiet(Learner(classifier(), loss=nn.CrossEntropyLoss(ignore_index=-100)), x, y=torch.where(y == 1, -100, 0))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "auc"])
def test_a_metric_of_classes_is_refused_for_numbers_at_the_first_batch(blobs, metric):
    learner = Learner(one_output(), loss="mse", metrics=[metric])
    steps = []
    with pytest.raises(ConfigError, match=f"'{metric}' is one of classes.*for numbers type metrics=") as caught:
        quiet(learner, blobs[0], y=blobs[0].sum((1, 2)), batch_size=8, callbacks=[Steps(steps)])
    assert len(steps) <= 1
    typed = str(caught.value).split("metrics=")[1]
    quiet(Learner(one_output(), loss="mse", metrics=eval(typed)), blobs[0], y=blobs[0].sum((1, 2)))


@pytest.mark.parametrize("metric", ["mse", "rmse", "mae", "r2"])
def test_a_metric_of_numbers_is_refused_for_classes(classifier, blobs, metric):
    with pytest.raises(ConfigError, match=f"'{metric}' compares numbers.*for classes type metrics=") as caught:
        quiet(Learner(classifier(), metrics=[metric]), blobs)
    quiet(Learner(classifier(), metrics=eval(str(caught.value).split("metrics=")[1])), blobs)


class Steps(rnnkit.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, learner, step):
        self.steps.append(step)


def test_ctc_takes_rows_without_labels(tagger):
    x = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(0))
    rows = [[1, 2], [], [1], []]
    expected = None
    for empty in ([], np.array([], int), torch.tensor([], dtype=torch.int64)):
        learner = Learner(tagger(3), objective="ctc")
        loss = learner.evaluate(x, [row or empty for row in rows])["loss"]
        log_p = learner.predict(x).log_softmax(-1).transpose(0, 1)
        targets, lengths = torch.tensor([1, 2, 1]), torch.tensor([2, 0, 1, 0])
        each = F.ctc_loss(log_p, targets, torch.full((4,), 6), lengths, reduction="none")
        expected = each.sum().item() / 5  # a row without labels counts as one label
        assert loss == pytest.approx(expected, rel=1e-5)
        quiet(learner, x, y=[row or empty for row in rows], batch_size=1)
    quiet(Learner(tagger(3), objective="ctc"), x, y=[[]] * 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(DataError, match="row 1 has no target step; expected at least one"):
        quiet(Learner(model, loss="mse", objective="horizon"), x, y=[[1.0, 2.0], [], [3.0], [1.0]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "crossentropy"}, "loss='crossentropy' arrived; did you mean 'cross_entropy'?"),
        ({"loss": ["mse"]}, "loss=['mse'] arrived; "),
        ({"optimizer": "adamm"}, "optimizer='adamm' arrived; did you mean 'adam'?"),
        ({"objective": "sequnce"}, "objective='sequnce' arrived; did you mean 'sequence'?"),
        ({"metrics": "acuracy"}, "metrics='acuracy' arrived; did you mean 'accuracy'?"),
        ({"precision": "bf16"}, "precision='bf16' arrived; did you mean 'bf16-true'?"),
        ({"device": "cpuu"}, "device='cpuu' arrived; did you mean 'cpu'?"),
        ({"device": "gpu"}, "device='gpu' arrived; "),
    ],
)
def test_options_are_refused_in_one_style(classifier, settings, message):
    with pytest.raises(ConfigError) as caught:
        Learner(classifier(), **settings)
    assert str(caught.value).startswith(message)


def test_names_of_options_may_be_numpys(classifier):
    assert Learner(classifier(), loss=np.str_("cross_entropy"), optimizer=np.str_("sgd")).class_names is None


def test_a_gpu_is_called_cuda_where_there_is_one(monkeypatch, classifier):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="did you mean 'cuda'"):
        Learner(classifier(), device="gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="expected 'auto' or 'cpu': torch finds no GPU"):
        Learner(classifier(), device="gpu")
