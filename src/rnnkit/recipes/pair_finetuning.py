"""The fine-tuning of a network for pairs of texts on pairs of a user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..runs import data_digests
from ..tasks.text_pairs import TextPair
from .finetuning import FineTune, FineTuneJob, name_old, read_old
from .finetuning_page import Shown
from .pair_network import make_learner
from .pair_page import Judged, answers_of, troubles_of
from .text_files import read_new_pairs
from .text_page import add_answers
from .text_pairs import PairRecipe, divide, short_enough

if TYPE_CHECKING:
    from ..data.bucketing import RaggedRows
    from .interface import DataRequest

_SCORED = 500  # pairs that are answered before and after it
_PICTURED = 3  # of them, whose attention the page shows


def make_job(recipe: PairRecipe, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's model with the pairs of a file to learn, read as its own were."""
    from ..data.text.groups import split_groups

    model = recipe.answers(folder)
    pairs = read_new_pairs(recipe.data, data)
    shares = {"validation": settings.validation} if settings.validation else {}
    rows = split_groups([(pair.source, pair.targets[0]) for pair in pairs], shares, seed=settings.seed)
    learned, validation = ([pairs[row] for row in rows.get(name, [])] for name in ("train", "validation"))
    learner = make_learner(recipe.fit, model.model, settings.device)
    tokenizers = model.tokenizers

    def short(part: list[TextPair]) -> tuple[RaggedRows, int]:
        return short_enough(tokenizers.rows(part), recipe.data.longest)

    new, count = short(learned)
    left_out = recipe.left_out(count)
    if count:
        learned = recipe.short_pairs(tokenizers, learned)
    tokenizers = tokenizers if tokenizers.trained is None else tokenizers.learning(new)
    learner.extra = tokenizers.to_dict()

    def read() -> dict[str, list[TextPair]]:
        parts = divide(recipe.data)
        data_digests.check(folder, parts.digests, "its old version is expected")
        return parts.pairs

    def save(to: Path) -> None:
        learner.save(to)
        data_digests.carry(folder, to)

    old = read_old(folder, settings, read)

    judged: dict[str, Judged] = {}

    def evaluate(which: Literal["new", "old"], old_head: bool) -> dict[str, float]:
        kept = {} if old is None else old
        group = (validation or learned) if which == "new" else kept.get("test") or kept["train"]
        answers, scores = recipe.answered(model, group[:_SCORED])
        part = "the held-out pairs" if validation else "the pairs"
        judged[which] = Judged(f"{part} of the {which} data", group[:_SCORED], answers, scores.each)
        return scores.figures

    def show() -> Shown:
        last = judged["new"]  # by the trained network, which is judged at the end
        told = troubles_of(tokenizers, learned, last, recipe.search, pretrained=True) if validation else []
        pictured = model.answer([pair.source for pair in last.pairs[:_PICTURED]], attention=True)
        answers = answers_of(last, pictured, recipe.quality)
        return Shown(told, lambda page: add_answers(page, answers))

    return FineTuneJob(
        learner=learner,
        new=new.arrays(),
        validation=tokenizers.rows(validation).arrays() if validation else None,
        save=save,
        old=None if old is None else (lambda: short(old["train"])[0].arrays()),
        old_test=None if old is None or not old.get("test") else tokenizers.rows(old["test"]).arrays(),
        old_from=name_old(folder, "pairs of the first training"),
        evaluate=evaluate,
        told=[*left_out, *tokenizers.unknown_sentences(pairs)],
        show=show,
    )
