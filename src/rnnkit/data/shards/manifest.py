"""The manifest of shards: what they hold, how much, the hash of each, and how they were made.

It is the file ``manifest.json`` beside the shards. The tokenizer is the file ``tokenizer.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ...errors import DataError, Place
from ...serialization import json_text
from ...types import Field

if TYPE_CHECKING:
    from .addresses import Storage

MANIFEST, TOKENIZER = "manifest.json", "tokenizer.json"
MAKING, PLAN = ".making", "plan.json"  # the folder of what is known while shards are made, and a file in it
KINDS = ("text", "tokens", "series", "audio", "rows")
VERSION = 1


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        name: of the file, in the folder of the manifest.
        rows: their number.
        bytes: of the file.
        sha256: of its bytes, in hexadecimal; "" where it is not known.
        tokens: of all rows, of shards of tokens.
        characters, text_bytes: of the text that it was made of (UTF-8), where it is text.
        labels: the number of rows of each label.

    Example:
        >>> Shard("shard-00000.parquet", rows=2, tokens=13).tokens
        13
    """

    name: str
    rows: int
    bytes: int | None = None
    sha256: str = ""
    tokens: int | None = None
    characters: int | None = None
    text_bytes: int | None = None
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What shards hold.

    Attributes:
        kind: "text", "tokens", "series", "audio", or "rows" of files that others made.
        column: the column of the tokens or the text.
        schema: the entries of a row.
        shards: the files, in the order of the source.
        details: of the kind: the channels of series, the sample rate of audio.
        tokenizer: the tokenizer's fingerprint, or None.
        made: how: the source, the settings, versions.

    Example:
        >>> manifest = Manifest("tokens", "tokens", (Field("tokens", "uint16", (None,), "input"),))
        >>> Manifest.from_json(manifest.to_json()) == manifest
        True
    """

    kind: str
    column: str
    schema: tuple[Field, ...]
    shards: tuple[Shard, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def tokens(self) -> int | None:
        """The tokens of all shards."""
        return self._sum("tokens")

    @property
    def bytes(self) -> int | None:
        """The bytes of all shards."""
        return self._sum("bytes")

    @property
    def text_bytes(self) -> int | None:
        """The bytes of the text that the shards were made of."""
        return self._sum("text_bytes")

    @property
    def characters(self) -> int | None:
        """The characters of the text that the shards were made of."""
        return self._sum("characters")

    @property
    def labels(self) -> dict[str, int]:
        """The number of rows of each label."""
        found: dict[str, int] = {}
        for shard in self.shards:
            for label, count in shard.labels.items():
                found[label] = found.get(label, 0) + count
        return dict(sorted(found.items()))

    def _sum(self, name: str) -> int | None:
        """The sum over all shards; None where one does not say it."""
        found = [getattr(one, name) for one in self.shards]
        return None if any(one is None for one in found) else sum(found)

    def fingerprint(self) -> str:
        """Return a digest of kind, tokenizer and shards."""
        known = [[one.name, one.rows, one.sha256 or one.bytes, one.tokens] for one in self.shards]
        return hashlib.sha256(json.dumps([self.kind, self.column, self.tokenizer, known]).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; what is not known is left out."""
        shards = [
            {name: value for name, value in asdict(one).items() if value not in (None, "", {})} for one in self.shards
        ]
        totals = {"shards": len(self.shards), "rows": self.rows, "tokens": self.tokens, "bytes": self.bytes}
        return {
            "version": VERSION,
            "kind": self.kind,
            "column": self.column,
            "schema": [[one.name, one.dtype, list(one.shape), one.role] for one in self.schema],
            "totals": {name: value for name, value in totals.items() if value is not None},
            "details": self.details,
            "tokenizer": self.tokenizer,
            "made": self.made,
            "shards": shards,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any], place: Place | None = None) -> Manifest:
        """Return the manifest that `to_json` described.

        Raises:
            DataError: the values are no manifest, or of a later version.
        """
        if values.get("version") != VERSION:
            problem = f"is of version {values.get('version')!r}; expected {VERSION}"
            raise DataError(problem, place, "make the shards again, or install a later rnnkit")
        try:
            known = {one.name for one in fields(Shard)}
            shards = tuple(Shard(**{key: one[key] for key in one if key in known}) for one in values["shards"])
            for one in shards:
                if not isinstance(one.name, str) or one.name.startswith("/") or ".." in one.name.split("/"):
                    raise ValueError(f"a shard is called {one.name!r}")
                counts = [one.rows, *(each for each in (one.bytes, one.tokens, one.characters, one.text_bytes)
                                      if each is not None)]  # fmt: skip
                if not isinstance(one.labels, dict) or not all(map(_is_count, (*counts, *one.labels.values()))):
                    raise ValueError(f"the counts of {one.name} are no whole numbers")
                if not isinstance(one.sha256, str):
                    raise ValueError(f"the hash of {one.name} is no text")
            if len({one.name for one in shards}) < len(shards):
                raise ValueError("a shard is named twice")
            if values["kind"] not in KINDS:
                raise ValueError(f"the kind is {values['kind']!r}")
            schema = tuple(Field(name, dtype, tuple(shape), role) for name, dtype, shape, role in values["schema"])
            if values["column"] not in [one.name for one in schema]:
                raise ValueError(f"the column {values['column']!r} is none of the schema")
            details, made, tokenizer = dict(values["details"]), dict(values["made"]), values["tokenizer"]
            if not isinstance(made.get("source", []), list) or not isinstance(made.get("settings", {}), dict):
                raise ValueError("the source or the settings of the making are no lists and objects")
            if not isinstance(tokenizer, str | None):
                raise ValueError(f"the tokenizer is {tokenizer!r}")
            return Manifest(str(values["kind"]), str(values["column"]), schema, shards, details, tokenizer, made)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"is damaged ({error!r})", place, "make the shards again") from None

    def write(self, storage: Storage) -> None:
        """Write the manifest into the folder of the shards, whole or not at all."""
        storage.write(MANIFEST, json_text(self.to_json(), indent=1).encode())

    @staticmethod
    def read(storage: Storage) -> Manifest:
        """Return the manifest of a folder of shards.

        Raises:
            DataError: there is none, or it is damaged.
        """
        return Manifest.from_json(storage.json(MANIFEST), Place(storage.where(MANIFEST)))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
