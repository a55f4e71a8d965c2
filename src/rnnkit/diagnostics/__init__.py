"""Measure what a network learned and how it was trained.

Every measurement is a plain function on any model with recurrent layers. Names are resolved when they are first used:
the pictures need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .activity import saturation
    from .diagnosis import diagnose
    from .gradients import gradient_flow
    from .memory import horizon
    from .seen_pixels import receptive_field
    from .spectrum import spectra
    from .updates import Diagnostics, update_ratios

_NAMES = {
    "Diagnostics": "updates",
    "diagnose": "diagnosis",
    "gradient_flow": "gradients",
    "horizon": "memory",
    "receptive_field": "seen_pixels",
    "saturation": "activity",
    "spectra": "spectrum",
    "update_ratios": "updates",
}

__all__ = [
    "Diagnostics",
    "diagnose",
    "gradient_flow",
    "horizon",
    "receptive_field",
    "saturation",
    "spectra",
    "update_ratios",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
