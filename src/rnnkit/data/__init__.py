"""Data sources and batching. Importing this package loads neither torch nor numpy."""

from . import mnist, problems

__all__ = ["mnist", "problems"]
