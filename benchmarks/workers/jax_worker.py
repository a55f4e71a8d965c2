"""JAX by hand: one jitted training step around `lax.scan`, its state donated, Adam written out.

The input projection of each layer is one product over all steps, before the scan.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.workers.protocol import Step, serve
from benchmarks.workloads import GATES, Workload, workload

LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8

Parameters = dict[str, Any]


def initial_parameters(load: Workload) -> Parameters:
    glorot, orthogonal = jax.nn.initializers.glorot_uniform(), jax.nn.initializers.orthogonal()
    keys = iter(jax.random.split(jax.random.key(0), 2 * load.layers + 1))
    width = GATES[load.cell] * load.hidden
    layers = []
    for layer in range(load.layers):
        inputs = load.inputs if layer == 0 else load.hidden
        layers.append(
            {
                "W": glorot(next(keys), (inputs, width)),
                "U": orthogonal(next(keys), (load.hidden, width)),
                "b": jnp.zeros(width),
            }
        )
        if load.cell == "gru":  # the candidate's recurrent bias stands inside the product with r
            layers[-1]["b_u"] = jnp.zeros(load.hidden)
    head = {"W": glorot(next(keys), (load.hidden, load.outputs)), "b": jnp.zeros(load.outputs)}
    return {"layers": layers, "head": head}


def advance(load: Workload, p: Parameters, state: Any, projected: Array) -> Any:
    """One step of the recurrence from the projected input [B, G·H]: the next state."""
    if load.cell == "simple_rnn":
        activation = jnp.tanh if load.nonlinearity == "tanh" else jax.nn.relu
        return activation(projected + state @ p["U"])
    if load.cell == "lstm":
        h, c = state
        i, f, g, o = jnp.split(projected + h @ p["U"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    recurrent = state @ p["U"]
    split = 2 * load.hidden
    r, z = jnp.split(jax.nn.sigmoid(projected[:, :split] + recurrent[:, :split]), 2, axis=-1)
    n = jnp.tanh(projected[:, split:] + r * (recurrent[:, split:] + p["b_u"]))
    return (1 - z) * n + z * state


def forward(load: Workload, unroll: int, p: Parameters, x: Array) -> Array:
    sequence = jnp.swapaxes(x, 0, 1)
    last: Any = None
    for depth, layer in enumerate(p["layers"], start=1):
        top = depth == load.layers

        def step(state: Any, projected: Array, layer: Parameters = layer, top: bool = top) -> tuple[Any, Any]:
            state = advance(load, layer, state, projected)
            return state, None if top else state[0] if load.cell == "lstm" else state

        zeros = jnp.zeros((load.batch, load.hidden))
        start = (zeros, zeros) if load.cell == "lstm" else zeros
        last, sequence = lax.scan(step, start, sequence @ layer["W"] + layer["b"], unroll=unroll)
    hidden = last[0] if load.cell == "lstm" else last
    return hidden @ p["head"]["W"] + p["head"]["b"]


def loss_of(load: Workload, unroll: int, p: Parameters, x: Array, y: Array) -> Array:
    output = forward(load, unroll, p, x)
    if load.outputs == 1:
        return jnp.mean((output - y) ** 2)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=-1))


@functools.cache
def build(name: str, unroll: int) -> Step:
    load = workload(name)
    x, y = (jnp.asarray(array) for array in load.made_batch())
    parameters = initial_parameters(load)
    zeros = jax.tree.map(np.zeros_like, parameters)
    state = jax.tree.map(jnp.asarray, (parameters, zeros, zeros, np.float32(0)))

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state: Any, x: Array, y: Array) -> tuple[Any, Array]:
        p, m, v, count = state
        loss, gradient = jax.value_and_grad(functools.partial(loss_of, load, unroll))(p, x, y)
        count = count + 1
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA2**count) / (1 - BETA1**count)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradient)
        p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), p, m, v)
        return (p, m, v, count), loss

    def step() -> Array:
        nonlocal state
        state, loss = train(state, x, y)
        jax.block_until_ready(state)
        return loss

    return step


def main() -> None:
    unroll = {"default": 1, "unroll 4": 4, "unroll 10": 10}
    serve(
        lambda what, on, tuning: build(on, unroll[tuning]),
        tunings=lambda load: list(unroll),
        versions={"jax": jax.__version__},
    )


if __name__ == "__main__":
    main()
