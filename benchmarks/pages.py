"""The pages of the processors that were measured, and the page that lays them side by side."""

import re
from pathlib import Path

from benchmarks.tables import table

_STEPS = ("One training step", "Shapes nobody tuned for")
_WIDEST = (("amx_bf16", "amx"), ("avx512f", "avx512"), ("avx2", "avx2"), ("asimd", "neon"), ("neon", "neon"))
"""What a processor is told apart by beside its name: the widest instructions that it lists."""

_OVERVIEW = """\
# Benchmarks

Each processor that was measured has a page with every figure, what is asked of it and whether it is met. `make bench`
measures all systems in one run and writes the page of the processor at hand.

{machines}
The time of a training step of the best peer (PyTorch, Keras on TensorFlow, Keras on JAX, JAX by hand) divided by
rnnkit's: above 1, rnnkit is faster. Sizes are B, T, I, H. In bold is what misses its target.

{rows}"""


def name(machine: dict[str, str]) -> str:
    """The name of a processor's page, as `amd-epyc-avx2`: words of its model without marks and numbers of speeds."""
    model = re.sub(r"\((?:R|TM)\)|@.*|\b(?:CPU|Processor)\b|\d+-Core", " ", machine["Processor"])
    listed = machine.get("Vector instructions", "").split(", ")
    widest = next((short for flag, short in _WIDEST if flag in listed), "")
    return "-".join(re.findall(r"[a-z0-9]+", f"{model} {widest}".lower()))


def renewed(page: str, part: str, date: str) -> str:
    """A page with the sections of a later run of some parts in place of its own; the last, the method, stays.

    The pages have no section twice, and begin with the machine, which is the same.
    """
    old, new = _sections(page), _sections(part)
    for title in [*new][1:-1]:
        old[title] = f"{new[title].rstrip()}\n\nMeasured apart from the rest, on {date}.\n\n"
    return "".join(old.values())


def _sections(page: str) -> dict[str, str]:
    """What is before the first heading of the second level, and the sections by their heading."""
    return {part.partition("\n")[0]: part for part in re.split(r"^(?=## )", page, flags=re.MULTILINE)}


def overview(folder: Path) -> str:
    """The page over all pages of `folder`."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    facts = {path: dict(_rows(page, "Benchmarks")) for path, page in pages.items()}
    machines = [
        [
            f"[{path.stem}]({folder.name}/{path.name})",
            *(facts[path].get(fact, "") for fact in ("Processor", "Cores", "Date")),
            f"{page.count('| met |')} of {page.count('| met |') + page.count('| **not met** |')}",
        ]
        for path, page in pages.items()
    ]
    return _OVERVIEW.format(
        machines=table(["Page", "Processor", "Cores", "Date", "Figures met"], machines, left=4), rows=_ratios(pages)
    )


def _ratios(pages: dict[Path, str]) -> str:
    found: dict[tuple[str, str, str], dict[Path, str]] = {}
    for path, page in pages.items():
        for heading in _STEPS:
            for network, sizes, *_times, ratio, target, verdict in _rows(page, heading):
                shown = ratio if verdict == "met" else f"**{ratio}**"
                found.setdefault((network, sizes, target), {})[path] = shown
    header = ["network", "B, T, I, H", "target", *(path.stem for path in pages)]
    return table(header, ([*row, *(cells.get(path, "—") for path in pages)] for row, cells in found.items()), left=2)


def _rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, its header left out."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)^(\|.*?)(?=^[^|]|\Z)", page, re.MULTILINE | re.DOTALL)
    if found is None or re.search(r"^#", found[1], re.MULTILINE):  # this heading has no table of its own
        return []
    lines = found[2].rstrip().splitlines()
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[2:]]
