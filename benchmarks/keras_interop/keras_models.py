"""Sixty models in Keras: every layer that rnnkit reads, with the options that change what it computes.

Run in the environment of `make interop`, where Keras is; rnnkit is not imported here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

TIME, FEATURES, IDS = 7, 3, 11
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softsign", "hard_sigmoid", "elu", "gelu", "silu", "softplus", "selu")


def build_models(keras: Any) -> dict[str, Any]:
    """Return 60 models by name, weights drawn, none of them zero."""
    layers = keras.layers
    made: dict[str, Any] = {}

    def sequential(name: str, *parts: Any, shape: tuple[int | None, ...] = (TIME, FEATURES), **options: Any) -> None:
        made[name] = keras.Sequential([keras.Input(shape, **options), *parts], name=name)

    def functional(name: str, build: Callable[[], tuple[Any, Any]]) -> None:
        inputs, outputs = build()
        made[name] = keras.Model(inputs, outputs, name=name)

    def ids(length: int | None = TIME) -> Any:
        return keras.Input((length,), dtype="int32")

    def numbers(*shape: int | None, **options: Any) -> Any:
        return keras.Input(shape or (TIME, FEATURES), **options)

    kinds = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    # the founding programs
    sequential("founding_mnist", layers.SimpleRNN(128, activation="relu"), layers.Dense(10, activation="softmax"),
               shape=(28, 28))  # fmt: skip
    sequential("founding_two_layers", layers.SimpleRNN(50, return_sequences=True), layers.Dropout(0.2),
               layers.SimpleRNN(50), layers.Dense(1), shape=(None, 1))  # fmt: skip
    # each recurrence with its options
    for name, kind in kinds.items():
        sequential(f"{name}_plain", kind(5), layers.Dense(4, activation="softmax"))
        sequential(f"{name}_sequences", kind(5, return_sequences=True), kind(4, return_sequences=True))
        sequential(f"{name}_backwards", kind(5, go_backwards=True, return_sequences=True), layers.Dense(2))
        sequential(f"{name}_no_bias", kind(5, use_bias=False))
        sequential(f"{name}_unrolled", kind(5, unroll=True))
        sequential(f"{name}_dropouts", kind(5, dropout=0.3, recurrent_dropout=0.2))
        sequential(f"{name}_masked", layers.Masking(0.5), kind(5, return_sequences=True), kind(3), layers.Dense(2))
        sequential(
            f"{name}_zero_masked", layers.Masking(0.5), kind(5, return_sequences=True, zero_output_for_mask=True)
        )
        sequential(f"{name}_stateful", kind(5, stateful=True), layers.Dense(2), shape=(TIME, FEATURES), batch_size=4)
    for number, activation in enumerate(("softsign", "elu")):
        sequential(f"rnn_{activation}", layers.SimpleRNN(5, activation=activation, recurrent_dropout=0.1 * number))
    sequential("lstm_hard_sigmoid", layers.LSTM(5, recurrent_activation="hard_sigmoid"))
    sequential("lstm_relu", layers.LSTM(5, activation="relu", return_sequences=True, recurrent_dropout=0.1))
    sequential("gru_hard_sigmoid", layers.GRU(5, recurrent_activation="hard_sigmoid", reset_after=False))
    sequential("gru_softsign", layers.GRU(5, activation="softsign", go_backwards=True))
    sequential("gru_reset_before", layers.GRU(5, reset_after=False, return_sequences=True), layers.GRU(4))
    sequential("gru_reset_before_no_bias", layers.GRU(5, reset_after=False, use_bias=False))
    # both directions
    for mode in ("concat", "sum", "mul", "ave"):
        kind = {"concat": layers.LSTM, "sum": layers.GRU, "mul": layers.SimpleRNN, "ave": layers.LSTM}[mode]
        sequential(f"bidirectional_{mode}", layers.Masking(0.5),
                   layers.Bidirectional(kind(5, return_sequences=True), merge_mode=mode),
                   layers.Bidirectional(kind(4), merge_mode=mode), layers.Dense(2))  # fmt: skip

    def two_outputs() -> tuple[Any, Any]:
        x = numbers()
        forward, backward = layers.Bidirectional(layers.GRU(5, return_sequences=True), merge_mode=None)(x)
        return x, [forward, layers.LSTM(3)(backward)]

    functional("bidirectional_none", two_outputs)
    sequential("bidirectional_own_backward", layers.Bidirectional(
        layers.LSTM(5, return_sequences=True),
        backward_layer=layers.LSTM(4, return_sequences=True, go_backwards=True, activation="relu")))  # fmt: skip

    def encoder_decoder() -> tuple[Any, Any]:
        source, target = ids(None), ids(None)
        embedded = layers.Embedding(IDS, 4, mask_zero=True)(source)
        _, h, c = layers.LSTM(6, return_state=True)(embedded)
        read = layers.Embedding(IDS, 4, mask_zero=True)(target)
        written = layers.LSTM(6, return_sequences=True)(read, initial_state=[h, c])
        return [source, target], layers.TimeDistributed(layers.Dense(IDS, activation="softmax"))(written)

    functional("encoder_decoder", encoder_decoder)

    def bidirectional_states() -> tuple[Any, Any]:
        x = numbers()
        y, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(4, return_state=True, return_sequences=True))(x)
        h = layers.Concatenate()([fh, bh])
        c = layers.Concatenate()([fc, bc])
        return x, layers.LSTM(8)(y, initial_state=[h, c])

    functional("bidirectional_states", bidirectional_states)
    # cells
    sequential("cells_stacked", layers.RNN([layers.LSTMCell(4), layers.GRUCell(5), layers.SimpleRNNCell(3)],
                                           return_sequences=True), layers.Dense(2))  # fmt: skip
    sequential("cells_single", layers.Masking(0.5), layers.RNN(layers.GRUCell(5, reset_after=False), go_backwards=True))

    def stacked_states() -> tuple[Any, Any]:
        x = numbers()
        return x, layers.RNN(layers.LSTMCell(4), return_state=True)(x)

    functional("cells_states", stacked_states)
    # embeddings and masks
    sequential("embedding_masked", layers.Embedding(IDS, 4, mask_zero=True), layers.GRU(5, return_sequences=True),
               layers.GlobalAveragePooling1D(), layers.Dense(3, activation="softmax"), shape=(None,),
               dtype="int32")  # fmt: skip
    sequential("embedding_plain", layers.Embedding(IDS, 4), layers.SpatialDropout1D(0.2), layers.LSTM(5),
               layers.Dense(1, activation="sigmoid"), shape=(TIME,), dtype="int32")  # fmt: skip

    def masks_meet() -> tuple[Any, Any]:
        a, b = numbers(), numbers()
        one, two = layers.Masking(0.5)(a), layers.Masking(0.5)(b)
        joined = layers.Concatenate()([one, two])
        added = layers.Add()([one, two])
        beside = layers.Concatenate(axis=1)([one, b])
        return [a, b], [layers.LSTM(4)(joined), layers.GRU(4)(added), layers.SimpleRNN(4)(beside)]

    functional("masks_meet", masks_meet)
    # convolutions
    for number, (padding, stride, dilation) in enumerate((("valid", 2, 1), ("same", 2, 1), ("causal", 1, 2))):
        sequential(f"convolution_{padding}", layers.Conv1D(6, 4, strides=stride, dilation_rate=dilation,
                                                           padding=padding, activation=ACTIVATIONS[number]),
                   layers.GRU(4), shape=(9, 3))  # fmt: skip
    sequential("convolution_groups", layers.Conv1D(6, 3, groups=3, use_bias=False, padding="same"),
               layers.MaxPooling1D(2), layers.LSTM(4), shape=(8, 3))  # fmt: skip
    sequential("pooling_same", layers.Conv1D(4, 3, padding="same"), layers.MaxPooling1D(3, 2, padding="same"),
               layers.AveragePooling1D(2), layers.GlobalMaxPooling1D(keepdims=True), layers.Flatten(),
               layers.Dense(2), shape=(9, 3))  # fmt: skip
    sequential("edges", layers.ZeroPadding1D((1, 2)), layers.Cropping1D(1), layers.UpSampling1D(2), layers.LSTM(3))
    # normalisation and shapes
    sequential("normalised", layers.BatchNormalization(), layers.LSTM(5, return_sequences=True),
               layers.LayerNormalization(), layers.TimeDistributed(layers.Dense(4)),
               layers.BatchNormalization(scale=False, epsilon=0.01), layers.Flatten(), layers.Dense(2))  # fmt: skip
    sequential("shapes", layers.Permute((2, 1)), layers.Reshape((FEATURES, TIME)), layers.Flatten(),
               layers.RepeatVector(4), layers.LSTM(5), layers.LayerNormalization(center=False))  # fmt: skip
    sequential("time_distributed", layers.TimeDistributed(layers.Conv1D(4, 2)),
               layers.TimeDistributed(layers.Flatten()), layers.TimeDistributed(layers.Dropout(0.2)), layers.LSTM(5),
               shape=(5, 4, 3))  # fmt: skip
    sequential("activations", layers.Dense(5, activation="gelu"), layers.Activation("softplus"), layers.LeakyReLU(),
               layers.ReLU(max_value=2.0, negative_slope=0.1), layers.PReLU(shared_axes=[1]), layers.ELU(0.5),
               layers.LSTM(4), layers.Dense(3), layers.Softmax())  # fmt: skip

    def merges() -> tuple[Any, Any]:
        x = numbers()
        a, b = layers.LSTM(4)(x), layers.GRU(4)(x)
        kinds = (layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum, layers.Subtract)
        return x, layers.Concatenate()([kind()([a, b]) for kind in kinds])

    functional("merges", merges)

    def shared() -> tuple[Any, Any]:
        a, b = numbers(), numbers()
        read = layers.LSTM(5)
        inner = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="relu"), layers.BatchNormalization()])
        return [a, b], layers.Dense(1)(layers.Subtract()([inner(read(a)), inner(read(b))]))

    functional("shared_and_nested", shared)

    def arithmetic() -> tuple[Any, Any]:
        x = numbers()
        y = layers.GRU(4, return_sequences=True)(x)
        return x, layers.LSTM(3)(2.0 * y - y * y + 1.0)

    functional("arithmetic", arithmetic)

    def several_outputs() -> tuple[Any, Any]:
        words, series = ids(None), numbers(None, FEATURES)
        read = layers.Bidirectional(layers.GRU(4))(layers.Embedding(IDS, 3, mask_zero=True)(words))
        both = layers.Concatenate()([read, layers.LSTM(3)(series)])
        classes = layers.Dense(3, activation="softmax", name="classes")(both)
        return [words, series], [classes, layers.Dense(1, activation="sigmoid", name="share")(both)]

    functional("several_outputs", several_outputs)
    _draw(made)
    return made


def example_inputs(name: str, model: Any, seed: int) -> list[np.ndarray]:
    """Return inputs for a model: ids with zeros at the end and within, series with masked steps (all 0.5)."""
    draw = np.random.default_rng(seed)
    found = []
    for tensor in model.inputs:
        shape = [4, *(TIME if size is None else size for size in tensor.shape[1:])]
        if "int" in tensor.dtype:
            x = draw.integers(1, IDS, shape).astype("int32")
            x[0, -3:] = 0
            x[1, :2] = 0
            x[2, 3] = 0
        else:
            x = draw.standard_normal(shape).astype("float32")
            if len(shape) == 3:
                x[0, -2:] = 0.5
                x[1, :2] = 0.5
                x[2, 2] = 0.5
                if "masked" in name:
                    x[3] = 0.5
        found.append(x)
    return found


def _draw(models: dict[str, Any]) -> None:
    """Give every weight its own numbers: biases that are 0, and gains that are 1, would hide mistakes."""
    draw = np.random.default_rng(17)
    random.seed(17)
    for model in models.values():
        for weight in model.weights:
            if "seed" in weight.name or "state" in weight.name:
                continue
            shape = tuple(weight.shape)
            numbers = draw.standard_normal(shape) / max(1.0, shape[0] ** 0.5 if len(shape) > 1 else 3.0)
            if "variance" in weight.name or "gamma" in weight.name:
                numbers = 1 + 0.3 * np.abs(numbers)
            weight.assign(numbers.astype("float32"))
