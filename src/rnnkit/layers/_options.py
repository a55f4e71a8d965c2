"""The arguments that recurrent layers have beyond PyTorch's, and their checks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..errors import ConfigError


@dataclass(frozen=True)
class Options:
    """rnnkit's own arguments. Each layer takes those that exist for its recurrence; the others keep their defaults.

    recurrent_dropout: probability of dropping a unit of the state in the recurrent product while training; the same
        units at all steps of a call (variational dropout, Gal & Ghahramani, arXiv:1512.05287).
    weight_dropout: probability of dropping an entry of the recurrent weights for a call while training (DropConnect as
        in AWD-LSTM, Merity, Keskar & Socher, arXiv:1708.02182).
    zoneout: probability that a unit keeps its old state for a step while training; its expectation in evaluation
        (Krueger et al., arXiv:1606.01305). For the LSTM one number for h and c, or a pair.
    layer_norm: normalise both products (Ba, Kiros & Hinton, arXiv:1607.06450), see rnnkit.ops.normalisation.
    learn_initial_state: the state before the first step is a parameter, initially zeros.
    recompute: K, to store the intermediate values of K steps at a time while training, see rnnkit.ops.recompute.
    peepholes, coupled_gates: see rnnkit.LSTM.
    reset_after: see rnnkit.GRU.
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
    """Check the range of each argument, and arguments that exclude each other.

    Args:
        options: what to check.
        pairs: whether zoneout may be a pair, for h and c.

    Raises:
        ConfigError: an argument is out of its range, or two exclude each other.
    """
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
        raise ConfigError(f"recompute={steps!r}; expected the number of steps of a chunk, such as 100")
    if options.layer_norm and not options.reset_after:
        raise ConfigError(
            "layer_norm=True needs reset_after=True: with reset_after=False no single product holds all gates. "
            "Leave one of them out"
        )


def non_default_options(options: Options) -> dict[str, Any]:
    """Return the arguments that differ from their defaults."""
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != getattr(DEFAULTS, field.name)
    }


def unsupported_by_torch(options: Options, training: bool) -> str | None:
    """Name the options that PyTorch's own layers cannot compute, as a sentence; None where they can compute all."""
    supported = {"learn_initial_state"} if training else {"learn_initial_state", "recurrent_dropout", "weight_dropout"}
    names = [name for name in non_default_options(options) if name not in supported]
    return f"PyTorch's layers have no {', '.join(names)}" if names else None


def suffix_of(layer: int, reverse: bool) -> str:
    """Return the suffix of PyTorch's parameter names for a layer and direction."""
    return f"_l{layer}_reverse" if reverse else f"_l{layer}"
