"""What a classifier of pictures has to learn when it is fine-tuned: pictures of its classes, and of new ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit.errors import DataError
from rnnkit.recipes.classify_images_network import learner_of
from rnnkit.recipes.finetuning import FineTune, FineTuneJob, divide, name_old, read_old
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.picture_data import check_known
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.recipes.classify_images import ClassifyImages, PreparedClasses

DEFAULTS = FineTune(epochs=20, batch_size=8, lr=5e-4, schedule="warmup_cosine", replay=0.5, validation=0.2)


def make_job(recipe: ClassifyImages, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's model with the pictures of a path to learn.

    Raises:
        DataError: pictures that cannot be read, or old ones that are wanted and have changed or are gone.
    """
    from rnnkit.data.images.held import HeldPictures
    from rnnkit.recipes.classify_images import PreparedClasses

    namer = recipe.namer(folder)
    held, classes = recipe.new_pictures(data.without_encoding(), namer, known=False)
    if settings.classes == "replace":
        there = [classes[number] for number in held.labels.unique().tolist()]
        if len(there) < 2:
            raise DataError(f"{data.path}: all pictures are {there[0]!r}; with classes=replace two are expected")
        numbers = {classes.index(name): number for number, name in enumerate(there)}
        held = HeldPictures(held.pixels, held.labels.clone().apply_(numbers.__getitem__), held.names)
        classes = there

    def read() -> PreparedClasses:
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedClasses)
        prepared.check_data(folder)
        check_known(folder, prepared.classes, namer.classes, prepared.nouns)
        return prepared

    old = read_old(folder, settings, read)
    test = None if old is None else next(iter(old.tests.values()), old.validation)
    new, validation = divide(*held.rows(), settings)
    learner = learner_of(namer.model, recipe.fit, settings.device)
    learner.extra = namer.to_extra()

    def save(to: Path) -> None:
        learner.save(to)
        data_digests.carry(folder, to)

    return FineTuneJob(
        learner=learner,
        new=new,
        save=save,
        validation=validation,
        old=None if old is None else (lambda: old.train.rows()),
        old_test=None if test is None else test.rows(),
        old_from=name_old(folder, f"pictures of {recipe.data.path or 'the first training'}"),
        classes=tuple(classes),
        old_classes=namer.classes,
    )
