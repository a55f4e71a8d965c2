"""What a run's numbers depend on besides its recipe: software, device, threads; kept in ``versions.json``."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import VERSIONS, write_json

if TYPE_CHECKING:
    import torch

PACKAGES = ("rnnkit", "torch", "lightning-fabric", "torchmetrics", "safetensors", "numpy")


def write_versions(folder: Path, recipe: Any) -> None:
    """Write ``versions.json``: when the run began, its seed and device, and the software it runs on."""
    from ..training.execution import find_device

    device = find_device(getattr(recipe, "device", "auto"))
    facts = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "seed": getattr(recipe, "seed", None)}
    write_json(folder / VERSIONS, {**facts, **describe_device(device), **environment()})


def describe_device(device: torch.device) -> dict[str, str]:
    """Return the device that a run computes on, and the name of the GPU."""
    import torch

    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {"device": str(device), **gpu}


def environment() -> dict[str, Any]:
    """Return the versions and settings that a run's numbers depend on."""
    import torch

    from ..ops.backend import native_core
    from ..training.distribution.group import world_size

    facts: dict[str, Any] = {"threads": torch.get_num_threads(), "python": platform.python_version()}
    facts["processes"] = world_size()
    facts |= {package: _version(package) for package in PACKAGES}
    core = native_core()
    facts["native core"] = None if core is None else core.cpu_info()["chosen"]
    facts["platform"] = platform.platform()
    return facts


@cache  # it is read from the metadata of the package each time
def _version(package: str) -> str | None:
    # Here, because it imports the standard library's parser of mail, and `rnnkit --help` imports this module.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
