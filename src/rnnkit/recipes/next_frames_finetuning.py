"""What a network that predicts frames learns when it is fine-tuned: other clips, with some of the old ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import ConfigError
from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.next_frames import NextFrames, PreparedFrames, hold_windows, learner_of
from rnnkit.recipes.prepared_training import Judged
from rnnkit.recipes.recognition_finetuning import MixedItems, RecognitionJob, job_parts

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.images import PictureSet
    from rnnkit.tasks.next_frames_batches import Windows

DEFAULTS = FineTune(epochs=10, batch_size=8, schedule="warmup_cosine", replay=0.5, validation=0.2)


@dataclass(frozen=True)
class FramesJob(RecognitionJob):
    """A network that predicts frames with windows of clips to learn, read and checked."""

    noun: ClassVar[str] = "predictor of frames"
    rates: ClassVar[tuple[str, ...]] = ("squares", "first_squares", "ssim")

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that the job cannot use, before there is a run folder."""
        if settings.classes == "replace":
            raise ConfigError("classes=replace arrived; clips have no classes here: leave --set classes=replace out")
        super().check(settings)

    def mix(self, new: Windows, old: Windows | None, replay: float) -> MixedWindows:
        """Return new windows with some of the old ones."""
        return MixedWindows(new, old, replay)

    def batches(self, items: Windows, settings: FineTune, *, shuffle: bool) -> Any:
        """Return batches in which all frames after the observed ones are predicted from predictions."""
        from rnnkit.tasks.next_frames_batches import WindowBatches

        observed = self.recognizer.observed
        return WindowBatches(items, settings.batch_size, observed=observed, shuffle=shuffle, seed=settings.seed)

    def first(self, items: Windows, count: int) -> FirstWindows:
        """Return the first windows."""
        return FirstWindows(items, count)

    def judge(self, items: Windows) -> Judged:
        """Predict the last frames of windows, and compare with the true ones."""
        from rnnkit.recipes.next_frames_results import judge

        return judge(self.recognizer, items)


class MixedWindows(MixedItems):
    """New windows with some of the old ones; see :class:`MixedItems`."""

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return int(self.new.frames)

    def redraw(self, seed: int, epoch: int) -> None:
        """Draw other windows, and other old ones."""
        import numpy as np

        self.new.redraw(seed, epoch)
        if self.old is not None:
            self.old.redraw(seed, epoch)
        self._rows = np.random.default_rng(seed).permutation(0 if self.old is None else len(self.old))[: self.count]

    def windows(self, rows: Any) -> Tensor:
        """Return windows, uint8 [B, T + S, C, H, W]."""
        import torch

        places = [self.place(row) for row in rows]
        return torch.cat([items.windows([row]) for items, row in places])


class FirstWindows:
    """The first of some windows, for the test.

    Args:
        windows: them.
        count: how many.
    """

    def __init__(self, windows: Windows, count: int) -> None:
        self._windows, self._count, self.frames = windows, count, windows.frames

    def __len__(self) -> int:
        return self._count

    def windows(self, rows: Any) -> Tensor:
        """Return windows, uint8 [B, T + S, C, H, W]."""
        return self._windows.windows(rows)


def make_job(recipe: NextFrames, folder: Path, data: DataRequest, settings: FineTune) -> FramesJob:
    """Return the folder's network with clips to learn. Whole clips are held back for the test.

    Raises:
        DataError: no clip is long enough, or old ones are wanted and are gone.
    """
    from rnnkit.tasks.next_frames import load_frame_predictor

    predictor = load_frame_predictor(folder, device="cpu")
    clips, told = recipe.clips_of(data, predictor)
    frames = predictor.observed + predictor.horizon

    def read() -> PreparedFrames:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedFrames)
        return prepared

    def held(some: PictureSet | None) -> Windows | None:
        return None if some is None else hold_windows(some, predictor, frames)

    old_from = f"clips of {recipe.data.path or 'the first training'}"
    parts = job_parts(folder, settings, clips, clips.subset, read, old_from)
    parts = parts._replace(new=held(parts.new), judged=held(parts.judged))
    learner = learner_of(predictor, recipe.fit, settings.device)
    return FramesJob(recipe, learner, predictor, parts, folder, [*clips.findings, *told])
