"""The next frames of clips: two recurrences over maps read the frames, and continue from their own predictions.

    frames → patches of 4 × 4 pixels → ConvGRU(32) at a quarter of the size, ConvGRU(48) at an eighth → the next frame

The next frame is blended of moved copies of the last one and of a newly drawn one; :class:`rnnkit.FrameForecaster`
has the equations. At first the network sees all frames but the last and predicts each from the true ones before it;
then more and more frames at the end are predicted from predictions. The epoch with the smallest sum of squares of a
frame of the validation part is kept. The test part chooses nothing. Black frames and copies of the last observed frame
are judged beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import rnnkit
from rnnkit.data.sentences import sentence
from rnnkit.errors import DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.clip_run import ClipRecipe
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.picture_data import divide_pictures
from rnnkit.recipes.prepared_training import Judged, PreparedTraining, Training
from rnnkit.recipes.video_data import VideoData, as_videos
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.next_frames_settings import ForecasterFit, ForecasterNetwork
from rnnkit.tasks.ranges import Count, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.next_frames import FramePredictor
    from rnnkit.tasks.next_frames_batches import HeldVideos

_INSPECTED = 8  # windows that a network is measured on


@dataclass(frozen=True)
class FrameWindows(Settings):
    """What a network observes and predicts.

    Attributes:
        path: of what to learn from.
        observed: frames that are observed.
        horizon: frames that are predicted after them.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    observed: Count = 10
    horizon: Count = 10

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return self.observed + self.horizon


@dataclass(frozen=True)
class WindowData(FrameWindows, VideoData):
    """Clips, and the windows of them that a network learns from.

    Attributes:
        path: a folder, table or archive of clips; see ``rnnkit.data.video.read_videos``. A name that is not here is
            looked for in the folder RNNKIT_DATA.
    """


@dataclass(frozen=True)
class NextFrames(ClipRecipe):
    """The whole run; ``rnnkit train next-frames FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and places of the windows.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Next frames"

    model: ForecasterNetwork = field(default_factory=ForecasterNetwork)
    fit: ForecasterFit = field(default_factory=ForecasterFit)
    data: FrameWindows = field(default_factory=WindowData)
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the clips, and write nothing."""
        data, predictor = self.data, self.untrained()
        assert isinstance(data, WindowData)

        def long_enough(clips: PictureSet) -> tuple[PictureSet, list[str]]:
            return without_short(clips, data)

        parts = divide_pictures(data, "next-frames", long_enough)
        held = {name: hold_windows(clips, predictor, data.frames) for name, clips in parts.named().items()}
        return PreparedFrames(
            parts.findings,
            parts.division,
            parts.digests,
            self,
            train=held["train"],
            validation=held.get("validation"),
            tests={"test": held["test"]} if "test" in held else {},
        )

    def untrained(self) -> FramePredictor:
        """Return a predictor with fresh weights."""
        import torch

        from rnnkit.tasks.next_frames import FramePredictor

        torch.manual_seed(self.seed)
        one, data = self.model, self.data
        model = rnnkit.FrameForecaster(
            3 if one.colour else 1,
            (one.hidden_size, one.coarse_size),
            frames=data.frames,
            motions=one.motions,
            reach=one.reach,
        )
        size = (one.size[0], one.size[1])
        every = getattr(data, "every", 1)
        return FramePredictor(model, size, observed=data.observed, horizon=data.horizon, fit=one.fit, every=every)

    def frame_predictor(self, folder: Path) -> FramePredictor:
        """Return the folder's predictor of frames.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.next_frames import load_frame_predictor

        return load_frame_predictor(folder, device=self.device)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return sums of squares and similarity of the folder's model on its test part, or on other clips."""
        from rnnkit.recipes.next_frames_results import judge

        predictor = self.frame_predictor(folder)
        if data is not None:
            return judge(predictor, self.windows_of(data, predictor)).figures
        prepared = self.prepare()
        assert isinstance(prepared, PreparedFrames)
        prepared.check_data(folder)
        return prepared.figures(prepared.judge_held(folder, predictor))

    def clips_of(self, data: DataRequest, predictor: FramePredictor) -> tuple[PictureSet, list[str]]:
        """Return clips that a user names and that are long enough, and a sentence about the others."""
        from rnnkit.data.video import read_videos

        path = data.without_encoding()
        clips = self.data.read(path, new=True) if isinstance(self.data, VideoData) else read_videos(path)
        wanted = WindowData(observed=predictor.observed, horizon=predictor.horizon, every=predictor.every)
        return without_short(clips, wanted)

    def windows_of(self, data: DataRequest, predictor: FramePredictor) -> HeldVideos:
        """Return windows of clips that a user names."""
        clips, told = self.clips_of(data, predictor)
        warn_of(clips, told)
        return hold_windows(clips, predictor, predictor.observed + predictor.horizon)

    def describe_input(self) -> dict[str, Any]:
        """Return how a clip becomes an input, as JSON values."""
        return {
            "frames": {
                "values": "the byte of a pixel divided by 255; gray where there is 1 channel, else RGB",
                "size": "scaled to `size`, height and width; fit pad adds black edges, crop cuts both ends off, "
                "stretch scales each side on its own",
                "choice": "the last frame, and those that lie a multiple of `every` before it",
            }
        }

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a clip to what is reported about the frames that follow."""
        from rnnkit.recipes.next_frames_results import told

        predictor = self.frame_predictor(folder)

        def answer(data: DataRequest) -> Columns:
            return told(predictor, data.without_encoding())

        return answer

    def drawing_predictor(self, folder: Path, out: Path) -> Predictor:
        """Return a function from a clip to a report of the frames that follow; it writes them as PNG and GIF."""
        from rnnkit.recipes.next_frames_results import write_frames

        predictor = self.frame_predictor(folder)

        def answer(data: DataRequest) -> Columns:
            return write_frames(predictor, data.without_encoding(), out)

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and windows to measure it on: those of the test part, or of other clips."""
        predictor = self.frame_predictor(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedFrames)
            held, which = prepared.inspected(), prepared.inspected_part()
        else:
            held, which = self.windows_of(data, predictor), ""
        frames = held.windows(range(min(len(held), _INSPECTED))).float() / 255
        inputs, targets = frames[:, :-1], frames[:, 1:]  # each frame from the true ones
        return InspectionData(predictor.model, inputs, targets, "mse", which)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with windows of other clips to learn."""
        from rnnkit.recipes.next_frames_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.next_frames_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedFrames(PreparedTraining):
    """A run whose clips were read and divided, or made."""

    nouns: ClassVar[str] = "windows"
    figure_names: ClassVar[Mapping[str, str]] = {
        "squares": "sum of squares of a frame",
        "first_squares": "sum of squares of the first predicted frame",
        "ssim": "structural similarity",
        "loss": "loss",
    }
    figures_of_tests: ClassVar[tuple[str, ...]] = ("squares", "first_squares", "ssim")

    def training(self) -> Training:
        """Return learner and predictor with fresh weights, the batches to train on, and those that choose."""
        from rnnkit.tasks.next_frames_batches import WindowBatches

        recipe = self.recipe
        predictor = recipe.untrained()
        learner = learner_of(predictor, recipe.fit, recipe.device)
        size, observed = recipe.fit.batch_size or 8, recipe.data.observed
        plain, growing = recipe.fit.curriculum()
        batches = WindowBatches(self.train, size, observed=observed, plain=plain, growing=growing, seed=recipe.seed)
        validation = None
        if self.validation is not None:
            validation = WindowBatches(self.validation, size, observed=observed, shuffle=False)
        return Training(learner, predictor, batches, validation)

    def judge_items(self, predictor: FramePredictor, items: Any) -> Judged:
        """Predict the last frames of windows, and compare with the true ones."""
        from rnnkit.recipes.next_frames_results import judge

        return judge(predictor, items)

    def measured(self, predictor: FramePredictor) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that sums of squares and similarity choose, and a function that measures them."""
        better = {"squares": False, "first_squares": False, "ssim": True}

        def measure(model: Any) -> dict[str, float]:
            figures = self.judge_items(predictor, self.validation).figures
            return {name: figures[name] for name in better}

        return better, measure

    def write_results(
        self,
        folder: Path,
        predictor: FramePredictor,
        judged: Mapping[str, Judged],
        history: Any,
        metrics: Mapping[str, Any],
    ) -> None:
        """Write the figures of each predicted frame, and the page of the run."""
        from rnnkit.recipes.next_frames_results import write_results

        write_results(folder, self.recipe.title, predictor, judged, history, metrics)


