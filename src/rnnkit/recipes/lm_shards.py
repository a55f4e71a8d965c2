"""A language model on shards of tokens: the training part is read as it is trained on, the others are in memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit import runs
from rnnkit.data import Tokenizer
from rnnkit.data.data_folder import find_data
from rnnkit.data.shards.manifest import TOKENIZER
from rnnkit.errors import ConfigError, DataError, Place
from rnnkit.recipes.lm import WORDS, Lm
from rnnkit.recipes.lm_run import PreparedLm
from rnnkit.recipes.shard_parts import ShardParts, divide_shards
from rnnkit.recipes.text_source import Vocabulary
from rnnkit.tasks.language_modelling import TextSize, measure_tokens

if TYPE_CHECKING:
    from rnnkit.data.shards import ShardSet
    from rnnkit.data.tokens import TokenArray
    from rnnkit.types import Batches

_SHOWN = 20_000  # tokens of the page, where nothing is held back


@dataclass(frozen=True)
class PreparedShardLm(PreparedLm):
    """A run on shards of tokens."""

    parts: ShardParts  # type: ignore[assignment]  # in the place of texts

    def digests(self) -> dict[str, str]:
        """Return digests: of the training part of each source by its address, and of a tokenizer that was there."""
        found = super().digests()
        del found[self.recipe.data.named()]
        parts = getattr(self.parts.train, "sets", [self.parts.train])
        return found | {
            address: part.fingerprint() for address, part in zip(self.recipe.data.shards, parts, strict=True)
        }

    def run(self, folder: Path) -> runs.Metrics:
        """Train, measure and generate; see `Lm.run`."""
        with self.recipe.data.wording():  # damage within a shard shows when it is trained on
            return super().run(folder)

    def train_batches(self) -> Batches:
        """Return the batches to train on."""
        fit, recipe = self.recipe.fit, self.recipe
        found: Batches = self.parts.train.batches(
            fit.batch_size,
            fit.window,
            shuffle=recipe.data.shuffle,
            random_windows=fit.random_windows,
            seed=recipe.seed,
        )
        return found

    def size(self, name: str) -> TextSize:
        """Return how much text the tokens of a part stand for: by the mean of all shards, else by their decoding."""
        sizes = [
            self._size_of(one, ids)
            for one, ids in zip(self.parts.sources, self.parts.held_by_source(name).values(), strict=True)
        ]
        return TextSize(sum(one.characters for one in sizes), sum(one.bytes for one in sizes))

    def _size_of(self, source: ShardSet, tokens: TokenArray) -> TextSize:
        manifest = source.manifest
        if manifest.characters and manifest.text_bytes and manifest.tokens:
            share = len(tokens) / manifest.tokens
            return TextSize(round(manifest.characters * share), round(manifest.text_bytes * share))
        text = self.tokenizer.decode(tokens[:])
        return TextSize(len(text), len(text.encode()))

    def sentences(self, learner: rnnkit.Learner) -> list[str]:
        """Return what the network is worth on the test tokens of each source, where there are several."""
        if len(self.parts.sources) == 1 or "test" not in self.tokens:
            return []
        found = []
        for source, (place, tokens) in zip(self.parts.sources, self.parts.held_by_source("test").items(), strict=True):
            if len(tokens) > 1:  # one token has no target
                figures = measure_tokens(learner, tokens, self._size_of(source, tokens), window=self.recipe.fit.window)
                found.append(f"{place}: loss {figures['loss']:.4g}, perplexity {figures['perplexity']:.4g}")
        return found

    def shown_tokens(self) -> dict[str, TokenArray]:
        """Return the tokens of the parts that the page looks at."""
        if self.parts.held:
            return {name: ids for name, ids in self.tokens.items() if name != "train"}
        first = self.parts.sources[0]
        return {"train": first.read_tokens(0, min(len(first), _SHOWN))}

    def troubles(self, samples: list[str]) -> list[str]:
        """Return the findings about the shards and the samples, in sentences."""
        from rnnkit.data.text.troubles import repeated_outputs

        skipped = {where: why for one in self.parts.sources for where, why in one.skipped.items()}
        told = [f"The shard {where} was skipped: it {why}." for where, why in skipped.items()]
        return told + repeated_outputs(samples, remedy="--repetition-penalty 1.2, or a higher temperature")

    def evaluate(self, folder: Path, part: str = "test") -> dict[str, float]:
        """Return the figures of the folder's model on the test part, or on another one."""
        if part not in self.tokens:
            raise ConfigError(f"{folder} held no text back (data.{part}=0); name a text to measure: --data FILE")
        learner = rnnkit.Learner(rnnkit.load(folder), device=self.recipe.device)
        return measure_tokens(learner, self.tokens[part], self.size(part), window=self.recipe.fit.window)

    def windows(self) -> tuple[Any, Any, str]:
        """Return inputs and targets of some windows that were not trained on, where there are such; and their part."""
        part = next(name for name in ("validation", "test", "train") if name in self.tokens)
        tokens = self.tokens[part]
        batch = next(iter(tokens.batches(max(1, min(16, len(tokens) - 1)), self.recipe.fit.window)))
        return batch.inputs, batch.targets, {"train": "training"}.get(part, part)


