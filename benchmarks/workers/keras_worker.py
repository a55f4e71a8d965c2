"""Keras on the backend that KERAS_BACKEND names (tensorflow or jax), through its public training functions.

"default" calls the function that `fit` calls for each batch (`make_train_function`), without fit's callbacks
around it. The tunings: `train_on_batch`; short sequences with `unroll=True`; on TensorFlow without XLA. Ragged rows
go through a `Masking` layer.
"""

import functools
from typing import Any

import keras

from benchmarks.workers.protocol import Step, serve
from benchmarks.workloads import Workload, workload

BACKEND = keras.backend.backend()
LONGEST_UNROLLED = 32  # compiling 28 steps takes 10 s, and the time grows faster than the sequence


def keras_model(load: Workload, tuning: str) -> keras.Model:
    layer: Any = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    options: dict[str, Any] = {"unroll": tuning == "unroll"}
    if load.cell == "simple_rnn":
        options["activation"] = load.nonlinearity
    model = keras.Sequential([keras.Input((load.time, load.inputs))])
    if load.ragged:
        model.add(keras.layers.Masking(0.0))
    for depth in range(1, load.layers + 1):
        recurrent = layer[load.cell](load.hidden, return_sequences=depth < load.layers, **options)
        model.add(keras.layers.Bidirectional(recurrent) if load.bidirectional else recurrent)
    model.add(keras.layers.Dense(load.outputs))
    loss: Any = keras.losses.MeanSquaredError()
    if load.outputs > 1:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(), loss=loss, jit_compile=False if tuning == "no XLA" else "auto")
    return model


@functools.cache
def build(name: str, tuning: str) -> Step:
    load = workload(name)
    keras.utils.set_random_seed(0)
    model = keras_model(load, tuning)
    x, y = (keras.ops.convert_to_tensor(array) for array in load.made_batch())
    if tuning == "train_on_batch":
        return lambda: model.train_on_batch(x, y)  # returns a number, so it has waited
    model.train_on_batch(x, y)  # builds the optimizer's state
    model.make_train_function()
    return jax_step(model, x, y) if BACKEND == "jax" else tensorflow_step(model, x, y)


def tensorflow_step(model: keras.Model, x: Any, y: Any) -> Step:
    def step() -> float:
        model.reset_metrics()
        return model.train_function(iter([(x, y)]))["loss"].numpy()

    return step


def jax_step(model: keras.Model, x: Any, y: Any) -> Step:
    import jax

    def values(variables: Any) -> list[Any]:
        return [variable.value for variable in variables]

    metrics = values(model.metrics_variables)
    state = (
        values(model.trainable_variables),
        values(model.non_trainable_variables),
        values(model.optimizer.variables),
        metrics,
    )

    def step() -> Any:
        nonlocal state
        logs, state = model.train_function(state, iter([(x, y)]))
        jax.block_until_ready(state)
        return logs["loss"]

    return step


def main() -> None:
    def tunings(load: Workload) -> list[str]:
        unroll = ["unroll"] if load.time <= LONGEST_UNROLLED else []
        return ["default", "train_on_batch", *unroll, *(["no XLA"] if BACKEND == "tensorflow" else [])]

    versions = {"keras": keras.__version__}
    if BACKEND == "tensorflow":
        import tensorflow

        versions["tensorflow"] = tensorflow.__version__
    serve(lambda what, on, tuning: build(on, tuning), tunings=tunings, versions=versions)


if __name__ == "__main__":
    main()
