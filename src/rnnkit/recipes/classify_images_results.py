"""What a run on classes of pictures writes: predictions, confusions, a table of the classes, ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.prepared_training import Judged

if TYPE_CHECKING:
    from rnnkit.data.images.held import HeldPictures
    from rnnkit.tasks.class_scores import ClassScores
    from rnnkit.tasks.picture_classes import PictureAnswer, PictureNamer

PREDICTIONS, CONFUSION, CLASSES = "predictions.csv", "confusion.png", "classes.csv"
_SHOWN = 24  # mistakes of a picture
_CONFUSED = 12  # rows of the table of confusions


def judge(namer: PictureNamer, items: HeldPictures) -> Judged:
    """Name the classes of pictures, and compare with what they are.

    Args:
        namer: the classifier.
        items: pictures with their classes.
    """
    from rnnkit.tasks.picture_classes import score_pictures

    shares, scores = score_pictures(namer, items.pixels, items.labels.tolist())
    return Judged(items, list(shares), scores)


def write_classes(scores: ClassScores, folder: Path, behind: str = "") -> None:
    """Write ``confusion.png`` and ``classes.csv``.

    Args:
        scores: of the answers.
        folder: the run folder.
        behind: what the names of the files end in.
    """
    from rnnkit.diagnostics import pictures
    from rnnkit.runs.tables import write_table

    write_table(scores.table(), folder / CLASSES.replace(".", f"{behind}."))
    pictures.confusion(scores.counts, scores.classes, folder / CONFUSION.replace(".", f"{behind}."))


def write_answer(answer: PictureAnswer, path: Path, out: Path) -> None:
    """Write what a picture was taken for as ``NAME.json``, and above the picture as ``NAME.png``.

    Args:
        answer: what it was taken for.
        path: the picture's file.
        out: the folder; it is made where it is not there.
    """
    from rnnkit.data.images import read_picture
    from rnnkit.plotting.picture_grid import picture_grid
    from rnnkit.serialization import json_text, replacing

    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text({"file": str(path), **answer.to_json()}), encoding="utf-8")
    lines = "\n".join(f"{name}  {share:.1%}" for name, share in answer.ranked)
    picture_grid([read_picture(path).numpy()], [lines], out / f"{path.stem}.png", inches=4.0)


def write_results(
    folder: Path,
    title: str,
    namer: PictureNamer,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> None:
    """Write ``predictions.csv``, ``confusion.png``, ``classes.csv``, ``report.html`` and ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading of the page.
        namer: the classifier.
        judged: what was answered, by the name of the test; {}: the page has curves alone.
        history: of the training.
        metrics: what was measured.
    """
    from rnnkit.recipes.run_page import RunPage, page_figures

    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics), repr(namer.model))
    page.add_troubles("What the pictures show")
    for one in list(judged.values())[:1]:
        write_classes(one.scores, folder)
        _write_predictions(folder, namer, judged)
        _add_mistakes(page, namer, one)
        _add_classes(page, one.scores)
    page.add_curves(history, "Loss and accuracy", "val_accuracy")
    page.write_run()


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        figures = one.figures
        sentences.append(
            f"{name}: {figures['accuracy']:.2%} of {len(one.items):,} pictures named right, macro F1 "
            f"{figures['macro_f1']:.4f}."
        )
    return " ".join(sentences)


def _write_predictions(folder: Path, namer: PictureNamer, judged: Mapping[str, Judged]) -> None:
    from rnnkit.recipes.recognition import write_rows

    rows = []
    for name, one in judged.items():
        for picture, label, shares in zip(one.items.names, one.items.labels.tolist(), one.found, strict=True):
            best = int(shares.argmax())
            rows.append((name, picture, namer.classes[label], namer.classes[best], float(shares[best])))
    write_rows(("test", "picture", "class", "prediction", "confidence"), rows, folder / PREDICTIONS)


def _add_mistakes(page: Any, namer: PictureNamer, judged: Judged) -> None:
    """Add the mistakes that the network was surest of, and the pictures whose own class it found the least likely."""
    import torch

    from rnnkit.plotting.picture_grid import picture_grid

    shares, labels, names = torch.stack(judged.found), judged.items.labels, namer.classes
    sure, found = shares.max(1)
    wrong = (found != labels).nonzero()[:, 0]
    if not len(wrong):
        page.section("Mistakes", "There are none.")
        return
    own = shares.gather(1, labels[:, None])[:, 0]
    page.section("Mistakes", f"{len(wrong):,} pictures were taken for another class: true → found, confidence.")
    for title, order in (
        ("Those that it was surest of", sure[wrong].argsort(descending=True, stable=True)),
        ("Those whose true class seemed the least likely", own[wrong].argsort(stable=True)),
    ):
        rows = wrong[order][:_SHOWN].tolist()
        captions = [f"{names[labels[row]]} → {names[found[row]]}  {float(sure[row]):.1%}" for row in rows]
        images = [judged.items.image(row).numpy() for row in rows]
        page.picture(
            lambda path, images=images, captions=captions: picture_grid(images, captions, path),
            f"{len(rows)} pictures: {'; '.join(captions)}.",
            title=title,
            caption=f"Named {', '.join(judged.items.names[row] for row in rows[:6])} …" if len(rows) > 6 else "",
        )


def _add_classes(page: Any, scores: ClassScores) -> None:
    """Add which classes were taken for which, and the table of the classes."""
    from rnnkit.diagnostics import pictures

    page.section("Classes").picture(
        lambda path: pictures.confusion(scores.counts, scores.classes, path),
        f"Confusion matrix of {len(scores.classes)} classes.",
        title="Which classes are taken for which",
        caption="A row for each true class, a column for each one that was answered.",
    )
    table = scores.table()
    rows = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in line]
        for line in zip(*table.values(), strict=True)
    ]
    page.table([name.replace("_", " ") for name in table], rows)
