"""A trained encoder–decoder that answers to texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..tasks.text_pairs import PairTokenizers, Search, end_of
from .interface import TextAnswer

if TYPE_CHECKING:
    import torch

_ROWS = 64  # sources that are answered together


class PairModel:
    """A trained encoder–decoder with its tokenizers, which answers to texts.

    Args:
        model: the network.
        tokenizers: of both sides.
        search: how answers are searched for.
    """

    def __init__(self, model: torch.nn.Module, tokenizers: PairTokenizers, search: Search) -> None:
        self.model, self.tokenizers, self.search = model, tokenizers, search

    @staticmethod
    def load(folder: Path, search: Search, device: str = "auto") -> PairModel:
        """Return the model of a run folder."""
        from ..models.loading import load
        from ..serialization import read_config
        from ..training.execution import find_device

        tokenizers = PairTokenizers.from_dict(read_config(folder)["extra"])
        return PairModel(load(folder).to(find_device(device)), tokenizers, search)

    def answer(
        self, texts: Sequence[str], search: Search | None = None, *, attention: bool = False, progress: str = ""
    ) -> list[TextAnswer]:
        """Return the best answer to each text, by the network without dropout.

        Args:
            texts: the sources.
            search: None: the model's own.
            attention: whether the answers have their attention.
            progress: what is shown while it lasts; "" shows nothing.

        Raises:
            DataError: a text is empty.
        """
        from ..layers.modes import mode

        for number, text in enumerate(texts):
            if not text.strip():
                raise DataError(f"text {number + 1} of {len(texts)} is empty; expected a text: leave it out")
        read = [self.tokenizers.read(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda row: len(read[row][0]))
        batches = [order[begin : begin + _ROWS] for begin in range(0, len(order), _ROWS)]
        found: dict[int, TextAnswer] = {}
        with mode(self.model, training=False):
            for rows in _shown(batches, progress):
                answers = self._answer([read[row] for row in rows], search or self.search, attention)
                found.update(zip(rows, answers, strict=True))
        return [found[row] for row in range(len(texts))]

    def _answer(self, read: list[tuple[list[int], list[str]]], search: Search, attention: bool) -> list[TextAnswer]:
        import torch

        from ..data.text.copied import decode_copied, written
        from ..generation import beam_search, encoded
        from ..types import pad_rows

        model: Any = self.model
        device = next(model.parameters()).device
        x, lengths = pad_rows([torch.tensor(ids) for ids, _ in read])
        source, target = self.tokenizers.source, self.tokenizers.target
        never = {one for one in (target.pad, target.beginning, target.unknown) if one is not None}
        best = beam_search(
            encoded(model, x.to(device), lengths),
            [model.start],
            end=end_of(target),
            width=search.width,
            max_tokens=search.max_tokens,
            min_tokens=min(search.min_tokens, search.max_tokens - 1),
            length_penalty=search.length_penalty,
            coverage_penalty=search.coverage_penalty,
            no_repeat_ngram=search.no_repeat_ngram,
            forbidden_ids=sorted(never),
            return_attention=attention,
        )
        answers = []
        for (ids, words), (one, *_) in zip(read, best, strict=True):
            made = [*one.ids, end_of(target)] if one.ended else one.ids
            weights = None if one.attention is None else one.attention[:, : len(ids)].cpu()
            text = decode_copied(target, one.ids, words)
            answers.append(
                TextAnswer(text, one.score, written(source, ids, words), written(target, made, words), weights)
            )
        return answers


def _shown(batches: list[list[int]], what: str) -> Iterable[list[int]]:
    """The batches, with a bar on a terminal while they are worked on."""
    if not what or len(batches) < 2:
        return batches
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, what, console=console, transient=True, disable=not console.is_terminal)
