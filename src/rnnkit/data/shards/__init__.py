"""Shards: data of any size as Parquet files compressed by zstd; made by several processes, read in constant memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .addresses import Retry
    from .making import make_shards
    from .manifest import Manifest, Shard
    from .mixture import Mixture
    from .row_batches import ShardRowBatches
    from .shard_set import ShardSet
    from .shard_texts import ShardTexts
    from .token_batches import ShardTokenBatches
    from .verifying import ShardProblem, verify_shards

_NAMES = {
    "Manifest": "manifest",
    "Mixture": "mixture",
    "Retry": "addresses",
    "Shard": "manifest",
    "ShardProblem": "verifying",
    "ShardRowBatches": "row_batches",
    "ShardSet": "shard_set",
    "ShardTexts": "shard_texts",
    "ShardTokenBatches": "token_batches",
    "make_shards": "making",
    "verify_shards": "verifying",
}

__all__ = [
    "Manifest",
    "Mixture",
    "Retry",
    "Shard",
    "ShardProblem",
    "ShardRowBatches",
    "ShardSet",
    "ShardTexts",
    "ShardTokenBatches",
    "make_shards",
    "verify_shards",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
