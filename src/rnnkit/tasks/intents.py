"""Training an :class:`rnnkit.IntentSlotModel`, and what its answers are.

    L = −(1/B) Σ_b (λ log p(intent_b | x_b) + μ log p(tags_b | x_b))

Legend: B batch, T words, C intents, S tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.text.tagged import Slot, TaggedText, slots_of
from ..errors import ConfigError, DataError, check_number
from ..layers.modes import mode
from ..ops.losses import Loss
from ..training.objectives.objective import Objective, Score
from ..training.watching.callbacks import Callback
from ..types import Batch
from .intent_rows import padded
from .span_scores import span_scores

if TYPE_CHECKING:
    from ..models.intents import IntentsAndSlots, IntentSlotModel
    from .intent_rows import IntentVocabulary


class IntentSlotObjective(Objective):
    """L of the module: one intent a sentence and one tag a word, whose losses are added.

    Targets are [B, 1 + T], the number of the intent first, then those of the tags. Metrics compare the intents.

    Args:
        intent_weight, slot_weight: λ and μ.

    Raises:
        ConfigError: a weight below 0.

    Example:
        >>> import rnnkit
        >>> from rnnkit.tasks.intent_rows import IntentRows, IntentVocabulary, names_of
        >>> texts = [TaggedText("in Oslo", "weather", (Slot("city", 3, 7),)), TaggedText("stop", "stop")]
        >>> vocabulary, (intents, tags) = IntentVocabulary.of(texts), names_of(texts)
        >>> front = rnnkit.WordFront(len(vocabulary.words), len(vocabulary.characters), word_size=8, filters=8)
        >>> model = rnnkit.IntentSlotModel(rnnkit.GRU(16, 8, bidirectional=True), intents, tags, front)
        >>> learner = rnnkit.Learner(model, objective=IntentSlotObjective(), metrics="accuracy", lr=0.02)
        >>> batch = IntentRows(texts, vocabulary, intents, tags)[:]
        >>> history = learner.fit([batch], epochs=40, seed=0, progress=False)
        >>> [one.intent for one in understand(model, vocabulary, texts)]
        ['weather', 'stop']
    """

    name: ClassVar[str] = "intents_and_slots"

    def __init__(self, intent_weight: float = 1.0, slot_weight: float = 1.0) -> None:
        check_number(intent_weight, "intent_weight")
        check_number(slot_weight, "slot_weight")
        super().__init__(Loss(self.name, torch.nn.functional.cross_entropy, "own", probabilities="softmax"))
        self.intent_weight, self.slot_weight = float(intent_weight), float(slot_weight)

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share."""
        return {"objective": self.name, "weights": [self.intent_weight, self.slot_weight]}

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        """Return intents, scores of the tags, and log p of the true ones where there are targets."""
        tags = None if batch.targets is None else batch.targets[:, 1 : 1 + batch.inputs.shape[1]]
        return module(batch.inputs, lengths=batch.input_lengths, tags=tags)

    def __call__(self, output: Any, batch: Batch) -> Score:
        """Return the loss of a batch."""
        assert batch.targets is not None
        found: IntentsAndSlots = output
        intents = batch.targets[:, 0]
        each = self.intent_weight * torch.nn.functional.cross_entropy(found.intents, intents, reduction="none")
        assert found.log_likelihood is not None
        each = each - self.slot_weight * found.log_likelihood
        valid = slice(None) if (there := self.valid(batch)) is None else there
        return Score(self.mean_of_rows(each, batch), self.count(batch), found.intents[valid], intents[valid])

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the intents."""
        return output.intents, None

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        """Return the logits of the intents of a trial."""
        if not hasattr(output, "log_likelihood"):
            raise ConfigError(
                f"the model returned a {type(output).__name__}; the objective {self.name!r} is for a "
                "rnnkit.IntentSlotModel"
            )
        found: Tensor = output.intents
        return found

    def check_targets(self, batch: Batch) -> None:
        """Raise DataError for targets that are no whole numbers [B, 1 + T], or are too few."""
        targets = batch.targets
        assert targets is not None
        steps = 1 + batch.inputs.shape[1]
        if targets.dim() != 2 or targets.shape[1] < steps or targets.is_floating_point():
            raise DataError(
                f"targets {list(targets.shape)} of {targets.dtype} arrived; expected whole numbers "
                f"{[len(batch.inputs), steps]}, the intent first and then a tag a word"
            )

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        """Check the intents of a batch.

        Raises:
            DataError: an intent that the model lacks.
        """
        assert batch.targets is not None
        low, high = (int(end) for end in torch.aminmax(batch.targets[:, 0]))
        if low < 0 or high >= shape[-1]:
            raise DataError(f"intents from {low} to {high} arrived; expected 0 to {shape[-1] - 1}")
        return batch


class IntentLogits(torch.nn.Module):
    """The logits of the intents alone, for what measures a model of one output.

    Args:
        model: an :class:`rnnkit.IntentSlotModel`.
    """

    default_loss = "cross_entropy"

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """Map words [B, T, 1 + K], also as floats, to logits [B, C]."""
        intents: Tensor = self.model(x.long(), lengths).intents
        return intents


class Understood(NamedTuple):
    """What a model understood of a text.

    Attributes:
        intent: its name.
        confidence: its probability.
        slots: in words.
        slot_confidence: the probability of all tags together.

    Example:
        >>> Understood("weather", 0.9, (Slot("city", 1, 2),), 0.8).intent
        'weather'
    """

    intent: str
    confidence: float
    slots: tuple[Slot, ...]
    slot_confidence: float


@torch.inference_mode()
def understand(
    model: IntentSlotModel, vocabulary: IntentVocabulary, texts: Sequence[TaggedText], *, batch_size: int = 64
) -> list[Understood]:
    """Return what a model understands of texts; their own intents and slots are not looked at.

    Args:
        model: in any mode; dropout is off.
        vocabulary: the model's.
        texts: each with a word at least.
        batch_size: texts of a call; those of similar length go together.

    Raises:
        DataError: a text without a word.

    Example:
        >>> import rnnkit
        >>> from rnnkit.tasks.intent_rows import IntentVocabulary
        >>> vocabulary = IntentVocabulary.of([TaggedText("play Jay")])
        >>> front = rnnkit.WordFront(len(vocabulary.words), len(vocabulary.characters))
        >>> model = rnnkit.IntentSlotModel(rnnkit.GRU(164, 8), ["play", "stop"], ["O", "B-singer"], front)
        >>> (answer,) = understand(model, vocabulary, [TaggedText("stop it")])
        >>> answer.intent in ("play", "stop"), 0 < answer.confidence <= 1
        (True, True)
    """
    for text in texts:
        if not text.words:
            raise DataError("holds no word; expected a sentence", text.place)
    rows = [vocabulary.encode(text.words) for text in texts]
    order = np.argsort([len(row) for row in rows], kind="stable").tolist()
    device = next(model.parameters()).device
    found: dict[int, Understood] = {}
    with mode(model, training=False):
        for begin in range(0, len(order), batch_size):
            picked = order[begin : begin + batch_size]
            batch = padded([rows[index] for index in picked]).to(device)
            output = model(batch.inputs, lengths=batch.input_lengths)
            shares = output.intents.softmax(1).cpu()
            tags, sureness = model.decode(output.slots, lengths=batch.input_lengths)
            best = shares.argmax(1).tolist()
            for row, index in enumerate(picked):
                name = model.class_names[best[row]]
                slots = tuple(slots_of(tags[row]))
                found[index] = Understood(name, float(shares[row, best[row]]), slots, float(sureness[row]))
    return [found[index] for index in range(len(rows))]


def scores(texts: Sequence[TaggedText], found: Sequence[Understood]) -> dict[str, float]:
    """Return the accuracy of the intents, F1, precision and recall of the slots, and the share of sentences all right.

    Args:
        texts: with their true intents and slots.
        found: of each, by :func:`understand`.

    Example:
        >>> texts = [TaggedText("in Oslo", "weather", (Slot("city", 3, 7),))]
        >>> found = scores(texts, [Understood("weather", 0.9, (Slot("city", 1, 2),), 0.8)])
        >>> found["intent_accuracy"], found["slot_f1"], found["sentence_accuracy"]
        (1.0, 1.0, 1.0)
    """
    pairs = list(zip(texts, found, strict=True))
    intents = [text.intent == one.intent for text, one in pairs]
    exact = [text.word_slots == one.slots for text, one in pairs]
    slots = span_scores((text.word_slots for text in texts), (one.slots for one in found))
    return {
        "intent_accuracy": sum(intents) / len(intents),
        **slots,
        "sentence_accuracy": sum(map(all, zip(intents, exact, strict=True))) / len(exact),
    }


class ValidationScores(Callback):
    """Adds the scores of the slots of validation texts to each epoch's row, as ``val_slot_f1`` and others.

    Args:
        vocabulary: the model's.
        texts: to validate on.

    Example:
        >>> from rnnkit.tasks.intent_rows import IntentVocabulary
        >>> texts = [TaggedText("play Jay", "music", (Slot("singer", 5, 8),))]
        >>> ValidationScores(IntentVocabulary.of(texts), texts)  # for Learner.fit(callbacks=[...], validation=...)
        ValidationScores()
    """

    def __init__(self, vocabulary: IntentVocabulary, texts: Iterable[TaggedText]) -> None:
        self.vocabulary, self.texts = vocabulary, list(texts)

    def on_prepare(self, learner: Any, run: Any) -> None:
        """Have the validation of the run measure the slots, too."""
        validate = run.validate

        def with_slots() -> dict[str, float]:
            found = scores(self.texts, understand(learner.model, self.vocabulary, self.texts))
            return {**validate(), "slot_f1": found["slot_f1"], "sentence_accuracy": found["sentence_accuracy"]}

        run.validate = with_slots
