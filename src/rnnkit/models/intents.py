"""One intent a sentence and one tag a word, by one network.

    h_t = body(front(x))_t
    g = Σ_t softmax_t(w · tanh(W h_t)) h_t,   p = softmax(U [g, max_t h_t])       the intent
    e_t = V [h_t, p E]                                                            the tags' scores (emissions)

The tags see the intent: p E is the mean of the intents' embeddings E, weighted by their probabilities, so that a wrong
intent that is not sure misleads little, and the tags' loss trains the intent, too. The emissions go into a conditional
random field, or a softmax at each step.

Variant: the intent is given to the tags as in Qin et al. 2019 ("A stack-propagation framework with token-level intent
detection for spoken language understanding"), but with one intent a sentence; attention as in Liu & Lane 2016. Legend:
B batch, T words, F features of the body's output, C intents, S tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ..errors import ConfigError, check_number, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers.crf import CRF
from ..layers.description import describe, short_repr
from ..layers.sequence_adapters import Adapted, Chained, as_sequence_module, check_fit
from ._sequence import read_classes, valid_outputs

Tensor = torch.Tensor
_ATTENTION = 64  # features that decide how much the intent looks at a word


class IntentsAndSlots(NamedTuple):
    """What an :class:`IntentSlotModel` returns.

    Attributes:
        intents: logits [B, C].
        slots: scores of the tags [B, T, S], 0 behind a row's length.
        log_likelihood: log p of the true tags [B], where they were given; else None.
    """

    intents: Tensor
    slots: Tensor
    log_likelihood: Tensor | None = None


class IntentSlotModel(NotScriptable):
    """The intent of a sentence and a tag for each word; equations in :mod:`rnnkit.models.intents`.

    Args:
        body: a layer over sequences, as in :class:`rnnkit.SequenceClassifier`.
        intents: names of the intents.
        tags: names of the tags, as in ``["O", "B-city", "I-city"]``.
        front: what makes features of words, such as :class:`rnnkit.WordFront`, or ``torch.nn.Embedding``.
        crf: whether the tags of a sentence are scored together (:class:`rnnkit.CRF`, with the constraints of BIO tags),
            or each by itself.
        intent_size: features of an intent's embedding, which the tags see; 0: the tags do not see the intent.
        dropout: probability with which features in front of both heads are dropped while training.

    Attributes:
        class_names: the names of the intents.
        tags: the names of the tags.
        crf: the conditional random field, or None.

    Shapes:
        x [B, T, ...] as the front takes it (and ``lengths`` [B]) → :class:`IntentsAndSlots`.

    Raises:
        ConfigError: an unknown option, fewer than two intents, or tags that are no BIO tags.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.WordFront(words=100, word_size=16)
        >>> body = rnnkit.LSTM(16, 8, bidirectional=True)
        >>> model = rnnkit.IntentSlotModel(body, ["weather", "music"], ["O", "B-city", "I-city"], front)
        >>> found = model(torch.randint(100, (2, 5, 1)), lengths=[5, 3])
        >>> tuple(found.intents.shape), tuple(found.slots.shape)
        ((2, 2), (2, 5, 3))
        >>> [len(tags) for tags in model.decode(found.slots, lengths=[5, 3])[0]]
        [5, 3]
    """

    def __init__(
        self,
        body: torch.nn.Module,
        intents: Sequence[str],
        tags: Sequence[str],
        front: torch.nn.Module | None = None,
        *,
        crf: bool = True,
        intent_size: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(intent_size, "intent_size", 0)
        check_number(dropout, "dropout", below=1)
        count, names = read_classes(list(intents))
        if count < 2 or names is None:
            raise ConfigError(f"intents={list(intents)!r} arrived; expected the names of two or more")
        parts = [(name, part) for name, part in (("front", front), ("body", body)) if part is not None]
        layers = [(name, as_sequence_module(part, name)) for name, part in parts]
        check_fit(layers)
        width = Chained([layer for _, layer in layers]).output_size
        if width is None:
            raise ConfigError(f"the body {short_repr(body)} does not declare how many features it returns")
        self.class_names, self.tags = names, tuple(tags)
        self.dropout, self.intent_size = dropout, intent_size
        self.front, self.body = front, body
        self._adapted = Adapted()
        self.query = torch.nn.Sequential(
            torch.nn.Linear(width, _ATTENTION), torch.nn.Tanh(), torch.nn.Linear(_ATTENTION, 1)
        )
        self.intent_head = torch.nn.Linear(2 * width, count)
        self.intent_embedding = torch.nn.Linear(count, intent_size, bias=False) if intent_size else None
        self.slot_head = torch.nn.Linear(width + intent_size, len(self.tags))
        self.crf = CRF(self.tags, scheme="bio") if crf else None

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        parts = {
            name: describe(part) for name, part in (("body", self.body), ("front", self.front)) if part is not None
        }
        if None in parts.values():
            return None
        own = {
            "intents": list(self.class_names),
            "tags": list(self.tags),
            "crf": self.crf is not None,
            "intent_size": self.intent_size,
            "dropout": self.dropout,
        }
        return {"builder": type(self).__name__, "arguments": {**parts, **own}}

    def forward(self, x: Tensor, lengths: Lengths | None = None, *, tags: Tensor | None = None) -> IntentsAndSlots:
        """Map x [B, T, ...] and lengths [B] or None to logits of the intents and scores of the tags.

        Args:
            x, lengths: see the class.
            tags: numbers [B, T] of the true tags, of any value behind a row's length; asks for their log p.
        """
        output, lengths, _ = self._adapted((self.front, self.body), _chained)(x, lengths)
        valid = None if lengths is None else valid_outputs(lengths, output)
        output = torch.nn.functional.dropout(output, self.dropout, self.training)
        intents = self.intent_head(torch.cat((self._attended(output, valid), _largest(output, valid)), 1))
        features = output
        if self.intent_embedding is not None:
            seen = self.intent_embedding(intents.softmax(1))
            features = torch.cat((output, seen[:, None].expand(-1, output.shape[1], -1)), 2)
        slots = self.slot_head(features)
        if valid is not None:
            slots = slots.masked_fill(~valid, 0.0)
        return IntentsAndSlots(intents, slots, None if tags is None else self._log_likelihood(slots, tags, lengths))

    @torch.no_grad()
    def decode(self, slots: Tensor, *, lengths: Lengths | None = None) -> tuple[list[list[str]], Tensor]:
        """Return the most probable tags of each row by name, and their probability [B].

        Args:
            slots: scores [B, T, S], as a call returns them.
            lengths: valid steps [B]; None: all.
        """
        if self.crf is not None:
            best, log_p = self.crf.decode(slots, lengths=lengths)
        else:
            best = slots.argmax(2)
            log_p = self._log_likelihood(slots, best, lengths)
        ends = [slots.shape[1]] * len(slots) if lengths is None else torch.as_tensor(lengths).tolist()
        rows = zip(best.tolist(), ends, strict=True)
        return [[self.tags[tag] for tag in row[:end]] for row, end in rows], log_p.exp()

    def __repr__(self) -> str:
        count = f"{len(self.class_names)} intents, {len(self.tags)} tags"
        return f"IntentSlotModel({short_repr(self.body)}, {count}, front={short_repr(self.front)})"

    def _log_likelihood(self, slots: Tensor, tags: Tensor, lengths: Lengths | None) -> Tensor:
        """Return log p of tags [B, T] for each row, [B]."""
        if self.crf is not None:
            found: Tensor = self.crf(slots, tags, lengths=lengths)
            return found
        valid = None if lengths is None else valid_outputs(lengths, slots)[:, :, 0]
        tags = tags if valid is None else torch.where(valid, tags, 0)
        each = slots.log_softmax(2).gather(2, tags.long()[:, :, None])[:, :, 0]
        return (each if valid is None else each.masked_fill(~valid, 0.0)).sum(1)

    def _attended(self, output: Tensor, valid: Tensor | None) -> Tensor:
        weights = self.query(output)
        if valid is not None:
            weights = weights.masked_fill(~valid, float("-inf"))
        attended: Tensor = (weights.softmax(1) * output).sum(1)
        return attended


def _chained(modules: tuple[Any, ...]) -> Chained:
    named = zip(("front", "body"), modules, strict=True)
    return Chained([as_sequence_module(part, name) for name, part in named if part is not None])


def _largest(output: Tensor, valid: Tensor | None) -> Tensor:
    return (output if valid is None else output.masked_fill(~valid, float("-inf"))).amax(1)
