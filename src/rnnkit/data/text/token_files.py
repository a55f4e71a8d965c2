"""Texts to one long array of token ids on the disk, in constant memory; made once for the same content."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from ...serialization import replacing
from ..late_progress import LateProgress
from ..tokens import TokenArray
from .texts import Texts, TextSource, as_texts
from .token_cache import keep_to_limit, note_use, token_cache_limit, token_folder
from .tokenizer import Tokenizer, as_ids

if TYPE_CHECKING:
    from .tokenizer import Ids

_FORM = 1  # of the files; another number when the ids of the same texts change
_AT_ONCE = 1 << 18  # characters of the texts that are cut at once; the library tokenizers cuts texts in parallel
_STALE = 3600.0  # seconds; what a killed process left behind is removed after that


def tokenize(
    texts: TextSource,
    tokenizer: Tokenizer,
    *,
    cache: str | os.PathLike[str] | None = None,
    separators: bool = True,
) -> TokenArray:
    """Turn texts into one array of token ids, mapped from a file. The same texts and tokenizer give the same file.

    Texts are read, cut and written in pieces, so that they may be longer than memory. The file's name is a digest of
    the texts' content and of the tokenizer: the next call with both finds it, and only reads the texts to compute the
    digest. The file gets its name once it is whole.

    Args:
        texts: what `read_texts` returns, a path, or texts.
        tokenizer: of `train_tokenizer` or `Tokenizer.open`.
        cache: the folder of the files; None: the folder `tokens` in ``RNNKIT_CACHE``, or in the user's cache directory.
            That folder holds at most ``RNNKIT_TOKEN_CACHE``, 20GB unless that is set: where a file is added, those that
            were used least recently are removed.
        separators: whether the token `end` follows each text.

    Returns:
        The ids, uint16 where the vocabulary allows it, else uint32.

    Raises:
        DataError: the texts hold no token; see `read_texts` for files.
        ConfigError: the tokenizer has no `end` to separate texts by; ``RNNKIT_TOKEN_CACHE`` is no size.
        OSError: the folder cannot be written, or the disk is full. Nothing is left there then.

    Example:
        >>> import tempfile
        >>> from rnnkit.data import tokenize, train_tokenizer
        >>> poems = ["千山鸟飞绝", "万径人踪灭"]
        >>> tokenizer = train_tokenizer("char", poems)
        >>> tokens = tokenize(poems, tokenizer, cache=tempfile.mkdtemp())
        >>> len(tokens), tokenizer.decode(tokens[6:11]), int(tokens[5]) == tokenizer.end
        (12, '万径人踪灭', True)
    """
    if not isinstance(tokenizer, Tokenizer):
        expected = "expected a tokenizer: train_tokenizer(kind, texts), or Tokenizer.open(path)"
        raise ConfigError(f"tokenizer is a {type(tokenizer).__name__}; {expected}")
    check_choice(separators, "separators", (True, False))
    if separators and tokenizer.end is None:
        problem = "the tokenizer has no token that ends a text"
        raise ConfigError(problem, remedy=Remedy("separators", False, "to put nothing between texts"))
    source = as_texts(texts)
    if cache is None:
        token_cache_limit()  # refused before anything is written
    folder = token_folder() if cache is None else Path(cache).expanduser()
    tokens = _tokenize(source, tokenizer, separators, folder)
    if cache is None:
        keep_to_limit(Path(tokens.source))
    return tokens


def _tokenize(source: Texts, tokenizer: Tokenizer, separators: bool, folder: Path) -> TokenArray:
    """The ids, of the file in the folder where it is there already."""
    how = f"{_FORM} {tokenizer.fingerprint()} {tokenizer.end if separators else None}"
    if source.once:
        return _write_once(source, tokenizer, separators, folder, how)
    file = _name(folder, how, source.fingerprint())
    if file.is_file():
        try:
            found = TokenArray.open(file)
        except DataError:  # a disk that was full, or failed
            file.unlink()
        else:
            note_use(file)
            return found
    remove_stale(folder)
    with replacing(file) as temporary:
        _write(source, tokenizer, separators, temporary)
    return TokenArray.open(file)


def token_chunks(texts: Texts, tokenizer: Tokenizer, separators: bool, on_bytes: Any = None) -> Iterator[Ids]:
    """Yield the ids of all texts, in arrays of limited length."""
    held: list[str] = []
    ends: list[bool] = []
    size = 0
    for piece in texts.pieces(on_bytes):
        held.append(piece.text)
        ends.append(piece.ends)
        size += len(piece.text) + 1
        if size >= _AT_ONCE:
            yield _join(tokenizer, held, ends, separators)
            held, ends, size = [], [], 0
    if held:
        yield _join(tokenizer, held, ends, separators)


def remove_stale(folder: Path) -> None:
    """Remove what processes that were killed left in the folder: what has not been written to for an hour."""
    now = time.time()
    for left in folder.glob(".*.npy.*"):
        times = [part.stat().st_mtime for part in (left, *left.glob("*")) if part.exists()]
        if left.is_dir() and times and now - max(times) > _STALE:
            shutil.rmtree(left, ignore_errors=True)


def _join(tokenizer: Tokenizer, texts: list[str], ends: list[bool], separators: bool) -> Ids:
    ids = tokenizer.encode_many(texts)
    if not separators:
        return np.concatenate(ids)
    end, nothing = as_ids([tokenizer.end]), as_ids([])
    return np.concatenate(
        [part for one, last in zip(ids, ends, strict=True) for part in (one, end if last else nothing)]
    )


def _write(texts: Texts, tokenizer: Tokenizer, separators: bool, file: Path, digest: Any = None) -> None:
    """Write all ids to a file."""
    dtype = "uint16" if len(tokenizer) <= 1 << 16 else "uint32"
    with LateProgress("tokenizing the texts", "tokenizing", texts.size) as progress:
        chunks = token_chunks(texts, tokenizer, separators, progress)
        first = next((chunk for chunk in chunks if len(chunk)), None)
        if first is None:
            raise DataError("the texts hold no token; expected at least one", Place(texts.source))

        def hashed() -> Iterator[Ids]:
            for chunk in itertools.chain([first], chunks):
                if digest is not None:
                    digest.update(chunk.tobytes())
                yield chunk

        TokenArray.write(file, hashed(), dtype)


def _write_once(texts: Texts, tokenizer: Tokenizer, separators: bool, folder: Path, how: str) -> TokenArray:
    """Write texts that can be read only once; the file is named by its ids."""
    remove_stale(folder)
    digest = hashlib.sha256(b"ids")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".once.npy.") as own:
        passing = Path(own) / "tokens.npy"
        _write(texts, tokenizer, separators, passing, digest)
        file = _name(folder, how, digest.hexdigest())
        with replacing(file) as temporary:
            os.replace(passing, temporary)
    return TokenArray.open(file)


def _name(folder: Path, how: str, content: str) -> Path:
    return folder / f"{hashlib.sha256(f'{how} {content}'.encode()).hexdigest()[:32]}.npy"
