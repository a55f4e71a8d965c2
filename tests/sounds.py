"""Small made sound: tones as words."""

import math
from pathlib import Path

import torch

from rnnkit.data.audio import write_wav

RATE = 8000
TONES = {"low": 300.0, "mid": 900.0, "high": 2200.0}
# Settings of a small network that learns them.
SMALL = (
    "features.bands=12 features.hop_ms=20 features.norm=training model.hidden_size=24 model.num_layers=1 "
    "model.channels=24 model.kernel_sizes=3 model.strides=2 model.dropout=0 model.front_dropout=0 fit.epochs=12 "
    "fit.batch_size=4 fit.lr=0.01 fit.average=none data.tokens=word augment.room=0 augment.warp=0 augment.speed=0 "
    "augment.time_masks=0 augment.band_masks=0 augment.noise=0 augment.tilt=0 decode.tail=0.2 decode.endpoint=0"
)


def tone(word, seconds=0.16, seed=0):
    """A word: a tone of a height of its own, that fades in and out, in a little noise."""
    generator = torch.Generator().manual_seed(seed)
    count = round(seconds * RATE)
    height = TONES[word] * (1 + 0.06 * float(torch.rand((), generator=generator) - 0.5))
    time = torch.arange(count) / RATE
    envelope = torch.sin(math.pi * torch.arange(count) / count).sqrt()
    return 0.4 * envelope * torch.sin(2 * math.pi * height * time) + 0.002 * torch.randn(count, generator=generator)


def sentence(text, seed=0, gap=0.06):
    """Words with gaps between, before and behind them."""
    generator = torch.Generator().manual_seed(1000 + seed)
    silence = [0.002 * torch.randn(round(gap * RATE), generator=generator) for _ in range(len(text.split()) + 1)]
    parts = [silence[0]]
    for number, word in enumerate(text.split()):
        parts += [tone(word, seed=seed * 10 + number), silence[number + 1]]
    return torch.cat(parts)


def sentences(count, seed=0, most=3):
    """Texts of one to three words, drawn."""
    generator = torch.Generator().manual_seed(seed)
    words = list(TONES)
    return [
        " ".join(words[at] for at in torch.randint(len(words), (1 + number % most,), generator=generator).tolist())
        for number in range(count)
    ]


def write_folder(folder, count, seed=0):
    """Recordings with transcripts beside them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(sentences(count, seed)):
        write_wav(folder / f"{number:03}.wav", sentence(text, seed * 100 + number), RATE)
        (folder / f"{number:03}.txt").write_text(text.capitalize() + ".")
    return folder


def write_noise(path, seconds=0.5, rate=RATE, seed=None):
    """A file of noise, another one for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(len(str(path)) if seed is None else seed)
    write_wav(path, torch.rand(round(seconds * rate), generator=generator) - 0.5, rate)