def prepare_shards(recipe: Lm, shards: list[ShardSet]) -> PreparedShardLm:
    """Divide shards of tokens, and open their tokenizer.

    Args:
        recipe: the settings.
        shards: of each source by itself.

    Raises:
        ConfigError: settings that do not fit.
        DataError: the shards have too few tokens, or no tokenizer.
    """
    tokenizer = _tokenizer(recipe, shards)
    recipe.check_cutoffs(tokenizer)
    _check_vocabulary(recipe.vocabulary, tokenizer)
    parts = divide_shards(recipe.data, shards)
    tokens: Any = {"train": parts.train, **parts.held}
    recipe.check_tokens({name: len(ids) for name, ids in tokens.items()})
    _check_ids(tokenizer, parts.held, recipe.data.named())
    return PreparedShardLm(recipe, parts, tokenizer, tokens)


def _tokenizer(recipe: Lm, sets: list[ShardSet]) -> Tokenizer:
    """The tokenizer of the shards; of shards of others that of the settings."""
    shards = sets[0]
    for other in sets[1:]:
        if other.manifest.tokenizer != shards.manifest.tokenizer:
            raise DataError(
                f"these shards were made by another tokenizer than {shards.storage.address}",
                Place(other.storage.address),
                "make them again by that one: rnnkit shards make SOURCE --out DIR --tokenizer "
                + shards.storage.where(TOKENIZER),
            )
    file = recipe.vocabulary.file
    if shards.manifest.tokenizer is None:
        if file is None:
            advice = "type --set vocabulary.file=FILE, a .json of rnnkit or a .model of sentencepiece"
            raise DataError("the shards name no tokenizer", Place(recipe.data.named()), advice)
        return Tokenizer.open(find_data(file))
    found = shards.tokenizer()
    if file is not None and Tokenizer.open(find_data(file)) != found:
        raise ConfigError(
            f"vocabulary.file={file} arrived, but the shards were made by another tokenizer; leave vocabulary.file "
            "out, or make shards by this one: rnnkit shards make SOURCE --out DIR --tokenizer FILE"
        )
    return found


def _check_vocabulary(vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
    """Raise ConfigError where settings ask for another vocabulary than the one that the shards have."""
    if replace(vocabulary, file=None) in (Vocabulary(), WORDS):  # the recipes' defaults, which the user did not set
        return
    usual = asdict(Vocabulary(tokens=tokenizer.kind if vocabulary.tokens == tokenizer.kind else "char"))
    given = {name: value for name, value in asdict(vocabulary).items() if name != "file" and value != usual[name]}
    if given:
        shown = ", ".join(f"vocabulary.{name}={value}" for name, value in given.items())
        raise ConfigError(
            f"{shown} arrived, but the shards hold tokens of the kind {tokenizer.kind} already; leave that out, or "
            "make other shards: rnnkit shards make SOURCE --out DIR --tokens KIND"
        )


def _check_ids(tokenizer: Tokenizer, held: dict[str, TokenArray], named: str) -> None:
    """Raise DataError if the parts held back have tokens beyond the vocabulary, in shards that others made."""
    highest = max((int(tokens.tokens.max()) for tokens in held.values()), default=0)
    if highest >= len(tokenizer):
        raise DataError(
            f"the shards hold the id {highest}; expected 0 to {len(tokenizer) - 1}, for the {len(tokenizer):,} tokens "
            "of the tokenizer",
            Place(named),
            "name the tokenizer that made them: --set vocabulary.file=FILE",
        )
