"""Small transducers and frames for them."""

import math

import torch

import rnnkit

VOCABULARY = 5


def made(predictor=None, *, blank=0, seed=0, vocabulary=VOCABULARY, **settings):
    """A model whose probabilities are far from even."""
    torch.manual_seed(seed)
    encoder = rnnkit.GRU(3, 8, batch_first=True)
    model = rnnkit.TransducerModel(encoder, predictor or rnnkit.LSTM(4, 7), 6, vocabulary, blank=blank, **settings)
    with torch.no_grad():
        for part in (model.output, model.from_encoder, model.from_predictor, model.embedding):
            part.weight.mul_(4)
    return model.eval()


def frames(*lengths, seed=1):
    """x [B, T, 3] with NaN behind each row."""
    x = torch.randn(len(lengths), max(lengths), 3, generator=torch.Generator().manual_seed(seed))
    x[torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]] = math.nan
    return x
