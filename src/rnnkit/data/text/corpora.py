"""Public corpora that the recipes for texts read, and the English text that Python itself brings along."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from ...errors import check_choice
from ..download import File
from ..public_files import PublicFiles, find_files
from .texts import Texts, as_texts

_POEMS = (
    (0, 408_405, "4f88f429938082523cdc72a1612bd7a7c3e3f7a33f8192c61ae51340efc3c92d"),
    (1000, 477_519, "6e703b8d8dcedbd6110f6d48d043665ca2131db2035a5bfcef5e59a19aeb6d75"),
    (2000, 417_948, "ec28efa7e2ae9cdbbba09f0ed186e32ccae47a325ad1e5816b7ad56071c1665a"),
    (3000, 453_811, "9e4ba2323752b6b9fbdba875cdbc6a26636fe0cabc85fd066370d4915952001f"),
    (4000, 488_655, "b8a7946c879b9658a6c667a4c55f776fae7e5e00a17789ab06b274c1429afc66"),
    (5000, 467_225, "a0306e6962cff01639ad9a00b042a201b8dec1f30fa5d768a7b112589887861e"),
)
_TANG = tuple(File(f"poet.tang.{number}.json", size, digest) for number, size, digest in _POEMS)
CORPORA = {
    "tinyshakespeare": PublicFiles(
        "lm_en",
        "https://raw.githubusercontent.com/karpathy/char-rnn/d1d7aa34fdb3626174bce1d753e6cc6845ce7087/",
        (File("tinyshakespeare.txt", 1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),),
        {"tinyshakespeare.txt": "data/tinyshakespeare/input.txt"},
        "plays of Shakespeare, 1.1 MB of public-domain text",
    ),
    "tang": PublicFiles(
        "chinese_poetry",
        "https://raw.githubusercontent.com/chinese-poetry/chinese-poetry/master/",
        _TANG,
        {file.name: f"{quote('全唐诗')}/{file.name}" for file in _TANG},
        "6,003 poems of the Tang dynasty, MIT licence",
    ),
}


def find_corpus(name: str) -> list[Path]:
    """Return the files of a public corpus: of the folder ``RNNKIT_DATA``, of the cache, or from the network.

    Files are checked by SHA-256. What was downloaded stays in the cache (``RNNKIT_CACHE``, else the user's cache
    directory); ``RNNKIT_DATA`` is never written.

    Args:
        name: "tinyshakespeare" (plays, 1.1 MB) or "tang" (6,003 poems of the Tang dynasty, JSON).

    Raises:
        ConfigError: another name.
        DataError: a file in ``RNNKIT_DATA`` has another content.
        DownloadError: no source has them; the message says where to put the files.

    Example:
        >>> find_corpus("tinyshakespeare")  # doctest: +SKIP
        [PosixPath('.../lm_en/tinyshakespeare.txt')]
    """
    check_choice(name, "name", tuple(CORPORA))
    return find_files(name, CORPORA[name])


def python_topics() -> Texts:
    """Return the help topics of Python's reference, which every Python brings along: English prose, 0.5 MB.

    Example:
        >>> text, place = next(iter(python_topics()))
        >>> "assert" in text
        True
    """
    from pydoc_data import topics

    return as_texts([str(topics.topics[name]).strip() for name in sorted(topics.topics)])
