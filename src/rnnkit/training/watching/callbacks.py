"""Callbacks: hooks at the begin of a run, in each step, after each epoch and at its end.

The order of a run's callbacks is stated by their attribute `order`; equal ones are called as they were passed:

| order | callback           | what it does                                                              |
| ----: | ------------------ | ------------------------------------------------------------------------- |
|     0 | `DivergenceRescue` | puts the last epoch's weights back when the loss turns NaN or infinite    |
|     5 | `BestWeights`      | keeps the best epoch's weights, and ends the run with them                |
|    10 | `WeightAveraging`  | averages the weights; validation and checkpoints see the average          |
|    50 | the user's         |                                                                           |
|    80 | `EarlyStopping`    | ends the run when the monitored figure gets no better                     |
|    90 | `Checkpoints`      | writes the model and the state of the run                                 |

`fit` adds the built-in ones that its arguments ask for. A callback of the same class, or a subclass, in
`fit(callbacks=...)` takes the place of the built-in one. Hooks are called in this order, `on_train_end` in the reverse.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, Protocol, runtime_checkable

from ...errors import ConfigError, suggest
from ..history import History, Row
from ..signatures import parameters_of, takes


class Callback:
    """Hooks of a run; override those you need. A hook that no callback overrides is never called.

    A step is an update of the weights, counted from 0 over the whole run; with `accumulate=N` it learns from N batches.
    `learner.stop()` in any hook ends the run after the current step. `learner.model`, `learner.history` and `run`
    (:class:`rnnkit.training.loop.Run`, the parts of the loop) may be read and changed.

    Attributes:
        order: see the module; 50 unless a subclass says otherwise.
        state_name: the name of the callback's state in a checkpoint; None: by its class and number.

    Under torchrun every process calls them; those that write should look at `learner.rank` first.

    Example:
        >>> import torch
        >>> from rnnkit import Learner
        >>> class Norm(Callback):
        ...     def on_fit_begin(self, learner, run):
        ...         self.norms = []
        ...     def on_backward_end(self, learner, step):
        ...         self.norms.append(float(learner.model.weight.grad.norm()))
        ...         if step == 2:
        ...             learner.stop()
        >>> watch, x = Norm(), torch.ones(8, 2)
        >>> learner = Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), epochs=9, batch_size=4, callbacks=[watch], progress=False).stopped
        'callback'
        >>> len(watch.norms)
        3
    """

    order: ClassVar[int] = 50
    state_name: ClassVar[str | None] = None

    def on_prepare(self, learner: Any, run: Any) -> None:
        """The parts of the run are made; the state of a resumed run is not yet loaded."""

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        """Before the first step, or the first after a resume: then `learner.history` holds the earlier epochs."""

    def on_backward_end(self, learner: Any, step: int) -> None:
        """The gradients of the step are complete, not yet clipped; with precision="16-mixed" still scaled.

        The next step may write into the same tensors: clone a gradient that you keep.
        """

    def on_step_end(self, learner: Any, step: int) -> None:
        """The optimizer has made the step; the gradients are still there."""

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        """An epoch is over, its row the last of `learner.history`; its checkpoint is written next."""

    def on_epoch_closed(self, learner: Any, row: Row) -> None:
        """All callbacks have seen the epoch, and `learner.history.stopped` says whether the run goes on."""

    def on_train_end(self, learner: Any, history: History) -> None:
        """Training ended without an error; what the run ends with may still be put into the model."""

    def on_exception(self, learner: Any, error: BaseException) -> None:
        """An error ended the run. Raise another error here to replace it."""

    def on_fit_end(self, learner: Any, history: History) -> None:
        """The run is over, also after an error or Ctrl-C; the weights are those that `fit` leaves."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: JSON values and tensors, nested as one likes. Kept with each checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave; called before `on_fit_begin` of a resumed run."""


@runtime_checkable
class Hooks(Protocol):
    """What every :class:`Callback` has. Objects of packages that may not import this one have it too."""

    def on_fit_begin(self, learner: Any, run: Any) -> None: ...
    def on_backward_end(self, learner: Any, step: int) -> None: ...
    def on_step_end(self, learner: Any, step: int) -> None: ...
    def on_epoch_end(self, learner: Any, row: Any) -> None: ...
    def on_fit_end(self, learner: Any, history: Any) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


CallbackLike = Hooks | Callable[[Any, Row], object]

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
_NO_BEGIN = "on_epoch_closed, after the epoch before, or on_fit_begin for the first"
# Hooks of Keras and Lightning, and what does the same here.
_ELSEWHERE = {
    "on_train_begin": "on_fit_begin",
    "on_train_start": "on_fit_begin",
    "on_fit_start": "on_fit_begin",
    "on_batch_end": "on_step_end",
    "on_train_batch_end": "on_step_end",
    "on_batch_begin": "on_step_end, after the step before",
    "on_train_batch_begin": "on_step_end, after the step before",
    "on_train_batch_start": "on_step_end, after the step before",
    "on_after_backward": "on_backward_end",
    "on_before_optimizer_step": "on_backward_end",
    "on_epoch_begin": _NO_BEGIN,
    "on_epoch_start": _NO_BEGIN,
    "on_train_epoch_start": _NO_BEGIN,
    "on_train_epoch_end": "on_epoch_end",
    "on_validation_end": "on_epoch_end",
    "on_validation_epoch_end": "on_epoch_end",
    "on_test_end": "on_epoch_end",
}


