"""Networks that others trained, fine-tuned: letters to phonemes (g2p_en), and a model of characters (ml5).

    python examples/networks_of_others.py --g2p checkpoint20.npz --charrnn models/shakespeare

Without options both are looked for under `weights` in the folder RNNKIT_DATA; what is not there is left out.
`checkpoint20.npz` lies in the package g2p_en (`pip download --no-deps g2p_en==2.1.0`, a zip file); the folders of ml5
are those of github.com/ml5js/ml5-data-and-models, models/charRNN.

* g2p_en learns twelve Chinese surnames in pinyin, which it reads as English words. What it forgets of English is told:
  the share of 200 common words that it pronounces as before. Every second batch is of such words, so little is lost.
* ml5's model of Shakespeare learns the help texts that Python brings along. Its loss in nats a character is told before
  and afterwards, on the last tenth of them.

Seed 0, a minute on one core: of 12 surnames 0 are right before and 9 afterwards, 197 of the 200 English words are as
before; help texts 6.44 → 1.45 nats a character.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
from pathlib import Path

import numpy as np
import torch

import rnnkit
from rnnkit.data.text.corpora import python_topics
from rnnkit.interop import read_charrnn, read_g2p
from rnnkit.interop.g2p import Pronouncer, letter_ids, phoneme_ids
from rnnkit.training import SequenceToSequence

SURNAMES = {
    "zhang": "JH AA1 NG", "wang": "W AA1 NG", "qian": "CH Y EH1 N", "xu": "SH UW1", "cao": "T S AW1", "zhou": "JH OW1",
    "zeng": "D Z AH1 NG", "guo": "G W AO1", "he": "HH ER1", "xie": "SH Y EH1", "cui": "T S W EY1", "qin": "CH IH1 N",
}  # fmt: skip


def main() -> None:
    """Fine-tune what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--g2p", type=Path, help="checkpoint20.npz of g2p_en")
    parser.add_argument("--charrnn", type=Path, help="a folder of ml5's charRNN")
    parser.add_argument("--epochs", type=int, default=30, help="for the surnames; for the texts a tenth of them")
    options = parser.parse_args()
    weights = Path(os.environ.get("RNNKIT_DATA", ".")) / "weights"
    g2p = options.g2p or weights / "g2p_en" / "checkpoint20.npz"
    charrnn = options.charrnn or weights / "charrnn_ml5" / "shakespeare"
    for path, run in ((g2p, teach_surnames), (charrnn, teach_help)):
        if path.exists():
            run(path, options.epochs)
        else:
            print(f"{path} is not there; left out (see --help)")


def teach_surnames(path: Path, epochs: int) -> None:
    """Teach g2p_en surnames, and tell what it forgets of English."""
    pronounce = read_g2p(path)
    words = english_words(200)
    before = pronounce(words)
    print(f"surnames before: {right(pronounce)} of {len(SURNAMES)}; zhang is {' '.join(pronounce(['zhang'])[0])}")
    old = [(word, found) for word, found in zip(words, before, strict=True) if found]
    new = [(word, found.split()) for word, found in SURNAMES.items()]
    pairs = old + new * (len(old) // len(new))
    inputs = [np.array(letter_ids(word)) for word, _ in pairs]
    targets = [np.array(phoneme_ids(found)) for _, found in pairs]
    learner = rnnkit.Learner(
        pronounce.model, objective=SequenceToSequence(start=pronounce.model.start), lr=1e-3, clip_norm=1.0
    )
    learner.fit((inputs, targets), epochs=epochs, batch_size=32, seed=0)
    same = sum(was == now for was, now in zip(before, pronounce(words), strict=True))
    print(f"surnames afterwards: {right(pronounce)} of {len(SURNAMES)}; English as before: {same} of {len(words)}")


def right(pronounce: Pronouncer) -> int:
    """Return how many surnames are pronounced right."""
    return sum(found == true.split() for found, true in zip(pronounce(list(SURNAMES)), SURNAMES.values(), strict=True))


def english_words(count: int) -> list[str]:
    """Return frequent words of Python's help texts."""
    found = collections.Counter(re.findall(r"\b[a-z]{3,10}\b", help_texts()))
    return [word for word, _ in found.most_common(count)]


def help_texts() -> str:
    """Return Python's help texts."""
    return "\n".join(text for text, _ in python_topics())


def teach_help(path: Path, epochs: int) -> None:
    """Teach a model of characters Python's help texts, and tell its loss before and afterwards."""
    model, tokenizer = read_charrnn(path)
    known = set(tokenizer.tokens)
    text = "".join(one for one in help_texts() if one in known)
    ids = torch.as_tensor(tokenizer.encode(text)).long()
    rows = ids[: len(ids) // 101 * 101].view(-1, 101)
    train, held = rows[: len(rows) * 9 // 10], rows[len(rows) * 9 // 10 :]
    learner = rnnkit.Learner(model, lr=1e-3, clip_norm=1.0)
    before = learner.evaluate((held[:, :-1], held[:, 1:]))["loss"]
    learner.fit((train[:, :-1], train[:, 1:]), epochs=max(1, epochs // 10), batch_size=32, seed=0)
    after = learner.evaluate((held[:, :-1], held[:, 1:]))["loss"]
    print(f"help texts: {before:.2f} nats a character before, {after:.2f} afterwards")


if __name__ == "__main__":
    main()
