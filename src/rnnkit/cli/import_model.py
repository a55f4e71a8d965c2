"""``rnnkit import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, DataError
from .arguments import Out
from .misplaced import kind_of
from .output import plain_warnings, warn

if TYPE_CHECKING:
    from ..models.graph import GraphModel

_EXPECTED = "expected a .keras or .h5 file, a .weights.h5 file with --configuration, or an .onnx file"


def import_model(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A model of Keras's: .keras, .h5, or .weights.h5 with --configuration; or an .onnx."
        ),
    ],
    out: Out = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes in the order of the outputs, with commas: cat,dog.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column with the answers in tables, where it has another name than label.")
    ] = None,
    configuration: Annotated[
        Path | None,
        typer.Option(help="For a file of weights alone: what model.to_json() returned, or a .keras file of the model."),
    ] = None,
) -> None:
    """Make a run folder of a model that another program trained; predict, finetune, inspect and evaluate take it.

    Nothing of the file is executed, and the other program is not needed.
    """
    from .. import runs
    from ..interop.weight_files import KINDS

    if kind_of(file) in ("run", "model"):
        raise ConfigError(
            f"{file} is a model of rnnkit's already; expected a file of another program, such as a .keras"
        )
    if file.is_dir() or not file.exists():
        what = "is a folder" if file.is_dir() else "does not exist"
        if (file / "saved_model.pb").exists():
            what = "is a SavedModel of TensorFlow's, which is not read: model.save('m.keras') writes another file"
        raise DataError(f"{file} {what}; {_EXPECTED}")
    if file.suffix.lower() in KINDS:
        raise ConfigError(
            f"{file} holds weights without the layers they belong to; {_EXPECTED}. In Python, the readers of "
            "rnnkit.interop take it, such as read_torch_layers"
        )
    from ..interop.keras.files import container_of

    is_keras = container_of(file) is not None
    if not is_keras and file.suffix.lower() != ".onnx":
        raise DataError(
            f"{file} is neither a file of Keras's by its content (a zip archive or HDF5), nor does its name end in "
            f".onnx; {_EXPECTED}"
        )
    names = tuple(one.strip() for one in classes.split(",")) if classes else ()
    if len(set(names)) != len(names) or "" in names:
        raise ConfigError(f"--classes {classes} arrived; expected a different name for each class")

    model = _from_keras(file, configuration) if is_keras else _from_onnx(file, configuration)
    _check_classes(model, names)
    from ..layers.graph import Recurrent

    for name, part in model.named_modules():
        if isinstance(part, Recurrent) and part.stateful:
            part.stateful = False
            warn(f"{name}: stateful=True is left out: each row begins anew")

    from ..recipes.imported import Data, Imported
    from ..runs.files import METRICS, write_json
    from ..serialization import save_module

    recipe = Imported(
        source=str(file), program="keras" if is_keras else "onnx", classes=names, data=Data(target=target)
    )
    with runs.start("imported", recipe, out) as folder:
        save_module(model, folder)
        write_json(folder / METRICS, {"epochs": 0, "chosen_on": f"trained elsewhere: {file}", "stopped": "finished"})
    parameters = sum(one.numel() for one in model.parameters())
    typer.echo(f"Run folder: {folder}")
    shapes = model.shapes or [[]] * len(model.inputs)
    for name, shape in zip(model.inputs, shapes, strict=True):
        kind = "ids" if name in model.integers else "numbers"
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        typer.echo(f"Input {name}: {kind} [{sizes}]")
    for name, final in zip(model.output_names, model.final, strict=True):
        what = {"softmax": "probabilities of classes", "sigmoid": "probabilities"}.get(final, "numbers")
        typer.echo(f"Output {name}: {what}")
    typer.echo(f"{parameters:,} parameters in {len(model.names)} layers")


def _from_keras(file: Path, configuration: Path | None) -> GraphModel:
    from ..interop.keras import read_keras

    found = read_keras(file, configuration=configuration, logits=True)
    for note in found.notes:
        warn(note)
    return found.model


def _from_onnx(file: Path, configuration: Path | None) -> GraphModel:
    from ..interop.onnx.importing import read_graph

    if configuration is not None:
        raise ConfigError(f"--configuration {configuration} arrived; an .onnx file contains its layers: leave it out")
    with plain_warnings():
        return read_graph(file)


def _check_classes(model: GraphModel, names: tuple[str, ...]) -> None:
    from ..recipes.imported import told_class_count

    if not names:
        return
    if model.final != ["softmax"]:
        raise ConfigError("--classes arrived, but the model does not end in one softmax over classes; leave it out")
    count = told_class_count(model)
    if count not in (None, len(names)):
        raise ConfigError(f"--classes names {len(names)} classes; the model has {count}")
