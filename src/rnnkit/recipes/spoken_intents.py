"""Intents of speech by one network, from sound to what is meant, without a text between.

    samples → log-mel bands → convolutions that join 4 frames → BiGRU(128) × 2 → attention over time → the intent

Any recordings with classes serve (data.path). Without a path the recordings are made: spoken commands of espeak-ng with
several voices, of which some are in the test part alone. ``rnnkit understand`` has the other way, by a recogniser and
the intents of its text, which gives slots, too.

Lugosch et al. 2019, "Speech model pre-training for end-to-end spoken language understanding".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rnnkit import runs
from rnnkit.recipes import sound_classify
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.sound_classify import PreparedSounds, SoundClassify, Trained
from rnnkit.recipes.speech_data import ClipData
from rnnkit.tasks.ranges import Count, Seed, Share
from rnnkit.tasks.speech_settings import SoundAugment

if TYPE_CHECKING:
    import torch

    from rnnkit.data.audio.clips import ClipSet

VOICES = "voices.csv"


@dataclass(frozen=True)
class Data(ClipData):
    """The recordings and their intents, or how many commands are made.

    Attributes:
        path: as in sound-classify; or a folder with ``train.jsonl`` and ``test.jsonl``, as ``python -m
            rnnkit.data.audio.spoken_commands`` makes one; none makes spoken commands with espeak-ng, in the cache.
        commands: of made commands, those to train and to validate on.
        test_commands: those for the test; their voices are in no other part.
        unseen_texts: whether no text of the test is among those to train on.
        command_rate: their samples a second.
        command_seed: of their making; it does not follow `seed`, so that seeds are judged on the same commands.
    """

    commands: Count = 4000
    test_commands: Count = 800
    unseen_texts: bool = True
    command_rate: Count = 8000
    command_seed: Seed = 0

    def located(self) -> Data:
        """Return the same with the files for training and test; commands are made where there is no path.

        Raises:
            DataError: espeak-ng is not installed.
        """
        from rnnkit.data.audio.spoken_commands import FILES, CommandSettings, make_commands, tell_progress
        from rnnkit.data.data_folder import find_data

        if self.path is None:
            settings = CommandSettings(
                self.commands,
                self.test_commands,
                self.command_seed,
                self.command_rate,
                unseen_texts=self.unseen_texts,
            )
            folder = make_commands(settings=settings, progress=tell_progress)
        else:
            folder = find_data(self.path)
        train, test = (folder / FILES[part] for part in ("train", "test"))
        if not train.is_file():
            return self
        return replace(self, path=str(train), test=self.test or (str(test) if test.is_file() else None))

    def read(self, path: str | Path, *, new: bool = False) -> ClipSet:
        """Return the clips of a path; of a folder with ``test.jsonl``, for a trained run, those of that file."""
        inside = Path(path) / "test.jsonl"
        return super().read(inside if new and inside.is_file() else path, new=new)


@dataclass(frozen=True)
class Model(sound_classify.Model):
    """The network."""

    hidden_size: Count = 128
    num_layers: Count = 2
    pooling: Literal["concat", "last", "mean", "max", "attention"] = "attention"
    dropout: Share = 0.2


@dataclass(frozen=True)
class Fit(sound_classify.Fit):
    """The training; see ``rnnkit.Learner``."""

    epochs: Count = 20


@dataclass(frozen=True)
class SpokenIntents(SoundClassify):
    """The whole run; ``rnnkit train spoken-intents --set GROUP.FIELD=VALUE`` changes a field."""

    model: Model = field(default_factory=Model)
    augment: SoundAugment = field(default_factory=lambda: SoundAugment(room=0.2))
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)

    def prepare(self) -> PreparedRun:
        """Make commands where there is no path; read, divide and check the recordings, and write nothing else."""
        data = self.data.located()
        prepared = super(SpokenIntents, replace(self, data=data)).prepare()
        assert isinstance(prepared, PreparedSounds)
        values = {name: getattr(prepared, name) for name in PreparedSounds.__dataclass_fields__}
        judged: tuple[str | None, ...] = ()
        if data.test is not None:
            judged = tuple(clip.speaker for clip in data.read(data.test))
        if self.data.path is None and data.path is not None:
            values["told"] = [*values["told"], f"The commands lie in {Path(data.path).parent}."]
        return PreparedIntents(**values, speakers=judged)


@dataclass(frozen=True)
class PreparedIntents(PreparedSounds):
    """Recordings that were read and divided.

    Attributes:
        speakers: of the test part where it is given; () where it is not.
    """

    speakers: tuple[str | None, ...] = ()

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder, ``voices.csv`` among them."""
        metrics = super().run(folder)
        known = {one for one in self.speakers if one is not None}
        if "test" in self.held and len(known) > 1:
            rows = by_voice(Trained.load(folder, "cpu"), self)
            write_voices(folder, rows)
            name, count, right = rows[0]
            metrics.setdefault("summary", []).append(
                f"Of {len(rows)} speakers {name} is understood worst: {right:.1%} of {count:,} recordings ({VOICES})"
            )
        return metrics


def spoken_intents() -> SpokenIntents:
    """Learn the intents of spoken commands from sound alone: recordings of yours, or commands that espeak-ng speaks."""
    return SpokenIntents()


def by_voice(trained: Trained, prepared: PreparedIntents) -> list[tuple[str, int, float]]:
    """Return the name, the number of recordings and the accuracy of each speaker of the test part, the worst first."""
    judged = prepared.held["test"]
    found: torch.Tensor = trained.shares(judged.waveforms).argmax(1)
    rights: dict[str, list[bool]] = {}
    for speaker, number, label in zip(prepared.speakers, found.tolist(), judged.texts, strict=True):
        rights.setdefault(speaker or "(unknown)", []).append(trained.classes[number] == label)
    rows = [(name, len(right), sum(right) / len(right)) for name, right in rights.items()]
    return sorted(rows, key=lambda row: (row[2], row[0]))


def write_voices(folder: Path, rows: list[tuple[str, int, float]]) -> None:
    """Write the accuracy of each speaker as ``voices.csv``."""
    from rnnkit.runs.tables import write_table

    columns = zip(*rows, strict=True)
    write_table(dict(zip(("speaker", "recordings", "accuracy"), map(list, columns), strict=True)), folder / VOICES)
