"""Classes of sounds: words, animals, machines. A recurrent network reads the features, and pooling over time decides.

    samples → log-mel bands → convolutions that join 4 frames → BiGRU(96) → last, max and mean over time → softmax

A folder a class, or a table with a column of labels. Sound is augmented differently in each epoch.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError, DataWarning
from rnnkit.recipes.base import PreparedRun, no_validation
from rnnkit.recipes.interface import Columns, DataRequest, Predictor
from rnnkit.recipes.labelled_sounds import LabelledClips, labelled, with_voices, without_long, without_speaker
from rnnkit.recipes.prepared_parts import PreparedParts
from rnnkit.recipes.sound_run import SoundRecipe
from rnnkit.recipes.speech_data import ClipData, divide_clips, heard_in
from rnnkit.recipes.speech_sound import augmentations, make_front, make_layers
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, Positive, Seed, Share, WholeNumber
from rnnkit.tasks.settings import Average
from rnnkit.tasks.speech_settings import ClipFeatures, SoundAugment, SoundFit, SoundNetwork

if TYPE_CHECKING:
    import torch

    from rnnkit.data.audio.normalisation import Heard
    from rnnkit.tasks.speech_batches import HeldUtterances, SpeechFront

_STORED = "sound"


@dataclass(frozen=True)
class Model(SoundNetwork):
    """The network.

    Attributes:
        bidirectional: whether sounds are read from their end, too.
        pooling: what of the outputs the head sees; concat is last, max and mean side by side, attention a mean whose
            weights are learned.
    """

    hidden_size: Count = 96
    num_layers: Count = 1
    bidirectional: bool = True
    pooling: Literal["concat", "last", "mean", "max", "attention"] = "concat"
    dropout: Share = 0.3


@dataclass(frozen=True)
class Fit(SoundFit):
    """The training; see ``rnnkit.Learner``."""

    epochs: Count = 30
    batch_size: Count = 32
    lr: Positive = 2e-3
    average: Average = 0.99
    plain: WholeNumber = 4


@dataclass(frozen=True)
class SoundClassify(SoundRecipe):
    """The whole run; ``rnnkit train sound-classify FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and augmentation of the recordings, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    model: Model = field(default_factory=Model)
    features: ClipFeatures = field(default_factory=ClipFeatures)
    augment: SoundAugment = field(default_factory=SoundAugment)
    fit: Fit = field(default_factory=Fit)
    data: ClipData = field(default_factory=LabelledClips)  # `spoken-intents` has another one
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the recordings, and write nothing."""
        parts = divide_clips(self.data, "sound-classify")
        rate = self.features.arguments(parts.train.rate)["rate"]
        learned, long = without_long(parts.train, self.data.longest)
        train = labelled(learned, rate)
        classes = tuple(sorted(set(train.texts)))
        if len(classes) < 2:
            raise DataError(f"{self.data.path}: all recordings are of the class {classes[0]!r}; expected two or more")
        findings = [*parts.findings, *long, *heard_in("train", learned, train.waveforms)]
        held, division = {}, parts.division
        if isinstance(self.data, LabelledClips) and self.data.voices:
            train = with_voices(train, classes, self.data.voices)
            division += f"; {self.data.voices} voices of espeak-ng say each class, to learn from alone"
        for name, clips in (("validation", parts.validation), ("test", parts.test)):
            if clips is not None:
                held[name] = labelled(clips, rate, known=classes)
                findings += heard_in(name, clips, held[name].waveforms)
        if self.fit.early_stopping is not None and "validation" not in held:
            raise ConfigError("fit.early_stopping needs recordings to judge by; add --set data.validation=0.1")
        if self.features.norm == "speaker":
            division += "; features are normalised by all recordings of a speaker in a part"
            speakers = [one for part in (train, *held.values()) for one in part.speakers]
            findings += without_speaker(speakers, self.data.path)
        return PreparedSounds(findings, division, parts.digests, self, train, held, classes, rate)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the accuracy of the folder's model on its test part, or on other recordings."""
        trained = Trained.load(folder, self.device)
        if data is not None:
            clips = self.data.read(data.without_encoding(), new=True)
            given = labelled(clips, trained.front.rate, known=trained.classes)
            if trained.front.norm.kind == "speaker":
                for told in without_speaker(given.speakers, data.path):
                    warnings.warn(told, DataWarning, stacklevel=2)
            return trained.figures(given)
        held = self._held(folder)
        if not (found := held.get("test") or held.get("validation")):
            raise DataError(f"{folder} held no recordings back; name some: --data FOLDER")
        return trained.figures(found)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's model on its validation recordings."""
        if not (found := self._held(folder).get("validation")):
            raise no_validation(folder, "recordings")
        return Trained.load(folder, self.device).figures(found)

    def _held(self, folder: Path) -> dict[str, HeldUtterances]:
        """Return the recordings that the folder's run held back, by the name of the part."""
        recipe = self
        if isinstance(self.data, LabelledClips):  # made voices judge nothing, and need a program that may not be here
            recipe = replace(self, data=replace(self.data, voices=0))
        prepared = recipe.prepare()
        assert isinstance(prepared, PreparedSounds)
        prepared.check_data(folder)
        return prepared.held

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a sound file to its class."""
        from rnnkit.data.audio import read_audio

        trained = Trained.load(folder, self.device)
        told = trained.front.norm.kind != "speaker"

        def answer(data: DataRequest) -> Columns:
            nonlocal told
            if not told:
                warnings.warn(
                    f"{folder} was trained with features.norm=speaker, and here each recording is normalised by itself "
                    "alone, which is worse; the guide of speech shows how to give other recordings of the speaker",
                    DataWarning,
                    stacklevel=2,
                )
                told = True
            sound = read_audio(data.without_encoding(), rate=trained.front.rate)
            shares = trained.shares([sound.samples])[0]
            best = int(shares.argmax())
            return {"prediction": [trained.classes[best]], "confidence": [float(shares[best])]}

        return answer


@dataclass(frozen=True)
class PreparedSounds(PreparedParts):
    """A run whose recordings were read and divided.

    Attributes:
        recipe: its settings.
        train: what to learn.
        held: what chooses the epoch and what judges, by the name of the part.
        classes: of the training part.
        rate: samples a second.
    """

    recipe: SoundClassify
    train: HeldUtterances
    held: dict[str, HeldUtterances]
    classes: tuple[str, ...]
    rate: int

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder."""
        import torch

        from rnnkit.tasks.speech_batches import SpeechBatches

        recipe, size = self.recipe, self.recipe.fit.batch_size or 32
        data_digests.record(folder, self.digests)
        front = make_front(recipe.features, self.rate, 0.0, self.train)
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, front.features.size, self.classes)
        learner = rnnkit.Learner(model, metrics="accuracy", device=recipe.device, **recipe.fit.learner_settings())
        learner.extra = {_STORED: front.to_json()}
        waves, frames = augmentations(recipe.augment, front.features.settings)
        batches = SpeechBatches(
            self.train, self.classes, front, size, waves=waves, frames=frames, plain=recipe.fit.plain, seed=recipe.seed
        )
        judged = self.held.get("validation")
        chosen: dict[str, Any] = {} if judged is None else {"monitor": "val_accuracy", "restore_best": True}
        history = learner.fit(
            batches,
            validation=None if judged is None else SpeechBatches(judged, self.classes, front, size, shuffle=False),
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")],
            **recipe.fit.fit_settings() | chosen,
        )
        learner.save(folder)
        trained = Trained(model, front, self.classes)
        metrics: runs.Metrics = {"split": self.division, "troubles": list(self.told)}
        for name, part in self.held.items():
            metrics[name] = trained.figures(part)  # type: ignore[literal-required]
        metrics["rows"] = {"train": len(self.train), **{name: len(part) for name, part in self.held.items()}}
        early = None if judged is None else runs.chosen_on_validation(len(judged), "recordings")
        metrics = runs.record(folder, history, metrics, chosen_on=early, final=metrics.get("test", {}))
        write_results(folder, trained, self.held.get("test") or judged, history, metrics)
        return metrics


