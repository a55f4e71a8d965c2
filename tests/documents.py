"""Reads README and the pages of docs/: fenced blocks, the comments that steer their tests, links, reference entries.

A comment directly above a fence steers the test and is not shown on the page:

- ``<!-- setup: CODE -->``: Python that runs before the block, in the page's namespace.
- ``<!-- options: OPTIONS -->``: added to each ``rnnkit train`` of the block, so that it ends soon.
- ``<!-- checked, not run: REASON -->``: commands whose names and options are checked, without running them.
- ``<!-- output -->``: the block is what the Python block before it prints. Numbers may differ, the rest may not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_FENCE = re.compile(
    r"(?P<comments>(?:^<!--(?:(?!-->).)*-->\n)*)"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.M | re.S,
)
_COMMENT = re.compile(r"<!--\s*([a-z, ]+?)\s*(?::\s*(.*?))?\s*-->", re.S)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ENTRY = re.compile(r"^::: (\S+)", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and code, the line it begins on, and the comments above it by name."""

    language: str
    code: str
    line: int
    comments: dict[str, str]


def pages() -> list[Path]:
    """README, CONTRIBUTING, CHANGELOG and every page of the site."""
    return [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(DOCS.rglob("*.md"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        comments = {name: value or "" for name, value in _COMMENT.findall(match["comments"])}
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], match["code"], line, comments))
    return found


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, outside code."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site's generator makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def entries() -> dict[str, Path]:
    """The public names that have an entry in the reference -> the page."""
    return {
        name: page for page in sorted((DOCS / "reference").glob("*.md")) for name in _ENTRY.findall(page.read_text())
    }
