"""Files of other programs, fine-tuned: fastai's AWD-LSTM, a state dict of PyTorch, safetensors, and ONNX.

    python examples/files_of_others.py

Nothing is downloaded: small networks are trained here first, and written as the other programs write them. Each file is
read, and the network learns something new from a few rows; its figures are told before and afterwards.

* fastai: a language model of half of Python's help texts, in the layout of `learn.save_encoder`. It learns the other
  half, and so does a network of the same size that begins anew.
* PyTorch and ONNX: a GRU that tells whether the sum of a series is positive, as a state dict, as safetensors, and as an
  ONNX file of `torch.onnx.export`. It learns another limit than 0.

Seed 0: with `--units 16 --characters 20000 --epochs 1` help texts 3.28 → 3.22 nats a character, and 3.84 for a network
that begins anew; the limit is learned alike by the three files, 86% → 96% of 500 further series.
`networks_of_others.py` does the same with the networks of g2p_en and of ml5.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

import rnnkit
from rnnkit.data.text.corpora import python_topics
from rnnkit.interop import read_awd_lstm, read_torch_layers

STEPS, LIMIT = 50, 3.0
FEATURES, HIDDEN = 3, 24  # of the series' network


def main(units: int = 64, characters: int = 200_000, epochs: int = 2, folder: Path | None = None) -> dict[str, Any]:
    """Make the files, read them, and fine-tune what they hold; return the figures."""
    folder = Path(tempfile.mkdtemp()) if folder is None else folder
    found: dict[str, Any] = {"fastai": teach_awd_lstm(folder / "encoder.pth", units, characters, epochs)}
    theirs = train_theirs()
    torch.save(theirs.state_dict(), folder / "series.pt")
    found[".pt"] = teach_limit(of_weights(folder / "series.pt"))
    try:
        from safetensors.torch import save_file

        save_file(theirs.state_dict(), folder / "series.safetensors")
        found[".safetensors"] = teach_limit(of_weights(folder / "series.safetensors"))
    except ImportError:
        print("safetensors is not installed; left out")
    try:
        import onnx  # noqa: F401

        found[".onnx"] = teach_limit(of_onnx(theirs, folder / "series.onnx"))
    except ImportError:
        print("onnx is not installed; left out: pip install 'rnnkit[onnx]'")
    for kind, (before, after) in list(found.items())[1:]:
        print(f"{kind}: {before:.0%} → {after:.0%} of the series are on the right side of {LIMIT:g}")
    return found


# --- fastai ----------------------------------------------------------------------------------------------------------


def teach_awd_lstm(path: Path, units: int, characters: int, epochs: int) -> tuple[float, float, float]:
    """Return nats a character before and after the fine-tuning, and of a network that begins anew."""
    text = "".join(one for one, _ in python_topics())[:characters]
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(one) for one in text])
    rows = ids[: len(ids) // (STEPS + 1) * (STEPS + 1)].view(-1, STEPS + 1)
    first, second = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    train, held = second[: len(second) * 4 // 5], second[len(second) * 4 // 5 :]

    torch.manual_seed(0)
    source = rnnkit.LanguageModel(len(letters), "lstm", units // 2, units, 2, tied=True)
    fit(source, first, 2 * epochs)
    write_encoder(source, path)

    model = read_awd_lstm(path, hidden_dropout=0.1, weight_dropout=0.1)
    before = nats(model, held)
    fit(model, train, epochs)
    anew = rnnkit.LanguageModel(len(letters), "lstm", units // 2, units, 2, tied=True)
    fit(anew, train, epochs)
    after, other = nats(model, held), nats(anew, held)
    print(f"fastai: {before:.2f} → {after:.2f} nats a character; a network that begins anew: {other:.2f}")
    return before, after, other


def write_encoder(model: Any, path: Path) -> None:
    """Write an encoder as fastai's `learn.save_encoder` does: the recurrent weights stand there twice."""
    weights = {"encoder.weight": model.front.weight, "encoder_dp.emb.weight": model.front.weight}
    layers = [one for one in model.body.modules() if isinstance(one, rnnkit.LSTM)]
    for number, layer in enumerate(layers):
        for name, weight in layer.named_parameters():
            weights[f"rnns.{number}.module.{name}"] = weight
        weights[f"rnns.{number}.weight_hh_l0_raw"] = layer.weight_hh_l0
    torch.save({name: weight.detach().clone() for name, weight in weights.items()}, path)


def fit(model: Any, rows: torch.Tensor, epochs: int) -> None:
    """Teach a language model rows of ids."""
    learner = rnnkit.Learner(model, lr=1e-2, clip_norm=1.0)
    learner.fit((rows[:, :-1], rows[:, 1:]), epochs=epochs, batch_size=16, seed=0, progress=False)


def nats(model: Any, rows: torch.Tensor) -> float:
    """Return the loss of a language model on rows of ids."""
    return float(rnnkit.Learner(model).evaluate((rows[:, :-1], rows[:, 1:]))["loss"])


# --- PyTorch and ONNX ------------------------------------------------------------------------------------------------


class Theirs(torch.nn.Module):
    """A network as others write it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0][:, -1])


def series(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return series, and the sum of each."""
    x = torch.randn(count, 12, FEATURES, generator=torch.Generator().manual_seed(seed))
    return x, x.sum((1, 2))


def train_theirs() -> Theirs:
    """Return a network that tells whether the sum of a series is positive, trained by PyTorch alone."""
    torch.manual_seed(0)
    model, (x, sums) = Theirs(), series(1000, seed=1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(150):
        batch = slice(step * 50 % 1000, step * 50 % 1000 + 50)
        loss = torch.nn.functional.cross_entropy(model(x[batch]), (sums[batch] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def of_weights(path: Path) -> rnnkit.SequenceClassifier:
    """Return the network of a file of weights: its GRU, and the other tensors as the head."""
    found = read_torch_layers(path, batch_first=True)
    model = rnnkit.SequenceClassifier(found.layers["encoder"], classes=2)
    model.head.load_state_dict({name.removeprefix("head."): one for name, one in found.others.items()})
    return model


def of_onnx(theirs: Theirs, path: Path) -> Any:
    """Write the network by `torch.onnx.export`, and read the file."""
    from rnnkit.interop.onnx import from_onnx

    shares = torch.nn.Sequential(theirs, torch.nn.Softmax(-1))  # the softmax tells a reader that it is a classifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of itself
        axes = {"x": {0: "batch", 1: "time"}}
        torch.onnx.export(shares, (series(2, 0)[0],), str(path), dynamo=False, input_names=["x"], dynamic_axes=axes)
    return from_onnx(path)


def teach_limit(model: Any) -> tuple[float, float]:
    """Teach a classifier another limit by 200 series; return the accuracy before and afterwards."""
    (x, sums), (further, theirs) = series(200, seed=2), series(500, seed=3)
    judged = further, (theirs > LIMIT).long()
    learner = rnnkit.Learner(model, lr=3e-2)
    before = learner.evaluate(judged)["accuracy"]
    learner.fine_tune((x, (sums > LIMIT).long()), epochs=20, seed=0, progress=False)
    return before, learner.evaluate(judged)["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=64, help="of the language model's layers")
    parser.add_argument("--characters", type=int, default=200_000, help="of the help texts")
    parser.add_argument("--epochs", type=int, default=2, help="of the language models")
    options = parser.parse_args()
    main(options.units, options.characters, options.epochs)
