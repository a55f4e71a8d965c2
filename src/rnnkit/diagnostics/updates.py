"""How fast weights move while training: gradient norms, and updates as a share of the weights, by a callback."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ..errors import ConfigError, DataError
from ..finetuning.groups import named_groups
from ..serialization import json_text, replacing
from .activity import saturation

Tensor = torch.Tensor
Record = dict[str, Any]
FILE = "diagnostics.json"


def update_ratios(model: torch.nn.Module, before: Mapping[str, Tensor]) -> dict[str, float]:
    """‖w − w_before‖ / ‖w_before‖ of each parameter.

    Around 1e-3 a step is a common rule for weights that learn steadily; far above 1e-2 the rate is high, far below 1e-5
    the weights hardly move. Biases and other parameters that start near 0 have large ratios without harm.

    Args:
        model: the module after a step.
        before: its parameters before the step, by name: ``{name: p.detach().clone() for name, p in
            model.named_parameters()}``. Those that are not in it are left out.

    Returns:
        ratios by the parameter's name; NaN where w_before is 0.

    Example:
        >>> model = torch.nn.Linear(2, 2)
        >>> before = {"weight": model.weight.detach().clone()}
        >>> _ = model.weight.data.mul_(1.01)
        >>> round(update_ratios(model, before)["weight"], 4)
        0.01
    """
    ratios = {}
    for name, parameter in model.named_parameters():
        if name in before:
            size = torch.linalg.vector_norm(before[name]).item()
            moved = torch.linalg.vector_norm(parameter.detach() - before[name]).item()
            ratios[name] = moved / size if size > 0 else math.nan
    return ratios


class Diagnostics:
    """A callback for ``learner.fit`` that records how training goes, every so many steps, an entry an epoch.

    What it records, in ``records`` (JSON values):
        epoch: from 1, and ``measured``, the steps that were looked at.
        gradients: the gradient's norm before clipping by layer (``layer_groups``), its mean, and
        gradient_peak: the largest norm of the whole gradient over the median, of the epoch's measured steps.
        updates: ‖Δw‖/‖w‖ a step by parameter, its mean (:func:`update_ratios`).
        saturation: of ``inputs``, where they were passed, after the epoch: by layer the share of saturated values by
            gate, of ``dead`` and of ``constant`` units.

    A measured step costs one more copy of the weights and a few reductions; all others nothing worth naming. With
    float16 mixed precision the gradients of the scaled loss are seen.

    Args:
        every: measure the first step of each epoch, and every so many steps from there.
        inputs: rows to measure saturation on, as the model takes them; a few dozen.
        file: where to write the records after each epoch, whole or not at all, for ``rnnkit inspect``.

    Raises:
        ConfigError: ``every`` is no whole number of at least 1.

    Example:
        >>> import rnnkit
        >>> x = torch.randn(64, 10, 1)
        >>> learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(1, 8)))
        >>> watch = Diagnostics(every=1, inputs=x[:8])
        >>> history = learner.fit((x, x.sum(1)), epochs=2, callbacks=[watch], progress=False)
        >>> [record["epoch"] for record in watch.records], list(watch.records[0]["gradients"])
        ([1, 2], ['body.l0', 'head'])
    """

    def __init__(self, every: int = 50, *, inputs: Any = None, file: str | PathLike[str] | None = None) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ConfigError(f"every={every!r} arrived; expected a number of steps of at least 1, such as 50")
        self.every, self.inputs = every, inputs
        self.file = None if file is None else Path(file)
        self.records: list[Record] = []
        self._lines: list[str] = []  # those of the file, each made once
        self._forget()

    def __repr__(self) -> str:
        return f"Diagnostics(every={self.every}, epochs recorded: {len(self.records)})"

    def _forget(self) -> None:
        self._gradients: dict[str, list[float]] = {}
        self._totals: list[float] = []
        self._updates: dict[str, list[float]] = {}
        self._before: dict[str, Tensor] = {}
        self._steps = 0  # of the epoch

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        self._forget()

    def on_backward_end(self, learner: Any, step: int) -> None:
        self._steps += 1
        if (self._steps - 1) % self.every:
            return
        total = 0.0
        for name, group in named_groups(learner.model).items():
            norms = [torch.linalg.vector_norm(p.grad.detach()) for _, p in group if p.grad is not None]
            if norms:
                norm = torch.linalg.vector_norm(torch.stack(norms)).item()
                self._gradients.setdefault(name, []).append(norm)
                total += norm * norm
        self._totals.append(math.sqrt(total))
        self._before = {name: p.detach().clone() for name, p in learner.model.named_parameters() if p.grad is not None}

    def on_step_end(self, learner: Any, step: int) -> None:
        if not self._before:
            return
        for name, ratio in update_ratios(learner.model, self._before).items():
            self._updates.setdefault(name, []).append(ratio)
        self._before = {}

    def on_epoch_end(self, learner: Any, row: Mapping[str, float]) -> None:
        middle = median(self._totals) if self._totals else 0.0
        record: Record = {
            "epoch": int(row["epoch"]),
            "measured": len(self._totals),
            "gradients": {name: _mean(norms) for name, norms in self._gradients.items()},
            "gradient_peak": _json(max(self._totals) / middle) if middle > 0 else None,
            "updates": {name: _mean(ratios) for name, ratios in self._updates.items()},
        }
        if self.inputs is not None:
            record["saturation"] = {
                one.layer: {**one.saturated, "dead": one.dead_share, "constant": one.constant_share}
                for one in saturation(learner.model, self.inputs)
            }
        self.records.append(record)
        self._lines.append(_line(record))
        self._forget()
        if self.file is not None and getattr(learner, "rank", 0) == 0:
            _write(self._lines, self.file)

    def on_fit_end(self, learner: Any, history: Any) -> None:
        self._before = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"records": self.records}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self.records = list(state["records"])
        self._lines = [_line(record) for record in self.records]


def write_records(records: list[Record], path: str | PathLike[str]) -> None:
    """Write records as JSON, a line each, whole or not at all."""
    _write([_line(record) for record in records], path)


def _line(record: Record) -> str:
    return json_text(record, indent=None).rstrip()


def _write(lines: list[str], path: str | PathLike[str]) -> None:
    within = ",\n".join(lines)
    with replacing(Path(path)) as temporary:
        temporary.write_text(f'{{"records": [\n{within}\n]}}\n', encoding="utf-8")


def read_records(path: str | PathLike[str]) -> list[Record]:
    """Read what a :class:`Diagnostics` wrote.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))["records"]
        if not all(isinstance(record, dict) and "epoch" in record for record in records):
            raise ValueError("no epochs")
        return list(records)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no records of rnnkit.Diagnostics ({error!r}); remove it or train again"
        ) from None


def _mean(values: list[float]) -> float | None:
    return _json(sum(values) / len(values))


def _json(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None
