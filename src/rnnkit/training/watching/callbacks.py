"""What a user hangs into a run: hooks at its begin, in each step, after each epoch and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ...errors import ConfigError
from .history import History, Row

if TYPE_CHECKING:
    from ..learner import Learner
    from ..loop import Run


class Callback:
    """Hooks of a run; override those you need. A hook that no callback overrides is never called.

    A step is an update of the weights, counted from 0 over the whole run; with `accumulate=N` it learns from N batches.
    `learner.stop()` in any hook ends the run after the step at hand, without further ado; `learner.model`,
    `learner.history` and `run` (:class:`rnnkit.training.loop.Run`, the loop's own parts) may be looked at and changed.
    Callbacks are called in the order in which they were passed, for each hook anew.

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

    def on_fit_begin(self, learner: Learner, run: Run) -> None:
        """Before the first step, or the first after a resume: then `learner.history` holds the earlier epochs."""

    def on_backward_end(self, learner: Learner, step: int) -> None:
        """The gradients of the step are complete, not yet clipped; with precision="16-mixed" still scaled."""

    def on_step_end(self, learner: Learner, step: int) -> None:
        """The optimizer has made the step; the gradients are still there."""

    def on_epoch_end(self, learner: Learner, row: Row) -> None:
        """An epoch is over, its row the last of `learner.history`; its checkpoint is written next."""

    def on_fit_end(self, learner: Learner, history: History) -> None:
        """The run is over, also after an error or Ctrl-C; the weights are those that `fit` leaves."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: JSON values and tensors, nested as one likes. Kept with each checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave; called before `on_fit_begin` of a resumed run."""


@runtime_checkable
class Hooks(Protocol):
    """What every :class:`Callback` has: objects of rooms that may not import this one have it too."""

    def on_fit_begin(self, learner: Any, run: Any) -> None: ...
    def on_backward_end(self, learner: Any, step: int) -> None: ...
    def on_step_end(self, learner: Any, step: int) -> None: ...
    def on_epoch_end(self, learner: Any, row: Any) -> None: ...
    def on_fit_end(self, learner: Any, history: Any) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


CallbackLike = Hooks | Callable[["Learner", Row], object]


class Callbacks:
    """The callbacks of a run, sorted by the hooks that they override, so that a step pays for no other."""

    def __init__(self, learner: Learner, callbacks: Iterable[CallbackLike]) -> None:
        self.learner, self.all = learner, tuple(callbacks)
        for callback in self.all:
            if isinstance(callback, type) or not (isinstance(callback, Hooks) or callable(callback)):
                what = f"the class {callback.__name__}" if isinstance(callback, type) else repr(callback)
                raise ConfigError(
                    f"{what} arrived in callbacks; expected a rnnkit.Callback, or a callable (learner, row) for after "
                    "each epoch"
                )
        self.backward_end = self._hooks("on_backward_end")
        self.step_end = self._hooks("on_step_end")

    def fit_begin(self, run: Run) -> None:
        for hook in self._hooks("on_fit_begin"):
            hook(run)

    def epoch_end(self, row: Row) -> None:
        for callback in self.all:
            (callback.on_epoch_end if isinstance(callback, Hooks) else callback)(self.learner, row)

    def fit_end(self, history: History) -> None:
        for hook in self._hooks("on_fit_end"):
            hook(history)

    def state_dict(self) -> dict[str, Any]:
        return {name: callback.state_dict() for name, callback in self._named()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Gives each callback its state back; one that the earlier run did not have starts anew."""
        for name, callback in self._named():
            if name in state:
                callback.load_state_dict(state[name])

    def _named(self) -> Iterator[tuple[str, Hooks]]:
        """The callbacks by their class and their number among those of that class: "Recorder 1", "Recorder 2"."""
        seen: Counter[str] = Counter()
        for callback in self.all:
            if isinstance(callback, Hooks):
                name = type(callback).__name__
                seen[name] += 1
                yield f"{name} {seen[name]}", callback

    def _hooks(self, name: str) -> tuple[Callable[[Any], object], ...]:
        """The methods of that name that somebody wrote, in the class or on the object, given the learner already."""
        stub = getattr(Callback, name)
        hooks = [getattr(callback, name) for callback in self.all if isinstance(callback, Hooks)]
        return tuple(partial(hook, self.learner) for hook in hooks if getattr(hook, "__func__", hook) is not stub)
