"""What all tests stand on."""

import gc
import signal

import pytest


def pytest_configure() -> None:
    # A shell starts background commands with SIGINT ignored, and Python then sets no handler: Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Search for no garbage while tests are collected, nor later among modules and tests, which live to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
