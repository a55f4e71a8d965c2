"""Arguments of a model by the names of other libraries, and what to type."""

from __future__ import annotations

_BODY = "give it to the body: rnnkit.{model}(rnnkit.GRU(input_size, hidden_size), ...)"
_LEARNER = "give it to the learner: rnnkit.Learner(model, {name}=...)"
_OF_BODY = (
    "units", "hidden_size", "input_size", "num_layers", "bidirectional", "batch_first", "recurrent_dropout",
    "nonlinearity", "input_shape", "return_sequences",
)  # fmt: skip
_OF_LEARNER = ("loss", "optimizer", "metrics", "lr", "class_weights", "label_smoothing", "device", "precision")
_OTHERS = {
    "embedding": "type front=torch.nn.Embedding(tokens, features)",
    "vocab_size": "type front=torch.nn.Embedding(tokens, features)",
    "epochs": "give it to learner.fit",
    "batch_size": "give it to learner.fit",
}
# The number of outputs, by other names.
_COUNTS = ("num_classes", "n_classes", "output_size", "output_dim", "n_outputs", "num_outputs", "classes", "outputs")


def renamed(argument: str) -> dict[str, str]:
    """Return other names of a model's number of outputs, which it calls `argument`."""
    return {**{name: argument for name in _COUNTS if name != argument}, "layer": "body", "rnn": "body"}


def instead(model: str, **own: str) -> dict[str, str]:
    """Return what to type for arguments of other classes; `own` is for this model alone."""
    of_body = {name: _BODY.format(model=model) for name in _OF_BODY}
    return of_body | {name: _LEARNER.format(name=name) for name in _OF_LEARNER} | _OTHERS | own
