"""A decoder of sets: a recurrent layer that reads the same features at every step and predicts one object a step.

    h_j, s_j = layer(x, s_{j-1})        j = 1 … K
    z_j = W_z h_j + b_z                 the logits of the classes, the last for "no object"
    v_j = W_v h_j + b_v                 the numbers of the object

What was predicted before is known to the state alone. As the loss prefers what was predicted first
(:mod:`rnnkit.ops.set_matching`), the objects of highest confidence come first. No two steps predict the same
one, so nothing has to be suppressed afterwards.

Variant: Stewart et al. 2016 ("End-to-end people detection in crowded scenes"), who let an LSTM decode each cell of a
grid over a picture. For that, give the cells as rows, or as axes in front of the features.

Legend: B rows, I features, K objects, H units, C classes, D numbers.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..errors import ConfigError, ShapeError, check_whole
from ..layers._exports import NotScriptable
from ..layers.description import describe, short_repr
from ..layers.sequence_adapters import Adapted, as_sequence_module

Tensor = torch.Tensor


class SetDecoder(NotScriptable):
    """Tells up to K objects from features; equations in :mod:`rnnkit.models.set_decoder`.

    Args:
        layer: a recurrent layer in one direction, such as ``rnnkit.LSTM(features, 64)``.
        steps: K.
        classes: C, without "no object".
        values: D.
        front: what makes features [B, I] of an input, or None.

    Shapes:
        x [..., I], or what the front takes → (logits [..., K, C + 1], values [..., K, D]).

    Raises:
        ConfigError: sizes below 1, or a layer that reads from the end. ShapeError: features that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> decoder = rnnkit.SetDecoder(rnnkit.LSTM(20, 32), steps=5, classes=3, values=4)
        >>> logits, boxes = decoder(torch.randn(8, 15, 20, 20))
        >>> tuple(logits.shape), tuple(boxes.shape)
        ((8, 15, 20, 5, 4), (8, 15, 20, 5, 4))
    """

    default_objective: ClassVar[str] = "set"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, layer: torch.nn.Module, steps: int, classes: int, values: int = 4, front: torch.nn.Module | None = None
    ) -> None:
        super().__init__()
        for name, size in (("steps", steps), ("classes", classes), ("values", values)):
            check_whole(size, name)
        self.layer, self.front = layer, front
        self.steps, self.classes, self.values = steps, classes, values
        self._adapted = Adapted()
        adapted = self._layer()
        if adapted.carry_problem is not None:
            raise ConfigError(f"a set is predicted step by step, but {adapted.carry_problem}")
        width = adapted.output_size
        if width is None:
            raise ConfigError(f"the layer {short_repr(layer)} does not declare its output_size")
        self.to_classes = torch.nn.Linear(width, classes + 1)
        self.to_values = torch.nn.Linear(width, values)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [..., I] to (logits [..., K, C + 1], values [..., K, D])."""
        features = x if self.front is None else self.front(x)
        wanted = self._layer().input_size
        if features.dim() < 2 or (wanted is not None and features.shape[-1] != wanted):
            raise ShapeError.of("x", tuple(features.shape), f"; the decoder expects features (..., {wanted})")
        rows = features.flatten(0, -2)
        predicted, _, _ = self._layer()(rows[:, None].expand(-1, self.steps, -1))
        logits, values = self.to_classes(predicted), self.to_values(predicted)
        lead = features.shape[:-1]
        return logits.unflatten(0, lead), values.unflatten(0, lead)

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        arguments: dict[str, Any] = {"layer": describe(self.layer)}
        if self.front is not None:
            arguments["front"] = describe(self.front)
        if None in arguments.values():
            return None
        return {
            "builder": "SetDecoder",
            "arguments": {**arguments, "steps": self.steps, "classes": self.classes, "values": self.values},
        }

    def __repr__(self) -> str:
        front = "" if self.front is None else f", front={short_repr(self.front)}"
        return (
            f"SetDecoder({short_repr(self.layer)}, steps={self.steps}, classes={self.classes}, "
            f"values={self.values}{front})"
        )

    def _layer(self) -> Any:
        return self._adapted((self.layer,), lambda one: as_sequence_module(one[0], "layer"))