@dataclass(frozen=True)
class Trained:
    """A trained network with its features and classes."""

    model: Any
    front: SpeechFront
    classes: tuple[str, ...]

    @staticmethod
    def load(folder: Path, device: str) -> Trained:
        """Return that of a run folder."""
        from rnnkit.serialization import read_config
        from rnnkit.tasks.speech_batches import SpeechFront
        from rnnkit.training.execution import find_device

        model: Any = rnnkit.load(folder).to(find_device(device))
        return Trained(model, SpeechFront.from_json(read_config(folder)["extra"][_STORED]), tuple(model.class_names))

    def shares(self, waveforms: list[torch.Tensor], heard: Sequence[Heard] | None = None) -> torch.Tensor:
        """Return the probability of each class for each waveform, [N, C].

        Args:
            waveforms: [N] each.
            heard: what is known of the speaker of each, for features that are normalised by speaker: ``front.hear``
                makes it; None: each is known by itself.
        """
        import torch

        from rnnkit.layers.modes import mode

        found, device = [], next(self.model.parameters()).device
        with torch.inference_mode(), mode(self.model, training=False):
            for begin in range(0, len(waveforms), 32):
                known = None if heard is None else heard[begin : begin + 32]
                frames, lengths = self.front(waveforms[begin : begin + 32], known)
                found.append(self.model(frames.to(device), lengths=lengths).softmax(1).cpu())
        return torch.cat(found)

    def shares_of(self, utterances: HeldUtterances) -> torch.Tensor:
        """Return the probability of each class for each utterance, [N, C]; speakers are known by all of theirs."""
        return self.shares(utterances.waveforms, self.front.hear(utterances.waveforms, utterances.speakers))

    def figures(self, utterances: HeldUtterances) -> dict[str, float]:
        """Return the accuracy, and the mean over the classes of the share that is recognised."""
        import torch

        found = self.shares_of(utterances).argmax(1)
        true = torch.tensor([self.classes.index(label) for label in utterances.texts])
        right = (found == true).double()
        each = [float(right[true == label].mean()) for label in true.unique()]
        return {"balanced_accuracy": sum(each) / len(each), "accuracy": float(right.mean())}


