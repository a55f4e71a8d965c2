"""What a network for classes of clips has to learn when it is fine-tuned: other clips, or new classes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.data.labels import sorted_classes
from rnnkit.errors import DataError
from rnnkit.recipes.finetuning import FineTune, FineTuneJob, divide, name_old, read_old
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.picture_data import check_known
from rnnkit.recipes.video import PreparedVideo, Video
from rnnkit.recipes.video_data import hold_clips
from rnnkit.recipes.video_network import learner_of
from rnnkit.recipes.wording import warn_of
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.tasks.video_batches import HeldClips

DEFAULTS = FineTune(epochs=15, batch_size=8, lr=5e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)


def make_job(recipe: Video, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's classifier with clips to learn, whose classes get outputs where they have none.

    Raises:
        DataError: no clips with classes, or old ones that are wanted and are gone.
    """
    from rnnkit.tasks.video import load_clip_classifier

    classifier = load_clip_classifier(folder, device="cpu")
    before = classifier.classes
    clips = _read(recipe, data.without_encoding())
    held, told = hold_clips(clips, classifier)
    warn_of(clips, told)
    found = sorted_classes(held.texts)
    classes = found
    if settings.classes == "add":
        classes = before + tuple(name for name in found if name not in before)
    elif len(found) < 2:
        raise DataError(f"{data.path}: all clips are {found[0]!r}; with classes=replace two classes are expected")

    def read() -> PreparedVideo:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedVideo)
        prepared.check_data(folder)
        check_known(folder, prepared.classes, before, prepared.nouns)
        return prepared

    old = read_old(folder, settings, read)
    old_test = None if old is None else next(iter(old.tests.values()), old.validation)
    new, validation = divide(*_pair(held, classes), settings)
    learner = learner_of(classifier.model, recipe.fit, settings.device, metrics="accuracy")
    learner.extra = classifier.to_extra()

    def save(to: Path) -> None:
        learner.save(to)
        data_digests.carry(folder, to)

    return FineTuneJob(
        learner=learner,
        new=new,
        save=save,
        validation=validation,
        old=None if old is None else (lambda: _pair(old.train, before)),
        old_test=None if old_test is None else _pair(old_test, before),
        old_from=name_old(folder, f"clips of {recipe.data.path}"),
        classes=classes,
        old_classes=before,
    )


def _read(recipe: Video, path: Path) -> PictureSet:
    """Return the clips of a path; a folder with the folder of a single class counts, too."""
    from rnnkit.data.video import read_videos

    clips = recipe.data.read(path, new=True)
    if clips.layout == "plain" and path.is_dir():
        with suppress(DataError):  # where there is no folder of a class
            return read_videos(path, layout="labels")
    return clips


def _pair(clips: HeldClips, classes: tuple[str, ...]) -> tuple[Any, Any]:
    """Return all clips at once, and the numbers of their classes."""
    import torch

    from rnnkit.tasks.video_batches import scaled
    from rnnkit.types import Sequences

    frames = Sequences.from_list([scaled(clips.frames(row)) for row in range(len(clips))])
    return frames, torch.tensor([classes.index(label) for label in clips.texts])
