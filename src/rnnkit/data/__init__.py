"""Data sources and batching. Importing this package loads neither torch nor numpy."""

from . import mnist

__all__ = ["mnist"]
