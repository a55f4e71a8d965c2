import json

import pytest
import torch
from safetensors.torch import save_file

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.serialization import read_config, save_module


def bodies(**options):
    return [layer(3, 6, **options) for layer in (rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU)]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_padded_row_is_classified_as_if_alone(pooling, bidirectional):
    for body in bodies(bidirectional=bidirectional, num_layers=2):
        model = rnnkit.SequenceClassifier(body, classes=4, pooling=pooling)
        x = torch.randn(3, 7, 3)
        together = model(x, lengths=[7, 2, 4])
        for row, length in enumerate([7, 2, 4]):
            torch.testing.assert_close(together[row : row + 1], model(x[row : row + 1, :length]))


def test_the_bodys_layout_does_not_matter():
    first, last = rnnkit.GRU(3, 6, batch_first=True), rnnkit.GRU(3, 6)
    last.load_state_dict(first.state_dict())
    torch.manual_seed(0)
    one = rnnkit.SequenceTagger(first, 2)
    torch.manual_seed(0)
    other = rnnkit.SequenceTagger(last, 2)
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(one(x, lengths=[5, 1, 2, 3]), other(x, lengths=[5, 1, 2, 3]))


def test_tagger_is_silent_in_the_padding():
    model = rnnkit.SequenceTagger(rnnkit.SimpleRNN(3, 6), outputs=2, activation="sigmoid")
    y = model(torch.randn(2, 4, 3), lengths=[4, 1])
    assert not y[1, 1:].any()
    assert ((y[0] > 0) & (y[0] < 1)).all()
    assert (model.default_loss, model.default_metrics) == ("bce", ())


def fronted(**options):
    front, augment = rnnkit.ConvFront(3, 6, (3, 5), stride=2), rnnkit.SeriesAugment(warp=0.2)
    return rnnkit.SequenceClassifier(rnnkit.GRU(6, 5), 4, "concat", front=front, augment=augment, **options)


def test_a_front_shortens_and_a_padded_row_is_still_classified_as_if_alone():
    model = fronted().eval()
    x = torch.randn(3, 7, 3)
    together = model(x, lengths=[7, 2, 4])
    for row, length in enumerate([7, 2, 4]):
        torch.testing.assert_close(together[row : row + 1], model(x[row : row + 1, :length]))
    assert not torch.equal(model.train()(x), model(x))  # changed at random


def test_concat_is_last_max_and_mean():
    model = rnnkit.SequenceRegressor(rnnkit.GRU(3, 6, batch_first=True, bidirectional=True), 2, "concat")
    x = torch.randn(2, 5, 3)
    output, state = model.body(x)
    pooled = torch.cat([model.body.final_output(state), output.amax(1), output.mean(1)], -1)
    torch.testing.assert_close(model(x), model.head(pooled))


def test_a_front_that_does_not_fit_the_body():
    with pytest.raises(ConfigError, match="build the body with input_size=48"):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 6), 4, front=rnnkit.ConvFront(3))


MODELS = [
    fronted,
    lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 6, proj_size=2, init="keras"), 4, pooling="max", dropout=0.1),
    lambda: rnnkit.SequenceRegressor(rnnkit.SimpleRNN(3, 6, 2, "sigmoid", bidirectional=True), outputs=2),
    lambda: rnnkit.SequenceTagger(rnnkit.GRU(3, 6, batch_first=True), 5, activation="softmax"),
    lambda: rnnkit.SequenceRegressor(rnnkit.GRU(3, 6, dtype=torch.float64)),
    lambda: rnnkit.SimpleRNN(3, 6, init="identity"),
]


@pytest.mark.parametrize("make", MODELS)
def test_saved_models_come_back(tmp_path, make):
    model = make().eval()
    save_module(model, tmp_path / "run", {"epoch": 3})
    again = rnnkit.load(tmp_path / "run")
    assert type(again) is type(model)
    assert again.config() == model.config()
    assert not again.training
    x = torch.randn(2, 5, 3, dtype=next(model.parameters()).dtype)
    torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
    assert read_config(tmp_path / "run")["extra"] == {"epoch": 3}


def test_modules_of_the_users_own(tmp_path):
    mine = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    save_module(mine, tmp_path / "mine.safetensors")
    with pytest.raises(DataError, match="pass rnnkit.load"):
        rnnkit.load(tmp_path / "mine.safetensors")
    other = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    again = rnnkit.load(tmp_path / "mine.safetensors", model=other)
    assert torch.equal(again[0].weight, mine[0].weight)
    with pytest.raises(DataError, match="do not fit Linear"):
        rnnkit.load(tmp_path / "mine.safetensors", model=torch.nn.Linear(2, 2))


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    def tied():
        first, second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        second.weight = first.weight
        return torch.nn.Sequential(first, second)

    model, again = tied(), tied()
    save_module(model, tmp_path)
    rnnkit.load(tmp_path, model=again)
    assert again[1].weight is again[0].weight
    assert torch.equal(again[1].weight, model[0].weight)


