"""Which epoch of a recipe for pairs of texts is the best: by the loss, or by a score of greedy answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..tasks.text_pairs import PairTokenizers, Search, TextPair
from ..tasks.text_scores import Scores
from .pair_model import PairModel
from .pair_settings import Data, Fit

if TYPE_CHECKING:
    from ..training import ValidationFigures

# What `fit.choose_by` may be → the figure of the scores, and how it is written.
FIGURES = {"bleu": "BLEU", "chrf": "chrF", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}

Judge = Callable[[Sequence[str], Sequence[TextPair]], Scores]


def check_choice_of_epoch(fit: Fit, data: Data, validation: Sequence[TextPair]) -> None:
    """Raise ConfigError where a score is to choose the epoch and there are no pairs to compute it of."""
    if fit.choose_by != "loss" and not validation:
        raise ConfigError(
            f"fit.choose_by={fit.choose_by} arrived with data.validation={data.validation:g}; expected pairs to choose "
            "by",
            None,
            ("type --set data.validation=0.05", "name a file of them: --set data.validation_path=FILE"),
        )


@dataclass(frozen=True)
class EpochChoice:
    """How the best epoch of a run is chosen.

    Attributes:
        by: "loss", or a figure of the scores.
        judged: the pairs that are answered after each epoch; none for the loss.
        of: the number of validation pairs.
    """

    by: str
    judged: Sequence[TextPair]
    of: int

    @staticmethod
    def of_settings(fit: Fit, validation: Sequence[TextPair]) -> EpochChoice:
        """Return the choice that settings ask for."""
        judged = [] if fit.choose_by == "loss" else validation[: fit.choose_pairs]
        return EpochChoice(fit.choose_by, judged, len(validation))

    def monitor(self) -> str | None:
        """Return the column of the history that decides the best epoch; None: the loss."""
        return f"val_greedy_{self.by}" if self.judged else None

    def callbacks(self, tokenizers: PairTokenizers, search: Search, judge: Judge) -> list[ValidationFigures]:
        """Return the callback that answers the pairs after each epoch, the most probable token at each step.

        Args:
            tokenizers: of the model.
            search: of the run; its width and penalties do not count.
            judge: returns the scores of answers to pairs.
        """
        if not self.judged:
            return []
        from ..training import ValidationFigures

        greedy = replace(search, width=1, coverage_penalty=0.0)
        name = f"greedy_{self.by}"

        def measure(model: Any) -> dict[str, float]:
            answers = PairModel(model, tokenizers, greedy).answer([pair.source for pair in self.judged])
            return {name: judge([one.text for one in answers], self.judged).figures[self.by]}

        return [ValidationFigures({name: True}, measure)]

    def described(self) -> str | None:
        """Return what the epoch was chosen by, for ``metrics.json``; None: nothing was chosen."""
        if not self.of:
            return None
        if not self.judged:
            return f"validation loss ({self.of} pairs)"
        some = f"{len(self.judged)} of {self.of} pairs" if len(self.judged) < self.of else f"{self.of} pairs"
        return f"validation {FIGURES[self.by]} of greedy answers ({some})"
