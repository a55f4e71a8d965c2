"""No module imports itself through others, also not for types; the packages of `training` have an order."""

import ast
import sys
from functools import cache
from pathlib import Path

from imports import Import, imports_of

SOURCE = Path(__file__).parent.parent / "src"
# The packages and modules of `rnnkit.training`, from those that users call to those that all others use. Each imports
# only what stands further down.
TRAINING = (
    ("dynamic_evaluation", "learner"),
    ("learner_base",),
    ("fine_tuning", "reports"),
    ("fitting",),
    ("session",),
    ("answers", "config", "epochs", "saving", "setting_names", "sources", "user_data"),
    ("resuming",),
    ("loop",),
    ("native_step", "watching"),
    ("optimization", "objectives"),
    ("batching",),
    ("contexts", "execution", "history", "signatures"),
    ("distribution",),
)


@cache
def modules(source: Path) -> dict[str, Path]:
    names = {".".join(file.relative_to(source).with_suffix("").parts): file for file in source.rglob("*.py")}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def imported(name: str, file: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a module imports when it is imported, or for types; not those that a function imports."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for one in _imports_of(file):
        if one.names:
            base = package[: len(package) - one.level + 1] if one.level else []
            full = ".".join([*base, *([one.module] if one.module else [])])
            for inner in one.names:
                found |= {f"{full}.{inner}"} if f"{full}.{inner}" in known else {full} & set(known)
        else:
            found |= {one.module} & set(known)
    return found - {name}


@cache
def _imports_of(file: Path) -> list[Import]:
    return [one for one in imports_of(file) if not one.late]


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, by Tarjan's strongly connected components."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            part = [stack.pop()]
            while part[-1] != name:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000))
    for name in graph:
        if name not in index:
            visit(name)
    return found


def graph_of(source: Path) -> dict[str, set[str]]:
    known = modules(source)
    return {name: imported(name, file, known) for name, file in known.items()}


def test_no_module_imports_itself_through_others():
    graph = graph_of(SOURCE)
    assert len(graph) > 100
    # An __init__ imports its public names for type checkers alone.
    fronts = {"rnnkit", "rnnkit.training"}
    assert cycles({name: others - fronts for name, others in graph.items() if name not in fronts}) == []


def test_the_packages_of_training_import_downward():
    level = {name: number for number, names in enumerate(TRAINING) for name in names}
    prefix = "rnnkit.training."
    wrong = []
    for name, others in graph_of(SOURCE).items():
        if name.startswith(prefix):
            package = name.removeprefix(prefix).split(".")[0]
            for other in (one for one in others if one.startswith(prefix)):
                target = other.removeprefix(prefix).split(".")[0]
                if target != package and level[target] <= level[package]:
                    wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_training_knows_no_task_no_model_and_no_series():
    forbidden = ("rnnkit.tasks", "rnnkit.models", "rnnkit.data", "rnnkit.recipes", "rnnkit.estimators")
    graph = graph_of(SOURCE)
    mine = {name: others for name, others in graph.items() if name.startswith("rnnkit.training")}
    assert [(name, other) for name, others in mine.items() for other in others if other.startswith(forbidden)] == []


def test_no_function_of_training_takes_a_learner():
    """But the hooks of callbacks, which users write for theirs, and what calls them."""
    takes = []
    for file in (SOURCE / "rnnkit" / "training").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "learner" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("on_"):
                named = [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
                if "learner" in named:
                    takes.append(f"{file.name}:{node.name}")
    assert takes == ["callbacks.py:__init__"]


def test_the_tests_see_what_they_look_for(tmp_path):
    package = tmp_path / "rnnkit"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import B\n")
    (package / "b.py").write_text("from . import a\nclass B: ...\n")
    (package / "c.py").write_text("def late():\n    from . import c2\n")
    (package / "c2.py").write_text("from . import c\n")
    assert cycles(graph_of(tmp_path)) == [["rnnkit.a", "rnnkit.b"]]
