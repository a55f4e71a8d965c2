"""Teaching a trained model something new: groups of layers, freezing, adapters, new heads, no forgetting."""

from .adapters import LoRA, add_adapters, load_adapters, merge_adapters, remove_adapters, save_adapters
from .forgetting import EWC, L2SP, Replay, memory
from .freeze import freeze, unfreeze
from .groups import layer_groups
from .heads import replace_head
from .rates import discriminative_rates

__all__ = [
    "EWC",
    "L2SP",
    "LoRA",
    "Replay",
    "add_adapters",
    "discriminative_rates",
    "freeze",
    "layer_groups",
    "load_adapters",
    "memory",
    "merge_adapters",
    "remove_adapters",
    "replace_head",
    "save_adapters",
    "unfreeze",
]