def learner_of(predictor: FramePredictor, fit: ForecasterFit, device: str) -> rnnkit.Learner:
    """Return a learner of a predictor's network.

    Args:
        predictor: what is needed to predict with it is stored with the network.
        fit: rate, clipping and average.
        device: where to compute.
    """
    learner = rnnkit.Learner(predictor.model, loss="mse", metrics=[], device=device, **fit.learner_settings())
    learner.extra = predictor.to_extra()
    return learner


def without_short(clips: PictureSet, data: WindowData) -> tuple[PictureSet, list[str]]:
    """Return the clips that a window fits into, and a sentence about the others.

    Args:
        clips: them.
        data: how long a window is.

    Raises:
        DataError: none is left.
    """
    videos = as_videos(clips)

    def length(index: int) -> int:
        return -(-videos.info(index).frames // data.every)

    short = [one.id for index, one in enumerate(clips) if length(index) < data.frames]
    if len(short) == len(clips):
        longest = max(length(index) for index in range(len(clips)))
        each = "" if data.every == 1 else f" of every {data.every} frames"
        seen = longest - longest // 2
        remedy = f"type --set data.observed={seen} --set data.horizon={longest - seen}"
        raise DataError(
            f"{clips.source}: the longest clip has {longest} frame{'s' if longest > 1 else ''}{each}; expected "
            f"{data.observed} to observe and {data.horizon} to predict: "
            + (remedy if longest > 1 else "a clip of a single frame has no next one")
        )
    if not short:
        return clips, []
    kept = clips.subset(index for index in range(len(clips)) if length(index) >= data.frames)
    phrase = (f"has fewer than {data.frames} frames", f"have fewer than {data.frames} frames")
    return kept, [sentence(phrase, short, len(clips), "clips") + " Left out."]


def hold_windows(clips: PictureSet, predictor: FramePredictor, frames: int) -> HeldVideos:
    """Read the frames of clips, for windows of this number of them.

    Args:
        clips: none is shorter.
        predictor: says of which size.
        frames: of a window.
    """
    from rnnkit.tasks.next_frames_batches import HeldVideos

    videos = as_videos(clips)
    read = [predictor.read(one.path, videos.info(index)) for index, one in enumerate(videos)]
    return HeldVideos(read, [one.id for one in videos], frames=frames)


def next_frames() -> NextFrames:
    """Learn to predict the next frames of clips (data.path): ConvGRUs at two sizes, 10 frames from 10 frames."""
    return NextFrames()
