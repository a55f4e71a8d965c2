"""Whole models: layers over sequences and a head; saved models rebuilt by name."""

from .loading import build, load, register

__all__ = ["build", "load", "register"]
