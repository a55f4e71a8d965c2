"""The Learner: a model, a loss and an optimizer; fit, evaluate, fine-tune. Its answers are in `learner_base.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import partial
from os import PathLike
from typing import Any

from ..errors import ConfigError, check_whole
from ..finetuning.adapters import LoRA
from ..finetuning.forgetting import Protection
from .contexts import with_gradients
from .fine_tuning.fine_tune import FineTuning
from .fine_tuning.plan import Plan
from .fitting import FitSettings, as_python, fit
from .history import History
from .learner_base import LearnerBase
from .loop import evaluate
from .optimization.averaging import Average
from .optimization.clipping import gradient_norm
from .optimization.schedules import Schedule
from .reports.profile import Profile, profile
from .reports.rate_finder import RateSweep, find_rate
from .setting_names import unknown_setting
from .sources import make_batches
from .user_data import (
    held_out_of,
    joined,
)
from .watching.callbacks import CallbackLike, Callbacks

_FIT_SETTINGS = (*(one.name for one in fields(FitSettings)), "validation_split")


class Learner(LearnerBase):
    """Trains, evaluates and uses a model of sequences.

    Data is `(X, y)`: arrays, tensors, lists of arrays (of unequal length: they become `Sequences`), or `Sequences`
    for X; or a torch `Dataset` of such pairs of rows; or any iterable of batches `(inputs, targets)`. Floats take
    the model's dtype; integers X [N, T] are token ids, integers of more axes are measurements. Targets are one per
    sequence, or one per step where the model returns [B, T, ...]; padded steps count nowhere.

    Args:
        model: any module called as `model(x)` with x [B, T, ...], and as `model(x, lengths=lengths)` for `Sequences`.
        loss: "cross_entropy", "mse", "l1", "huber", "bce" (the model returns probabilities), "bce_logits", or a
            callable (output, target) -> scalar; None: the model's `default_loss`. Targets per step reach it flat,
            [n, outputs] against [n, ...], without the padding.
        objective: which output belongs to which target: "sequence" (one target a sequence), "step" (one an input
            step), "horizon" (target steps of their own), "ctc", "transducer", "set", "seq2seq", or an `Objective`
            such as `rnnkit.training.CTC(blank=0)`. None: the model's `default_objective`; a model that declares none
            gets "step" where output and targets have the steps of the inputs, and "sequence" otherwise.
        label_smoothing, class_weights: of the cross-entropy, see `CrossEntropy`: ε in [0, 1);
            and a number a class, a mapping {class: number} by the classes' numbers or names, or "balanced", from the
            data that `fit` trains on. All reported losses contain both: "loss" and "val_loss" of the history and
            "loss" of `evaluate`.
        optimizer: "adam", "adamw", "sgd", "rmsprop"; a callable that makes one from the parameters; or a torch
            Optimizer. `lr`, `weight_decay` and `l2` are settings of the named ones.
        metrics: names ("accuracy", "f1_macro", "auc", "mse", "r2" and what torchmetrics has, see
            `watching/named_metrics.py`), torchmetrics objects or callables (output, target) -> number; one, several or
            a mapping from names; None: the model's `default_metrics`, with its default loss.
        lr: learning rate; 1e-3 for every named optimizer unless it is given. SGD usually needs more, such as 0.01 (the
            default of Keras) to 0.1; `find_rate` suggests one. `learner.lr = ...` holds from the next run, for an
            optimizer of your own, too: its first group of parameters gets that rate, and the others keep their ratio
            to it.
        weight_decay, l2: decay decoupled from the gradient (AdamW's, for every named optimizer), and decay as part of
            the gradient (what PyTorch's Adam calls weight_decay); equations in `optimization/optimizers.py`.
        decay_biases: False: neither decay for biases, gains of normalisations and learned initial states.
        parameter_groups: settings for some of the parameters, patterns on their names -> settings, as in
            {"body.*": {"lr": 1e-4}, "*bias*": {"weight_decay": 0}}, or PyTorch's list of dicts; see
            `training.group_parameters`.
        recurrent_l2: coefficient of the sum of squares of the recurrent weights (parameters with `weight_hh` in
            their name), added to what is minimised. Reported losses leave it out, so that they compare.
        ar, tar: coefficients of the mean square of the last recurrent layer's outputs, and of their differences in
            time (Merity et al. 2017; 2 and 1 there), also added and left out; see `optimization/regularisation.py`.
        clip_norm: the norm that gradients are scaled down to where theirs is larger; None: never.
        clip_value: the magnitude that each entry of the gradients is cut to, before `clip_norm`; None: never.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps".
        precision: Lightning Fabric's names: "32-true", "64-true", "bf16-true", "16-true", "bf16-mixed", "16-mixed".
        exchange: what several processes exchange, a :class:`rnnkit.training.Exchange`: compressed gradients, or weights
            from time to time. None: gradients as they are, or what the variable RNNKIT_EXCHANGE says.

    Started by torchrun, every process trains on its share of the data, `batch_size` rows each: together they take the
    steps of one process with batches of as many rows. Data in memory and the batches of `rnnkit.data` are divided here;
    another iterable of batches is the caller's to divide, into as many batches for each process.

    Raises:
        ConfigError: an unknown name or a setting outside its range.

    Example:
        >>> import torch
        >>> x = torch.randn(64, 5, 2)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(10, 1))
        >>> learner = Learner(model, loss="mse", lr=0.1)
        >>> history = learner.fit((x, x.sum((1, 2))), epochs=20, seed=0, progress=False)
        >>> history.rows[-1]["loss"] < history.rows[0]["loss"]
        True
        >>> learner.predict(x).shape
        torch.Size([64, 1])
    """

    @with_gradients
    def fit(
        self,
        train: Any,
        y: Any = None,
        *,
        validation: Any = None,
        validation_split: float | None = None,
        sample_weight: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        shuffle: bool = True,
        schedule: str | Schedule | None = None,
        seed: int | None = None,
        early_stopping: int | None = None,
        restore_best: bool = False,
        monitor: str | None = None,
        checkpoint: str | PathLike[str] | None = None,
        resume: bool = False,
        checkpoint_every: int | timedelta | None = None,
        accumulate: int = 1,
        bptt: int | None = None,
        stateful: bool = False,
        average: str | Average | None = None,
        callbacks: Iterable[CallbackLike] = (),
        progress: bool | None = None,
        **unknown: Any,
    ) -> History:
        """Train the model, and return what it recorded (also kept as `self.history`).

        A second `fit` goes on with the optimizer as the first one left it. Ctrl-C ends the run after the step at
        hand, a second one at once.

        Args:
            train: the data; see the class. `fit(X, y)` and `fit((X, y))` are the same.
            y: the targets, where `train` is X alone.
            validation: data to evaluate after each epoch, or the share of `train` (arrays or tensors) to keep for
                that: shuffled with the seed, or without `shuffle` the last rows.
            validation_split: such a share, as Keras calls it.
            sample_weight: what the loss of each target is multiplied by, [N], or [N, T] for targets per step. Targets
                of weight 0 count neither in the mean nor in metrics; the mean is over all others, whatever their
                weights. For data in memory and losses by name. Rows that are held out by `validation=0.2` keep their
                weights.
            epochs: number of passes over the data.
            batch_size: rows of a batch, where the data does not come in batches.
            shuffle: whether each epoch visits the rows in a new order.
            schedule: factor on the learning rates, anew for every step: "constant", "warmup_constant", "cosine",
                "warmup_cosine", "one_cycle", "slanted_triangular", "plateau" (watches `monitor`); the same with
                settings, as in OneCycle(peak=3e-3, warmup=0.3), see `rnnkit.training`; or a callable (step from 0,
                total steps) -> factor. The rates are put back when the run ends.
            seed: makes the run a function of weights, data and this number: shuffling has a generator of its own,
                and torch's global ones (dropout) are seeded for the run and put back. None draws a seed from torch's
                global generator. The same seed gives equal bits where the machine, the versions and the number of
                threads are equal, too: the guide on training has all conditions.
            early_stopping: end after this many epochs in a row without a better `monitor`.
            restore_best: end with the weights of the epoch with the best `monitor`.
            monitor: a column of the history; None: "val_loss", and without validation "loss".
            checkpoint: a folder, or a path as for `save`: gets the model after each epoch (with `restore_best`: each
                best one) and the state of the run, `training.safetensors`, from which `resume` goes on. A write that
                fails (a full disk) leaves the earlier checkpoint as it is: the run warns, goes on, and raises at its
                end if the last one could still not be written.
            resume: go on with the run whose state lies at `checkpoint`, to the same weights, bit for bit, as if it had
                never ended, on the same machine and thread count; where there is none, begin. A run that is over
                returns at once, with its history, its final weights in the model. It must have the same model, data
                and settings, but may have more epochs: a schedule that depends on their number is from then on that of
                the new number, which is warned of.
            checkpoint_every: the state is stored after each epoch, and within it every so many steps (a number) or so
                often (a `datetime.timedelta`); None: every 5 minutes. An iterable of batches is read again up to that
                point, so it should yield the same each time.
            accumulate: batches whose gradients are joined for one step, weighted by their numbers of targets: the
                gradient of one batch that is as many times as large. What is left at the end of an epoch makes a step,
                too. Schedule and clipping count such steps. `ar` and `tar` are weighted by targets, too, not by steps.
            bptt: truncated backpropagation through time: gradients go back this many steps at most, in memory for as
                many; the state is carried on. Still one step a batch; see `objectives/stateful.py`. For models that
                return their state, such as SequenceTagger and SequenceClassifier(pooling="last"), in one direction.
            stateful: the batches, of an iterable, are consecutive chunks of streams: row i goes on in row i of the next
                batch, where its state is carried to, without gradient. A batch may be (inputs, targets, resets), with
                truth values [B] for rows whose stream begins anew with this chunk, or [B, T] before a step. An epoch
                begins with fresh states. Validation data is of the same kind.
            average: average the weights over the steps: "ema" (an exponential moving average), "nt-asgd" (the mean from
                when `monitor` no longer gets better), or either with settings, as in EMA(decay=0.99), see
                `rnnkit.training`. What is validated, compared, stored and kept at the end are then the averaged
                weights; training goes on with its own.
            callbacks: :class:`rnnkit.Callback` objects, or callables: called as `callback(learner, row)` after each
                epoch. Any of them may end the run with `learner.stop()`.
            progress: False for silence; else a bar on a terminal, elsewhere a line for each epoch.

        Raises:
            DataError, ShapeError: data that does not fit the model or the loss.
            ConfigError: a setting that does not exist, is out of range, or lacks what it needs; or what is to be
                resumed is another run.
            RunFolderError: without `resume`, the run at `checkpoint` is not over.
            CheckpointError: the run is over, but its last checkpoint could not be written.
            DivergenceError: the loss became NaN or infinite. The weights are put back to those of the last finished
                epoch; the optimizer forgets its averages.
        """
        if unknown:
            raise unknown_setting(next(iter(unknown)), "fit", _FIT_SETTINGS)
        given = {
            "epochs": epochs, "batch_size": batch_size, "shuffle": shuffle, "schedule": schedule, "seed": seed,
            "early_stopping": early_stopping, "restore_best": restore_best, "monitor": monitor, "resume": resume,
            "checkpoint": checkpoint, "checkpoint_every": checkpoint_every, "accumulate": accumulate, "bptt": bptt,
            "stateful": stateful, "average": average, "callbacks": callbacks, "progress": progress,
        }  # fmt: skip
        data = joined(train, y)
        self._columns.remember(data[0] if type(data) is tuple else None)
        self._name_classes(data)
        held_out = self._encoded(joined(held_out_of(validation, validation_split), None))
        settings = FitSettings(**as_python(given), validation=held_out, sample_weight=sample_weight)
        return fit(self._session, self.config, self._encoded(data), settings, partial(Callbacks, self))

    def stop(self) -> None:
        """End the run after the current step; for callbacks. Under torchrun all processes must call it in one step.

        The current epoch gets no row. A run that ended so is over: `fit(resume=True)` does not go on with it. To pause
        one, press Ctrl-C, or let a callback call `signal.raise_signal(signal.SIGINT)`.

        Raises:
            ConfigError: no run is under way.
        """
        if self._session.run is None:
            raise ConfigError("learner.stop() ends a run, but none is under way; call it from a callback")
        self._session.run.stop_reason = "callback"

    def evaluate(self, data: Any, y: Any = None, *, batch_size: int = 256, stateful: bool = False) -> dict[str, float]:
        """Return the mean loss as "loss" and the metrics by name, over `data`, in evaluation mode.

        `evaluate(X, y)` and `evaluate((X, y))` are the same. With `stateful` the data is of consecutive chunks of
        streams, as for `fit`.

        Raises:
            DataError, ShapeError: data that does not fit the model or the loss.
        """
        check_whole(batch_size, "batch_size")
        session, data = self._session, self._encoded(joined(data, y))
        found = make_batches(session.execution, session.objective, data, int(batch_size), stateful=stateful)
        return evaluate(*found, session.metrics)

    @with_gradients
    def fine_tune(
        self,
        new_data: Any,
        y: Any = None,
        *,
        lr: float | None = None,
        epochs: int = 5,
        freeze: str | Iterable[str] = (),
        freeze_body_epochs: int = 0,
        gradual_unfreezing: bool = False,
        discriminative: float | None = None,
        schedule: str | Schedule | None = None,
        adapters: LoRA | None = None,
        classes: int | Sequence[str] | None = None,
        old_classes: Sequence[str] | None = None,
        replay: Any = None,
        protect: str | Protection | None = None,
        old_data: Any = None,
        old_validation: Any = None,
        validation: Any = None,
        seed: int | None = None,
        callbacks: Iterable[CallbackLike] = (),
        **settings: Any,
    ) -> History:
        """Teach a trained model something new: at a lower rate, with a fresh optimizer. See `training.fine_tuning`.

        Args:
            new_data: the data; see the class. `fine_tune(X, y)` and `fine_tune((X, y))` are the same.
            y: the targets, where `new_data` is X alone.
            lr: learning rate; None: a tenth of the learner's, with adapters the learner's.
            epochs: number of epochs.
            freeze: groups or parameters that do not train, by name or pattern (`finetuning.freeze`): "body.l0".
            freeze_body_epochs: for how many epochs at first the parameters of `model.body` do not train.
            gradual_unfreezing: train the last group alone in the first epoch, one more in each that follows (ULMFiT).
            discriminative: by how much the rate falls from a layer to the one below, 2.6 in ULMFiT; None: not at all.
            schedule: as for `fit`; ULMFiT's is "slanted_triangular".
            adapters: LoRA(rank=8) trains low-rank adapters and the head, and nothing else; afterwards
                `finetuning.adapters` merges them, takes them off or saves them apart.
            classes: a new head: so many outputs, or the names of the classes. Rows of classes that stay are copied.
            old_classes: the names of the old head's classes, where `classes` are names; None: `class_names`. Where
                `classes` is a number, equal numbers are the same class.
            replay: old `(X, y)`, of which every epoch sees all rows; or how many of `old_data` an epoch sees, a number
                or a share (0.2); or a `finetuning.forgetting.Replay`.
            protect: "l2-sp", "ewc" (which needs `old_data`), or an object such as `finetuning.forgetting.EWC(1e4)`.
            old_data: `(X, y)` of what was learned before, with the old head's labels: to replay and to measure on.
            old_validation: more of it, to judge quality on the old data by; None: `old_data`.
            validation, seed, callbacks, **settings: as for `fit`. Quality on the new data is that on `validation`.

        Returns:
            What was recorded, with a `report` of before and after; print it.

        Raises:
            ConfigError: settings that exclude each other, or an optimizer that cannot be made anew; what `fit` raises.
            DataError: labels of `old_data` that the new head lacks, in a replay; what `fit` raises.
        """
        if unknown := [name for name in settings if name not in _FIT_SETTINGS]:
            raise unknown_setting(unknown[0], "fine_tune", (*_FIT_SETTINGS, *(one.name for one in fields(Plan))))
        if settings.get("sample_weight") is not None and replay is not None:
            raise ConfigError("sample_weight is for rows without a replay; leave one of them out")
        old = self.class_names
        if old_classes is None and not isinstance(classes, int | None):
            old_classes = old
        names = tuple(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else old
        new_data, validation = (self._encoded(joined(data, None), names) for data in (joined(new_data, y), validation))
        old_data, old_validation, replay = map(self._encoded, (old_data, old_validation, replay))
        asked = {
            "lr": lr, "freeze": freeze, "freeze_body_epochs": freeze_body_epochs, "classes": classes, "replay": replay,
            "gradual_unfreezing": gradual_unfreezing, "discriminative": discriminative, "adapters": adapters,
            "protect": protect, "old_classes": old_classes, "old_data": old_data, "old_validation": old_validation,
        }  # fmt: skip
        settings |= {"epochs": epochs, "schedule": schedule, "seed": seed, "callbacks": callbacks}
        tuning = FineTuning(self._session, self.config, Plan(**as_python(asked)), self.fit, self.evaluate)
        return tuning.run(new_data, validation, as_python(settings))

    @with_gradients
    def find_rate(
        self,
        data: Any,
        y: Any = None,
        *,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 100,
        batch_size: int = 32,
        accumulate: int = 1,
        bptt: int | None = None,
        stateful: bool = False,
        seed: int = 0,
    ) -> RateSweep:
        """Train for some steps at rates that rise from `low` to `high`, and return how the loss took it.

        Smith 2017 ("Cyclical learning rates for training neural networks"), with an exponential rise; each loss is
        compared with that of the initial weights on the same batch, which takes the batches' noise out. The sweep ends
        before `high` where the loss blows up: the mean of three batches is above the lowest so far by 3 times the
        lowest, or by 3 times the fall to it. Afterwards weights, buffers, gradients, optimizer, generators and modes
        are as they were; the learner's `lr` too: pass the suggestion on.

            sweep = learner.find_rate((X, y))
            sweep.plot("rates.png")
            if sweep.suggestion is not None:       # else sweep.reason says why there is none
                learner.lr = sweep.suggestion      # or schedule=OneCycle(peak=sweep.suggestion)

        Args:
            data: the data; see the class.
            low, high: the first and the last rate; of the first group of parameters, others keep their ratio to it.
            steps: so many updates, of as many epochs as that takes, in a shuffled order.
            batch_size: rows of a batch: the rate depends on it, so use the one to train with.
            accumulate, bptt, stateful: as for `fit`.
            seed: of the order of the rows and of dropout.

        Raises:
            DataError, ShapeError: data that does not fit the model or the loss.
            ConfigError: a setting out of range, data that can be read only once.
            DivergenceError: the loss is NaN or infinite before the first step.
        """
        return find_rate(
            self._session,
            self.config,
            self._encoded(joined(data, y)),
            low=low,
            high=high,
            steps=steps,
            batch_size=batch_size,
            accumulate=accumulate,
            bptt=bptt,
            stateful=stateful,
            seed=seed,
        )

    @with_gradients
    def profile(self, data: Any, y: Any = None, *, steps: int = 20, batch_size: int = 32) -> Profile:
        """Say where the time of a training step goes, see `Profile`; trains nothing."""
        return profile(self._session, self.optimizer, self.fit, joined(data, y), steps=steps, batch_size=batch_size)

    @property
    def gradient_norm(self) -> float:
        """The norm ‖g‖ of the last step's gradients, before `clip_norm` and after `clip_value`; NaN without a step.

        For callbacks in `on_step_end` and `on_epoch_end`. Costs nothing where nobody asks; with `clip_norm` the loop
        has it already, else the gradients are read once.
        """
        run = self._session.run
        clip = None if run is None else run.clip
        known = None if clip is None else clip.norm_before
        return gradient_norm(self.model) if known is None else known.item()