def test_bad_files_say_what_they_are(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        rnnkit.load(tmp_path / "nothing")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(DataError, match="is not a model that rnnkit saved"):
        rnnkit.load(tmp_path / "text.safetensors")


CELL = {"builder": "GRU", "arguments": {"input_size": 1, "hidden_size": 2}}


@pytest.mark.parametrize(
    "described",
    [
        [1],
        {"config": CELL},
        {"config": None, "extra": 3},
        {"config": [CELL], "extra": {}},
        {"config": {"arguments": {}}, "extra": {}},
        {"config": {"builder": ["GRU"], "arguments": {}}, "extra": {}},
        {"config": {"builder": "GRU", "arguments": 3}, "extra": {}},
        {"config": {"builder": "GRU", "arguments": {"size": 3}}, "extra": {}},
        {"config": CELL, "extra": {}, "adapters": [1]},
        {"config": CELL, "extra": {}, "adapters": {"parametrizations.weight_ih_l0.0": {"rank": "many"}}},
    ],
)
def test_damaged_descriptions_are_data_errors(tmp_path, described):
    file = tmp_path / "model.safetensors"
    save_file(dict(rnnkit.GRU(1, 2).state_dict()), file, {"rnnkit": json.dumps(described)})
    with pytest.raises(DataError, match="damaged|rnnkit saved"):
        rnnkit.load(file)


def test_a_file_cannot_name_other_classes(tmp_path):
    class Module(torch.nn.Linear):
        def config(self):
            return {"builder": "os.system", "arguments": {"command": "true"}}

    save_module(Module(1, 1), tmp_path)
    with pytest.raises(ConfigError, match=r"builder 'os.system' is unknown"):
        rnnkit.load(tmp_path)


def test_wrong_arguments():
    with pytest.raises(ConfigError, match="expected a layer over sequences"):
        rnnkit.SequenceClassifier(torch.nn.RNNCell(3, 4), 2)
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2, pooling="meen")
    with pytest.raises(ConfigError, match="0 outputs"):
        rnnkit.SequenceRegressor(rnnkit.GRU(3, 4), 0)


HEADS = {
    "wider": lambda: torch.nn.Linear(4, 3),
    "without a bias": lambda: torch.nn.Linear(4, 2, bias=False),
    "both": lambda: torch.nn.Linear(4, 3, bias=False),
    "several layers": lambda: torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", [rnnkit.SequenceClassifier, rnnkit.SequenceRegressor, rnnkit.SequenceTagger])
def test_a_head_that_was_put_in_by_hand_is_loaded_again(kind, head, tmp_path):
    model = kind(rnnkit.GRU(2, 4), 2)
    model.head = HEADS[head]()
    save_module(model, tmp_path)
    again = rnnkit.load(tmp_path)
    x = torch.randn(3, 5, 2)
    assert torch.equal(again(x), model.eval()(x))
    assert again.config() == model.config()


def test_what_is_changed_on_a_model_is_saved(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=["a", "b"])
    model.pooling, model.dropout = "mean", 0.25
    save_module(model, tmp_path)
    again = rnnkit.load(tmp_path)
    assert (again.pooling, again.dropout, again.class_names) == ("mean", 0.25, ("a", "b"))


def test_names_of_classes_go_with_the_width_of_the_head(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=["a", "b"])
    model.head = torch.nn.Linear(4, 2)
    assert model.class_names == ("a", "b")
    model.head = torch.nn.Linear(4, 3)
    assert model.class_names is None
    model.class_names = ["a", "b", "c"]
    save_module(model, tmp_path)
    assert rnnkit.load(tmp_path).class_names == ("a", "b", "c")


@pytest.mark.parametrize("classes", [1, ["calm"]])
def test_one_class_is_refused_and_both_remedies_train(classes):
    with pytest.raises(ConfigError, match=r"at least two; type classes=2.*SequenceRegressor.*loss='bce_logits'"):
        rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=classes)
    x, y = torch.randn(8, 5, 2), torch.arange(8) % 2
    two = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=2))
    one = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), loss="bce_logits", metrics=["accuracy"])
    for learner in (two, one):
        assert learner.fit(x, y, epochs=1, progress=False).rows[0]["loss"] > 0.1
    assert one.predict_proba(x).shape[0] == 8


@pytest.mark.parametrize(
    ("model", "loss", "labels"),
    [
        (rnnkit.SequenceTagger(rnnkit.GRU(2, 4), outputs=1), None, torch.zeros(8, 5).long()),
        (rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), "cross_entropy", torch.zeros(8).long()),
        (rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), torch.nn.CrossEntropyLoss(), torch.zeros(8).long()),
    ],
)
def test_a_cross_entropy_over_one_output_is_refused(model, loss, labels):
    learner = rnnkit.Learner(model, loss=loss)
    for call in (learner.fit, learner.evaluate):
        with pytest.raises(
            ConfigError, match="one number for each target.*2 for two classes, or pass loss='bce_logits'"
        ):
            call(torch.randn(8, 5, 2), labels)


@pytest.mark.parametrize("classes", [1, ["calm"]])
@pytest.mark.parametrize(
    "head", [None, {"builder": "torch.nn.Linear", "arguments": {"in_features": 4, "out_features": 1}}]
)
def test_a_model_of_one_class_of_an_earlier_version_is_still_built(classes, head):
    arguments = {"body": rnnkit.GRU(2, 4).config(), "classes": classes, "pooling": "mean", "dropout": 0.1}
    config = {"builder": "SequenceClassifier", "arguments": arguments | ({} if head is None else {"head": head})}
    model = rnnkit.models.build(config)
    assert model(torch.zeros(3, 5, 2)).shape == (3, 1)
    assert model.config()["arguments"] == arguments
    assert model.class_names == (("calm",) if classes != 1 else None)
