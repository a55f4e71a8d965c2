"""What a run on classes of clips writes at its end: predictions, confusions, and the page ``report.html``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit.recipes.prepared_training import Judged

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from rnnkit.tasks.video import ClipAnswer, ClipClassifier
    from rnnkit.tasks.video_batches import HeldClips

PREDICTIONS, CONFUSION = "predictions.csv", "confusion.png"
_SHOWN = 8  # strips of a picture
_STREAMED = 64  # frames of a drawn answer


class ClassScores(NamedTuple):
    """How good the classes of clips are.

    Attributes:
        figures: accuracies.
        shares: the probabilities of the classes, [N, K].
        true: the number of each clip's class, [N].
    """

    figures: dict[str, float]
    shares: Tensor
    true: Tensor


def judge(classifier: ClipClassifier, clips: HeldClips) -> Judged:
    """Name the classes of clips, and compare with the true ones.

    Args:
        classifier: of the run.
        clips: with their classes.
    """
    import torch

    shares = classifier.shares([clips.frames(row) for row in range(len(clips))])
    true = torch.tensor([classifier.classes.index(label) for label in clips.texts])
    right = (shares.argmax(1) == true).double()
    each = [float(right[true == label].mean()) for label in true.unique()]
    figures = {"accuracy": float(right.mean()), "balanced_accuracy": sum(each) / len(each)}
    found = [classifier.classes[best] for best in shares.argmax(1).tolist()]
    return Judged(clips, found, ClassScores(figures, shares, true))


def write_results(
    folder: Path,
    classifier: ClipClassifier,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
    train: HeldClips,
) -> None:
    """Write ``predictions.csv``, ``confusion.png``, ``report.html`` and ``troubles.txt``.

    Args:
        folder: the run folder.
        classifier: of the run.
        judged: what was answered, by the name of the test; {}: the page has curves alone.
        history: of the training.
        metrics: what was measured.
        train: the clips to learn, for the figure of the most frequent class.
    """
    from rnnkit.diagnostics import pictures
    from rnnkit.recipes.recognition import write_rows
    from rnnkit.recipes.run_page import RunPage, page_figures

    page = RunPage(folder, "Classes of clips", _lead(judged, train), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the clips show")
    if judged:
        rows = [
            (name, clip, true, found, float(shares.max()))
            for name, one in judged.items()
            for clip, true, found, shares in zip(
                one.items.names, one.items.texts, one.found, one.scores.shares, strict=True
            )
        ]
        write_rows(("test", "clip", "class", "prediction", "confidence"), rows, folder / PREDICTIONS)
        matrix = _matrix(judged, len(classifier.classes))
        pictures.confusion(matrix, classifier.classes, folder / CONFUSION)
        page.section("Which classes are mistaken for which").picture(
            lambda path: pictures.confusion(matrix, classifier.classes, path),
            f"Confusion matrix of {len(classifier.classes)} classes.",
            caption="A row for each true class, a column for each predicted one.",
        )
        _add_answers(page, classifier, judged)
        _add_mistakes(page, judged)
    page.add_curves(history, "Loss and accuracy", "val_accuracy")
    page.write_run()


def write_answer(classifier: ClipClassifier, path: Path, out: Path) -> ClipAnswer:
    """Write what is said of a clip as ``NAME.json``, and frames with the answer after each as ``NAME.png``.

    Args:
        classifier: of the run.
        path: the clip.
        out: the folder; it is made where it is not there.

    Returns:
        The answer to the whole clip.

    Raises:
        DataError: the clip cannot be read.
    """
    import torch

    from rnnkit.data.video import clip_info, read_clip, sample_frames
    from rnnkit.plotting.frame_strips import clip_answers_picture
    from rnnkit.serialization import json_text, replacing

    answer = classifier.classify(path)
    info = clip_info(path)
    numbers = sample_frames(info.frames, _STREAMED, every=classifier.every)
    fit: Any = classifier.fit
    clip = read_clip(path, mode=classifier.colours, frames=numbers, size=classifier.size, fit=fit, info=info)
    stream = classifier.stream()
    # Frames that were passed over are not pushed, so each counts.
    stream.every = 1
    shares = torch.tensor([list(stream.push(frame).probabilities.values()) for frame in clip])
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "file": str(path),
        "prediction": answer.label,
        "confidence": round(answer.confidence, 4),
        "probabilities": {name: round(share, 4) for name, share in answer.probabilities.items()},
        "frames": info.frames,
        "after_each_frame": [
            {"frame": number + 1, "prediction": classifier.classes[int(row.argmax())], "confidence": float(row.max())}
            for number, row in zip(numbers, shares, strict=True)
        ],
    }
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")
    title = f"{answer.label}  {answer.confidence:.0%}"
    clip_answers_picture(as_pictures(clip), shares.numpy(), classifier.classes, title, out / f"{path.stem}.png")
    return answer


def as_pictures(clip: Tensor) -> npt.NDArray[Any]:
    """Return bytes [T, C, H, W] as matplotlib draws them: [T, H, W] or [T, H, W, 3] in [0, 1].

    Example:
        >>> import torch
        >>> as_pictures(torch.zeros(2, 1, 4, 5, dtype=torch.uint8)).shape
        (2, 4, 5)
    """
    values = (clip.float() / 255).clamp(0, 1)
    return (values[:, 0] if clip.shape[1] == 1 else values.permute(0, 2, 3, 1)).numpy()


def _lead(judged: Mapping[str, Judged], train: HeldClips) -> str:
    often, _ = Counter(train.texts).most_common(1)[0]
    sentences = []
    for name, one in judged.items():
        share = sum(label == often for label in one.items.texts) / len(one.found)
        sentences.append(
            f"{name}: {one.scores.figures['accuracy']:.1%} of {len(one.found):,} clips are named right. To say "
            f"{often}, the most frequent class, each time would be right for {share:.1%}."
        )
    return " ".join(sentences)


def _matrix(judged: Mapping[str, Judged], count: int) -> Any:
    import torch

    pairs = [one.scores.true * count + one.scores.shares.argmax(1) for one in judged.values()]
    return torch.bincount(torch.cat(pairs), minlength=count**2).view(count, count).numpy()


def _add_answers(page: Any, classifier: ClipClassifier, judged: Mapping[str, Judged]) -> None:
    """Add the first clip of the first test, which is not selected, with the answer after each frame."""
    import torch

    from rnnkit.plotting.frame_strips import clip_answers_picture

    one = next(iter(judged.values()))
    frames, stream = one.items.frames(0), classifier.stream()
    stream.every = 1
    shares = torch.tensor([list(stream.push(frame).probabilities.values()) for frame in frames])
    title = f"{one.items.names[0]}: {one.items.texts[0]}"
    page.section("A clip, frame by frame", f"It shows {one.items.texts[0]}. The answer is {one.found[0]}.").picture(
        lambda path: clip_answers_picture(as_pictures(frames), shares.numpy(), classifier.classes, title, path),
        f"{len(frames)} frames, and the probabilities of the classes after each.",
        title="What is known after each frame",
    )


def _add_mistakes(page: Any, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.frame_strips import strips_picture

    wrong = [
        (float(one.scores.shares[row].max()), name, row)
        for name, one in judged.items()
        for row, (true, found) in enumerate(zip(one.items.texts, one.found, strict=True))
        if true != found
    ]
    if not wrong:
        page.section("Mistakes", "There are none.")
        return
    rows = sorted(wrong, key=lambda one: (-one[0], one[1], one[2]))[:_SHOWN]
    strips = [as_pictures(judged[name].items.frames(row)) for _, name, row in rows]
    captions = [
        f"{judged[name].items.names[row]}: {judged[name].items.texts[row]} → {judged[name].found[row]}  {sure:.0%}"
        for sure, name, row in rows
    ]
    page.section("Mistakes", f"{len(wrong):,} clips are named wrong: class → answer, confidence.").picture(
        lambda path: strips_picture(strips, captions, path),
        f"{len(rows)} clips that are named wrong: {'; '.join(captions)}.",
        title="Those that it was surest of",
    )
