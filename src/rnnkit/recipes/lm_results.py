"""What a run of a language model writes about itself: samples, troubles, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.errors import DataError

if TYPE_CHECKING:
    from rnnkit import runs
    from rnnkit.data import Tokenizer
    from rnnkit.data.text.parts import TextParts
    from rnnkit.data.tokens import TokenArray
    from rnnkit.recipes.text_page import Answers

SAMPLE = "sample.txt"
SAMPLE_TOKENS, TEMPERATURES = 400, (0.8, 0.5, 1.0)
LARGEST_COMPARED = 200_000_000  # bytes of texts whose parts are compared with each other
FIGURES = ("test", "dynamic_evaluation", "validation", "temperature")


def write_samples(folder: Path, model: Any, tokenizer: Tokenizer, prompt: str, seed: int) -> list[str]:
    """Return texts that a model writes after a prompt, at several temperatures; the first is in ``sample.txt``, too.

    Without a prompt they begin as texts do. A prompt of which the vocabulary lacks something, as an English one does
    beside Chinese, is left out.
    """
    from rnnkit.generation import generate

    if tokenizer.unknown is not None and tokenizer.unknown in tokenizer.encode(prompt):
        prompt = ""
    begin = tokenizer.encode(prompt) or [0 if tokenizer.end is None else tokenizer.end]
    settings: dict[str, Any] = {
        "decode": tokenizer.decode,
        "max_tokens": SAMPLE_TOKENS,
        "forbidden_ids": [one for one in (tokenizer.pad, tokenizer.unknown) if one is not None],
        "seed": seed,
    }
    samples = [
        prompt + generate(model, begin, temperature=temperature, **settings).texts[0] for temperature in TEMPERATURES
    ]
    (folder / SAMPLE).write_text(samples[0], encoding="utf-8")
    return samples


def troubles(parts: TextParts, tokenizer: Tokenizer, samples: list[str], *, pretrained: bool = False) -> list[str]:
    """Return the findings about the texts and the samples, in sentences.

    Args:
        parts: the texts.
        tokenizer: of the model.
        samples: that it wrote.
        pretrained: whether it learned from other texts before.
    """
    from rnnkit.data import text_report
    from rnnkit.data.text.troubles import repeated_outputs

    texts = parts.named()
    held = next((name for name in ("test", "validation") if name in texts), None)
    told: list[str] = []
    if held is not None and (parts.train.size or 0) > LARGEST_COMPARED:
        told.append(f"{held} was not compared with train, which has more than {LARGEST_COMPARED:,} bytes.")
    elif held is not None:
        try:
            report = text_report(parts.train, texts[held], tokenizer, names=("train", held), untrained=not pretrained)
            told += report.sentences
        except DataError as error:  # a text that is too long to be held
            told.append(f"{held} was not compared with train: {error.problem}.")
    return told + repeated_outputs(samples, remedy="--repetition-penalty 1.2, or a higher temperature")


def answers_of(model: Any, tokenizer: Tokenizer, tokens: TokenArray, samples: list[str]) -> Answers:
    """Return what a page shows of a trained model.

    Args:
        model: the trained one.
        tokenizer: its own.
        tokens: of a text in which its worst passages and surest mistakes are looked for.
        samples: what `write_samples` returned.
    """
    from rnnkit.recipes.text_page import Answers, Sample
    from rnnkit.tasks.language_modelling import mistakes

    worst, surest = (
        [Sample(one.before, one.expected, one.found, one.figure) for one in found]
        for found in mistakes(model, tokens, tokenizer)
    )
    written = [
        Sample(f"temperature {temperature}", "", text) for temperature, text in zip(TEMPERATURES, samples, strict=True)
    ]
    return Answers(written, worst, surest, quality="loss in nats a token", sureness="probability")


def write_page(
    folder: Path,
    name: str,
    model: Any,
    tokenizer: Tokenizer,
    division: str,
    tokens: dict[str, TokenArray],
    *,
    samples: list[str],
    history: Any,
    metrics: runs.Metrics,
) -> None:
    """Write ``report.html`` of a run.

    Args:
        folder: the run's.
        name: of the texts.
        model: the trained one.
        tokenizer: its own.
        division: how the text is divided, in words.
        tokens: of each part.
        samples: what `write_samples` returned.
        history: of the training.
        metrics: what was measured, with the troubles.
    """
    from rnnkit.recipes.text_page import write_text_page

    looked_at = next(tokens[part] for part in ("test", "validation", "train") if part in tokens)
    write_text_page(
        folder,
        title=f"A language model of {name}",
        lead=f"{model!r}, {len(tokenizer):,} tokens of the kind {tokenizer.kind}. Text is divided {division}.",
        history=history,
        troubles=metrics["troubles"],
        figures={name: found for name, found in metrics.items() if name in FIGURES},
        **answers_of(model, tokenizer, looked_at, samples)._asdict(),
    )
