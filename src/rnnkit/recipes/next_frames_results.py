"""What is written of predicted frames: pictures, animations, scores, and the page ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.prepared_training import Judged
from rnnkit.recipes.video_results import as_pictures

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.recipes.interface import Columns
    from rnnkit.tasks.frame_scores import FrameScores
    from rnnkit.tasks.next_frames import FramePredictor
    from rnnkit.tasks.next_frames_batches import Windows

BY_FRAME = "frames.csv"
_BATCH = 32  # windows that are held at a time
_SHOWN = 3  # examples of a picture


def judge(predictor: FramePredictor, windows: Windows) -> Judged:
    """Predict the last frames of windows from the others, and compare with the true ones.

    Args:
        predictor: of the run.
        windows: with as many frames as it observes and predicts.
    """
    import torch

    from rnnkit.tasks.frame_scores import FrameScores, score_frames

    parts: list[FrameScores] = []
    for begin in range(0, len(windows), _BATCH):
        frames = windows.windows(range(begin, min(begin + _BATCH, len(windows))))
        seen, true = frames[:, : -predictor.horizon], frames[:, -predictor.horizon :].float() / 255
        parts.append(score_frames(predictor.forecasts(seen), true, seen[:, -1].float() / 255))
    scores = FrameScores(*(torch.cat(values) for values in zip(*parts, strict=True)))
    return Judged(windows, [float(one) for one in scores.squares.mean(1)], scores)


def told(predictor: FramePredictor, path: Path) -> Columns:
    """Return how many frames are predicted after a clip, and how well its own last ones would have been.

    Args:
        predictor: of the run.
        path: the clip.

    Raises:
        DataError: the clip cannot be read.
    """
    clip, _ = predictor.continuation(path, 1)
    return _columns(predictor, own_scores(predictor, clip))


def own_scores(predictor: FramePredictor, clip: Tensor) -> FrameScores | None:
    """Return how well the last frames of a clip are predicted from those before; None where these are not two.

    Args:
        predictor: of the run.
        clip: uint8 [T, C, H, W].
    """
    from rnnkit.tasks.frame_scores import score_frames

    if len(clip) < predictor.horizon + 2:
        return None
    seen, true = clip[: -predictor.horizon], clip[-predictor.horizon :].float() / 255
    return score_frames(predictor.forecast(seen)[None], true[None], seen[None, -1].float() / 255)


def write_frames(predictor: FramePredictor, path: Path, out: Path) -> Columns:
    """Write the frames that follow a clip: ``NAME/1.png`` and so on, ``NAME.gif`` and ``NAME.json``.

    The animation has the last frames of the clip, as many as the network was trained to observe, and the predicted ones
    after them. The JSON file has the scores of the clip's own last frames, predicted from those before.

    Args:
        predictor: of the run.
        path: the clip.
        out: the folder; it is made where it is not there.

    Returns:
        As `told`.

    Raises:
        DataError: the clip cannot be read.
    """
    from rnnkit.data.video import clip_info, write_gif, write_png
    from rnnkit.serialization import json_text, replacing

    clip, following = predictor.continuation(path)
    scores = own_scores(predictor, clip)
    digits = len(str(len(following)))
    for number, frame in enumerate(following, 1):
        write_png(frame, out / path.stem / f"{number:0{digits}d}.png")
    rate = clip_info(path).rate or 10.0
    seen = clip[-predictor.observed :].float() / 255
    write_gif([*seen, *following], out / f"{path.stem}.gif", rate=rate / predictor.every)
    content: dict[str, Any] = {
        "file": str(path),
        "frames_read": len(clip),
        "frames_predicted": len(following),
        "size": list(predictor.size),
    }
    if scores is not None:
        content["own_last_frames"] = {
            "frames": predictor.horizon,
            **{name: round(value, 4) for name, value in scores.figures.items()},
            "squares_of_each": [round(one, 4) for one in scores.squares[0].tolist()],
        }
    with replacing(out / f"{path.stem}.json") as temporary:
        temporary.write_text(json_text(content), encoding="utf-8")
    return _columns(predictor, scores)


def write_results(
    folder: Path,
    title: str,
    predictor: FramePredictor,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> None:
    """Write ``frames.csv``, ``report.html`` and ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading of the page.
        predictor: of the run.
        judged: what was predicted, by the name of the test; {}: the page has curves alone.
        history: of the training.
        metrics: what was measured.
    """
    from rnnkit.plotting.frame_strips import scores_picture
    from rnnkit.recipes.recognition import write_rows
    from rnnkit.recipes.run_page import RunPage, page_figures

    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the clips show")
    if judged:
        names = ("test", "frame", "squares", "ssim", "zero_squares", "last_frame_squares", "last_frame_ssim")
        rows = [(name, *row) for name, one in judged.items() for row in _by_frame(one.scores)]
        write_rows(names, rows, folder / BY_FRAME)
        first = next(iter(judged.values()))
        by_frame = _by_frame(first.scores)
        lines = {"predicted": 1, "black frames": 3, "last frame copied": 4}
        page.section("From frame to frame", "Sums of squares of each predicted frame, means over the windows.").picture(
            lambda path: scores_picture(
                {name: [float(row[at]) for row in by_frame] for name, at in lines.items()}, "sum of squares", path
            ),
            f"Sums of squares of {len(by_frame)} predicted frames, beside those of black frames and of the last frame.",
            title="How the error grows",
        )
        page.table(names[1:], [(row[0], *(f"{value:.4g}" for value in row[1:])) for row in by_frame])
        _add_examples(page, predictor, first)
    page.add_curves(history, "Loss and figures", "val_squares")
    page.write_run()


def _columns(predictor: FramePredictor, scores: FrameScores | None) -> Columns:
    found: Columns = {"prediction": [f"{predictor.horizon} frames"]}
    shown = "too few frames to compare"
    if scores is not None:
        figures = scores.figures
        shown = (
            f"its own last {predictor.horizon} frames: squares {figures['squares']:.4g} a frame, zeros "
            f"{figures['zero_squares']:.4g}, last frame copied {figures['last_frame_squares']:.4g}"
        )
    found["comparison"] = [shown]
    return found


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        figures = one.scores.figures
        sentences.append(
            f"{name}: the sum of squares of a predicted frame is {figures['squares']:.4g}, that of the first one "
            f"{figures['first_squares']:.4g}. Black frames have {figures['zero_squares']:.4g}, copies of the last "
            f"observed frame {figures['last_frame_squares']:.4g}."
        )
    return " ".join(sentences)


def _by_frame(scores: FrameScores) -> list[tuple[Any, ...]]:
    means = [values.mean(0).tolist() for values in scores]
    squares, ssim, zeros, last, last_ssim = means
    numbers = range(1, len(squares) + 1)
    return list(zip(numbers, squares, ssim, zeros, last, last_ssim, strict=True))


def _add_examples(page: Any, predictor: FramePredictor, judged: Judged) -> None:
    """Add the first windows, which are not selected, and the worst."""
    import torch

    from rnnkit.plotting.frame_strips import strips_picture

    order = sorted(range(len(judged.found)), key=lambda row: -judged.found[row])
    page.section("Predicted frames", "Below each other: what was observed, what followed, and what was predicted.")
    for title, rows in (("The first ones", range(min(_SHOWN, len(order)))), ("The worst ones", order[:_SHOWN])):
        frames = judged.items.windows(rows)
        predicted = (predictor.forecasts(frames[:, : -predictor.horizon]) * 255).round().to(torch.uint8)
        strips, captions = [], []
        for window, found, row in zip(frames, predicted, rows, strict=True):
            strips += [window[: -predictor.horizon], window[-predictor.horizon :], found]
            captions += ["observed", "true", f"predicted, squares {judged.found[row]:.4g} a frame"]
        images = [as_pictures(strip) for strip in strips]
        page.picture(
            lambda path, images=images, captions=captions: strips_picture(images, captions, path),
            f"{len(rows)} windows: observed, true and predicted frames.",
            title=title,
        )
