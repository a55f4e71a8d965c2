"""Data sources, the user's own series, texts, splits, scaling. Importing this package loads neither torch nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names
from . import mnist, problems

if TYPE_CHECKING:
    from .arrays import ArrayDataset, IndexedBatches
    from .bucketing import LengthBatches, RaggedRows
    from .checks import check_columns
    from .preprocessing import Preprocessing
    from .reading import read_like, read_series
    from .series import SeriesSet
    from .splits import split
    from .streams import StreamedBatches
    from .text.report import TextReport, text_report
    from .text.texts import Texts, read_texts
    from .text.token_files import tokenize
    from .text.tokenizer import Tokenizer
    from .text.train import train_tokenizer
    from .tokens import TokenArray, TokenBatches

_NAMES = {
    "ArrayDataset": "arrays",
    "IndexedBatches": "arrays",
    "StreamedBatches": "streams",
    "TokenArray": "tokens",
    "TokenBatches": "tokens",
    "LengthBatches": "bucketing",
    "Preprocessing": "preprocessing",
    "RaggedRows": "bucketing",
    "SeriesSet": "series",
    "check_columns": "checks",
    "read_like": "reading",
    "read_series": "reading",
    "split": "splits",
    "TextReport": "text.report",
    "Texts": "text.texts",
    "Tokenizer": "text.tokenizer",
    "read_texts": "text.texts",
    "text_report": "text.report",
    "tokenize": "text.token_files",
    "train_tokenizer": "text.train",
}

__all__ = [
    "ArrayDataset",
    "IndexedBatches",
    "LengthBatches",
    "Preprocessing",
    "RaggedRows",
    "SeriesSet",
    "StreamedBatches",
    "TextReport",
    "Texts",
    "TokenArray",
    "TokenBatches",
    "Tokenizer",
    "check_columns",
    "mnist",
    "problems",
    "read_like",
    "read_series",
    "read_texts",
    "split",
    "text_report",
    "tokenize",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
