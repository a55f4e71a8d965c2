"""The recurrent layers by the names that settings and the command line have for them."""

from __future__ import annotations

from collections.abc import Callable

from .gru import GRU
from .lstm import LSTM
from .simple_rnn import SimpleRNN

RECURRENT_LAYERS: dict[str, Callable[..., SimpleRNN | LSTM | GRU]] = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
}
