"""A model whose layers form a graph: several inputs and outputs, shared layers, masks that travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from ..errors import ConfigError, ShapeError, check_choice
from ..layers._checks import Lengths, check_lengths
from ..layers._exports import NotScriptable
from ..layers.graph.activations import ACTIVATIONS
from ..layers.graph.base import Mask
from ..layers.graph.graph import Graph, Reference
from ..ops.losses import LossFunction
from ..ops.padding import valid_steps

Tensor = torch.Tensor
Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
_FINAL = ("linear", "softmax", "sigmoid")


def probability_loss(output: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return −log p of the target's class, for outputs that are probabilities [B, C].

    Example:
        >>> round(probability_loss(torch.tensor([[0.25, 0.75]]), torch.tensor([1])).item(), 3)
        0.288
    """
    return F.nll_loss(output.clamp_min(1e-7).log(), target, reduction=reduction)


probability_loss.has_weights = True  # type: ignore[attr-defined]


class GraphModel(NotScriptable, Graph):
    """A graph of layers as a model: it trains, is fine-tuned, inspected and saved as rnnkit's other models.

    :func:`rnnkit.interop.keras.from_keras` makes it of a Keras file. Layers are those of :mod:`rnnkit.layers.graph`, on
    rnnkit's recurrent layers.

    Args:
        layers, names, inputs, nodes, results: see :class:`rnnkit.layers.graph.Graph`.
        final: for each result what is applied to it: "linear" (nothing), "softmax" or "sigmoid".
        logits: leave `final` out, so that losses take what comes out; a :class:`rnnkit.Learner` trains such a model.
        outputs: names of the results; one result comes out as a tensor, several as a tuple in their order.
        shapes: of each input, with the batch; None where any size fits. They are told, not checked.
        integers: names of the inputs that are ids.

    Shapes:
        each input [B, ...] as its first layer takes it; ``lengths`` [B] says how many steps of the inputs count.

    Raises:
        ConfigError: the graph names what it has not. ShapeError: inputs that do not fit.

    Example:
        >>> import rnnkit
        >>> from rnnkit.layers.graph import Dense, Recurrent
        >>> layers = [Recurrent([rnnkit.LSTM(3, 8, batch_first=True)]), Dense(torch.nn.Linear(8, 2))]
        >>> nodes = [{"layer": "lstm", "inputs": [[0, 0]]}, {"layer": "dense", "inputs": [[1, 0]]}]
        >>> model = GraphModel(layers, ["lstm", "dense"], ["x"], nodes, [[2, 0]], final=["softmax"])
        >>> y = model(torch.zeros(4, 6, 3), lengths=[6, 2, 1, 5])
        >>> tuple(y.shape), bool(torch.allclose(y.sum(1), torch.ones(4)))
        ((4, 2), True)
    """

    def __init__(
        self,
        layers: Sequence[torch.nn.Module],
        names: Sequence[str],
        inputs: Sequence[str],
        nodes: Sequence[Mapping[str, Any]],
        results: Sequence[Reference],
        final: Sequence[str] | None = None,
        logits: bool = False,
        outputs: Sequence[str] | None = None,
        shapes: Sequence[Sequence[int | None]] | None = None,
        integers: Sequence[str] = (),
    ) -> None:
        super().__init__(layers, names, inputs, nodes, results)
        self.final = ["linear"] * len(results) if final is None else list(final)
        for one in self.final:
            check_choice(one, "final", _FINAL)
        self.output_names = [f"output_{place}" for place in range(len(results))] if outputs is None else list(outputs)
        if not len(self.final) == len(self.output_names) == len(results):
            raise ConfigError(f"{len(results)} results, but {len(self.final)} in final, {len(self.output_names)} names")
        self.logits, self.integers = logits, list(integers)
        self.shapes = None if shapes is None else [list(shape) for shape in shapes]
        if self.shapes is not None and len(self.shapes) != len(self.inputs):
            raise ConfigError(f"{len(self.shapes)} shapes for {len(self.inputs)} inputs")

    @property
    def default_loss(self) -> str | LossFunction:
        """What a Learner minimises: by the last activation of the first result."""
        if self.logits:
            return {"softmax": "cross_entropy", "sigmoid": "bce_logits"}.get(self.final[0], "mse")
        if self.final[0] == "softmax":
            return probability_loss
        return "bce" if self.final[0] == "sigmoid" else "mse"

    @property
    def default_metrics(self) -> tuple[str, ...]:
        """Accuracy of classes; nothing else."""
        return ("accuracy",) if self.final[0] == "softmax" else ()

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model anew; None where a layer has none."""
        found = super().config()
        if found is None:
            return None
        own: dict[str, Any] = {"final": self.final, "logits": self.logits, "outputs": self.output_names}
        own |= {"shapes": self.shapes, "integers": self.integers}
        return {"builder": "GraphModel", "arguments": found["arguments"] | own}

    def forward(self, x: Inputs, lengths: Lengths | None = None) -> Any:  # type: ignore[override]
        """Map the inputs to the results.

        Args:
            x: one tensor; several in the order of `inputs`, or by name.
            lengths: valid steps of each row [B], of all inputs as long as the first.

        Returns:
            A tensor; a tuple where there are several results.
        """
        given = self._in_order(x)
        masks: list[Mask] = [None] * len(given)
        valid = None
        if lengths is not None:
            valid, given, masks = _with_lengths(given, lengths)
        values, _ = self.compute_nodes(given, masks, valid)
        if not self.logits:
            values = tuple(ACTIVATIONS[name](y) for name, y in zip(self.final, values, strict=True))
        return values[0] if len(values) == 1 else values

    def _in_order(self, x: Inputs) -> list[Tensor]:
        if isinstance(x, Tensor):
            x = [x]
        elif isinstance(x, Mapping):
            missing = [name for name in self.inputs if name not in x]
            if missing or len(x) != len(self.inputs):
                raise ShapeError(f"inputs {sorted(x)} arrived; expected {', '.join(self.inputs)}")
            x = [x[name] for name in self.inputs]
        given = list(x)
        for one in given:
            if not isinstance(one, Tensor):
                raise ShapeError(f"an input is a {type(one).__name__}; expected a tensor: torch.as_tensor(x)")
        return [one.to(self._dtype) if one.dtype in (torch.float16, torch.float64) else one for one in given]

    @property
    def _dtype(self) -> torch.dtype:
        return next((one.dtype for one in self.parameters() if one.is_floating_point()), torch.float32)

    def __repr__(self) -> str:
        pairs = zip(self.names, self.layers.values(), strict=True)
        layers = ", ".join(f"{name}: {type(layer).__name__}" for name, layer in pairs)
        return f"GraphModel({layers if len(layers) < 100 else f'{len(self.names)} layers'})"


def _with_lengths(given: list[Tensor], lengths: Lengths) -> tuple[Tensor, list[Tensor], list[Mask]]:
    """Which steps count, the inputs with 0 behind them, and the mask of each."""
    first = given[0]
    if first.dim() < 2:
        raise ShapeError.of("x", list(first.shape), "; lengths arrived, and the input has no time")
    valid = valid_steps(check_lengths(lengths, *first.shape[:2]), first.shape[1], first.device)
    inputs: list[Tensor] = []
    masks: list[Mask] = []
    for x in given:
        timed = x.dim() > 1 and x.shape[:2] == valid.shape
        kept = valid.reshape(*valid.shape, *[1] * (x.dim() - 2)) if timed else None
        inputs.append(x if kept is None else torch.where(kept, x, 0))
        masks.append(valid if timed else None)
    return valid, inputs, masks
