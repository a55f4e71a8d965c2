"""Small files as Keras writes them, made with h5py and json alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Arrays = Mapping[str, Any]


def layer(kind: str, name: str | None = None, **config: Any) -> dict[str, Any]:
    """A layer's description."""
    config = {"name": name or kind.lower(), "trainable": True, "dtype": "float32", **config}
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def sequential(*layers: dict[str, Any], shape: tuple[int | None, ...] = (None, None, 3)) -> dict[str, Any]:
    """The configuration of Sequential."""
    first = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
             "config": {"batch_shape": list(shape), "dtype": "float32", "name": "x"}}  # fmt: skip
    config = {"name": "model", "trainable": True, "layers": [first, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def tensor(name: str, call: int = 0, output: int = 0) -> dict[str, Any]:
    """A tensor of a functional model."""
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def functional(
    layers: list[tuple[dict[str, Any], list[Any]]], inputs: Any, outputs: Any, shapes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The configuration of a functional model: each layer with its calls, a list of arguments each."""
    described = []
    for name in [one[0] for one in inputs]:
        shape = list((shapes or {}).get(name, (None, None, 3)))
        described.append({"module": "keras.layers", "class_name": "InputLayer", "name": name, "inbound_nodes": [],
                          "config": {"batch_shape": shape, "dtype": "float32", "name": name}})  # fmt: skip
    for one, calls in layers:
        nodes = [call if isinstance(call, dict) else {"args": call, "kwargs": {}} for call in calls]
        described.append({**one, "name": one["config"]["name"], "inbound_nodes": nodes})
    config = {"name": "model", "layers": described, "input_layers": inputs, "output_layers": outputs}
    return {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}


def write_h5(path: Path, arrays: Arrays) -> Path:
    """Arrays at their paths; a function instead of an array gets the group and the name."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            group = file.require_group(name.rpartition("/")[0] or "/")
            if callable(array):
                array(group, name.rpartition("/")[2])
            else:
                group.create_dataset(name.rpartition("/")[2], data=array)
    return path


def write_keras(
    path: Path,
    config: Any,
    arrays: Arrays,
    *,
    version: str = "3.10.0",
    change: Callable[[zipfile.ZipFile], None] | None = None,
) -> Path:
    """A .keras file; `change` adds further files to the archive."""
    weights = write_h5(path.with_suffix(".weights"), arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.write(weights, "model.weights.h5")
        if change is not None:
            change(archive)
    weights.unlink()
    return path


def write_old(path: Path, config: Any, layers: Mapping[str, list[tuple[str, Any]]], *, version: str = "2.2.4") -> Path:
    """An .h5 file of a whole model: for each layer its arrays with their names."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [one.encode() for one, _ in arrays] or np.array([], "S1")
            for one, array in arrays:
                group.create_dataset(one, data=array)
    return path


def cell_arrays(rng: np.random.Generator, gates: int, size: int, units: int, bias: tuple[int, ...] | None) -> list[Any]:
    """Kernel, recurrent kernel and bias."""
    shapes = [(size, gates * units), (units, gates * units), *([] if bias is None else [bias])]
    return [rng.standard_normal(shape).astype("float32") * 0.5 for shape in shapes]


def at(path: str, arrays: list[Any]) -> dict[str, Any]:
    """Arrays at their numbers below a layer's path."""
    return {f"{path}/vars/{number}": array for number, array in enumerate(arrays)}
