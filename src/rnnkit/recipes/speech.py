"""Speech to text: a network reads the features of sound and writes what is said.

    samples → log-mel bands, mean and variance taken away → convolutions that join 4 frames → GRU(192) × 3 → tokens

The network is trained by connectionist temporal classification, which needs no times of words, or with
``--set model.head=transducer`` as a transducer, whose tokens depend on those before them. It looks back alone, so
that it recognises speech while it is spoken; ``--set model.bidirectional=true --set features.norm=utterance`` gives a
network for recordings, which is better and cannot stream. ``--set model.head=attention`` writes token by token and
looks at the whole utterance for each; it cannot stream either.

Sound is augmented differently in each epoch. The epoch with the lowest word error rate of the validation part is kept.
The test part chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.interface import Aligner, Columns, DataRequest, Predictor
from rnnkit.recipes.prepared_training import Judged, Training
from rnnkit.recipes.recognition import PreparedRecognition, unknown_tokens
from rnnkit.recipes.sound_run import SoundRecipe
from rnnkit.recipes.speech_data import SpeechData, Spoken, divide_clips, speak, without_short
from rnnkit.recipes.speech_sound import augmentations, make_front, make_layers
from rnnkit.recipes.wording import warn_of
from rnnkit.tasks.ranges import Seed
from rnnkit.tasks.speech_settings import Decoding, RecognizerFit, RecognizerNetwork, SoundAugment, SoundFeatures

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data import Tokenizer
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.speech import Transcriber, Transcript
    from rnnkit.tasks.speech_batches import SpeechFront, Utterances


@dataclass(frozen=True)
class Speech(SoundRecipe):
    """The whole run; ``rnnkit train speech FOLDER --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order and augmentation of the recordings, and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title: ClassVar[str] = "Speech"

    model: RecognizerNetwork = field(default_factory=RecognizerNetwork)
    features: SoundFeatures = field(default_factory=SoundFeatures)
    augment: SoundAugment = field(default_factory=SoundAugment)
    fit: RecognizerFit = field(default_factory=RecognizerFit)
    decode: Decoding = field(default_factory=Decoding)
    data: SpeechData = field(default_factory=SpeechData)
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit.sampling and self.model.head != "attention":
            raise ConfigError(
                f"fit.sampling={self.fit.sampling:g} arrived with model.head={self.model.head}, which is trained on "
                "the true tokens alone; add --set model.head=attention, or leave fit.sampling out"
            )
        self.model.check_attention()

    def prepare(self) -> PreparedRun:
        """Read, divide and check the recordings, and write nothing."""
        parts = divide_clips(self.data, "speech")
        rate = self.features.arguments(parts.train.rate)["rate"]
        train = speak(parts.train, self.data, rate, part="train", longest=self.data.longest)
        tokenizer = self.data.tokenizer(train.utterances.texts)
        front = make_front(self.features, rate, self.decode.tail, None)
        stride = prod(self.model.strides)

        def steps(samples: int) -> int:
            return front.features.frames(samples + front.tail_samples) // stride

        utterances, short = without_short(train.utterances, tokenizer, steps, [clip.id for clip in train.clips])
        findings = [*parts.findings, *train.findings, *short]
        held: dict[str, Utterances] = {}
        for name, clips in (("validation", parts.validation), ("test", parts.test)):
            if clips is not None:
                spoken = speak(clips, self.data, rate, part=name)
                findings += spoken.findings + unknown_tokens(spoken.utterances.texts, tokenizer, name)
                held[name] = spoken.utterances
        tests = {"test": held["test"]} if "test" in held else {}
        return PreparedSpeech(
            findings,
            parts.division,
            parts.digests,
            self,
            train=utterances,
            validation=held.get("validation"),
            tests=tests,
            tokenizer=tokenizer,
            rate=rate,
        )

    def speak(self, path: Path, rate: int) -> Spoken:
        """Return recordings of a path that no training saw, with what is said in them.

        Args:
            path: as data.path.
            rate: samples a second.
        """
        return speak(self.data.read(path, new=True), self.data, rate)

    def transcriber(self, folder: Path) -> Transcriber:
        """Return the folder's recogniser.

        Args:
            folder: the run folder.
        """
        from rnnkit.tasks.speech import load_transcriber

        return load_transcriber(folder, device=self.device).with_decoding(**vars_of(self.decode))

    def aligner(self, folder: Path) -> Aligner:
        """Return a function that finds when the words of a text are said in a sound file, or of a folder's texts.

        Args:
            folder: the run folder.
        """
        from rnnkit.data.audio.waveforms import read_audio

        transcriber = self.transcriber(folder)

        def spoken(path: Path, text: str | None) -> Iterator[tuple[str, Tensor, str]]:
            if text is not None:
                yield str(path), read_audio(path, rate=transcriber.rate).samples, self.data.written(text)
                return
            found = self.speak(path, transcriber.rate)
            warn_of(found.clips, found.findings)
            for index, clip in enumerate(found.clips):
                yield clip.id, found.utterances.waveform(index), found.utterances.texts[index]

        def answer(data: DataRequest, text: str | None) -> Iterator[tuple[str, Transcript | DataError]]:
            for name, waveform, written in spoken(data.without_encoding(), text):
                try:
                    yield name, transcriber.align(waveform, written)
                except DataError as error:
                    yield name, DataError(f"{name}: {error}")

        return answer

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return error rates of the folder's model on its test part, or on other recordings.

        Of a recogniser that streams also the real-time factor and, where the ends of words are known, the latency.
        The confusions are drawn into the run folder: ``confusions.png``, ``confusions-NAME.png`` of other recordings.
        """
        from rnnkit.recipes.recognition import confusions_of, draw_confusions
        from rnnkit.recipes.speech_results import DIGITS, judge
        from rnnkit.tasks.speech_latency import stream_figures

        transcriber = self.transcriber(folder)
        if data is None:
            prepared = self.prepare()
            assert isinstance(prepared, PreparedSpeech)
            prepared.check_data(folder)
            judged = prepared.judge(transcriber)
            if not judged:
                raise DataError(f"{folder} held no recordings back; name some: --data FOLDER")
            draw_confusions(confusions_of(judged), folder / "confusions.png", DIGITS)
            timed = next((one for one in judged.values() if hasattr(one.items, "ends")), next(iter(judged.values())))
            return prepared.figures(judged) | stream_figures(transcriber, timed.items)
        path = data.without_encoding()
        spoken = self.speak(path, transcriber.rate)
        warn_of(spoken.clips, spoken.findings)
        one = judge(transcriber, spoken.utterances)
        draw_confusions(one.scores.confusions, folder / f"confusions-{path.stem}.png", DIGITS)
        return one.figures | stream_figures(transcriber, spoken.utterances)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's recogniser on its validation part."""
        prepared = self.prepare()
        assert isinstance(prepared, PreparedSpeech)
        return prepared.validated(folder, self.transcriber(folder))

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a sound file to what is said in it."""
        from rnnkit.data.audio.waveforms import read_audio

        transcriber = self.transcriber(folder)

        def answer(data: DataRequest) -> Columns:
            sound = read_audio(data.without_encoding(), rate=transcriber.rate)
            found = transcriber([sound.samples])
            return {"prediction": [one.text for one in found], "confidence": [one.confidence for one in found]}

        return answer

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with recordings of a new speaker, or of new words, to learn."""
        from rnnkit.recipes.speech_finetuning import make_job

        return make_job(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.speech_finetuning import DEFAULTS

        return DEFAULTS


@dataclass(frozen=True)
class PreparedSpeech(PreparedRecognition):
    """A run whose recordings were read and divided.

    Attributes:
        rate: samples a second.
    """

    nouns: ClassVar[str] = "recordings"

    rate: int

    def __post_init__(self) -> None:
        """Raise ConfigError or DataError for settings that the run cannot use, before there is a run folder."""
        super().__post_init__()
        self.transcriber(make_front(self.recipe.features, self.rate, 0.0, None)).search()

    def callbacks(self, training: Training) -> list[Any]:
        """Return the schedule of scheduled sampling, where it is asked for."""
        from rnnkit.training import ScheduledSampling

        fit = self.recipe.fit
        if not fit.sampling:
            return []
        return [ScheduledSampling(fit.sampling, max(1, fit.epochs * training.batches.steps // 2))]

    def judge_items(self, predictor: Transcriber, items: Utterances) -> Judged:
        """Recognise utterances, and compare with what is said in them."""
        from rnnkit.recipes.speech_results import judge

        return judge(predictor, items)

    def measured(self, predictor: Transcriber) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return that the error rates of words and characters choose, of the most probable token at each step."""
        return {"wer": False, "cer": False}, lambda model: greedy(predictor, self.validation)

    def write_results(
        self,
        folder: Path,
        predictor: Transcriber,
        judged: Mapping[str, Judged],
        history: Any,
        metrics: Mapping[str, Any],
    ) -> None:
        """Write texts with their transcripts, confusions, and the page of the run."""
        from rnnkit.recipes.speech_page import write_speech_page
        from rnnkit.recipes.speech_results import write_predictions

        write_predictions(folder, judged)
        write_speech_page(folder, self.recipe.title, predictor, judged, history, metrics)

    def training(self) -> Training:
        """Return learner and recogniser with fresh weights, the batches to train on, and those that choose."""
        import torch

        from rnnkit.tasks.speech_batches import SpeechBatches

        recipe = self.recipe
        front = make_front(recipe.features, self.rate, recipe.decode.tail, self.train)
        torch.manual_seed(recipe.seed)
        transcriber = self.transcriber(front)
        learner = learner_of(transcriber.model, recipe.fit, recipe.device)
        learner.extra = transcriber.to_extra()
        waves, frames = augmentations(recipe.augment, front.features.settings)
        size = recipe.fit.batch_size or 16
        batches = SpeechBatches(
            self.train,
            self.tokenizer,
            front,
            size,
            waves=waves,
            frames=frames,
            curriculum=recipe.fit.curriculum,
            plain=recipe.fit.plain,
            seed=recipe.seed,
        )
        validation = None
        if self.validation is not None:
            validation = SpeechBatches(self.validation, self.tokenizer, front, size, shuffle=False)
        return Training(learner, transcriber, batches, validation)

    def transcriber(self, front: SpeechFront) -> Transcriber:
        """Return the recogniser with fresh weights."""
        from rnnkit.tasks.speech import Transcriber

        model = build(self.recipe.model, front.features.size, self.tokenizer)
        return Transcriber(model, front, self.tokenizer, self.recipe.decode)


def speech() -> Speech:
    """Learn to write what is said in recordings with transcripts (data.path): convolutions, GRU(192) × 3, CTC."""
    return Speech()


def build(settings: RecognizerNetwork, features: int, tokenizer: Tokenizer) -> Any:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        features: numbers a frame.
        tokenizer: of the tokens, the blank among them.
    """
    from rnnkit.tasks.speech_heads import HEADS

    front, body = make_layers(settings, features)
    return HEADS[settings.head].build(settings, front, body, tokenizer)


def learner_of(model: Any, fit: RecognizerFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a recogniser; `others` are further settings, or replace those of the training."""
    from rnnkit.tasks.speech_heads import head_of

    settings = fit.learner_settings() | others
    return rnnkit.Learner(model, objective=head_of(model).objective(model, fit), device=device, **settings)


def greedy(transcriber: Transcriber, utterances: Utterances) -> dict[str, float]:
    """Return the error rates of the most probable token at each step."""
    from rnnkit.recipes.speech_results import judge

    figures = judge(transcriber.with_decoding(**transcriber.decoding.made_greedy()), utterances).figures
    return {name: figures[name] for name in ("wer", "cer")}


def vars_of(decode: Decoding) -> dict[str, Any]:
    """Return the settings of a search by their names, without the tail, which the network was trained with."""
    from dataclasses import fields

    return {one.name: getattr(decode, one.name) for one in fields(decode) if one.name != "tail"}
