"""What all tests stand on."""

import functools
import gc
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer.main
import typer.testing
from _pytest.doctest import DoctestItem, DoctestModule

SOURCE = Path(__file__).parent.parent / "src"


class ExamplesOfThePackage:
    """Examples are looked for in those modules of the package that have some, and not in tests.

    pytest would import every file of Python, and walk through all of its classes and functions.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path):
        collectors = yield
        if file_path.suffix == ".py" and SOURCE in file_path.parents and ">>>" in file_path.read_text(encoding="utf-8"):
            return collectors
        return [one for one in collectors if not isinstance(one, DoctestModule)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        if not isinstance(item, DoctestItem):
            return (yield)
        with pytest.MonkeyPatch.context() as patch:  # profiles measure the machine's peak by products that take no time
            patch.setattr("rnnkit.ops.machine.SIZES", (64,))
            return (yield)


def pytest_configure(config: pytest.Config) -> None:
    # A hook of this file itself would not be called for the files of src/.
    config.pluginmanager.register(ExamplesOfThePackage())
    # A shell starts background commands with SIGINT ignored, and Python then sets no handler: Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # No file of a test has to outlive a power cut.
    os.fsync = lambda _: None
    # Typer would make all commands anew, a tenth of a second, in each call of a test.
    typer.testing._get_command = functools.cache(typer.main.get_command)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Search for no garbage while tests are collected, nor later among modules and tests, which live to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 20, 20)  # searches take 2% of the time then, by Python's own thresholds 4.5%


def pytest_collection_finish() -> None:
    # torch.manual_seed notes, for each kind of accelerator, who called it: 0.8 ms a call among pytest's many frames.
    if torch := sys.modules.get("torch"):
        for accelerator in (torch.cuda, torch.mtia, torch.xpu):
            accelerator.traceback = SimpleNamespace(format_stack=list)


def pytest_collection_modifyitems() -> None:
    # Hypothesis would read every module of the project for numbers to try. The functions that it tries have no such
    # numbers: they divide positions, and write and read settings.
    if "hypothesis" in sys.modules:
        from hypothesis.internal.conjecture import providers

        if hasattr(providers, "_local_constants"):  # where this version of it keeps them
            providers._get_local_constants = lambda: providers._local_constants
