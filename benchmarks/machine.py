"""What a reader needs to know of the machine, and how busy others kept it."""

import os
import platform
import re
import resource
from pathlib import Path

from rnnkit.ops.machine import usable_cores

_INSTRUCTIONS = ("neon", "asimd", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")


def describe() -> dict[str, str]:
    """The processor, its cores and vector instructions, the memory and the system."""
    cpuinfo = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", cpuinfo, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "Processor": model[1] if model else platform.processor() or platform.machine(),
        "Cores": str(usable_cores()),
        "Vector instructions": ", ".join(name for name in _INSTRUCTIONS if name in known) or "not listed",
        "Memory": f"{memory:.0f} GiB",
        "System": f"{_system()}, {platform.machine()}",
        "Python": platform.python_version(),
    }


def cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used so far, or None where the system does not say."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else None


def cpu_seconds_of_others() -> float | None:
    """Processor time used by all but this process and its ended children, or None where unknown.

    Only a difference between two readings means something, and only once the children have ended.
    """
    total = _read("/proc/stat").partition("\n")[0].split()[1:]
    if not total or usable_cores() != os.cpu_count():  # not all of the machine's cores are ours to judge
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(field) for field in total[:8])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return busy - sum(usage.ru_utime + usage.ru_stime for usage in used)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
