"""Models of Keras: read from ``.keras``, ``.h5`` and ``.weights.h5`` files, and written as ``.keras`` files."""

from .reading import KerasModel, from_keras, read_keras
from .writing import to_keras

__all__ = ["KerasModel", "from_keras", "read_keras", "to_keras"]
