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
    from .text.corpora import find_corpus
    from .text.parts import TextParts, divide_texts
    from .text.report import TextReport, text_report
    from .text.rows import ParallelTexts, TextRows, read_parallel_texts, read_text_rows
    from .text.tagged import TaggedText
    from .text.tagged_files import read_tagged_texts
    from .text.texts import Texts, read_texts
    from .text.token_files import tokenize
    from .text.tokenizer import Tokenizer
    from .text.train import extend_tokenizer, train_tokenizer
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
    "TaggedText": "text.tagged",
    "ParallelTexts": "text.rows",
    "TextParts": "text.parts",
    "TextReport": "text.report",
    "TextRows": "text.rows",
    "Texts": "text.texts",
    "Tokenizer": "text.tokenizer",
    "divide_texts": "text.parts",
    "extend_tokenizer": "text.train",
    "find_corpus": "text.corpora",
    "read_tagged_texts": "text.tagged_files",
    "read_parallel_texts": "text.rows",
    "read_text_rows": "text.rows",
    "read_texts": "text.texts",
    "text_report": "text.report",
    "tokenize": "text.token_files",
    "train_tokenizer": "text.train",
}

__all__ = [
    "ArrayDataset",
    "IndexedBatches",
    "LengthBatches",
    "ParallelTexts",
    "Preprocessing",
    "RaggedRows",
    "SeriesSet",
    "StreamedBatches",
    "TaggedText",
    "TextParts",
    "TextReport",
    "TextRows",
    "Texts",
    "TokenArray",
    "TokenBatches",
    "Tokenizer",
    "check_columns",
    "divide_texts",
    "extend_tokenizer",
    "find_corpus",
    "mnist",
    "problems",
    "read_like",
    "read_parallel_texts",
    "read_series",
    "read_tagged_texts",
    "read_text_rows",
    "read_texts",
    "split",
    "text_report",
    "tokenize",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
