"""What users of other libraries type: fit(X, y), names for classes, probabilities, settings under other names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from fitting import quiet, same, trained, weights
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training.learner import Learner


def test_x_and_y_are_a_pair_or_two_arguments(classifier, blobs):
    pair, two = Learner(classifier()), Learner(classifier())
    quiet(pair, blobs)
    quiet(two, blobs[0], y=blobs[1])
    assert same(weights(pair.model), weights(two.model))
    assert pair.evaluate(blobs) == two.evaluate(*blobs)


def test_validation_split_is_keras_name_for_a_share(classifier, blobs):
    ours, theirs = Learner(classifier()), Learner(classifier())
    quiet(ours, blobs, validation=0.25)
    quiet(theirs, blobs, validation_split=0.25)
    assert same(weights(ours.model), weights(theirs.model))
    with pytest.raises(ConfigError, match="validation_split=20 arrived; expected a share"):
        theirs.fit(blobs, validation_split=20)
    with pytest.raises(ConfigError, match="fine_tune has no setting 'epoch'; did you mean 'epochs'"):
        theirs.fine_tune(blobs, epoch=2)
    with pytest.raises(ConfigError, match="sample_weight is for rows without a replay"):
        theirs.fine_tune(*blobs, replay=blobs, sample_weight=torch.ones(96))
    with pytest.raises(ConfigError, match="pass one of them"):
        theirs.fit(blobs, validation=0.25, validation_split=0.25)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [("verbose", "progress=False"), ("validation_data", r"validation=\(X, y\)"), ("epoch", "did you mean 'epochs'")],
)
def test_settings_of_other_names_say_what_to_type(classifier, blobs, setting, advice):
    with pytest.raises(ConfigError, match=f"fit has no setting '{setting}'.*{advice}"):
        Learner(classifier()).fit(*blobs, **{setting: 1})


def test_names_of_classes_go_in_and_come_out(classifier, blobs):
    x, y = blobs
    names = np.array(["no", "yes"])[y]
    numbers, named = Learner(classifier(), lr=0.02), Learner(classifier(), lr=0.02)
    quiet(numbers, x, y=y, validation=(x[:9], y[:9]))
    for targets in (names, names.tolist(), pd.Series(names)):
        named = Learner(classifier(), lr=0.02)
        quiet(named, x, y=targets, validation=(x[:9], names[:9]))
        assert named.class_names == ("no", "yes")
        assert same(weights(numbers.model), weights(named.model))
    assert named.evaluate(x, names) == numbers.evaluate(x, y)
    found = named.predict_classes(x)
    assert (found == names).mean() > 0.9
    assert torch.equal(numbers.predict_classes(x), torch.tensor((found == "yes").astype(int)))
    with pytest.raises(DataError, match="'yes!' is none of the classes; did you mean 'yes'"):
        named.evaluate(x[:1], ["yes!"])
    with pytest.raises(DataError, match="'mse' expects numbers"):
        Learner(nn.Sequential(nn.Flatten(), nn.Linear(10, 1)), loss="mse").fit(x, names)


def test_a_model_may_know_its_classes(classifier, blobs):
    model = classifier(3)
    model.class_names = ("yes", "maybe", "no")
    learner = Learner(model)
    quiet(learner, blobs[0], y=np.array(["no", "yes"])[blobs[1]])
    assert learner.class_names == ("yes", "maybe", "no")
    assert set(learner.predict_classes(blobs[0])) <= {"yes", "no", "maybe"}


def test_probabilities(classifier, blobs):
    learner = trained(classifier, blobs)
    shares = learner.predict_proba(blobs[0])
    assert torch.allclose(shares, learner.predict(blobs[0]).softmax(-1))
    binary = Learner(nn.Sequential(nn.Flatten(), nn.Linear(10, 1)), loss="bce_logits")
    quiet(binary, blobs)
    assert torch.equal(binary.predict_classes(blobs[0]), (binary.predict(blobs[0]) > 0).long())
    with pytest.raises(ConfigError, match="'mse' has no probabilities"):
        Learner(nn.Sequential(nn.Flatten(), nn.Linear(10, 1)), loss="mse").predict_proba(blobs[0])


def test_data_frames_are_arrays():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    frame, y = pd.DataFrame(x, columns=list("abc")), pd.Series(x[:, 0] > 0).astype(int)
    learners = []
    for data in ((frame, y), (x, y.to_numpy())):
        torch.manual_seed(0)
        learners.append(Learner(nn.Linear(3, 2), loss="cross_entropy"))
        quiet(learners[-1], *data[:1], y=data[1])
    assert same(*(weights(learner.model) for learner in learners))


def test_bytes_are_warned_of(classifier):
    images = torch.randint(0, 256, (8, 5, 2), dtype=torch.uint8)
    with pytest.warns(UserWarning, match="bytes up to .*divide by 255"):
        quiet(Learner(classifier()), images, y=torch.arange(8) % 2)


def test_a_new_rate_holds_from_the_next_fit(classifier, blobs):
    learner = Learner(classifier(), optimizer="sgd")
    quiet(learner, blobs)
    learner.lr = 0.0
    before = weights(learner.model)
    quiet(learner, blobs)
    assert same(before, weights(learner.model))
    averages = Learner(classifier())
    quiet(averages, blobs)
    steps = [float(state["step"]) for state in averages._session.optimizer.state.values()]
    averages.lr = 0.1
    quiet(averages, blobs)
    assert [float(state["step"]) for state in averages._session.optimizer.state.values()] == [
        2 * step for step in steps
    ]


def test_a_new_head_trains_in_the_next_fit(classifier, blobs):
    learner = Learner(classifier())
    quiet(learner, blobs)
    learner.model.head = nn.Linear(8, 3)
    before = weights(learner.model.head)
    quiet(learner, blobs)
    assert not same(before, weights(learner.model.head))


def test_classes_in_place_of_objects_are_named(classifier, blobs):
    with pytest.raises(ConfigError, match=r"CrossEntropyLoss is a class; pass an instance: loss=CrossEntropyLoss\(\)"):
        Learner(classifier(), loss=nn.CrossEntropyLoss)
    with pytest.raises(ConfigError, match=r"expected a list: callbacks=\[\.\.\.\]"):
        Learner(classifier()).fit(*blobs, callbacks=print)


def test_it_says_in_a_line_what_it_is(classifier, blobs):
    learner = Learner(classifier())
    assert repr(learner) == "Learner(Last, loss='cross_entropy', optimizer='adam', lr=0.001, device='cpu')"
    quiet(learner, blobs)
    assert repr(learner).endswith("trained for 3 epochs)")


def test_weights_of_rows(classifier, blobs):
    """A weight of 2 is a row that is there twice, but for the number of targets that the mean is over."""
    x, y = blobs
    twice, weighted = Learner(classifier(), optimizer="sgd"), Learner(classifier(), optimizer="sgd", lr=1e-3)
    weight = torch.ones(96)
    weight[:10] = 2
    one = {"epochs": 1, "batch_size": 200, "shuffle": False}
    quiet(twice, torch.cat([x, x[:10]]), y=torch.cat([y, y[:10]]), **one)
    weighted.lr = 1e-3 * 96 / 106
    quiet(weighted, x, y=y, sample_weight=weight.numpy(), **one)
    for ours, expected in zip(weights(weighted.model), weights(twice.model), strict=True):
        torch.testing.assert_close(ours, expected)
    with pytest.raises(ConfigError, match="weights arrived, but the loss 'CrossEntropyLoss' returns a mean"):
        quiet(Learner(classifier(), loss=nn.CrossEntropyLoss()), x, y=y, sample_weight=weight)
    with pytest.raises(Exception, match=r"weights of shape \[95\]"):
        quiet(Learner(classifier()), x, y=y, sample_weight=weight[:95])


def test_series_are_data(classifier, blobs):
    """A `SeriesSet` has `arrays()`, as any data set of the user's may."""
    x, y = blobs

    class Rows:
        def arrays(self):
            return list(x.numpy()), np.array(["no", "yes"])[y]

    rows, arrays = Learner(classifier()), Learner(classifier())
    quiet(rows, Rows(), validation=Rows())
    quiet(arrays, blobs, validation=blobs)
    assert same(weights(rows.model), weights(arrays.model))
    assert rows.evaluate(Rows()) == arrays.evaluate(blobs)
    assert torch.equal(rows.predict(Rows()), arrays.predict(blobs[0]))


