"""What a model's outputs mean: probabilities and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ..errors import ConfigError
from ..ops.losses import Loss


def probabilities(outputs: Tensor, loss: Loss) -> Tensor:
    """Return the probabilities that outputs stand for: softmax or sigmoid as the loss has it.

    Raises:
        ConfigError: the loss has no probabilities.
    """
    if loss.probabilities == "softmax":
        return outputs.softmax(-1)
    if loss.probabilities is not None:
        return outputs.sigmoid() if loss.probabilities == "sigmoid" else outputs
    raise ConfigError(f"the loss {loss.name!r} has no probabilities; call predict for the model's outputs")


def classes_of(shares: Tensor, loss: Loss, names: tuple[str, ...] | None) -> Any:
    """Return the class of each row by its probabilities: an array of names where they are known, else a tensor.

    Raises:
        ConfigError: there are not as many names as classes.
    """
    binary = loss.probabilities != "softmax"
    classes = (shares > 0.5).long() if binary else shares.argmax(-1)
    if names is None or binary:
        return classes
    if len(names) != shares.shape[-1]:
        raise ConfigError(
            f"the model has {shares.shape[-1]} outputs, but {len(names)} classes have a name; name all of them in "
            "learner.extra['class_names'], or give the model as many outputs"
        )
    return np.asarray(names)[classes.numpy()]
