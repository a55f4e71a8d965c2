"""Arguments as Keras and others name them: the error says what to type, and what it says works."""

from __future__ import annotations

import inspect

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, Remedy

LAYERS = (rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU)
CELLS = (rnnkit.SimpleRNNCell, rnnkit.LSTMCell, rnnkit.GRUCell)


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
@pytest.mark.parametrize(
    ("given", "renamed"),
    [
        ({"units": 3, "input_size": 2}, {"hidden_size": 3}),
        ({"hidden_dim": 3, "input_size": 2}, {"hidden_size": 3}),
        ({"input_dim": 2, "hidden_size": 3}, {"input_size": 2}),
        ({"use_bias": False, "input_size": 2, "hidden_size": 3}, {"bias": False}),
    ],
)
def test_another_name_for_an_argument_is_translated(kind, given, renamed):
    with pytest.raises(ConfigError, match=f"{kind.__name__} has no argument '{next(iter(given))}'; type ") as caught:
        kind(**given)
    assert caught.value.remedies == (Remedy(*next(iter(renamed.items()))),)
    rest = dict(list(given.items())[1:])
    assert kind(**rest, **caught.value.remedies[0].arguments).hidden_size == 3


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("return_sequences", r"every layer returns all steps and its state, output, state = layer\(x\)"),
        ("return_state", r"output, state = layer\(x\)"),
        ("input_shape", "type input_size=, the features of a step"),
        ("recurrent_activation", r"rnnkit\.RNN\(cell\)"),
        ("kernel_initializer", "type init='keras'"),
        ("stateful", r"learner\.fit\(\.\.\., stateful=True\)"),
        ("go_backwards", "bidirectional=True"),
        ("hiden_size", "did you mean 'hidden_size'"),
    ],
)
def test_an_argument_that_a_layer_lacks_names_what_does_the_same(kind, name, advice):
    with pytest.raises(ConfigError, match=f"{kind.__name__} has no argument '{name}'.*{advice}"):
        kind(2, 3, **{name: True})


def test_an_activation_is_the_nonlinearity_of_the_simple_layer_and_a_cell_for_others():
    with pytest.raises(ConfigError, match="has no argument 'activation'; type nonlinearity=\"relu\""):
        rnnkit.SimpleRNN(2, 3, activation="relu")
    with pytest.raises(ConfigError, match=r"GRU has no argument 'activation'; .*rnnkit\.RNN\(cell\)"):
        rnnkit.GRU(2, 3, activation="relu")


@pytest.mark.parametrize(("name", "advice"), [("units", "belongs to the cell"), ("return_sequences", "all steps")])
def test_the_layer_over_a_cell_says_it_too(name, advice):
    with pytest.raises(ConfigError, match=f"rnnkit.RNN has no argument {name}; .*{advice}"):
        rnnkit.RNN(rnnkit.GRUCell(2, 3), **{name: 1})


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: rnnkit.GRU(32), r"GRU got no hidden_size; expected GRU\(input_size, hidden_size, \.\.\.\)"),
        (lambda: rnnkit.LSTM(), "LSTM got no input_size and no hidden_size"),
        (lambda: rnnkit.LSTM(hidden_size=3), "LSTM got no input_size"),
        (lambda: rnnkit.SequenceClassifier(classes=2), "SequenceClassifier got no body"),
        (lambda: rnnkit.SequenceTagger(rnnkit.GRU(2, 3)), "SequenceTagger got no outputs.*type outputs="),
        (lambda: rnnkit.ConvFront(3, filters=8), "type channels=8"),
        (lambda: rnnkit.ConvFront(3, kernel_size=8), "did you mean 'kernel_sizes'"),
    ],
)
def test_what_is_missing_or_of_another_name_is_told(call, told):
    with pytest.raises(ConfigError, match=told):
        call()


@pytest.mark.parametrize(
    ("model", "given", "advice"),
    [
        (rnnkit.SequenceClassifier, {"num_classes": 3}, "type classes=3"),
        (rnnkit.SequenceClassifier, {"outputs": 3}, "type classes=3"),
        (rnnkit.SequenceTagger, {"num_classes": 3}, "type outputs=3"),
        (rnnkit.SequenceRegressor, {"classes": 3}, "type outputs=3"),
        (rnnkit.SequenceRegressor, {"units": 3}, r"rnnkit\.SequenceRegressor\(rnnkit\.GRU\(input_size, hidden_size\)"),
        (rnnkit.SequenceClassifier, {"optimizer": "sgd"}, r"rnnkit\.Learner\(model, optimizer=\.\.\.\)"),
        (rnnkit.SequenceClassifier, {"activation": "softmax"}, "predict_proba"),
        (rnnkit.SequenceTagger, {"pooling": "last"}, "an output at every step"),
        (rnnkit.SequenceClassifier, {"droput": 0.1}, "did you mean 'dropout'"),
    ],
)
def test_an_argument_that_a_model_lacks_says_whose_it_is(model, given, advice):
    with pytest.raises(ConfigError, match=f"{model.__name__} has no argument '{next(iter(given))}'.*{advice}"):
        model(rnnkit.GRU(2, 3), **given)


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS, rnnkit.SequenceClassifier, rnnkit.ConvFront])
def test_the_signature_is_that_of_the_constructor(kind):
    parameters = inspect.signature(kind).parameters
    assert not any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    assert "input_size" in parameters or "body" in parameters


def test_a_class_derived_from_a_layer_may_take_arguments_of_its_own():
    class Mine(rnnkit.GRU):
        def __init__(self, units):
            super().__init__(2, units)

    assert Mine(units=3)(torch.zeros(4, 1, 2))[0].shape == (4, 1, 3)
