"""What a run on classes of texts has to learn when it is fine-tuned: texts of its classes, and of new ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.data.labels import sorted_classes
from rnnkit.errors import DataError
from rnnkit.recipes.finetuning import FineTune, FineTuneJob, held_out_rows, name_old, read_old, separate
from rnnkit.recipes.finetuning_page import Shown
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.text_classify import TextClassify, learner_of
from rnnkit.recipes.text_classify_data import Parts, troubles
from rnnkit.recipes.text_classify_data import divide as divide_texts
from rnnkit.recipes.text_classify_results import JudgedTexts
from rnnkit.recipes.text_classify_trained import Trained
from rnnkit.recipes.text_page import add_answers
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.data.text.labelled import LabelledText


def make_job(recipe: TextClassify, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's model with the texts of a file to learn.

    Raises:
        DataError: texts that cannot be read, or old ones that are wanted and have changed or are gone.
    """
    from rnnkit.data.text.labelled import check_known
    from rnnkit.tasks.text_rows import TextClassRows

    trained = Trained.of(folder, recipe)
    texts = recipe.data.read(data.path, data.encoding, new=True)
    trained.warn_of_unknown(texts)
    found = sorted_classes([one.label for one in texts])
    classes = found
    if settings.classes == "add":
        classes = trained.classes + tuple(name for name in found if name not in trained.classes)
    elif len(found) < 2:
        raise DataError(f"{data.path}: all texts are {found[0]!r}; with classes=replace two classes are expected")

    def read() -> Parts:
        parts = divide_texts(recipe.data)
        data_digests.check(folder, parts.digests, "its old version is expected")
        check_known([*parts.train, *parts.test], trained.classes)
        return parts

    old = read_old(folder, settings, read)

    def pair(texts: list[LabelledText], names: tuple[str, ...]) -> Any:
        return TextClassRows(texts, trained.tokenizer, names, most=recipe.data.max_tokens).arrays()

    x, y = pair(texts, classes)
    held = held_out_rows(y, settings)
    new, validation = separate(x, y, held)
    learned, judged = ([texts[row] for row in rows.nonzero()[:, 0].tolist()] for rows in (~held, held))
    learner = learner_of(trained.model, recipe.fit, settings.device)
    learner.extra = {"tokenizer": trained.tokenizer.to_dict()}

    def save(to: Path) -> None:
        learner.save(to)
        data_digests.carry(folder, to)

    def show() -> Shown:
        tuned = replace(trained, model=learner.model, classes=classes)
        parts, most = Parts(learned, judged, [], "", {}), recipe.data.max_tokens
        cut = TextClassRows(learned, trained.tokenizer, most=most).cut
        told = troubles(parts, trained.tokenizer, cut, most, pretrained=True)
        answers = JudgedTexts(tuned, judged or learned).answers()
        return Shown(told, lambda page: add_answers(page, answers))

    return FineTuneJob(
        learner=learner,
        new=new,
        save=save,
        validation=validation,
        old=None if old is None else (lambda: pair(old.train, trained.classes)),
        old_test=None if old is None or not old.test else pair(old.test, trained.classes),
        old_from=name_old(folder, f"texts of {recipe.data.path}"),
        classes=classes,
        old_classes=trained.classes,
        show=show,
    )
