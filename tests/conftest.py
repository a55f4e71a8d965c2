"""What all tests stand on."""

import functools
import gc
import os
import signal

import pytest
import typer.main
import typer.testing


def pytest_configure() -> None:
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
