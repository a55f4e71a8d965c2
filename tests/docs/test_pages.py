"""The pages of the documentation: links, navigation, and what is made from the code."""

import ast
import importlib
import importlib.util
import re

import pytest
from documents import DOCS, ROOT, anchors, links, name_of, pages


def test_the_page_of_the_command_line_is_up_to_date():
    spec = importlib.util.spec_from_file_location("command_line", DOCS / "tools" / "command_line.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text() == tool.page(), "run: python docs/tools/command_line.py"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page):
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name_of(page)}: {link}"
        if DOCS in page.parents:  # the site has no file outside
            assert DOCS in there.parents, f"{name_of(page)}: {link} is outside docs/"
        if anchor:
            assert anchor in anchors(there), f"{name_of(page)}: {link}"


def test_the_navigation_lists_every_page():
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\nplugins:\n")[0]
    listed = re.findall(r"([\w/.-]+\.md)$", nav, re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_no_page_loads_from_another_server():
    assert (ROOT / "mkdocs.yml").read_text().count("font: false") == 1
    assert not [page for page in pages() if "<script" in page.read_text()]


def test_lazy_packages_import_their_names_for_type_checkers():
    """The site is built from the sources alone, where a name without an import is not found."""
    source = ROOT / "src"
    for file in source.rglob("__init__.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        if "lazy_names" in imported:
            package = importlib.import_module(".".join(file.parent.relative_to(source).parts))
            modules = {path.stem for path in file.parent.iterdir()}
            assert set(package.__all__) <= imported | modules | {"__version__"}, package.__name__
