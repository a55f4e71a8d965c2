"""Language models of fastai: the AWD-LSTM (Merity, Keskar & Socher 2018) and its encoder alone.

Source: fastai, ``fastai.text.models.awdlstm``. The recurrent weights of its `WeightDropout` are stored once more as
``weight_hh_l0_raw``: these are the ones that were learnt.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import torch

from ..errors import DataError, Place
from ..layers.lstm import LSTM
from ..models.language_model import LanguageModel
from .weight_files import read_weights, take

Tensor = torch.Tensor


def read_awd_lstm(
    path: str | os.PathLike[str],
    *,
    embedding_dropout: float = 0.0,
    input_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
    output_dropout: float = 0.0,
    weight_dropout: float = 0.0,
) -> LanguageModel:
    """Return the AWD-LSTM of a fastai file.

    Args:
        path: what ``learn.save_encoder(name)`` or ``learn.save(name)`` of a language model wrote, ``.pth``. The head of
            an encoder alone has its embedding's weights, as in fastai, and biases of 0.
        embedding_dropout, input_dropout, hidden_dropout, output_dropout, weight_dropout: probabilities for further
            training, as :class:`rnnkit.LanguageModel` has them; a file does not hold them.

    Raises:
        DataError: the file cannot be read, or is of another network, such as one with QRNN layers.
        ConfigError: a probability out of range.

    Example:
        >>> model = read_awd_lstm("models/wt103.pth", hidden_dropout=0.15)    # doctest: +SKIP
        >>> model.vocabulary                                                  # doctest: +SKIP
        60000
    """
    dropouts = {name: value for name, value in locals().items() if name.endswith("_dropout")}
    weights = read_weights(path)
    prefix = "0." if "0.encoder.weight" in weights else ""
    place = Place(str(path))
    if f"{prefix}encoder.weight" not in weights:
        shown = ", ".join(list(weights)[:4])
        raise DataError(f"holds {shown} …; expected encoder.weight and rnns.0.… of fastai's AWD_LSTM", place)
    embedding = take(weights, f"{prefix}encoder.weight", (None, None), path)
    vocabulary, features = embedding.shape
    layers: list[dict[str, Tensor]] = []
    while any(name.startswith(f"{prefix}rnns.{len(layers)}.") for name in weights):
        layers.append(_layer(weights, f"{prefix}rnns.{len(layers)}.", path))
    if not layers:
        raise DataError("holds no layers rnns.0, rnns.1 …; expected fastai's AWD_LSTM", place)
    sizes = [features, *(take(layer, "weight_hh_l0", (None, None), path).shape[1] for layer in layers)]
    hidden = sizes[1]
    if sizes != [features, *[hidden] * (len(layers) - 1), features]:
        raise DataError(
            f"has layers of {sizes[1:]} units and embeddings of {features} features; expected a last layer of "
            f"{features}, and others that are alike: fastai's head has the embedding's weights",
            place,
        )
    model = LanguageModel(vocabulary, "lstm", features, hidden, len(layers), tied=True, **dropouts)
    recurrent: Any = [part for part in model.body.modules() if isinstance(part, LSTM)]
    with torch.no_grad():
        model.front.weight.copy_(embedding)
        for own, found, (before, after) in zip(recurrent, layers, pairwise(sizes), strict=True):
            shapes = {"weight_ih_l0": (4 * after, before), "weight_hh_l0": (4 * after, after)}
            for name, parameter in own.named_parameters():
                parameter.copy_(take(found, name, shapes.get(name, (4 * after,)), path))
        if "1.decoder.bias" in weights:
            model.head.bias.copy_(take(weights, "1.decoder.bias", (vocabulary,), path))
    return model.eval()


def _layer(weights: dict[str, Tensor], prefix: str, path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the weights of a layer by the names that ``torch.nn.LSTM`` has for them."""
    found = {
        name: weights[f"{prefix}module.{name}"]
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        if f"{prefix}module.{name}" in weights
    }
    if f"{prefix}weight_hh_l0_raw" in weights:
        found["weight_hh_l0"] = weights[f"{prefix}weight_hh_l0_raw"]
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        if name not in found:
            raise DataError(f"the layer {prefix[:-1]} lacks {name}; expected an LSTM of fastai", Place(str(path)))
    return found
