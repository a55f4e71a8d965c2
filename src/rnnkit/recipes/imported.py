"""Runs whose network another program trained: ``rnnkit import`` makes the folder, the other verbs use it.

    rnnkit import model.keras --out runs/mine
    rnnkit predict runs/mine new.csv
    rnnkit finetune runs/mine labelled.csv --epochs 5

Data is an .npz file with x [N, ...], or an array for each input by its name, and y, or an array for each output by its
name; or, for a network with one input of series, a file or folder of series as ``rnnkit train classify`` reads them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ConfigError, DataError, ShapeError
from ..tasks.ranges import Positive, Seed, Settings
from .base import PreparedRun, Recipe
from .imported_rows import ImportWords, answers_of, checked, inputs_of, padded, target_names
from .interface import Columns, DataRequest, InspectionData, Predictor
from .table_settings import TableSettings

if TYPE_CHECKING:
    import torch

    from ..models.graph import GraphModel
    from ..training.learner import Learner
    from .finetuning import FineTune, FineTuneJob
    from .imported_several import SeveralRows

_BATCH = 256
_MOST_NUMBERS = 1_000_000  # of a made row: a file may declare any shape
# How a table is written, as arguments of `read_series`.
_READ = {
    name: name
    for name in ("encoding", "delimiter", "decimal", "thousands", "comment", "missing_codes", "header", "time_format")
}


@dataclass(frozen=True)
class Data(TableSettings):
    """Files of series, and the column of the answers in them.

    Attributes:
        path: nothing: the network was trained elsewhere.
        target: the column that holds the class or the number; none finds it.
    """

    group_name: ClassVar[str] = "data"
    target: str | None = None


@dataclass(frozen=True)
class Fit(Settings):
    """The training that went before.

    Attributes:
        lr: its learning rate; fine-tuning takes a tenth.
    """

    group_name: ClassVar[str] = "fit"
    lr: Positive = 1e-3


@dataclass(frozen=True)
class Imported(Recipe):
    """A network from elsewhere.

    Attributes:
        source: the file it was read from.
        program: what wrote the file.
        classes: names of the classes, in the order of the outputs; none names them by number.
        seed: of a fine-tuning's order of rows and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    source: str = ""
    program: str = "keras"
    classes: tuple[str, ...] = ()
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Refuse to train from the beginning.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "runs of `imported` were trained elsewhere and are not trained from the beginning; `rnnkit import FILE` "
            "makes one, and `rnnkit finetune RUN FILE` trains it on"
        )

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return loss and metrics of the folder's model on rows of a file."""
        if data is None:
            raise ConfigError(f"{folder} was trained elsewhere and held no rows back; name a file of rows: --data FILE")
        model = self._model(folder)
        if _has_several(model):
            from .imported_several import figures_of

            return figures_of(model, self._several(model, data), self.device)
        return self._learner(model, self.device).evaluate(self._rows(model, data))

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answers for the rows of a file."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function that answers for the rows of a file."""
        from ..training.execution import find_device

        device = find_device(self.device)
        model = self._model(folder).to(device)

        def answer(data: DataRequest) -> Columns:
            ids, inputs, lengths = self._inputs(model, data)
            return {"id": ids} | answers(model, inputs, lengths, device, self._class_names(model))

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, and rows of a file to measure it on."""
        if data is None:
            raise ConfigError(f"{folder} was trained elsewhere; name a file of rows to measure it on: --data FILE")
        model = self._model(folder)
        if _has_several(model):
            from .imported_several import inspection_data

            return inspection_data(model, self._several(model, data))
        x, y = self._rows(model, data)
        return InspectionData(model, x, y, model.default_loss)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with rows of a file to learn."""
        from .finetuning import FineTuneJob, divide

        model = self._model(folder)
        if _has_several(model):
            from .imported_several import fine_tune_job

            return fine_tune_job(model, self._several(model, data), settings, self.fit.lr)
        x, y = self._rows(model, data)
        new: Any = (x, y)
        validation = None
        if y.dim() == 1 and settings.validation and not y.is_floating_point():
            new, validation = _divided(x, y, settings, divide)
        learner = self._learner(model, settings.device)
        return FineTuneJob(learner=learner, new=new, save=learner.save, validation=validation)

    def fine_tune_defaults(self) -> FineTune:
        """Return settings without old rows: there are none."""
        from .finetuning import FineTune

        return FineTune(replay=None)

    def describe_input(self) -> dict[str, Any]:
        """Return the names of the classes, where there are some."""
        return {"classes": list(self.classes)} if self.classes else {}

    def _model(self, folder: Path) -> GraphModel:
        from ..models.graph import GraphModel
        from ..models.loading import load

        model = load(folder)
        if not isinstance(model, GraphModel):
            raise DataError(f"{folder} holds a {type(model).__name__}; expected a graph, as `rnnkit import` writes it")
        return model

    def _learner(self, model: GraphModel, device: str) -> Learner:
        from ..training.learner import Learner

        return Learner(model, lr=self.fit.lr, device=device)

    def _several(self, model: GraphModel, data: DataRequest) -> SeveralRows:
        """Inputs and the targets of each output, for a network with several."""
        from .imported_several import read_rows

        if data.path.suffix != ".npz":
            raise DataError(
                f"{data.path}: expected an .npz file with an array for each input: {', '.join(model.inputs)}; and for "
                f"each output: {', '.join(target_names(model))}"
            )
        _, inputs, lengths = self._inputs(model, data)
        return read_rows(data.path, model, inputs, lengths)

    def _class_names(self, model: GraphModel) -> tuple[str, ...]:
        return self.classes if len(model.output_names) == 1 else ()

    def _rows(self, model: GraphModel, data: DataRequest) -> tuple[Any, torch.Tensor]:
        """Inputs and targets of a file, for a network with one input and one output."""
        import torch

        if data.path.suffix == ".npz":
            from ..types import Sequences

            _, (x,), lengths = self._inputs(model, data)
            return (x if lengths is None else Sequences(x, lengths)), answers_of(data.path, model, len(x))
        rows = self._read_series(data, "labels" if model.final[0] == "softmax" else "numbers", model)
        assert rows.targets is not None
        x = padded(rows)
        if model.final[0] != "softmax":
            return x, torch.as_tensor(rows.targets, dtype=torch.float32).reshape(len(rows), -1)
        names = self.classes or tuple(str(number) for number in range(class_count(model, [x.values[:1]])))
        unknown = sorted({str(one) for one in rows.targets} - set(names))
        if unknown:
            raise DataError(
                f"{data.path}: the class {unknown[0]!r} is none of the network's: {', '.join(names[:20])}; name them "
                "in the order of its outputs when it is imported: --classes NAME,NAME"
            )
        return x, torch.tensor([names.index(str(one)) for one in rows.targets])

    def _inputs(self, model: GraphModel, data: DataRequest) -> tuple[list[Any], list[torch.Tensor], Any]:
        """Ids of the rows, the inputs in their order, and lengths."""
        if data.path.suffix == ".npz":
            inputs, lengths = inputs_of(data.without_encoding(), model)
            inputs = [
                x if name in model.integers else checked(x.float(), name, data.path)
                for name, x in zip(model.inputs, inputs, strict=True)
            ]
            return list(range(1, len(inputs[0]) + 1)), inputs, lengths
        if len(model.inputs) > 1 or model.integers:
            raise DataError(
                f"{data.path}: expected an .npz file with an array for each input: {', '.join(model.inputs)}"
            )
        rows = self._read_series(data, None, model)
        found = padded(rows)
        equal = bool((found.lengths == found.lengths[0]).all())
        return list(rows.ids), [found.values], None if equal else found.lengths

    def _read_series(self, data: DataRequest, targets: Any, model: GraphModel) -> Any:
        """Series of a file, with as many channels as the network takes."""
        from ..data.reading import read_series

        options: dict[str, Any] = self.data.given(_READ) | (
            {} if data.encoding is None else {"encoding": data.encoding}
        )
        if self.data.target is not None:
            options["target_column"] = self.data.target
        try:
            rows = read_series(data.path, targets=targets, **options)
        except (DataError, ConfigError) as error:
            raise error.in_words(ImportWords(self.source)) from error
        wanted = None if model.shapes is None or len(model.shapes[0]) != 3 else model.shapes[0][2]
        if wanted is not None and len(rows.channels) != wanted:
            shown = ", ".join(rows.channels[:10])
            raise DataError(
                f"{data.path} has {len(rows.channels)} channels ({shown}); the network takes {wanted} numbers a step"
            )
        return rows


