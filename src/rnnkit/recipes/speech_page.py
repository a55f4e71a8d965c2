"""The page of a run of speech, ``report.html``: error rates, an utterance as it was heard, errors to listen to."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.plotting.page import Page
from rnnkit.recipes.run_page import RunPage, page_figures

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.recipes.prepared_training import Judged
    from rnnkit.tasks.speech import Transcriber

_WORST = 8  # errors to listen to
_LONGEST = 15.0  # seconds of sound in the page
_PARTIAL = 0.25  # seconds between partial results
_CONFUSED = 12  # rows of the table of confusions


def write_speech_page(
    folder: Path,
    title: str,
    transcriber: Transcriber,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading.
        transcriber: the recogniser.
        judged: what was recognised, by the name of the test.
        history: of the training.
        metrics: what was measured.

    Returns:
        The page.
    """
    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the recordings show")
    if judged:
        _add_utterance(page, transcriber, judged)
        _add_confusions(page, judged)
        _add_worst(page, transcriber.rate, judged)
    page.add_curves(history, "Loss and error rates", "val_wer", more=bool(judged))
    _add_lengths(page, judged)
    return page.write_run()


def wav_bytes(samples: Tensor, rate: int) -> bytes:
    """Return the content of a WAV file of 16 bits."""
    from rnnkit.data.audio import write_wav

    file = io.BytesIO()
    write_wav(file, samples.clamp(-1, 1), rate)
    return file.getvalue()


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        figures = one.scores.figures
        sentences.append(
            f"{name}: {figures['wer']:.1%} of {figures['words']:,.0f} words wrong ({figures['substitutions']:,.0f} "
            f"taken for others, {figures['deletions']:,.0f} missed, {figures['insertions']:,.0f} too many)."
        )
    return " ".join(sentences)


def _add_utterance(page: Page, transcriber: Transcriber, judged: Mapping[str, Judged]) -> None:
    """Add the first utterance with words of the last test, which is not selected."""
    from rnnkit.plotting.utterance import utterance_picture

    one = list(judged.values())[-1]
    row = next((row for row, found in enumerate(one.found) if found.words and found.seconds <= _LONGEST), None)
    if row is None:
        return
    samples, found = one.items.waveform(row), one.found[row]
    page.section("An utterance", f"Said: {one.items.texts[row]}. Recognised: {found.text}.")
    page.sound("Sound", wav_bytes(samples, transcriber.rate))
    log_probs, frames = transcriber.log_probs(samples), transcriber.front.features(samples)
    words = [(word.text, word.start, word.end) for word in found.words]
    tokens = transcriber.tokenizer.tokens
    page.picture(
        lambda path: utterance_picture(
            samples.numpy(),
            transcriber.rate,
            frames.numpy(),
            log_probs.exp().numpy(),
            tokens,
            words,
            path,
            step=transcriber.step_seconds,
        ),
        f"The waveform, the features and the probabilities of tokens over {found.seconds:.1f} seconds, with "
        f"{len(words)} recognised words.",
        title="What the network heard",
        caption="From top to bottom: the waveform; the features, dark where there is energy; the probabilities of the "
        "tokens. A token shows in few steps; between tokens the blank is the likeliest, which is not drawn.",
    )
    attended = transcriber.attention(samples)
    if attended is not None:
        _add_attention(page, transcriber, *attended)
    if transcriber.streams is None:
        _add_partial(page, transcriber, samples)


def _add_attention(page: Page, transcriber: Transcriber, tokens: Sequence[int], weights: Tensor) -> None:
    from rnnkit.plotting.attention import attention_picture

    names = [transcriber.tokenizer.tokens[token] for token in tokens]
    seconds = [f"{step * transcriber.step_seconds:.2f}" for step in range(weights.shape[1])]
    page.picture(
        lambda path: attention_picture(seconds, names, weights, path),
        f"What the decoder attended to when it wrote {len(names)} tokens, over {len(seconds)} steps.",
        title="What the decoder attended to",
        caption="A row for each token, a column for each step, by its seconds: dark where the decoder looked.",
    )


def _add_partial(page: Page, transcriber: Transcriber, samples: Tensor) -> None:
    recognizer, rows, before = transcriber.stream(endpoint=0), [], ""
    for chunk in samples.split(max(1, round(_PARTIAL * transcriber.rate))):
        partial = recognizer.push(chunk)
        if partial.text != before:
            rows.append((f"{partial.seconds:.2f}", partial.text))
            before = partial.text
    last = recognizer.flush()
    if last.text != before:
        rows.append(("at the end", last.text))
    page.table(("seconds that were heard", "text by then"), rows)


def _add_confusions(page: Page, judged: Mapping[str, Judged]) -> None:
    from rnnkit.recipes.recognition import confusions_of, draw_confusions
    from rnnkit.recipes.speech_results import DIGITS
    from rnnkit.tasks.recognition_scores import mistakes_of

    confusions = confusions_of(judged)
    page.section("Which words were taken for which")
    wrong = mistakes_of(confusions)
    page.picture(
        lambda path: draw_confusions(confusions, path, DIGITS),
        f"Counts of true words (rows) and recognised ones (columns); {sum(count for *_, count in wrong):,} are wrong.",
        caption="A row for each true word, a column for each recognised one; – stands for none.",
    )
    if wrong:
        rows = [(true or "–", other or "–", count) for true, other, count in wrong[:_CONFUSED]]
        page.table(("said", "recognised", "times"), rows)


def _add_worst(page: Page, rate: int, judged: Mapping[str, Judged]) -> None:
    rows = [
        (wer, name, row)
        for name, one in judged.items()
        for row, wer in enumerate(one.scores.each)
        if wer > 0 and one.found[row].seconds <= _LONGEST
    ]
    rows.sort(key=lambda one: (-one[0], one[1], one[2]))
    if not rows:
        return
    page.section("The worst errors", "By the share of words that are wrong.")
    for wer, name, row in rows[:_WORST]:
        one = judged[name]
        said, found = one.items.texts[row], one.found[row]
        page.sound(
            f"{name}, {wer:.0%} wrong",
            wav_bytes(one.items.waveform(row), rate),
            f"said: {said}",
            f"recognised: {found.text or '(nothing)'} (confidence {found.confidence:.2f})",
        )


def _add_lengths(page: Page, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.length_quality import length_quality_picture

    pairs = [
        (found.seconds, wer) for one in judged.values() for found, wer in zip(one.found, one.scores.each, strict=True)
    ]
    if pairs:
        page.picture(
            lambda path: length_quality_picture(pairs, path, quality="word error rate"),
            f"The word error rate of {len(pairs)} utterances over their length in seconds, and its mean.",
            title="Length and errors",
            caption="Each point is an utterance. The line is the mean of groups of about equal size.",
        )
