"""Whole models: layers over sequences and a head; saved models rebuilt by name."""

from .loading import build, load, register
from .set_decoder import SetDecoder
from .transducer import TransducerModel

__all__ = ["SetDecoder", "TransducerModel", "build", "load", "register"]
