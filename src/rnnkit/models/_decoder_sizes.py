"""Whether the parts of an encoder–decoder fit each other, and how many features its embedding has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..layers.description import short_repr
from ..layers.sequence_adapters import SequenceInterface


def check_recurrent(parts: Mapping[str, tuple[Any, SequenceInterface]]) -> None:
    """Raise ConfigError where a layer of the decoder cannot go on from a state.

    Args:
        parts: "decoder", and "upper" where there is one: the module, and what `as_sequence_module` makes of it.
    """
    for name, (module, layers) in parts.items():
        if layers.carry_problem is not None or not layers.stateful:
            problem = layers.carry_problem or f"{short_repr(module)} has no state"
            raise ConfigError(f"the {name} goes on from a state, token by token, but {problem}")
    if len({layers.state_batch_axis for _, layers in parts.values()}) > 1:
        raise ConfigError("the states of decoder and upper have the batch on different axes; expected one kind")


def check_options(options: Mapping[str, Any], has_upper: bool) -> None:
    """Raise ConfigError for options of an encoder–decoder that exclude each other.

    Args:
        options: by the names of its arguments.
        has_upper: whether there is a layer above the attention.
    """
    source, target = options["source_vocabulary"], options["target_vocabulary"]
    if has_upper and options["form"] == "input_feeding":
        raise ConfigError(
            "upper arrived with form='input_feeding', whose next step reads the vector that upper would compute; "
            "build the decoder with num_layers=2 and leave upper out"
        )
    if (options["copy"] or options["tied"] == "all") and source != target:
        asked = "copy=True" if options["copy"] else "tied='all'"
        raise ConfigError(
            f"{asked} arrived with {source} source ids and {target} target ids; expected one vocabulary for both"
        )
    if options["copy"] and options["unknown"] is None:
        raise ConfigError("copy=True arrived without unknown=, the id that stands for words beyond the vocabulary")


def embedding_size(form: str, tied: bool, takes: int | None, above: int | None, *, memory: int, hidden: int) -> int:
    """Return E, the features of the decoder's embedding; ConfigError where the layers do not leave any.

    Args:
        form: of the decoder.
        tied: whether the vector before the output has E features.
        takes: the inputs of the decoder's layer.
        above: the inputs of the layer above the attention; None where there is none.
        memory: the features of the encoder's outputs.
        hidden: those of the decoder's.
    """
    if takes is None:
        raise ConfigError("the decoder does not declare its input_size; give its cell that attribute")
    if form == "input_feeding":
        embedding = takes // 2 if tied else takes - hidden
        right = embedding >= 1 and (not tied or takes % 2 == 0)
        wanted = "2 · E, an even number" if tied else f"E + {hidden}, the embedding and its own outputs"
    else:
        embedding = takes - (memory if form == "bahdanau" else 0)
        right, wanted = embedding >= 1, f"E + {memory}, the embedding and the encoder's outputs"
    if not right:
        raise ConfigError(f"the decoder takes {takes} features; with form={form!r} expected input_size={wanted}")
    if above not in (None, hidden + memory):
        raise ConfigError(
            f"upper takes {above} features but gets {hidden} of the decoder and {memory} of the encoder; build it "
            f"with input_size={hidden + memory}"
        )
    return embedding
