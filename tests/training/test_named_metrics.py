"""Metrics by name, beside scikit-learn's on the same predictions."""

from __future__ import annotations

import math
import signal
import warnings

import numpy as np
import pytest
import torch
from fitting import quiet
from scipy import stats
from sklearn import metrics as sk

from rnnkit import Callback, Learner, Sequences
from rnnkit.errors import ConfigError
from rnnkit.training.watching import metrics as module
from rnnkit.training.watching.metrics import Metrics
from rnnkit.training.watching.named_metrics import NamedMetric, known_names

ROWS, CLASSES = 120, 4


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def labels(classes: int) -> torch.Tensor:
    return torch.randint(classes, (ROWS,), generator=torch.Generator().manual_seed(1))


def figure(name: str, output: torch.Tensor, targets: torch.Tensor, *, logits: bool = False) -> float:
    """Of batches that come in three pieces, without a warning."""
    metrics = Metrics(name, logits=logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pair in zip(output.split(50), targets.split(50), strict=True):
            metrics.add(*pair)
        return metrics.compute()[name]


# The names, and scikit-learn's figure of true classes, predicted classes and probabilities [n, C].
OF_CLASSES = {
    "accuracy": lambda y, p, s: sk.accuracy_score(y, p),
    "balanced_accuracy": lambda y, p, s: sk.balanced_accuracy_score(y, p),
    "cohen_kappa": lambda y, p, s: sk.cohen_kappa_score(y, p),
    "matthews": lambda y, p, s: sk.matthews_corrcoef(y, p),
    "f1": lambda y, p, s: sk.f1_score(y, p, average="macro"),
    "f1_macro": lambda y, p, s: sk.f1_score(y, p, average="macro"),
    "f1_micro": lambda y, p, s: sk.f1_score(y, p, average="micro"),
    "f1_weighted": lambda y, p, s: sk.f1_score(y, p, average="weighted"),
    "precision_weighted": lambda y, p, s: sk.precision_score(y, p, average="weighted"),
    "recall_macro": lambda y, p, s: sk.recall_score(y, p, average="macro"),
    "jaccard": lambda y, p, s: sk.jaccard_score(y, p, average="macro"),
    "auc": lambda y, p, s: sk.roc_auc_score(y, s, multi_class="ovr"),
    "auroc_weighted": lambda y, p, s: sk.roc_auc_score(y, s, multi_class="ovr", average="weighted"),
    "average_precision": lambda y, p, s: sk.average_precision_score(np.eye(CLASSES)[y], s, average="macro"),
    "top2_accuracy": lambda y, p, s: sk.top_k_accuracy_score(y, s, k=2),
    "top9_accuracy": lambda y, p, s: 1.0,
    "hamming_distance_micro": lambda y, p, s: sk.hamming_loss(y, p),
}


@pytest.mark.parametrize("waiting", [1, 1 << 22])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_of_several_classes(name, waiting, monkeypatch):
    monkeypatch.setattr(module, "_WAITING", waiting)
    output, targets = 2 * random(ROWS, CLASSES), labels(CLASSES)
    expected = OF_CLASSES[name](targets.numpy(), output.argmax(1).numpy(), output.double().softmax(1).numpy())
    assert figure(name, output, targets) == pytest.approx(expected, abs=1e-6)


OF_TWO = {
    "accuracy": lambda y, p, s: sk.accuracy_score(y, p),
    "balanced_accuracy": lambda y, p, s: sk.balanced_accuracy_score(y, p),
    "f1": lambda y, p, s: sk.f1_score(y, p),
    "f1_macro": lambda y, p, s: sk.f1_score(y, p, average="macro"),
    "precision": lambda y, p, s: sk.precision_score(y, p),
    "recall": lambda y, p, s: sk.recall_score(y, p),
    "sensitivity": lambda y, p, s: sk.recall_score(y, p),
    "specificity": lambda y, p, s: sk.recall_score(y, p, pos_label=0),
    "auc": lambda y, p, s: sk.roc_auc_score(y, s),
    "roc_auc_macro": lambda y, p, s: sk.roc_auc_score(y, s),
    "average_precision": lambda y, p, s: sk.average_precision_score(y, s),
    "mcc": lambda y, p, s: sk.matthews_corrcoef(y, p),
    "cohen_kappa": lambda y, p, s: sk.cohen_kappa_score(y, p),
    "jaccard": lambda y, p, s: sk.jaccard_score(y, p),
    "top1_accuracy": lambda y, p, s: sk.accuracy_score(y, p),
}


SHOWN = ["logits of two", "logits", "logits [n, 1]", "probabilities", "unsaid logits"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [(name, shown) for name in OF_TWO for shown in SHOWN if (name, shown) != ("accuracy", "unsaid logits")],
)
def test_of_two_classes(name, shown):
    """The second class is that which is found, from two outputs or from one."""
    logits, targets = random(ROWS), labels(2)
    expected = OF_TWO[name](targets.numpy(), (logits > 0).long().numpy(), logits.numpy())
    if shown == "logits of two":
        assert figure(name, torch.stack([-logits / 2, logits / 2], 1), targets) == pytest.approx(expected, abs=1e-6)
        return
    output = logits.sigmoid() if shown == "probabilities" else logits[:, None] if "[n, 1]" in shown else logits
    wanted = targets.float().reshape(output.shape)
    assert figure(name, output, wanted, logits=shown.startswith("logits")) == pytest.approx(expected, abs=1e-6)


def test_of_several_labels():
    output, targets = random(ROWS, 3), (random(ROWS, 6)[:, ::2] > 0.3).float()
    predicted, true = (output > 0).numpy(), targets.numpy()
    for average in ("macro", "micro", "weighted"):
        expected = sk.f1_score(true, predicted, average=average)
        assert figure(f"f1_{average}", output, targets, logits=True) == pytest.approx(expected, abs=1e-6)
    assert figure("auc", output, targets, logits=True) == pytest.approx(sk.roc_auc_score(true, output), abs=1e-6)
    assert figure("exact_match", output, targets, logits=True) == pytest.approx(sk.accuracy_score(true, predicted))
    with pytest.raises(ConfigError, match="not defined for several labels"):
        figure("cohen_kappa", output, targets, logits=True)


OF_NUMBERS = {
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
    "explained_variance": sk.explained_variance_score,
    "pearson": lambda y, p: np.corrcoef(y, p)[0, 1],
    "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    "smape": lambda y, p: np.mean(2 * np.abs(y - p) / (np.abs(y) + np.abs(p))),
    "mean_absolute_error": sk.mean_absolute_error,
    "log_cosh_error": lambda y, p: np.log(np.cosh(y - p)).mean(),
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers(name):
    """Far from 0, where float32 sums of squares would lose the spread."""
    level = 3000.0 if name not in ("mse", "rmse", "mae") else 0.0
    targets = random(ROWS) + level
    output = targets + 0.5 * random(2 * ROWS)[ROWS:]
    expected = OF_NUMBERS[name](targets.double().numpy(), output.double().numpy())
    assert figure(name, output[:, None], targets[:, None]) == pytest.approx(expected, rel=1e-5)


def test_of_several_numbers():
    targets = random(ROWS, 3) * torch.tensor([1.0, 10.0, 100.0])
    output = targets + random(2 * ROWS, 3)[ROWS:]
    assert figure("r2", output, targets) == pytest.approx(sk.r2_score(targets, output), abs=1e-6)
    each = [np.corrcoef(targets[:, at], output[:, at])[0, 1] for at in range(3)]
    assert figure("pearson", output, targets) == pytest.approx(np.mean(each), abs=1e-6)
    cosine = torch.nn.functional.cosine_similarity(output, targets).mean().item()
    assert figure("cosine_similarity", output, targets) == pytest.approx(cosine, abs=1e-6)
    with pytest.raises(ConfigError, match="as many targets as outputs"):
        figure("r2", random(ROWS, CLASSES), labels(CLASSES))
    with pytest.raises(ConfigError, match="is one of classes"):
        figure("f1", random(ROWS), random(ROWS))


@pytest.mark.parametrize("name", ["auc", "auc_weighted", "average_precision", "eer"])
def test_what_the_data_does_not_define_is_nan(name):
    logits = random(ROWS)
    nothing = torch.zeros(ROWS)
    assert math.isnan(figure(name, logits, nothing, logits=True))
    assert math.isnan(figure(name, torch.stack([logits, -logits], 1), nothing.long()))


def test_classes_that_are_missing_are_left_out():
    """scikit-learn refuses them for the AUC; here the others are averaged, as its balanced accuracy does."""
    output, targets = 2 * random(ROWS, CLASSES), labels(CLASSES - 1)
    scores = output.softmax(1)
    each = [sk.roc_auc_score((targets == at).numpy(), scores[:, at]) for at in range(CLASSES - 1)]
    assert figure("auc", output, targets) == pytest.approx(np.mean(each), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.balanced_accuracy_score(targets, output.argmax(1))
    assert figure("balanced_accuracy", output, targets) == pytest.approx(expected, abs=1e-6)


def test_one_target_has_no_spread():
    for name in ("r2", "pearson", "spearman"):
        assert math.isnan(figure(name, random(1), random(1)))


def test_labels_that_a_loss_ignores_are_left_out():
    output, targets = random(ROWS, CLASSES), labels(CLASSES)
    targets[::3] = -100
    kept = targets >= 0
    expected = sk.f1_score(targets[kept], output[kept].argmax(1), average="macro")
    assert figure("f1", output, targets) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ConfigError, match="label 4 arrived for outputs of 4 classes"):
        figure("f1", output, torch.full((ROWS,), 4))


def test_ragged_steps_count_without_their_padding():
    """A learner hands over the valid steps alone."""
    torch.manual_seed(0)

    class Steps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(2, 3)

        def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
            return self.head(x)  # padded steps have outputs too

    x = [torch.randn(length, 2) for length in (3, 9, 1, 5, 7, 7)]
    y = [torch.randint(3, (len(row),)) for row in x]
    model = Steps()
    found = Learner(model, loss="cross_entropy", metrics=["f1", "auc", "recall_weighted"]).evaluate(
        (Sequences.from_list(x), y), batch_size=4
    )
    true, output = torch.cat(y).numpy(), model(torch.cat(x)).detach()
    assert found["f1"] == pytest.approx(sk.f1_score(true, output.argmax(1), average="macro"), abs=1e-6)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(true, output.softmax(1), multi_class="ovr"), abs=1e-6)
    assert found["recall_weighted"] == pytest.approx(sk.recall_score(true, output.argmax(1), average="weighted"))


@pytest.mark.parametrize("waiting", [1, 60, 1 << 22])
def test_a_part_of_an_epoch_is_stored_with_the_number_of_classes(waiting, monkeypatch, tmp_path):
    from rnnkit.serialization import read_values, write_values

    monkeypatch.setattr(module, "_WAITING", waiting)
    names = ["f1", "auc", "balanced_accuracy", "top2_accuracy", "accuracy"]
    output, targets = random(ROWS, CLASSES), labels(CLASSES)
    whole, first, second = Metrics(names), Metrics(names), Metrics(names)
    assert first.can_pause
    for piece in range(0, ROWS, 30):
        whole.add(output[piece : piece + 30], targets[piece : piece + 30])
        half = first if piece < ROWS / 2 else second
        if piece == ROWS / 2:
            write_values(first.state_dict(), tmp_path / "state")
            second.load_state_dict(read_values(tmp_path / "state"))
        half.add(output[piece : piece + 30], targets[piece : piece + 30])
    assert whole.compute() == second.compute()
    second.add(output[:30], targets[:30])  # nothing is left
    assert second.compute()["f1"] == figure("f1", output[:30], targets[:30])


def test_a_run_resumes_in_the_middle_of_an_epoch(tmp_path, blobs):
    def learner() -> Learner:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(blobs[0][0].numel(), 2))
        return Learner(model, loss="cross_entropy", metrics=["f1", "auc"])

    class Stop(Callback):
        def on_step_end(self, learner: Learner, step: int) -> None:
            if step == 4:
                signal.raise_signal(signal.SIGINT)

    settings = {"epochs": 2, "batch_size": 8, "seed": 0, "validation": blobs, "checkpoint_every": 1}
    whole = quiet(learner(), blobs, checkpoint=tmp_path / "whole", **settings)
    cut = learner()
    quiet(cut, blobs, checkpoint=tmp_path / "cut", callbacks=[Stop()], **settings)
    resumed = quiet(learner(), blobs, checkpoint=tmp_path / "cut", resume=True, **settings)
    for name in ("f1", "auc", "val_f1", "val_auc"):
        assert [row[name] for row in resumed.rows] == [row[name] for row in whole.rows], name


