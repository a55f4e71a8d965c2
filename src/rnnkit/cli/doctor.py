"""``rnnkit doctor``."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterable, Sequence

import typer

from ..errors import ConfigError

_LOOK_SECONDS = 0.3


def doctor() -> None:
    """Show versions, what the native core and torch make of this machine, and which layer runs where."""
    from ..runs.versions import environment

    facts = environment()
    elsewhere = ("threads", "native core")
    _section("Versions", [(name, value or "not installed") for name, value in facts.items() if name not in elsewhere])
    _section("Native core", _native_core())
    _section("Torch", _torch())
    _section("Folders", _folders())
    _backends()


def _native_core() -> Iterable[tuple[str, object]]:
    import torch  # noqa: F401  (the core joins its threads if it was loaded first)

    try:
        from .. import _native
    except ImportError as error:
        return [
            ("present", f"no ({error})"),
            ("what to do", "install with a C++ compiler at hand and without RNNKIT_NATIVE=0; until then torch serves"),
        ]
    info = _native.cpu_info()
    facts = [
        ("present", "yes"),
        ("CPU family", f"{info['chosen']}; this {platform.machine()} machine has {', '.join(info['available'])}"),
        ("weights in 8 bits", f"multiplied by {info['int8']}"),
        ("threads by", info["threads"]),
    ]
    if (busy := _busy_cores()) is not None:
        facts.append(("busy cores", busy))
    if info["problem"]:
        facts.append(("problem", info["problem"]))
    return facts


def _busy_cores() -> str | None:
    from ..ops.machine import BUSY, busy_cores_of_others, usable_cores, waiting_advice

    busy_cores_of_others()
    time.sleep(_LOOK_SECONDS)
    busy = busy_cores_of_others()
    if busy is None:
        return None
    advice = f"; {'. '.join(filter(None, ('training is slower meanwhile', waiting_advice())))}" if busy > BUSY else ""
    return f"{busy:.1f} of {usable_cores()}, by other programs{advice}"


def _torch() -> Iterable[tuple[str, object]]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    built = f"none found (torch is built for CUDA {torch.version.cuda})" if torch.version.cuda else "none (a CPU build)"
    return [
        ("threads", torch.get_num_threads()),
        ("CUDA", ", ".join(names) or built),
        ("Metal", "yes" if torch.backends.mps.is_available() else "no"),
    ]


def _folders() -> Iterable[tuple[str, object]]:
    from ..data.download import cache_folder

    given = os.environ.get("RNNKIT_DATA")
    missing = "" if not given or os.path.isdir(given) else " (does not exist)"
    data = f"{given}{missing}" if given else "not set"
    return [("RNNKIT_DATA", data), ("cache", cache_folder()), ("token files", _token_files())]


def _token_files() -> str:
    from ..data.text.token_cache import VARIABLE, token_cache_limit, token_files, token_folder

    sizes = [size for _, size, _ in token_files(token_folder())]
    held = f"{len(sizes)} of {sum(sizes) / 1e9:.3g} GB together"
    try:
        limit = token_cache_limit()
    except ConfigError as error:
        return f"{held}; {error}"
    most = "without limit" if limit == math.inf else f"at most {limit / 1e9:.3g} GB, the oldest use is removed first"
    return f"{held}; {most} ({VARIABLE})"


def _backends() -> None:
    from ..layers.capabilities import capabilities

    rows = [(row.layer, row.option, row.cpu, row.cuda) for row in capabilities()]
    typer.echo("\nWhich backend runs a layer")
    _columns([("layer", "option", "on cpu", "on cuda"), *rows])


def _section(title: str, facts: Iterable[tuple[str, object]]) -> None:
    typer.echo(f"\n{title}")
    _columns([(name, str(value)) for name, value in facts])


def _columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
