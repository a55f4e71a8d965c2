"""What is measured of a language model: loss, perplexity, bits; as it is, or learning on the way.

Legend: V vocabulary.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError

if TYPE_CHECKING:
    import torch

    from ..data.text.texts import Texts
    from ..data.text.tokenizer import Tokenizer
    from ..data.tokens import TokenArray, TokenBatches
    from ..training.learner import Learner

TOKENIZER, SEPARATORS = "tokenizer", "separators"  # their entries in what is stored with a model
_AT_ONCE = 1 << 20  # tokens that are looked at together
_ROW = 50_000  # tokens; a longer text is measured in several rows
_SEGMENT = 32  # steps after which a model that learns on the way learns
_TRIED = 10_000  # tokens of the validation text on which its rates are chosen
_SCALE_WINDOWS = 500
_PASSAGE, _BEFORE = 60, 40  # tokens of a passage that is shown, and of the text in front of it
_RATES = ((3e-5, 1e-3), (1e-4, 1e-3), (3e-4, 1e-3), (1e-3, 1e-3), (3e-4, 1e-2))


class TextSize(NamedTuple):
    """How much text tokens stand for: its characters and its bytes in UTF-8, without the ends of texts."""

    characters: int
    bytes: int


def size_of(texts: Texts, tokenizer: Tokenizer) -> TextSize:
    """Return the size of texts as the tokenizer writes them first.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.text.texts import as_texts
        >>> size_of(as_texts(["né", "a"]), train_tokenizer("char", ["né", "a"]))
        TextSize(characters=3, bytes=4)
    """
    characters = size = 0
    for piece in texts.pieces():
        text = tokenizer.prepare(piece.text)
        characters, size = characters + len(text), size + len(text.encode())
    return TextSize(characters, size)


def evaluation_batches(tokens: TokenArray, window: int) -> TokenBatches:
    """Return windows that hold a text of up to 50,000 tokens in one row, so that every token has its whole past.

    A longer text is cut into as many rows as needed; what begins a row is predicted without a past.
    """
    if len(tokens) < 2:
        raise DataError(f"{len(tokens)} token arrived; a text to be measured has at least 2")
    return tokens.batches(max(1, len(tokens) // _ROW), window)


def figures(loss: float, count: int, size: TextSize) -> dict[str, float]:
    """Return what a mean loss a token means.

    Args:
        loss: −log p of a token, in nats, the mean of those that are predicted.
        count: the number of all tokens of the text.
        size: of the text they stand for.

    Returns:
        "loss" in nats a token, "perplexity" e^loss, and "bits_per_character" and "bits_per_byte", which do not depend
        on how the text is cut into tokens.

    Example:
        >>> figures(math.log(2), 100, TextSize(200, 400))
        {'loss': 0.6931471805599453, 'perplexity': 2.0, 'bits_per_character': 0.5, 'bits_per_byte': 0.25}
    """
    bits = loss * count / math.log(2)  # the first token, which nothing predicts, counts as the others do
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "bits_per_character": bits / max(1, size.characters),
        "bits_per_byte": bits / max(1, size.bytes),
    }


def unknown_share_sentence(tokens: TokenArray, tokenizer: Tokenizer) -> str | None:
    """Return a sentence about tokens that the vocabulary lacks; None where it lacks none.

    Example:
        >>> import numpy as np
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.tokens import TokenArray
        >>> tokenizer = train_tokenizer("char", ["ab"])
        >>> unknown_share_sentence(TokenArray(np.array(tokenizer.encode("ab雪b"))), tokenizer)
        '25.0% of 4 tokens are unknown to the model. They are cheap to predict, so the figures compare with none.'
    """
    if tokenizer.unknown is None:
        return None
    parts = (tokens[begin : begin + _AT_ONCE] for begin in range(0, len(tokens), _AT_ONCE))
    share = sum(int((part == tokenizer.unknown).sum()) for part in parts) / len(tokens)
    if not share:
        return None
    shown = f"{100 * share:.1f}%" if share >= 0.001 else "Less than 0.1%"
    consequence = "They are cheap to predict, so the figures compare with none." if share >= 0.01 else ""
    return f"{shown} of {len(tokens):,} tokens are unknown to the model. {consequence}".strip()


def measure(
    learner: Learner, texts: Texts, tokenizer: Tokenizer, *, separators: bool, window: int, warns: bool = False
) -> dict[str, float]:
    """Return the figures of a language model on texts, read from beginning to end with the state carried along.

    Args:
        learner: of the model.
        texts: to measure on.
        tokenizer: the model's.
        separators: whether a token ends each text.
        window: steps that are computed at once; the result is the same within rounding.
        warns: whether a warning gives the share of tokens that the vocabulary lacks.
    """
    from ..data.text.token_files import tokenize

    tokens = tokenize(texts, tokenizer, separators=separators)
    if warns and (told := unknown_share_sentence(tokens, tokenizer)) is not None:
        warnings.warn(told, stacklevel=3)
    return measure_tokens(learner, tokens, size_of(texts, tokenizer), window=window)


def measure_tokens(learner: Learner, tokens: TokenArray, size: TextSize, *, window: int) -> dict[str, float]:
    """Return the figures of a language model on tokens, read from beginning to end with the state carried along.

    Args:
        learner: of the model.
        tokens: to measure on.
        size: of the text they stand for.
        window: steps that are computed at once; the result is the same within rounding.
    """
    loss = learner.evaluate(evaluation_batches(tokens, window), stateful=True)["loss"]
    return figures(loss, len(tokens), size)


def measure_dynamically(
    model: torch.nn.Module, train: TokenArray, validation: TokenArray, test: TokenArray, size: TextSize
) -> dict[str, float]:
    """Return the figures of a model that continues to learn from the test text; rate and decay chosen on validation.

    Args:
        model: the language model; its weights are put back.
        train: gives the scale of the gradients.
        validation: of which up to 10,000 tokens choose the rates.
        test: to measure on.
        size: of the test text.

    Returns:
        As :func:`figures`, and the rates.
    """
    from ..data.tokens import TokenArray
    from ..training.dynamic_evaluation import dynamic_evaluation, gradient_scale

    scale = gradient_scale(model, islice(train.batches(1, _SEGMENT), _SCALE_WINDOWS))
    tried = TokenArray(validation.tokens[:_TRIED])
    found: Mapping[tuple[float, float], float] = {
        (lr, decay): dynamic_evaluation(model, tried.batches(1, _SEGMENT), scale, lr=lr, decay=decay)
        for lr, decay in _RATES
    }
    lr, decay = min(found, key=lambda rates: found[rates])
    loss = dynamic_evaluation(model, test.batches(1, _SEGMENT), scale, lr=lr, decay=decay)
    return {**figures(loss, len(test), size), "lr": lr, "decay": decay}


class Passage(NamedTuple):
    """A place of a text where a model was wrong.

    Attributes:
        before: the text in front of it.
        expected: what follows.
        found: what the model expected; "" for a whole passage.
        figure: the probability of that, or the mean loss of the passage in nats a token.
    """

    before: str
    expected: str
    found: str
    figure: float


def mistakes(
    model: Any, tokens: TokenArray, tokenizer: Tokenizer, *, count: int = 10, most: int = 20_000
) -> tuple[list[Passage], list[Passage]]:
    """Return the passages that a model predicts worst, and the tokens that it was surest of and wrong.

    Args:
        model: the language model.
        tokens: of a text.
        tokenizer: the model's.
        count: of each.
        most: tokens of the text that are looked at.
    """
    import torch

    from ..layers.modes import mode

    ids = torch.from_numpy(tokens[:most])
    device = next(model.parameters()).device
    losses, sureness, guesses = [], [], []
    state = None
    with torch.inference_mode(), mode(model, training=False):
        for begin in range(0, len(ids) - 1, _PASSAGE):
            window, targets = ids[begin : begin + _PASSAGE], ids[begin + 1 : begin + 1 + _PASSAGE]
            logits, state = model.forward_chunk(window[None].to(device), state)
            shares = logits[0, : len(targets)].log_softmax(-1).cpu()
            losses.append(-shares.gather(1, targets[:, None])[:, 0])
            best = shares.max(-1)
            sureness.append(torch.where(best.indices == targets, -torch.inf, best.values))
            guesses.append(best.indices)

    def text(begin: int, end: int) -> str:
        return tokenizer.decode(ids[max(0, begin) : end].tolist())

    means = torch.stack([loss.mean() for loss in losses])
    worst = [
        Passage(text(at - _BEFORE, at), text(at, at + _PASSAGE), "", float(means[index]))
        for index in means.argsort(descending=True, stable=True)[:count].tolist()
        for at in [index * _PASSAGE + 1]
    ]
    sure, guessed = torch.cat(sureness), torch.cat(guesses)
    surest = [
        Passage(text(at + 1 - _BEFORE, at + 1), text(at + 1, at + 2), tokenizer.decode([int(guessed[at])]), share)
        for at in sure.argsort(descending=True, stable=True)[:count].tolist()
        if (share := float(sure[at].exp())) > 0
    ]
    return worst, surest


def stored_separators(path: Path) -> bool:
    """Return whether a token ended each text that a stored model learned from; true of models that do not store it.

    Args:
        path: the model's file or folder.
    """
    from ..serialization import read_config

    stored: Any = read_config(path).get("extra", {})
    return bool(stored.get(SEPARATORS, True))


def stored_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that is stored with a model.

    Args:
        path: the model's file or folder.

    Raises:
        DataError: the model has none.
    """
    from ..data.text.tokenizer import Tokenizer
    from ..serialization import read_config

    stored: Any = read_config(path).get("extra", {}).get(TOKENIZER)
    if stored is None:
        raise DataError(f"{path} holds no tokenizer; expected a model that was trained on text: rnnkit train lm")
    return Tokenizer.from_dict(stored)
