"""ONNX Runtime: the same recurrent layers as operators of an ONNX graph, for inference.

The operators have no batch-first layout on the CPU, so x is handed over time-first, at no cost to ONNX Runtime.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.workers.protocol import Step, serve
from benchmarks.workloads import GATES, STREAM_STEPS, Workload, workload

OPSET, IR = 17, 8
OPERATOR = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
ORDER = {"simple_rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}
"""Where ONNX's gates (i, o, f, c; z, r, h) stand among PyTorch's (i, f, g, o; r, z, n)."""
TUNINGS = {"default": 0, "1 thread": 1, "2 threads": 2}

Array = npt.NDArray[np.float32]


def gates(load: Workload, weight: Array) -> Array:
    """The rows of a weight in ONNX's order of the gates."""
    blocks = np.split(weight, GATES[load.cell])
    return np.concatenate([blocks[place] for place in ORDER[load.cell]])


def graph(load: Workload) -> onnx.ModelProto:
    """x [T, B, I] and the initial states to the top layer's last h [1, B, H], and c for an LSTM. One direction."""
    weights, nodes, constants = load.made_weights(), [], []
    states = ["h", "c"] if load.cell == "lstm" else ["h"]
    source = "x"
    for layer in range(load.layers):
        w, r, b_w, b_r = (
            gates(load, weights[f"{name}_l{layer}"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        named = {"W": w, "R": r, "B": np.concatenate([b_w, b_r])}
        constants += [numpy_helper.from_array(array[None], f"{key}{layer}") for key, array in named.items()]
        options: dict[str, Any] = {"hidden_size": load.hidden}
        if load.cell == "gru":
            options["linear_before_reset"] = 1
        if load.cell == "simple_rnn":
            options["activations"] = [load.nonlinearity.title()]
        inputs = [source, f"W{layer}", f"R{layer}", f"B{layer}", "", *(f"{state}_in" for state in states)]
        top = layer == load.layers - 1
        outputs = ["" if top else f"y{layer}", *(f"{state}_out" if top else f"{state}{layer}" for state in states)]
        nodes.append(helper.make_node(OPERATOR[load.cell], inputs, outputs, **options))
        if not top:
            nodes.append(helper.make_node("Squeeze", [f"y{layer}", "direction"], [f"x{layer}"]))
        source = f"x{layer}"
    if load.layers > 1:
        constants.append(numpy_helper.from_array(np.array([1]), "direction"))

    def tensor(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    ins = [tensor("x", load.time, load.batch, load.inputs)]
    ins += [tensor(f"{state}_in", 1, load.batch, load.hidden) for state in states]
    outs = [tensor(f"{state}_out", 1, load.batch, load.hidden) for state in states]
    content = helper.make_graph(nodes, load.name, ins, outs, constants)
    model = helper.make_model(content, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return model


@functools.cache
def session(name: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: its own choice
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    content = graph(workload(name)).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed(load: Workload) -> dict[str, Array]:
    x = np.ascontiguousarray(load.made_batch()[0].swapaxes(0, 1))
    states = ["h_in", "c_in"] if load.cell == "lstm" else ["h_in"]
    return {"x": x, **{state: np.zeros((1, load.batch, load.hidden), np.float32) for state in states}}


def inference(name: str, threads: int) -> Step:
    running, given = session(name, threads), feed(workload(name))

    def step() -> None:
        running.run(None, given)

    return step


def streamed(name: str, threads: int) -> Step:
    """`STREAM_STEPS` single steps at batch 1, each from the state of the one before."""
    running, given = session(name, threads), feed(workload(name))

    def step() -> None:
        for _ in range(STREAM_STEPS):
            given["h_in"], given["c_in"] = running.run(None, given)

    return step


def outputs(name: str) -> list[float]:
    """What inference gives, to be compared between the systems; chosen as in `torch_steps.sample`."""
    last = session(name, 0).run(["h_out"], feed(workload(name)))[0]
    values: list[float] = last.ravel()[:: max(1, last.size // 100)].tolist()
    return values


def main() -> None:
    steps = {"inference": inference, "streamed": streamed}
    serve(
        lambda what, on, tuning: steps[what](on, TUNINGS[tuning]),
        tunings=lambda load: list(TUNINGS),
        versions={"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__},
        values={"outputs": outputs},
    )


if __name__ == "__main__":
    main()
