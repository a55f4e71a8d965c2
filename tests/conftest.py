"""What all tests stand on."""

import signal


def pytest_configure() -> None:
    # A shell starts background commands with SIGINT ignored, and Python then sets no handler: Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
