"""Logs of a run as callbacks: lines of JSON, and TensorBoard's files.

    from rnnkit.training import JSONLines, TensorBoard
    learner.fit(data, callbacks=[JSONLines("runs/a/log.jsonl", every=50), TensorBoard("runs/a/tensorboard")])

Both write after each epoch and, with `every=N`, after every N steps. A resumed run continues from its checkpoint: lines
logged after the checkpoint are removed. Under torchrun the first process writes its own figures.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import IO, Any

from ...errors import DataError, MissingExtraError, check_path, check_whole
from ...serialization import replacing, strict
from ..history import History, Row
from .callbacks import Callback


class _Log(Callback):
    """Collects the figures of a step, every `every` steps; `steps` counts updates from 1."""

    def __init__(self, every: int | None) -> None:
        check_whole(every, "every", optional=True)
        self.every = every
        self._run: Any = None
        self._seen = (0.0, 0)  # sum and number of the epoch's losses at the last line
        self._resumed = False

    def _begin(self, run: Any) -> bool:
        """Start a log; return whether the run resumes an earlier one."""
        resumed, self._resumed, self._run = self._resumed, False, run
        if not resumed:
            self._seen = 0.0, 0
        return resumed

    def on_step_end(self, learner: Any, step: int) -> None:
        steps, run = step + 1, self._run
        if run is None or self.every is None or steps % self.every:
            return
        run.losses.read()
        total, count = run.losses.total, run.losses.count
        loss = (total - self._seen[0]) / max(1, count - self._seen[1])
        self._seen = total, count
        lr = run.optimizer.param_groups[0]["lr"]
        self._write_step(steps, {"loss": loss, "lr": lr, "gradient_norm": learner.gradient_norm})

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        self._seen = 0.0, 0
        if self._run is not None:
            self._write_epoch(self._run.position.step, row)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": list(self._seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        total, count = state["seen"]
        self._seen, self._resumed = (total, count), True

    def _write_step(self, steps: int, figures: dict[str, float]) -> None:
        raise NotImplementedError

    def _write_epoch(self, steps: int, row: Row) -> None:
        raise NotImplementedError


class JSONLines(_Log):
    """Appends a line of JSON at the begin and the end of a run, after each epoch and every `every` steps.

    Each line has `"of": "begin" | "step" | "epoch" | "end"` and `steps`, the updates of the weights so far. The line of
    an epoch is its row of the history. The line of a step has `loss` (the mean since the last such line of the epoch),
    `lr`, `gradient_norm` (before `clip_norm`) and `seconds` since the epoch began. NaN and infinity are null.

    Each line is written whole and flushed at once. When the file is opened again, a line that a crash cut off is
    removed. A resumed run also removes the lines after its checkpoint, so that its log has the lines of an
    uninterrupted run. Lines of other runs are kept.

    Args:
        path: the file; its folder is made.
        every: the number of steps between two lines; None: lines of epochs alone.

    Raises:
        ConfigError: `every` below 1.
        DataError: the file exists and is not a log.

    Example:
        >>> import json, tempfile, torch, rnnkit
        >>> learner = rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = JSONLines(f"{folder}/log.jsonl", every=2)
        ...     _ = learner.fit((torch.ones(96, 2), torch.ones(96)), epochs=1, callbacks=[log], progress=False)
        ...     [json.loads(line)["of"] for line in open(f"{folder}/log.jsonl")]
        ['begin', 'step', 'epoch', 'end']
    """

    def __init__(self, path: str | PathLike[str], every: int | None = None) -> None:
        super().__init__(every)
        self.path = Path(path)
        self._file: IO[str] | None = None

    def __repr__(self) -> str:
        return f"JSONLines({str(self.path)!r}, every={self.every})"

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        if learner.rank:
            return
        resumed = self._begin(run)
        lines = _read(self.path)
        kept = _until(lines, run.position.step, run.position.epoch) if resumed else lines
        if kept != lines or (self.path.exists() and not self.path.read_bytes().endswith(b"\n")):
            with replacing(self.path) as temporary:
                temporary.write_text("".join(kept), encoding="utf-8")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        if not (resumed and kept):
            self._write("begin", run.position.step, {"time": datetime.now(UTC).isoformat(timespec="seconds")})

    def on_fit_end(self, learner: Any, history: History) -> None:
        if self._file is not None and self._run is not None:
            self._write("end", self._run.position.step, {"stopped": history.stopped, "seconds": history.seconds})
            self._file.close()
        self._run = self._file = None

    def _write_step(self, steps: int, figures: dict[str, float]) -> None:
        assert self._run is not None
        at = self._run.position
        self._write("step", steps, {"epoch": at.epoch, **figures, "seconds": time.monotonic() - at.began})

    def _write_epoch(self, steps: int, row: Row) -> None:
        self._write("epoch", steps, dict(row))

    def _write(self, of: str, steps: int, figures: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps({"of": of, "steps": steps, **strict(figures)}) + "\n")
        self._file.flush()


class TensorBoard(_Log):
    """Writes scalars for TensorBoard (`tensorboard --logdir FOLDER`), and histograms on request.

    After each epoch it writes `loss/training`, `loss/validation`, the same for each metric, `lr` and
    `samples_per_second`; every `every` steps `step/loss`, `step/lr` and `step/gradient_norm`. The axis counts updates
    of the weights. In a resumed run TensorBoard hides what was written after the checkpoint.

    Args:
        folder: the folder for the files, one for each begin and each resume of the run.
        every: the number of steps between two figures of steps; None: no figures of steps.
        histograms: the number of epochs between two histograms of all weights, and of the gradients of the last step;
            None: no histograms.

    Raises:
        MissingExtraError: TensorBoard is not installed.
        ConfigError: `every` or `histograms` below 1.

    Example:
        >>> import tempfile
        >>> log = TensorBoard(tempfile.mkdtemp(), every=50)  # learner.fit(data, callbacks=[log])
        >>> log.every
        50
    """

    def __init__(self, folder: str | PathLike[str], every: int | None = None, *, histograms: int | None = None) -> None:
        super().__init__(every)
        check_whole(histograms, "histograms", optional=True)
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            raise MissingExtraError(
                "TensorBoard needs the package tensorboard; install it with: pip install 'rnnkit[tensorboard]'"
            ) from None
        check_path(folder, "folder")
        self.folder, self.histograms = Path(folder), histograms
        self._writer: Any = None

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r}, every={self.every}, histograms={self.histograms})"

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        if learner.rank:
            return
        from torch.utils.tensorboard import SummaryWriter

        purge = run.position.step + 1 if self._begin(run) else None
        self._writer = SummaryWriter(str(self.folder), purge_step=purge)

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        super().on_epoch_end(learner, row)
        if self._writer is None or self._run is None:
            return
        if self.histograms is not None and int(row["epoch"]) % self.histograms == 0:
            for name, parameter in learner.model.named_parameters():
                self._writer.add_histogram(f"weights/{name}", parameter.detach().float(), self._run.position.step)
                if parameter.grad is not None and bool(parameter.grad.isfinite().all()):
                    self._writer.add_histogram(f"gradients/{name}", parameter.grad.float(), self._run.position.step)
        self._writer.flush()

    def on_fit_end(self, learner: Any, history: History) -> None:
        if self._writer is not None:
            self._writer.close()
        self._run = self._writer = None

    def _write_step(self, steps: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(f"step/{name}", value, steps)

    def _write_epoch(self, steps: int, row: Row) -> None:
        for name, value in row.items():
            if name in ("lr", "samples_per_second"):
                self._writer.add_scalar(name, value, steps)
            elif name.startswith("val_"):
                self._writer.add_scalar(f"{name.removeprefix('val_')}/validation", value, steps)
            elif name not in ("epoch", "seconds"):
                self._writer.add_scalar(f"{name}/training", value, steps)


def _read(path: Path) -> list[str]:
    """The complete lines of a log, with their line ends; a last line that was cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            whole = line.endswith("\n") and "of" in json.loads(line)
        except (ValueError, TypeError):
            whole = False
        if not whole and number < len(lines):
            raise DataError(
                f"{path}:{number} is not a line of a log: {line.strip()[:60]!r}; name another file for the log"
            )
        if not whole:
            if number == 1 and not line.startswith("{"):
                raise DataError(f"{path} exists and is not a log; name another file for the log")
            return lines[:-1]
    return lines


def _until(lines: list[str], steps: int, epoch: int) -> list[str]:
    """The lines of earlier runs, and those of the last one up to so many steps and before the end of this epoch."""
    parsed = [json.loads(line) for line in lines]
    begin = max((index for index, line in enumerate(parsed) if line["of"] == "begin"), default=0)

    def before(line: dict[str, Any]) -> bool:
        if line["of"] == "epoch":
            return bool(line["epoch"] < epoch)
        return bool(line["of"] == "begin" or (line["of"] == "step" and line["steps"] <= steps))

    return [line for index, (line, made) in enumerate(zip(lines, parsed, strict=True)) if index < begin or before(made)]
