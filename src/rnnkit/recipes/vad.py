"""Voice activity detection: a small recurrent network predicts for each frame of sound whether somebody speaks.

    samples → log-mel bands → GRU(48), which looks back alone → p(speech) of each frame → segments

Recordings need no labels: speech is found in clean recordings by its energy, and scenes are made of them with silence,
noise of several colours, notes, knocks and rooms. Segments of your own recordings (a table with path, start and end, or
label files of Audacity) are used as they are. The epoch with the highest AUC of the validation part is kept. The
threshold is the one that errs least there, as is that of the baseline, the energy of the frame. The test part chooses
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun, Recipe, no_validation
from rnnkit.recipes.interface import Columns, DataRequest, Predictor
from rnnkit.recipes.speech_data import divide_clips
from rnnkit.recipes.speech_sound import make_front
from rnnkit.recipes.vad_data import VoiceData, hear, make_scenes, read_noises
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Seed
from rnnkit.tasks.speech_settings import SoundFeatures
from rnnkit.tasks.voice_settings import SceneSettings, Segmenting, VoiceFit, VoiceNetwork

if TYPE_CHECKING:
    from rnnkit.recipes.speech_data import ClipParts
    from rnnkit.recipes.vad_results import Judged
    from rnnkit.tasks.voice_activity import VoiceDetector
    from rnnkit.tasks.voice_scenes import Spoken


@dataclass(frozen=True)
class Vad(Recipe):
    """The whole run; ``rnnkit train vad FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, scenes, order and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"
    other_files: ClassVar[dict[str, str]] = {".txt": "labels for Audacity"}

    model: VoiceNetwork = field(default_factory=VoiceNetwork)
    features: SoundFeatures = field(default_factory=lambda: SoundFeatures(norm="training"))
    scenes: SceneSettings = field(default_factory=SceneSettings)
    segments: Segmenting = field(default_factory=Segmenting)
    fit: VoiceFit = field(default_factory=VoiceFit)
    data: VoiceData = field(default_factory=VoiceData)
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features.norm == "utterance":
            raise ConfigError(
                "features.norm=utterance arrived, but a detector hears sound as it comes; take training, running or "
                "none"
            )

    def prepare(self) -> PreparedRun:
        """Read, divide and check the recordings, and make the scenes that judge."""
        from rnnkit.tasks.voice_scenes import VoiceScenes

        parts = self.divide()
        rate = self.features.arguments(parts.train.rate)["rate"]
        noises, digests = read_noises(self.scenes.noises, rate)
        findings, made = list(parts.findings), {}
        tests: dict[str, Spoken] = {}
        for part, clips in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
            if clips is None:
                continue
            heard = hear(clips, rate, part)
            findings += heard.findings
            scenes = make_scenes(heard, self.scenes, rate, noises[part], part, self.seed)
            if part != "test":
                made[part] = scenes
                continue
            tests["test"] = scenes
            if isinstance(scenes, VoiceScenes):
                few = max(1, self.scenes.held // 4)
                for name, kind, db in _CONDITIONS:
                    tests[name] = VoiceScenes(scenes.maker, few, seed=3, kind=kind, db=db)
        if self.fit.early_stopping is not None and "validation" not in made:
            raise ConfigError("fit.early_stopping needs recordings to judge by; add --set data.validation=0.1")
        return PreparedVoice(
            self, made["train"], made.get("validation"), tests, rate, findings, parts.division, parts.digests | digests
        )

    def divide(self) -> ClipParts:
        """Return the recordings for training, validation and test."""
        return divide_clips(self.data, "vad")

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, choose the threshold, judge on the test part, and write model, metrics and the report."""
        return self.prepare().run(folder)

    def detector(self, folder: Path) -> VoiceDetector:
        """Return the folder's detector, with the settings of segments that were changed since."""
        from rnnkit.tasks.voice_activity import load_voice_detector

        detector = load_voice_detector(folder, device=self.device)
        segments = self.segments
        if segments.threshold is None:
            segments = replace(segments, threshold=detector.segmenting.threshold)
        return detector.with_settings(**vars(segments))

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return figures of the folder's detector on its test part, or on other recordings, and what a stream costs.

        Other recordings with segments are judged as they are; scenes are made of others.
        """
        from rnnkit.recipes.vad_results import judge, stream_cost

        detector = self.detector(folder)
        if data is not None:
            clips = self.data.read(data.without_encoding(), new=True)
            heard = hear(clips, detector.rate, "data")
            noises = read_noises(self.scenes.noises, detector.rate)[0]["test"]
            other = make_scenes(heard, self.scenes, detector.rate, noises, "test", 0)
            return judge(detector, other).figures | stream_cost(detector)
        prepared = self.prepare()
        assert isinstance(prepared, PreparedVoice)
        prepared.check_data(folder)
        if not (tests := prepared.tests or prepared.held):
            raise DataError(f"{folder} held no recordings back; name some: --data FOLDER")
        return prepared.figures({name: judge(detector, one) for name, one in tests.items()}) | stream_cost(detector)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's model on its validation scenes."""
        from rnnkit.recipes.vad_results import judge

        prepared = self.prepare()
        assert isinstance(prepared, PreparedVoice)
        prepared.check_data(folder)
        if prepared.validation is None:
            raise no_validation(folder, "recordings")
        return judge(self.detector(folder), prepared.validation).figures

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return where somebody speaks in a sound file: start, end and confidence of each segment."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a sound file, which may be longer than memory is large, to its segments."""
        from rnnkit.data.audio.waveforms import open_blocks

        detector = self.detector(folder)

        def answer(data: DataRequest) -> Columns:
            with open_blocks(data.without_encoding()) as blocks:
                found = [one.to_json() for one in detector.of_blocks(blocks, blocks.rate)]
            return {name: [one[name] for one in found] for name in ("start", "end", "confidence")}

        return answer

    def write_answers(self, answers: Columns, out: Path) -> None:
        """Write segments of one sound file as labels for Audacity."""
        from rnnkit.data.audio.speech_segments import write_labels

        if len(set(answers.get("file", ()))) > 1:
            raise ConfigError(
                f"--out {out} holds the labels of one sound file; name one, or a table such as segments.csv"
            )
        pairs = list(zip(answers["start"], answers["end"], strict=True))
        write_labels(out, pairs, [f"speech {one:.2f}" for one in answers["confidence"]])


@dataclass(frozen=True)
class VadDigits(Vad):
    """The whole run on the free spoken digits; ``rnnkit train vad-digits --set GROUP.FIELD=VALUE`` changes a field."""

    data: VoiceData = field(default_factory=lambda: VoiceData(layout="digits", test_share=0.17, validation=0.17))

    def divide(self) -> ClipParts:
        """Return the digits, of which one speaker chooses and another one judges."""
        from rnnkit.recipes.speech_digits import free_spoken_digits

        if self.data.path is not None:
            return super().divide()
        path = str(free_spoken_digits())
        parts = divide_clips(replace(self.data, path=path), "vad-digits")
        # The folder differs from machine to machine; what is in it does not.
        named = {"free spoken digits" if name == path else name: digest for name, digest in parts.digests.items()}
        return parts._replace(digests=named)


# Name, what else is heard, and the ratio of speech to it: tests of made scenes beside the mixed ones.
_CONDITIONS = (
    ("quiet", "quiet", None),
    ("noise_10db", "noise", 10.0),
    ("noise_0db", "noise", 0.0),
    ("tones_5db", "tones", 5.0),
    ("knocks_5db", "knocks", 5.0),
)


@dataclass(frozen=True)
class PreparedVoice(PreparedRun):
    """A run whose recordings were read, divided and made into scenes.

    Attributes:
        recipe: its settings.
        train, validation: what to learn, and what chooses epoch and thresholds; None where there is none.
        tests: the test data, by its name.
        rate: samples a second.
        told: sentences about the recordings.
        division: how the parts were made.
        digests: of the recordings as they were read.
    """

    recipe: Vad
    train: Spoken
    validation: Spoken | None
    tests: dict[str, Spoken]
    rate: int
    told: list[str]
    division: str
    digests: dict[str, str]

    @property
    def held(self) -> dict[str, Spoken]:
        """The validation part, by its name, where there is one."""
        return {} if self.validation is None else {"validation": self.validation}

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other recordings than these."""
        data_digests.check(folder, self.digests, "train into a new folder")

    def findings(self) -> list[str]:
        """Return what was found in the recordings."""
        return self.told

    def figures(self, judged: dict[str, Judged]) -> dict[str, float]:
        """Return all figures of the mixed scenes, and the main ones of the others with their names in front."""
        first, *others = judged.items()
        return first[1].figures | {
            f"{name}_{what}": one.figures[what]
            for name, one in others
            for what in ("auc", "missed_speech", "false_alarms_per_hour")
            if what in one.figures
        }

    def run(self, folder: Path) -> runs.Metrics:
        """Train, choose the threshold, judge, and write the results into the folder."""
        from rnnkit.recipes.vad_results import EnergyBaseline, choose_threshold, judge, write_page
        from rnnkit.tasks.voice_activity import VoiceDetector

        recipe = self.recipe
        data_digests.record(folder, self.digests)
        learner, detector, history = self.fit(folder)
        chooses = self.train if self.validation is None else self.validation
        if recipe.segments.threshold is None:
            detector = detector.with_settings(threshold=choose_threshold(detector, chooses))
        assert isinstance(detector, VoiceDetector)
        learner.extra = detector.to_extra()
        learner.save(folder)
        baseline = EnergyBaseline(detector.front.features.settings, recipe.segments)
        baseline = replace(baseline, threshold=choose_threshold(baseline, chooses))
        metrics: runs.Metrics = {"split": self.division}
        threshold = {"threshold": float(detector.segmenting.threshold or 0)}
        if self.validation is not None:
            metrics["validation"] = judge(detector, self.validation).figures | threshold
        judged = {name: judge(detector, one) for name, one in self.tests.items()}
        if judged:
            metrics["test"] = self.figures(judged)
            plain = {name: judge(baseline, one) for name, one in self.tests.items()}
            metrics["baselines"] = {"energy threshold": self.figures(plain) | {"threshold_db": baseline.threshold}}
        counts = {"train": self.train, **self.held, **self.tests}
        metrics["rows"] = {name: len(part) for name, part in counts.items()}
        metrics["troubles"] = list(self.told)
        chosen = None
        if self.validation is not None:
            chosen = f"the AUC, and the thresholds, of {runs.chosen_on_validation(len(self.validation), 'scenes')}"
        metrics = runs.record(folder, history, metrics, chosen_on=chosen, final=metrics.get("test", {}))
        shown = judged or {name: judge(detector, one) for name, one in self.held.items()}
        write_page(folder, detector, shown, history, metrics)
        return metrics

    def fit(self, folder: Path) -> tuple[rnnkit.Learner, VoiceDetector, Any]:
        """Train, and return learner, detector and history."""
        import torch

        from rnnkit.data.audio import WaveAugment
        from rnnkit.recipes.vad_results import validation_auc
        from rnnkit.tasks.voice_activity import VoiceDetector
        from rnnkit.tasks.voice_scenes import VoiceBatches, VoicePieces
        from rnnkit.training import ValidationFigures

        recipe, scenes = self.recipe, self.recipe.scenes
        front = make_front(recipe.features, self.rate, 0.0, self.train)
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, front.features.size)
        learner = rnnkit.Learner(model, metrics=[], device=recipe.device, **recipe.fit.learner_settings())
        detector = VoiceDetector(model, front, recipe.segments)
        learner.extra = detector.to_extra()
        waves = None
        if isinstance(self.train, VoicePieces):  # scenes have noise and gain of their own; recordings get some
            waves = WaveAugment(
                self.rate,
                noise_probability=0.5,
                noise_db=(max(scenes.noise_low, 0.0), max(scenes.noise_high, 0.0)),
                tilt_db=3.0,
                gain_db=(scenes.gain_low, scenes.gain_high),
            )
        size = recipe.fit.batch_size or 16
        callbacks: list[Any] = [rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")]
        chosen: dict[str, Any] = {}
        judged = self.validation
        if judged is not None:
            callbacks.append(ValidationFigures({"auc": True}, lambda model: validation_auc(detector, judged)))
            chosen = {"monitor": "val_auc", "restore_best": True}
        history = learner.fit(
            VoiceBatches(self.train, front, size, waves=waves, seed=recipe.seed),
            validation=None if judged is None else VoiceBatches(judged, front, size, shuffle=False),
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=callbacks,
            **recipe.fit.fit_settings() | chosen,
        )
        return learner, detector, history


def vad() -> Vad:
    """Learn where somebody speaks in sound (data.path: clean recordings, or recordings with segments); GRU(48)."""
    return Vad()


def vad_digits() -> VadDigits:
    """Learn where somebody speaks, from the free spoken digits; judged on a speaker who was not trained on."""
    return VadDigits()


def build(settings: VoiceNetwork, features: int) -> rnnkit.SequenceTagger:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        features: numbers a frame.
    """
    from rnnkit.layers.by_name import RECURRENT_LAYERS

    body = RECURRENT_LAYERS[settings.cell](
        features,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
        layer_norm=settings.layer_norm,
    )
    return rnnkit.SequenceTagger(body, outputs=1, activation="sigmoid", dropout=settings.dropout)
