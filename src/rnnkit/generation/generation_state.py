"""What generation continues from: the model's state, and what else the next token depends on."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from ..errors import DataError
from ..serialization import read_values, write_values
from ..types import State
from .text_pieces import TextPlace


@dataclass(frozen=True)
class GenerationState:
    """Where a generation stands; give it to `generate(state=)` or `stream(state=)` to continue.

    What is generated in two calls is what one call would have generated, with the same settings.

    Legend: B batch.

    Attributes:
        model_state: the model's state, a nested tuple of tensors.
        unread: the ids of each row that the model has not read yet: the last token as a rule.
        history: the ids of each row so far, prompts among them.
        seeds: one a row.
        drawn: how many random numbers each row has used.
        text: where the text of each row stands.
        tokenizer: a digest of the tokenizer that the ids are of; "" where it is unknown.

    Example:
        >>> import torch
        >>> from rnnkit.generation import StepFunction, generate
        >>> model = StepFunction(lambda ids, state: (torch.ones(len(ids), 9), state), lambda batch: ())
        >>> whole = generate(model, [0], max_tokens=6, seed=1).ids
        >>> first = generate(model, [0], max_tokens=2, seed=1)
        >>> rest = generate(model, state=first.state, max_tokens=4)
        >>> first.ids[0] + rest.ids[0] == whole[0]
        True
    """

    model_state: State
    unread: list[list[int]]
    history: list[list[int]]
    seeds: list[int]
    drawn: list[int]
    text: list[TextPlace]
    tokenizer: str = ""

    def __len__(self) -> int:
        return len(self.unread)

    def __repr__(self) -> str:
        return f"GenerationState({len(self)} rows, {sum(map(len, self.history))} tokens)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to one safetensors file.

        Args:
            path: the file.
        """
        write_values({"generation": {field.name: getattr(self, field.name) for field in fields(self)}}, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> GenerationState:
        """Read a state that `save` wrote.

        Args:
            path: the file.

        Raises:
            DataError: the file is no state of a generation.
        """
        try:
            values: Any = read_values(path)
        except DataError:
            values = None
        content = values.get("generation") if isinstance(values, dict) else None
        names = {field.name for field in fields(GenerationState)}
        if not isinstance(content, dict) or content.keys() | {"tokenizer"} != names:
            raise DataError(
                f"{path} holds no state of a generation; generated.state.save(path) or --save-state writes one"
            )
        return GenerationState(**{**content, "text": [TextPlace(*place) for place in content["text"]]})
