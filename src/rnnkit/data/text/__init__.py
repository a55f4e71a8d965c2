"""Texts in any language: read, cut into tokens, kept as token arrays, and reported on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .corpora import find_corpus
    from .parts import TextParts, divide_texts
    from .report import TextReport, text_report
    from .rows import ParallelTexts, TextRows, read_parallel_texts, read_text_rows
    from .texts import Texts, read_texts
    from .token_files import tokenize
    from .tokenizer import Tokenizer
    from .train import extend_tokenizer, train_tokenizer

NAMES = {
    "ParallelTexts": "rows",
    "TextParts": "parts",
    "TextReport": "report",
    "TextRows": "rows",
    "Texts": "texts",
    "Tokenizer": "tokenizer",
    "divide_texts": "parts",
    "extend_tokenizer": "train",
    "find_corpus": "corpora",
    "read_parallel_texts": "rows",
    "read_text_rows": "rows",
    "read_texts": "texts",
    "text_report": "report",
    "tokenize": "token_files",
    "train_tokenizer": "train",
}

__all__ = [
    "ParallelTexts",
    "TextParts",
    "TextReport",
    "TextRows",
    "Texts",
    "Tokenizer",
    "divide_texts",
    "extend_tokenizer",
    "find_corpus",
    "read_parallel_texts",
    "read_text_rows",
    "read_texts",
    "text_report",
    "tokenize",
    "train_tokenizer",
]

__getattr__, __dir__ = lazy_names(__name__, NAMES)
