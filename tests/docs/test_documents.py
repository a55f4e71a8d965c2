"""All code of README and of the site runs as it stands, page by page, on small made data."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import typer
from digits import made_mnist
from documents import ROOT, Block, blocks, name_of, pages
from empty_pictures import empty_pictures
from PIL import Image
from typer.testing import CliRunner

from rnnkit.cli.main import app

__all__ = ["empty_pictures"]
KNOWN = {"checked, not run", "options", "output", "setup"}
WITH_CODE = [page for page in pages() if any(block.language in ("python", "sh") for block in blocks(page))]
COMMANDS = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The run folder of a small classifier of machines."""
    folder = tmp_path_factory.mktemp("trained")
    write_table(folder / "machines.csv")
    out = folder / "classify"
    settings = ["fit.epochs=2", f"data.path={folder / 'machines.csv'}"]
    arguments = ["train", "classify", "--out", str(out), *(word for one in settings for word in ("--set", one))]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return out


@pytest.fixture
def names(tmp_path, monkeypatch, trained, empty_pictures):
    """What a page's code finds: a folder with made files, made digits for MNIST, and helpers for hidden set-ups.

    Pictures are saved empty, since drawing them takes most of the time and has tests of its own. One thread, since
    networks this small only wait for more.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    monkeypatch.setattr("rnnkit.ops.machine.SIZES", (64,))  # of products that measure the machine's peak
    monkeypatch.setattr("rnnkit.recipes.lm_results.SAMPLE_TOKENS", 20)
    threads, seed = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, rows in (("machines.csv", 20), ("newer.csv", 12), ("new.csv", 3)):
        write_table(name, rows=rows)
    for name, image in zip(("photo.png", "scan.jpg"), made_mnist().test.images, strict=False):
        Image.fromarray((255 * image).byte().numpy()).save(name)
    helpers = {"make_run": lambda: shutil.copytree(trained, "runs/classify"), "write_table": write_table}
    yield {"__name__": "document", **helpers}
    torch.set_num_threads(threads)
    torch.set_rng_state(seed)


def write_table(path, header="id,time,heat,load,label", rows=20):
    """Series of 8 steps with two channels: the first rises faster in every other series, the second tells nothing."""
    lines = [header]
    for row in range(rows):
        label, slope = (("good", 1), ("worn", 3))[row % 2]
        for step in range(8):
            cells = [f"m{row}", step, 20 + slope * step, (row + step) % 3, label, f"p{row % 4}"]
            lines.append(",".join(map(str, cells[: header.count(",") + 1])))
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_code_runs(page, names):
    printed = ""
    for block in blocks(page):
        assert block.comments.keys() <= KNOWN, f"{name_of(page)}:{block.line}: {block.comments.keys() - KNOWN}"
        if block.language == "python":
            exec(block.comments.get("setup", ""), names)
            printed = _run(page, block, names)
        elif block.language == "sh":
            exec(block.comments.get("setup", ""), names)
            for command in _commands(block.code):
                _check_command(command, block)
        elif "output" in block.comments:
            assert _without_numbers(printed) == _without_numbers(block.code), f"{name_of(page)}:{block.line}"


def _run(page, block, names):
    code = compile("\n" * (block.line - 1) + block.code, name_of(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def _without_numbers(text):
    """The text without numbers, without the progress of epochs, and with single spaces."""
    text = re.sub(r"^epoch \d+/\d+ .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d[\d,]*(\.\d*)?(e[-+]?\d+)?", "#", text)).strip()


def _commands(code):
    joined = re.sub(r"\\\n\s*", " ", code)
    return [words for words in (shlex.split(line, comments=True) for line in joined.splitlines()) if words]


def _check_command(words, block: Block):
    if "|" in words:
        at = words.index("|")
        assert words[0] in ("cat", "echo"), words
        assert "checked, not run" in block.comments, words
        words = words[at + 1 :]
    if ">" in words:
        words = words[: words.index(">")]
    while "=" in words[0]:  # OMP_NUM_THREADS=1 rnnkit ...
        words = words[1:]
    program, *rest = words
    if program == "rnnkit":
        _check_rnnkit(rest, block)
    elif program == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS, words
    elif program == "python":
        assert rest[0] == "-m" or (ROOT / rest[0]).is_file(), words
    elif program == "torchrun":
        if "rnnkit" in rest:
            _check_rnnkit(rest[rest.index("rnnkit") + 1 :], block)
        else:
            assert next(word for word in rest if word.endswith(".py"))
    else:
        assert program in ("pip", ".venv/bin/pre-commit", "export", "git", "cd"), words


def _check_rnnkit(arguments, block: Block):
    if "checked, not run" in block.comments:
        command, rest = COMMANDS, arguments
        with command.make_context("rnnkit", [], resilient_parsing=True) as context:
            while hasattr(command, "resolve_command"):
                name, command, rest = command.resolve_command(context, rest)
            command.make_context(name, rest)
        return
    if arguments[0] == "train":
        arguments += shlex.split(block.comments.get("options", ""))
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, f"rnnkit {shlex.join(arguments)}\n{result.output}"


def test_commands_that_do_not_exist_are_found():
    for wrong in ("rnnkit train mnist --epoch 3", "rnnkit trian mnist", "make lnit", "echo a | rnnkit genrate run"):
        with pytest.raises((typer.Exit, Exception)):
            _check_command(shlex.split(wrong), Block("sh", wrong, 1, {"checked, not run": ""}))


def test_the_example_of_readme_is_the_file():
    """README's ten lines are examples/mnist.py, which besides answers --help."""
    code = (ROOT / "examples" / "mnist.py").read_text().split('"""\n\n')[1]
    example = "\n".join(line for line in code.splitlines() if "argparse" not in line).strip()
    assert example.startswith("import rnnkit\n")
    assert f"```python\n{example}\n```" in (ROOT / "README.md").read_text()