def imported() -> Imported:
    """Use a network that another program trained (rnnkit import)."""
    return Imported()


def answers(
    model: GraphModel, inputs: list[torch.Tensor], lengths: Any, device: torch.device, classes: tuple[str, ...]
) -> Columns:
    """Return a column, or several, for each output: a class with its probability, or numbers.

    Args:
        model: on the device.
        inputs: in the model's order, [N, ...] each.
        lengths: valid steps of each row, or None.
        device: where to compute.
        classes: names of the classes of a single output; () names them by number.
    """
    import torch

    found: list[list[torch.Tensor]] = []
    with torch.inference_mode():
        for begin in range(0, len(inputs[0]), _BATCH):
            model.reset_states()
            part = [x[begin : begin + _BATCH].to(device) for x in inputs]
            y = model(part, None if lengths is None else lengths[begin : begin + _BATCH])
            found.append([one.cpu() for one in (y if isinstance(y, tuple) else (y,))])
    columns: Columns = {}
    for place, name in enumerate(model.output_names):
        y = torch.cat([one[place] for one in found])
        suffix = "" if len(model.output_names) == 1 else f"_{name}"
        columns |= _columns(y, model.final[place] if model.logits else "linear", suffix, classes)
    return columns


def class_count(model: GraphModel, rows: list[torch.Tensor]) -> int:
    """Return the number of classes of the first output, as the network answers.

    Args:
        model: in evaluation mode.
        rows: in the model's order, [N, ...] each.

    Raises:
        ShapeError: the rows do not fit.
    """
    import torch

    with torch.inference_mode():
        y = model(rows)
    model.reset_states()
    return int((y[0] if isinstance(y, tuple) else y).shape[-1])


