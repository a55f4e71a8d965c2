"""Pretrain a language model on plain English, then teach it classes of texts with few labels (ULMFiT).

The plain text is the reference that every Python brings along; the classes are the kinds of Python's built-in functions
and exceptions, told from the first line of their documentation. Nothing is downloaded. A minute on one core.
"""

import argparse
import builtins
import random

import torch

import rnnkit
from rnnkit.data import divide_texts, tokenize, train_tokenizer
from rnnkit.data.text.corpora import python_topics


def described():
    """Return (sentence, kind) of the exceptions and the other names that Python has built in."""
    rows = []
    for _, thing in sorted(vars(builtins).items()):
        text = (thing.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
        if callable(thing) and text:
            raised = isinstance(thing, type) and issubclass(thing, BaseException)
            rows.append((text.lower(), "exception" if raised else "function"))
    random.Random(0).shuffle(rows)
    return rows


def pretrain(epochs):
    """Return a language model of words, and its tokenizer."""
    parts = divide_texts(python_topics(), validation=0.05, test=0.0, by="place")
    tokenizer = train_tokenizer("word", parts.train, minimum_count=3, lowercase=True)
    tokens = {name: tokenize(part, tokenizer) for name, part in parts.named().items()}
    torch.manual_seed(0)
    model = rnnkit.LanguageModel(
        len(tokenizer), embedding_size=64, hidden_size=128, num_layers=2, hidden_dropout=0.2, output_dropout=0.2
    )
    learner = rnnkit.Learner(model, lr=5e-3, clip_norm=1.0)
    learner.fit(
        tokens["train"].batches(16, 40, random_windows=True),
        validation=tokens["validation"].batches(4, 40),
        stateful=True,
        epochs=epochs,
        schedule="warmup_cosine",
        seed=0,
    )
    return model, tokenizer


def main(epochs=5, fine_tuning=25):
    model, tokenizer = pretrain(epochs)
    rows = described()
    x = [torch.tensor(tokenizer.encode(text)) for text, _ in rows]
    y = [kind for _, kind in rows]
    cut = len(rows) // 2
    learner = rnnkit.Learner(model.classifier(["exception", "function"]), lr=1e-2)
    learner.fine_tune(
        (x[:cut], y[:cut]),
        epochs=fine_tuning,
        batch_size=8,
        gradual_unfreezing=True,
        discriminative=2.6,
        replay=None,
        seed=0,
    )
    accuracy = learner.evaluate((x[cut:], y[cut:]))["accuracy"]
    print(f"{cut} labelled sentences, {len(rows) - cut} to test: {accuracy:.1%} right")
    return accuracy


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
