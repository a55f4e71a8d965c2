"""What a run on intents has to learn when it is fine-tuned: sentences of intents and slots that it knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rnnkit.data.splits import held_out
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.finetuning import FineTune, FineTuneJob, name_old, read_old
from rnnkit.recipes.finetuning_page import Shown
from rnnkit.recipes.intents import Intents, learner_of, load
from rnnkit.recipes.intents_data import Parts, divide, known, troubles
from rnnkit.recipes.intents_results import answers_of
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.text_page import add_answers
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.data.text.tagged import TaggedText


def make_job(recipe: Intents, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's model with the sentences of a file to learn.

    Raises:
        DataError: an intent or a slot that the model does not know, or old sentences that are wanted and are gone.
        ConfigError: a new head was asked for.
    """
    import numpy as np
    import torch

    from rnnkit.tasks.intent_rows import IntentRows
    from rnnkit.tasks.intents import scores, understand

    if settings.classes == "replace":
        raise ConfigError("classes=replace arrived; a run on intents keeps its intents: train anew for others")
    trained = load(folder, "cpu")
    model, vocabulary = trained.model, trained.vocabulary
    texts = recipe.data.read(data.path, data.encoding, new=True)[0]
    unknown = known(texts, model.class_names, model.tags)[1]
    if unknown:
        raise DataError(
            f"{data.path}: {'; '.join(unknown)}", remedy="train anew, on the old and the new sentences together"
        )

    def read() -> Parts:
        parts = divide(recipe.data)
        data_digests.check(folder, parts.digests, "its old version is expected")
        return parts

    old = read_old(folder, settings, read)
    train = [] if old is None else old.train
    learned, judged = texts, []
    if settings.validation:
        rows = held_out([text.intent for text in texts], {"judged": settings.validation}, settings.seed)
        learned, judged = ([texts[row] for row in rows[name].tolist()] for name in ("train", "judged"))
    test = [] if old is None else known(old.test, model.class_names, model.tags)[0]
    longest = max(len(text.words) for group in (learned, judged, train, test) for text in group)

    def pair(group: list[TaggedText]) -> Any:
        rows = IntentRows(group, vocabulary, model.class_names, model.tags)
        batch = rows[np.arange(len(rows))]
        assert batch.targets is not None
        batch.targets = torch.nn.functional.pad(batch.targets, (0, 1 + longest - batch.targets.shape[1]))
        return batch

    learner = learner_of(model, recipe.fit, settings.device)
    learner.extra = vocabulary.to_dict()

    def evaluate(which: Literal["new", "old"], old_head: bool) -> dict[str, float]:
        group = (judged or learned) if which == "new" else (test or train)
        return scores(group, understand(model, vocabulary, group))

    def save(to: Path) -> None:
        learner.save(to)
        data_digests.carry(folder, to)

    def show() -> Shown:
        group = judged or learned
        found = understand(model, vocabulary, group)
        told = troubles(Parts(learned, judged, [], [], "", {}), vocabulary, pretrained=True)
        return Shown(told, lambda page: add_answers(page, answers_of(group, found)))

    return FineTuneJob(
        learner=learner,
        new=pair(learned),
        save=save,
        validation=pair(judged) if judged else None,
        old=None if old is None else (lambda: pair(train)),
        old_test=pair(test) if test else None,
        old_from=name_old(folder, f"sentences of {recipe.data.path}"),
        evaluate=evaluate,
        told=vocabulary.unknown_sentences(texts),
        show=show,
    )
