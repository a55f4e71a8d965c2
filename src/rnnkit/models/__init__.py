"""Whole models: layers over sequences and a head; saved models rebuilt by name."""

from .loading import build, load, register
from .transducer import TransducerModel

__all__ = ["TransducerModel", "build", "load", "register"]