def told_class_count(model: GraphModel) -> int | None:
    """Return the number of classes by an answer to zeros; None where the shapes of the inputs do not determine it.

    Args:
        model: in evaluation mode.
    """
    import torch

    for steps in (16, 1024):  # convolutions and poolings need some
        sizes = [[1, *(steps if size is None else size for size in shape[1:])] for shape in model.shapes or []]
        if not all(0 < math.prod(shape) <= _MOST_NUMBERS for shape in sizes):
            return None
        try:
            return class_count(
                model,
                [
                    torch.zeros(shape, dtype=torch.int64 if name in model.integers else torch.float32)
                    for name, shape in zip(model.inputs, sizes, strict=False)
                ],
            )
        except ShapeError:
            continue
    return None


def _columns(y: torch.Tensor, final: str, suffix: str, classes: tuple[str, ...]) -> Columns:
    if final == "softmax":
        shares, best = y.softmax(-1).max(-1)
        if y.dim() == 2:
            named = [classes[one] if classes else one for one in best.tolist()]
            return {f"prediction{suffix}": named, f"confidence{suffix}": shares.tolist()}
        return {f"prediction{suffix}": [" ".join(str(classes[one] if classes else one) for one in row)
                                        for row in best.flatten(1).tolist()]}  # fmt: skip
    y = y.sigmoid() if final == "sigmoid" else y
    if y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1):
        return {f"prediction{suffix}": y.flatten().tolist()}
    if y.dim() == 2:
        return {f"prediction{suffix}_{number}": y[:, number].tolist() for number in range(y.shape[1])}
    return {f"prediction{suffix}": [" ".join(f"{one:.6g}" for one in row) for row in y.flatten(1).tolist()]}


def _divided(x: Any, y: torch.Tensor, settings: FineTune, divide: Any) -> tuple[Any, Any]:
    """New rows for training and test, also where x has lengths."""
    from ..types import Sequences

    if not isinstance(x, Sequences):
        return divide(x, y, settings)  # type: ignore[no-any-return]
    import torch

    new, judged = divide(torch.arange(len(y)), y, settings)

    def rows(pair: Any) -> Any:
        return None if pair is None else (Sequences(x.values[pair[0]], x.lengths[pair[0]]), pair[1])

    return rows(new), rows(judged)


def _has_several(model: GraphModel) -> bool:
    return len(model.inputs) > 1 or len(model.output_names) > 1
