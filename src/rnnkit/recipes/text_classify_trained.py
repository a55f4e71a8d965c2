"""The trained network of a run on classes of texts: what it answers, and how well."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.recipes.interface import Columns

if TYPE_CHECKING:
    import torch

    from rnnkit.data import Tokenizer
    from rnnkit.data.text.labelled import LabelledText
    from rnnkit.tasks.text_rows import TextClassRows


@dataclass(frozen=True)
class Trained:
    """A trained network with its tokenizer and classes."""

    model: Any
    tokenizer: Tokenizer
    classes: tuple[str, ...]
    recipe: Any

    @staticmethod
    def of(folder: Path, recipe: Any) -> Trained:
        """Return that of a run folder."""
        from rnnkit.tasks.language_modelling import stored_tokenizer

        model: Any = rnnkit.load(folder)
        return Trained(model, stored_tokenizer(folder), tuple(model.class_names), recipe)

    def rows(self, texts: list[LabelledText], *, labelled: bool = True) -> TextClassRows:
        """Return texts as the network reads them."""
        from rnnkit.data.text.labelled import check_known
        from rnnkit.tasks.text_rows import TextClassRows

        if labelled:
            check_known(texts, self.classes)
        return TextClassRows(texts, self.tokenizer, self.classes if labelled else (), most=self.recipe.data.max_tokens)

    def warn_of_unknown(self, texts: list[LabelledText]) -> None:
        """Warn of texts of which the network knows few words."""
        from rnnkit.data.text.report import foreign_sentence

        if (told := foreign_sentence([one.text for one in texts], self.tokenizer)) is not None:
            warnings.warn(told, stacklevel=3)

    def evaluate(self, texts: list[LabelledText]) -> dict[str, float]:
        """Return cross_entropy, accuracy and f1_macro; the loss is without smoothing and class weights."""
        from rnnkit.data import LengthBatches

        rows = self.rows(texts)
        learner = rnnkit.Learner(self.model, metrics=["accuracy", "f1_macro"], device=self.recipe.device)
        found = learner.evaluate(LengthBatches(rows, 64, shuffle=False))
        return {"cross_entropy": found.pop("loss"), **found}

    def shares(self, texts: list[LabelledText]) -> torch.Tensor:
        """Return the probability of each class for each text, [N, C]."""
        import torch

        from rnnkit.data import LengthBatches
        from rnnkit.layers.modes import mode

        rows = self.rows(texts, labelled=False)
        order = torch.from_numpy(rows.steps).argsort(stable=True)  # as the batches come
        device = next(self.model.parameters()).device
        with torch.inference_mode(), mode(self.model, training=False):
            found = [
                self.model(batch.inputs.to(device), lengths=batch.input_lengths).softmax(1).cpu()
                for batch in LengthBatches(rows, 64, shuffle=False)
            ]
        return torch.cat(found)[order.argsort()]

    def table(self, texts: list[LabelledText]) -> Columns:
        """Return a row a text: its class, how sure that is, and the probability of each class."""
        shares = self.shares(texts).double()
        best = shares.argmax(1).tolist()
        return {
            "text": [one.text for one in texts],
            "prediction": [self.classes[one] for one in best],
            "confidence": shares.amax(1).tolist(),
            **{f"probability_{name}": shares[:, at].tolist() for at, name in enumerate(self.classes)},
        }
