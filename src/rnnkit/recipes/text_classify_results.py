"""What a run on classes of texts writes at its end: mistakes, a confusion matrix, and the page ``report.html``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.run_page import page_figures
from rnnkit.recipes.text_page import Answers, Picture, Sample, write_text_page

if TYPE_CHECKING:
    import torch

    from rnnkit.data.text.labelled import LabelledText
    from rnnkit.recipes.text_classify_trained import Trained

MISTAKES, CONFUSION = "mistakes.csv", "confusion.png"
_SHOWN = 10  # texts of a part of the page


def write_results(
    trained: Trained,
    texts: Sequence[LabelledText],
    folder: Path,
    troubles: Sequence[str],
    history: Any,
    metrics: Mapping[str, Any],
) -> None:
    """Write ``mistakes.csv``, ``confusion.png``, ``report.html`` and ``troubles.txt``.

    Args:
        trained: the network.
        texts: for the test; (): the page has no samples.
        folder: the run folder.
        troubles: sentences about the data.
        history: of the training.
        metrics: what was measured.
    """
    page: dict[str, Any] = {}
    if texts:
        judged = JudgedTexts(trained, texts)
        judged.write(folder)
        page = {**judged.answers()._asdict(), "length_quality": judged.length_quality()}
    write_text_page(
        folder,
        title=f"Classes of the texts of {trained.recipe.data.path}",
        lead=f"{trained.model!r}, {len(trained.tokenizer):,} tokens of the kind {trained.tokenizer.kind}.",
        history=history,
        troubles=troubles,
        figures=page_figures(metrics),
        **page,
    )


class JudgedTexts:
    """What a trained network answers about texts, beside their classes.

    Args:
        trained: the network.
        texts: of its classes, at least one.
    """

    def __init__(self, trained: Trained, texts: Sequence[LabelledText]) -> None:
        import torch

        self.trained, self.texts, self.classes = trained, list(texts), trained.classes
        count = len(self.classes)
        shares = trained.shares(self.texts)
        self._sureness, self._found = shares.max(1)
        true = torch.tensor([self.classes.index(one.label) for one in self.texts])
        self._of_true = shares.gather(1, true[:, None])[:, 0]
        self._matrix = torch.bincount(true * count + self._found, minlength=count**2).view(count, count).numpy()
        missed = (self._found != true).nonzero()[:, 0]
        self._surest = missed[self._sureness[missed].argsort(descending=True, stable=True)].tolist()

    def write(self, folder: Path) -> None:
        """Write ``mistakes.csv`` and ``confusion.png``."""
        from rnnkit.diagnostics import pictures
        from rnnkit.runs.tables import write_table

        pictures.confusion(self._matrix, self.classes, folder / CONFUSION)
        write_table(
            {
                "text": [self.texts[row].text for row in self._surest],
                "label": [self.texts[row].label for row in self._surest],
                "prediction": [self.classes[self._found[row]] for row in self._surest],
                "confidence": [float(self._sureness[row]) for row in self._surest],
            },
            folder / MISTAKES,
        )

    def answers(self) -> Answers:
        """Return what a page shows of them."""
        picture = Picture(
            "Which classes are mistaken for which",
            self._draw,
            f"Confusion matrix of {len(self.classes)} classes.",
            "A row for each true class, a column for each predicted one.",
        )
        return Answers(
            samples=self._samples(range(len(self.texts)), self._sureness),
            worst=self._samples(self._of_true.argsort(stable=True).tolist(), self._of_true),
            surest=self._samples(self._surest, self._sureness),
            pictures=[picture],
            quality="probability",
        )

    def length_quality(self) -> list[tuple[float, float]]:
        """Return the number of tokens of each text, and the probability of its class."""
        lengths = self.trained.rows(self.texts, labelled=False).steps.tolist()
        return list(zip(map(float, lengths), self._of_true.tolist(), strict=True))

    def _samples(self, rows: Sequence[int], scores: torch.Tensor) -> list[Sample]:
        return [
            Sample(
                self.texts[row].text[:500], self.texts[row].label, self.classes[self._found[row]], float(scores[row])
            )
            for row in rows[:_SHOWN]
        ]

    def _draw(self, path: Path) -> None:
        from rnnkit.diagnostics import pictures

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fonts, which confusion.png has reported
            pictures.confusion(self._matrix, self.classes, path)