def sound_classify() -> SoundClassify:
    """Learn to name the class of recordings (data.path): a folder a class, or a table; BiGRU(96) over log-mel bands."""
    return SoundClassify()


def build(settings: Model, features: int, classes: tuple[str, ...]) -> rnnkit.SequenceClassifier:
    """Return the network with fresh weights."""
    front, body = make_layers(settings, features)
    return rnnkit.SequenceClassifier(
        body, list(classes), pooling=settings.pooling, dropout=settings.dropout, front=front
    )


def write_results(folder: Path, trained: Trained, judged: HeldUtterances | None, history: Any, metrics: Any) -> None:
    """Write ``mistakes.csv``, ``confusion.png``, ``troubles.txt`` and ``report.html``, with mistakes to listen to."""
    import torch

    from rnnkit.diagnostics import pictures
    from rnnkit.recipes.run_page import RunPage, page_figures
    from rnnkit.recipes.speech_page import wav_bytes
    from rnnkit.runs.tables import write_table

    page = RunPage(folder, "Classes of sounds", repr(trained.model), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the recordings show")
    if judged is not None:
        shares, count = trained.shares_of(judged), len(trained.classes)
        sure, found = shares.max(1)
        true = torch.tensor([trained.classes.index(label) for label in judged.texts])
        matrix = torch.bincount(true * count + found, minlength=count**2).view(count, count).numpy()
        pictures.confusion(matrix, trained.classes, folder / "confusion.png")
        wrong = (found != true).nonzero()[:, 0]
        surest = wrong[sure[wrong].argsort(descending=True, stable=True)].tolist()
        columns = {
            "number": surest,
            "label": [judged.texts[row] for row in surest],
            "prediction": [trained.classes[found[row]] for row in surest],
            "confidence": [float(sure[row]) for row in surest],
        }
        write_table(columns, folder / "mistakes.csv")
        page.section("Which classes are mistaken for which").picture(
            lambda path: pictures.confusion(matrix, trained.classes, path),
            f"Confusion matrix of {count} classes.",
            caption="A row for each true class, a column for each predicted one.",
        )
        if surest:
            page.section("The surest mistakes")
            for row in surest[:8]:
                page.sound(
                    f"{judged.texts[row]}, taken for {trained.classes[found[row]]} ({float(sure[row]):.0%})",
                    wav_bytes(judged.waveforms[row][: 15 * judged.rate], judged.rate),
                )
    page.add_curves(history, "Loss and metrics", "val_accuracy")
    page.write_run()