def named(classifier, classes: int = 2, **settings) -> Learner:
    return Learner(classifier(classes), lr=0.02, **settings)


def test_names_stay_through_a_failed_run(classifier, blobs):
    x, names = blobs[0], np.array(["b", "c"])[blobs[1]]
    learner = named(classifier)
    quiet(learner, x, y=names)
    broken = x.clone()
    broken[0] = torch.nan
    with pytest.raises(DataError):
        quiet(learner, broken, y=names)
    with pytest.raises(DataError, match="'a' is none of the classes"):
        quiet(learner, x, y=np.array(["a", "c"])[blobs[1]])
    assert learner.class_names == ("b", "c")


def test_a_first_run_that_failed_leaves_no_names(classifier, blobs):
    learner = named(classifier)
    broken = blobs[0].clone()
    broken[0] = torch.nan
    with pytest.raises(DataError):
        quiet(learner, broken, y=np.array(["a", "b"])[blobs[1]])
    quiet(learner, blobs[0], y=np.array(["c", "d"])[blobs[1]])
    assert learner.class_names == ("c", "d")


def test_names_follow_a_fine_tuning_and_are_stored(blobs, tmp_path):
    x, y = blobs
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 8), classes=2)
    learner = Learner(model, lr=0.02)
    quiet(learner, x, y=np.array(["a", "b"])[y])
    assert model.class_names == ("a", "b")
    new = np.array(["d", "b"])[y]
    old = (x, np.array(["a", "b"])[y])
    learner.fine_tune(x, new, classes=["b", "d", "a"], validation=0.25, old_data=old, epochs=2, progress=False)
    assert learner.class_names == ("b", "d", "a")
    assert set(learner.predict_classes(x)) <= {"b", "d", "a"}
    learner.save(tmp_path / "model")
    assert Learner(rnnkit.load(tmp_path / "model")).class_names == ("b", "d", "a")
    with pytest.raises(ConfigError):
        learner.fine_tune(x, y, classes=["x", "x"], epochs=1, progress=False)
    assert learner.class_names == ("b", "d", "a")
    learner.fine_tune(x, y, classes=4, epochs=1, progress=False)
    assert learner.class_names is None


