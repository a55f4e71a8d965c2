"""Training: the Learner, its loop and what they record. Knows no particular model and no source of data."""

from .callbacks import Callback
from .history import History
from .learner import Learner

__all__ = ["Callback", "History", "Learner"]