def test_a_new_head_has_another_number_of_classes():
    metrics = Metrics("f1")
    for classes in (CLASSES, 7):
        output, targets = random(ROWS, classes), labels(classes)
        metrics.add(output, targets)
        expected = sk.f1_score(targets, output.argmax(1), average="macro")
        assert metrics.compute()["f1"] == pytest.approx(expected, abs=1e-6)


def test_a_look_in_between_asks_no_metric_that_keeps_all_outputs():
    metrics = Metrics(["f1", "auc", "accuracy"])
    metrics.add(random(ROWS, CLASSES), labels(CLASSES))
    assert set(metrics.peek()) == {"f1", "accuracy"}
    assert set(metrics.compute()) == {"f1", "auc", "accuracy"}


def test_directions():
    names = ["f1", "auc", "specificity", "pearson", "r2", "smape", "calibration_error", "top5_accuracy"]
    metrics = Metrics(names)
    assert [metrics.higher_is_better(name) for name in names] == [True, True, True, True, True, False, False, True]


@pytest.mark.parametrize("name", known_names())
def test_every_name_is_a_number_or_says_what_to_pass(name):
    """On targets that it is of."""
    if name in ("critical_success_index", "f_beta_score", "minkowski_distance") or "_at_" in name:
        with pytest.raises(ConfigError, match=r"needs the setting '\w+'; pass the object"):
            NamedMetric(name)
        return
    if name in ("exact_match",):
        pair = random(ROWS, 3), (random(ROWS, 3) > 0).float()
    elif NamedMetric(name)._of_numbers if name not in ("accuracy", "mse", "rmse", "mae") else name != "accuracy":
        pair = random(ROWS).abs() + 1, random(ROWS).abs() + 0.5
    else:
        pair = random(ROWS, 2), labels(2)
    assert math.isfinite(figure(name, *pair))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("f1score", "metrics='f1score' arrived; did you mean 'f1_score'"),
        ("acuracy", "did you mean 'accuracy'"),
        ("balanced_acc", "did you mean 'balanced_accuracy'"),
        ("confusion_matrix", "is not one number of outputs and targets; pass the object"),
        ("f_beta_score", "needs the setting 'beta'; pass the object"),
        ("r2_macro", "no average over classes; expected 'r2'"),
        ("auc_micro", "expected 'auc_macro' or 'auc_weighted'"),
        ("top0_accuracy", "at least 1, such as 'top5_accuracy'"),
        (3, "3 arrived as a metric; expected a name such as 'f1'"),
        ([None], "None arrived as a metric"),
        (dict, r"the class dict arrived as a metric; expected an object: dict\(...\)"),
    ],
)
def test_what_is_refused(chosen, message):
    with pytest.raises(ConfigError, match=message):
        Metrics(chosen)
