"""JAX by hand: one jitted training step around `lax.scan`, its state donated, Adam written out.

The input projection of each layer is one product over all steps, before the scan. Behind a row's length its state
stands still.
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
    keys = iter(jax.random.split(jax.random.key(0), 2 * load.layers * load.directions + 1))
    width = GATES[load.cell] * load.hidden

    def direction(inputs: int) -> Parameters:
        weights = {
            "W": glorot(next(keys), (inputs, width)),
            "U": orthogonal(next(keys), (load.hidden, width)),
            "b": jnp.zeros(width),
        }
        if load.cell == "gru":  # the candidate's recurrent bias stands inside the product with r
            weights["b_u"] = jnp.zeros(load.hidden)
        return weights

    widths = [load.inputs] + [load.hidden * load.directions] * (load.layers - 1)
    layers = [[direction(inputs) for _ in range(load.directions)] for inputs in widths]
    features = load.hidden * load.directions
    head = {"W": glorot(next(keys), (features, load.outputs)), "b": jnp.zeros(load.outputs)}
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


def scan(
    load: Workload, unroll: int, p: Parameters, x: Array, valid: Array | None, *, top: bool, reverse: bool
) -> tuple[Array, Array | None]:
    """One direction of one layer over x [T, B, I], valid steps [T, B, 1]: the last h, and below the top every h."""

    def step(state: Any, now: tuple[Array, Array | None]) -> tuple[Any, Array | None]:
        projected, there = now
        after = advance(load, p, state, projected)
        if there is not None:
            after = jax.tree.map(lambda new, old: jnp.where(there, new, old), after, state)
        return after, None if top else after[0] if load.cell == "lstm" else after

    zeros = jnp.zeros((load.batch, load.hidden))
    start = (zeros, zeros) if load.cell == "lstm" else zeros
    last, every = lax.scan(step, start, (x @ p["W"] + p["b"], valid), unroll=unroll, reverse=reverse)
    return last[0] if load.cell == "lstm" else last, every


def forward(load: Workload, unroll: int, p: Parameters, x: Array, lengths: Array | None) -> Array:
    sequence: Any = jnp.swapaxes(x, 0, 1)
    last: list[Array] = []
    valid = None if lengths is None else (jnp.arange(load.time)[:, None] < lengths)[:, :, None]
    for depth, layer in enumerate(p["layers"], start=1):
        top = depth == load.layers
        runs = [scan(load, unroll, one, sequence, valid, top=top, reverse=way == 1) for way, one in enumerate(layer)]
        last = [h for h, _ in runs]
        sequence = None if top else jnp.concatenate([every for _, every in runs], -1)
    return jnp.concatenate(last, -1) @ p["head"]["W"] + p["head"]["b"]


def loss_of(load: Workload, unroll: int, p: Parameters, x: Array, y: Array, lengths: Array | None) -> Array:
    output = forward(load, unroll, p, x, lengths)
    if load.outputs == 1:
        return jnp.mean((output - y) ** 2)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=-1))


@functools.cache
def build(name: str, unroll: int) -> Step:
    load = workload(name)
    x, y = (jnp.asarray(array) for array in load.made_batch())
    lengths = jnp.asarray(load.made_lengths()) if load.ragged else None
    parameters = initial_parameters(load)
    zeros = jax.tree.map(np.zeros_like, parameters)
    state = jax.tree.map(jnp.asarray, (parameters, zeros, zeros, np.float32(0)))

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state: Any, x: Array, y: Array, lengths: Array | None) -> tuple[Any, Array]:
        p, m, v, count = state
        loss, gradient = jax.value_and_grad(functools.partial(loss_of, load, unroll))(p, x, y, lengths)
        count = count + 1
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA2**count) / (1 - BETA1**count)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradient)
        p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), p, m, v)
        return (p, m, v, count), loss

    def step() -> Array:
        nonlocal state
        state, loss = train(state, x, y, lengths)
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