def test_names_of_other_numbers_than_the_outputs_are_refused(classifier, blobs):
    names = np.array(["a", "b"])[blobs[1]]
    with pytest.raises(DataError, match="2 names .* but the model has 3 classes"):
        quiet(Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 8), classes=3)), blobs[0], y=names)
    learner = named(classifier, classes=3)
    quiet(learner, blobs[0], y=names)
    with pytest.raises(ConfigError, match="3 outputs, but 2 classes have a name"):
        learner.predict_classes(blobs[0])


def test_another_optimizer_starts_afresh(classifier, blobs):
    learner = Learner(classifier(), optimizer="adam")
    quiet(learner, blobs)
    for optimizer in ("rmsprop", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "adam"):
        learner.optimizer = optimizer
        quiet(learner, blobs)


def test_a_sweep_leaves_the_data_where_it_was(blobs):
    from rnnkit.data import ArrayDataset

    def run(sweep: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        learner = Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 8), classes=2))
        batches = ArrayDataset(*blobs).batches(batch_size=8, seed=1)
        if sweep:
            learner.find_rate(batches, steps=10)
        quiet(learner, batches)
        return weights(learner.model)

    assert same(run(True), run(False))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("balanced", "sample_weight='balanced' arrived"),
        ([-1.0] * 96, "numbers below 0"),
        (np.ones((96, 1)), "weights of shape"),
    ],
)
def test_weights_that_cannot_be_are_refused(classifier, blobs, given, message):
    with pytest.raises((DataError, ShapeError), match=message):
        quiet(Learner(classifier()), blobs, sample_weight=given)


def test_weights_of_steps_may_be_ragged(tagger):
    rows, labels = [torch.randn(2, 2), torch.randn(6, 2)], [torch.ones(2).long(), torch.zeros(6).long()]
    given = [np.array([1.0, 0.0]), np.arange(6.0)]
    losses = []
    for one in (given, torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in given], batch_first=True)):
        torch.manual_seed(0)
        losses.append(quiet(Learner(tagger()), rows, y=labels, sample_weight=one, epochs=1).rows[0]["loss"])
    assert losses[0] == losses[1] > 0


def test_names_of_classes_are_in_natural_order():
    learner = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.SimpleRNN(1, 2), 3))
    learner.fit(torch.zeros(3, 2, 1), ["class_10", "class_2", "class_1"], epochs=1, progress=False)
    assert learner.class_names == ("class_1", "class_2", "class_10")


@pytest.mark.parametrize("model", [torch.nn.Linear, len], ids=["class", "function"])
def test_a_model_that_is_no_module_is_refused(model):
    with pytest.raises(ConfigError, match="arrived as model; expected a torch.nn.Module that is made"):
        rnnkit.Learner(model)


def test_a_misspelt_setting_is_refused_and_an_attribute_of_ones_own_is_kept():
    learner = Learner(torch.nn.Linear(3, 2), loss="mse")
    for name, meant in (("weight_decays", "weight_decay"), ("metric", "metrics"), ("clip_norms", "clip_norm")):
        with pytest.raises(ConfigError, match=f"no setting '{name}'; did you mean '{meant}'"):
            setattr(learner, name, 1)
    learner.notes = "a run of mine"
    assert learner.notes == "a run of mine"


def test_fine_tune_knows_its_own_settings():
    learner = Learner(torch.nn.Linear(3, 2), loss="mse")
    with pytest.raises(ConfigError, match="did you mean 'freeze_body_epochs'"):
        learner.fine_tune((torch.randn(4, 3), torch.randn(4, 2)), freeze_epochs=1)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_loss_that_is_no_mean_is_refused(reduction):
    with pytest.raises(ConfigError, match=rf"MSELoss\(reduction='{reduction}'\) arrived; a loss returns the mean"):
        Learner(torch.nn.Linear(3, 2), loss=torch.nn.MSELoss(reduction=reduction))
