"""What a run on classes of texts writes at its end: mistakes, a confusion matrix, and the page ``report.html``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.run_page import page_figures
from rnnkit.recipes.text_page import Picture, Sample, write_text_page

if TYPE_CHECKING:
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
        page = _judged(trained, list(texts), folder)
    write_text_page(
        folder,
        title=f"Classes of the texts of {trained.recipe.data.path}",
        lead=f"{trained.model!r}, {len(trained.tokenizer):,} tokens of the kind {trained.tokenizer.kind}.",
        history=history,
        troubles=troubles,
        quality="probability",
        figures=page_figures(metrics),
        **page,
    )


def _judged(trained: Trained, texts: list[LabelledText], folder: Path) -> dict[str, Any]:
    """Write mistakes and the confusion matrix, and return what the page shows of them."""
    import torch

    from rnnkit.diagnostics import pictures
    from rnnkit.runs.tables import write_table

    classes, count = trained.classes, len(trained.classes)
    shares = trained.shares(texts)
    sureness, found = shares.max(1)
    true = torch.tensor([classes.index(one.label) for one in texts])
    of_true = shares.gather(1, true[:, None])[:, 0]
    matrix = torch.bincount(true * count + found, minlength=count**2).view(count, count).numpy()
    pictures.confusion(matrix, classes, folder / CONFUSION)
    missed = (found != true).nonzero()[:, 0]
    surest = missed[sureness[missed].argsort(descending=True, stable=True)].tolist()
    write_table(
        {
            "text": [texts[row].text for row in surest],
            "label": [texts[row].label for row in surest],
            "prediction": [classes[found[row]] for row in surest],
            "confidence": [float(sureness[row]) for row in surest],
        },
        folder / MISTAKES,
    )

    def samples(rows: Sequence[int], scores: torch.Tensor) -> list[Sample]:
        return [
            Sample(texts[row].text[:500], texts[row].label, classes[found[row]], float(scores[row]))
            for row in rows[:_SHOWN]
        ]

    def draw(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fonts, which confusion.png has reported
            pictures.confusion(matrix, classes, path)

    lengths = trained.rows(texts, labelled=False).steps.tolist()
    return {
        "samples": samples(range(len(texts)), sureness),
        "worst": samples(of_true.argsort(stable=True).tolist(), of_true),
        "surest": samples(surest, sureness),
        "length_quality": list(zip(map(float, lengths), of_true.tolist(), strict=True)),
        "pictures": [
            Picture(
                "Which classes are mistaken for which",
                draw,
                f"Confusion matrix of {count} classes.",
                "A row for each true class, a column for each predicted one.",
            )
        ],
    }
