"""Small runs of the common kind, for the tests of the native training step."""

import torch

import rnnkit


class Seen(rnnkit.Callback):
    """Keeps the run, and may act at its beginning or after a step."""

    def __init__(self, begin=None, step=None):
        self.run, self.begin, self.step = None, begin, step

    def on_fit_begin(self, learner, run):
        self.run = run
        if self.begin is not None:
            self.begin(run)

    def on_step_end(self, learner, step):
        if self.step is not None:
            self.step(self.run, step)

    @property
    def counts(self):
        return self.run.native.gradient_steps, self.run.native.update_steps


def rows(count=24, *, ragged=False, labels=True, outputs=2):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, 3, generator=generator)
    y = torch.arange(count) % 4 if labels else torch.randn(count, outputs, generator=generator)
    if not ragged:
        return x, y
    return [row[: 1 + number % 6] for number, row in enumerate(x)], y


def classifier(cell="GRU", layers=1, head=None, pooling="last", dropout=0.0, **options):
    torch.manual_seed(0)
    body = getattr(rnnkit, cell)(3, 8, num_layers=layers, **options)
    return rnnkit.SequenceClassifier(body, classes=4, head=head, pooling=pooling, dropout=dropout)


def fitted(model, data, *, epochs=2, callback=None, settings=None, **learner):
    callback = Seen() if callback is None else callback
    made = rnnkit.Learner(model, device="cpu", metrics=[], **learner)
    made.fit(data, epochs=epochs, batch_size=8, seed=1, progress=False, callbacks=[callback], **(settings or {}))
    return made, callback
