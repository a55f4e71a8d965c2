"""What the recurrent layers have beyond PyTorch's: their arguments, the parameters these add, and what they draw."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError
from ..ops.draws import bernoulli

if TYPE_CHECKING:
    from ._recurrent import RecurrentLayer

Tensor = torch.Tensor


@dataclass(frozen=True)
class Options:
    """rnnkit's own arguments; each layer has those that its recurrence has a meaning for.

    recurrent_dropout: probability with which, while training, a unit of the state is hidden from the recurrent product,
        the same units at all steps of a call (variational dropout, Gal & Ghahramani, arXiv:1512.05287).
    weight_dropout: probability with which, while training, an entry of the recurrent weights is dropped for a call
        (DropConnect as in AWD-LSTM, Merity, Keskar & Socher, arXiv:1708.02182).
    zoneout: probability with which a unit keeps its old state for a step; the expectation in evaluation (Krueger
        et al., arXiv:1606.01305). For the LSTM a number for h and c, or a pair.
    layer_norm: normalises both products (Ba, Kiros & Hinton, arXiv:1607.06450), see rnnkit.ops.normalisation.
    learn_initial_state: the state before the first step is a parameter, zeros at first.
    recompute: K, to keep memory for K steps at a time while training, see rnnkit.ops.recompute.
    """

    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float | tuple[float, float] = 0.0
    layer_norm: bool = False
    learn_initial_state: bool = False
    recompute: int | None = None
    peepholes: bool = False
    coupled_gates: bool = False
    reset_after: bool = True


DEFAULTS = Options()


def check_options(options: Options, *, pairs: bool) -> None:
    """Raises ConfigError where an argument is out of its range, or two exclude each other."""
    zoneout = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout,)
    for name, value in (
        ("recurrent_dropout", options.recurrent_dropout),
        ("weight_dropout", options.weight_dropout),
        *(("zoneout", part) for part in zoneout),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(
                f"{name}={getattr(options, name)!r}; expected a probability from 0 to below 1, such as 0.2"
            )
    if isinstance(options.zoneout, tuple) and (len(zoneout) != 2 or not pairs):
        also = ", or a pair for h and c" if pairs else "; only the LSTM has a second state"
        raise ConfigError(f"zoneout={options.zoneout!r}; expected one probability{also}")
    for name in ("layer_norm", "learn_initial_state", "peepholes", "coupled_gates", "reset_after"):
        if not isinstance(getattr(options, name), bool):
            raise ConfigError(f"{name}={getattr(options, name)!r}; expected True or False")
    steps = options.recompute
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ConfigError(f"recompute={steps!r}; expected the number of steps to keep at a time, such as 100")
    if options.layer_norm and not options.reset_after:
        raise ConfigError("layer_norm=True needs reset_after=True: before it no product holds all gates; leave one out")


def given(options: Options) -> dict[str, Any]:
    """The arguments that differ from their defaults."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != getattr(DEFAULTS, field.name)
    }


def torch_lacks(options: Options, training: bool) -> str | None:
    """What of the options PyTorch's layers do not have, or None."""
    served = {"learn_initial_state"} if training else {"learn_initial_state", "recurrent_dropout", "weight_dropout"}
    names = [name for name in given(options) if name not in served]
    return f"PyTorch's layers have no {', '.join(names)}" if names else None


# --- parameters ------------------------------------------------------------------------------------------------------


def parameter_shapes(layer: RecurrentLayer) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters that the options add, in the order of their registration."""
    options, hidden, gates = layer.options, layer.hidden_size, layer.gates
    shapes: dict[str, tuple[int, ...]] = {}
    wide = (gates - options.coupled_gates) * hidden
    for index in range(layer.num_layers):
        for direction in range(layer.num_directions):
            suffix = suffix_of(index, direction == 1)
            if options.peepholes:
                shapes["peephole" + suffix] = (2 if options.coupled_gates else 3, hidden)
            if options.layer_norm:
                shapes["gain_ih" + suffix] = shapes["gain_hh" + suffix] = (wide,)
                if gates == 4:
                    shapes["gain_c" + suffix] = shapes["shift_c" + suffix] = (hidden,)
    if options.learn_initial_state:
        rows = layer.num_layers * layer.num_directions
        shapes["initial_h"] = (rows, 1, layer.proj_size or hidden)
        if gates == 4:
            shapes["initial_c"] = (rows, 1, hidden)
    return shapes


def suffix_of(layer: int, reverse: bool) -> str:
    """As PyTorch names the parameters of a layer and direction."""
    return f"_l{layer}_reverse" if reverse else f"_l{layer}"


# --- what is drawn for a call ----------------------------------------------------------------------------------------


def chosen(layer: RecurrentLayer, x: Tensor, batch: int, time: int, suffix: str) -> dict[str, Any]:
    """Gains, mask and zones for a call of the layer and direction of that suffix; only what is there."""
    options, width = layer.options, layer.proj_size or layer.hidden_size
    found: dict[str, Any] = {}
    if options.layer_norm:
        names = ("gain_ih", "gain_hh", "gain_c", "shift_c")[: 4 if layer.gates == 4 else 2]
        found["norm"] = tuple(getattr(layer, name + suffix) for name in names)
    if options.recurrent_dropout and layer.training:
        keep = 1 - options.recurrent_dropout
        found["mask"] = bernoulli((batch, width), keep, 1 / keep, x)
    rates = options.zoneout if isinstance(options.zoneout, tuple) else (options.zoneout, options.zoneout)
    zones = (("zone_h", width), ("zone_c", layer.hidden_size)) if layer.gates == 4 else (("zone", width),)
    for (name, features), rate in zip(zones, rates, strict=False):
        if rate and layer.training:
            found[name] = bernoulli((batch, time, features), rate, 1.0, x)
        elif rate:
            found[name] = x.new_full((features,), rate)  # the expectation
    return found