def check_callbacks(callbacks: Any) -> tuple[CallbackLike, ...]:
    """Return the callbacks as a tuple.

    Raises:
        ConfigError: an object that is no callback, or a single callback instead of a list; a hook that does not exist
            or does not take what it is called with.
    """
    if isinstance(callbacks, Hooks) or callable(callbacks) or not isinstance(callbacks, Iterable):
        raise ConfigError(f"callbacks={callbacks!r} arrived; expected a list: callbacks=[...]")
    found = tuple(callbacks)
    for callback in found:
        if isinstance(callback, type) or not (isinstance(callback, Hooks) or callable(callback)):
            what = f"the class {callback.__name__}" if isinstance(callback, type) else repr(callback)
            raise ConfigError(
                f"{what} arrived in callbacks; expected a rnnkit.Callback, or a callable (learner, row) for after "
                "each epoch"
            )
        if isinstance(callback, Hooks):
            _check_hooks(callback)
        elif not takes(callback, 2):
            name = getattr(callback, "__name__", type(callback).__name__)
            raise ConfigError(
                f"the callback {name} takes {parameters_of(callback)}; expected (learner, row), which it is called "
                "with after each epoch"
            )
    return found


def _check_hooks(callback: Hooks) -> None:
    """Raise `ConfigError` for a hook that would never be called, or could not be."""
    kind = type(callback).__name__
    names = sorted({*dir(type(callback)), *getattr(callback, "__dict__", ())})
    for name in names:
        if name.startswith("on_") and name not in _HOOKS and callable(inspect.getattr_static(callback, name, None)):
            instead = _ELSEWHERE.get(name)
            near = suggest(name, _HOOKS) if instead is None else f"; type {instead}"
            raise ConfigError(
                f"{kind}.{name} is no hook of a callback, so nothing would call it{near}",
                note=f"a method of your own needs a name that does not begin with on_: {name.removeprefix('on_')}",
            )
    for name in (*_HOOKS, "state_dict", "load_state_dict"):
        stub, method = getattr(Callback, name), getattr(callback, name, None)
        expected = tuple(inspect.signature(stub).parameters)
        if callable(method) and not takes(method, len(expected) - 1):
            raise ConfigError(
                f"{kind}.{name} takes {parameters_of(method)} beside self; type def {name}({', '.join(expected)})"
            )


def with_defaults(callbacks: Iterable[CallbackLike], defaults: Iterable[Callback]) -> tuple[CallbackLike, ...]:
    """Return callbacks and defaults in their order, without defaults of a class that the callbacks have."""
    users = tuple(callbacks)
    added = [one for one in defaults if not any(isinstance(user, type(one)) for user in users)]
    return tuple(sorted((*added, *users), key=lambda one: getattr(one, "order", Callback.order)))


class Callbacks:
    """The callbacks of a run, sorted by the hooks that they override, so that a step pays for no other.

    Args:
        learner: what the hooks are called with.
        callbacks: in their order.
    """

    def __init__(self, learner: Any, callbacks: Iterable[CallbackLike]) -> None:
        self.learner, self.all = learner, tuple(callbacks)
        self.backward_end = self._hooks("on_backward_end")
        self.step_end = self._hooks("on_step_end")

    def prepare(self, run: Any) -> None:
        for hook in self._hooks("on_prepare"):
            hook(run)

    def fit_begin(self, run: Any) -> None:
        for hook in self._hooks("on_fit_begin"):
            hook(run)

    def epoch_end(self, row: Row) -> None:
        for callback in self.all:
            (callback.on_epoch_end if isinstance(callback, Hooks) else callback)(self.learner, row)

    def epoch_closed(self, row: Row) -> None:
        for hook in self._hooks("on_epoch_closed"):
            hook(row)

    def train_end(self, history: History) -> None:
        for hook in reversed(self._hooks("on_train_end")):
            hook(history)

    def exception(self, error: BaseException) -> None:
        """Call all hooks with the error, then raise what one of them raised in its place, if any did."""
        self._call_all("on_exception", error)

    def fit_end(self, history: History) -> None:
        """Call all hooks, then raise what one of them raised, if any did."""
        self._call_all("on_fit_end", history)

    def _call_all(self, name: str, argument: Any) -> None:
        raised: BaseException | None = None
        for hook in self._hooks(name):
            try:
                hook(argument)
            except BaseException as error:
                raised = raised or error
        if raised is not None:
            raise raised from raised.__cause__

    def state_dict(self) -> dict[str, Any]:
        return {name: callback.state_dict() for name, callback in self._named()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give each callback its state back; one that the earlier run did not have starts anew."""
        for name, callback in self._named():
            if name in state:
                callback.load_state_dict(state[name])

    def parts(self) -> dict[str, Hooks]:
        """Return the callbacks whose state has a name of its own in a checkpoint."""
        named = ((getattr(one, "state_name", None), one) for one in self.all)
        return {name: one for name, one in named if name is not None and isinstance(one, Hooks)}

    def _named(self) -> Iterator[tuple[str, Hooks]]:
        """The others by their class and their number among those of that class: "Recorder 1", "Recorder 2"."""
        seen: Counter[str] = Counter()
        for callback in self.all:
            if isinstance(callback, Hooks) and getattr(callback, "state_name", None) is None:
                name = type(callback).__name__
                seen[name] += 1
                yield f"{name} {seen[name]}", callback

    def _hooks(self, name: str) -> tuple[Callable[[Any], object], ...]:
        """The methods of that name that somebody wrote, in the class or on the object, with the learner bound."""
        stub = getattr(Callback, name)
        hooks = [getattr(callback, name, stub) for callback in self.all if isinstance(callback, Hooks)]
        return tuple(partial(hook, self.learner) for hook in hooks if getattr(hook, "__func__", hook) is not stub)
