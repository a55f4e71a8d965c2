"""Learn to write Chinese verse, character by character, and write some: text in, a model, text out.

`python examples/poems.py poems.txt` reads a file of your own, a poem a line. Without one it learns the few lines below
by heart. `rnnkit train lm-tang` trains on 6,003 poems of the Tang dynasty.
"""

import argparse

import torch

import rnnkit
from rnnkit.data import read_texts, tokenize, train_tokenizer
from rnnkit.generation import generate

VERSES = [
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。",
]


def main(file=None, epochs=30, begin="春"):
    poems = VERSES * 25 if file is None else [text for text, _ in read_texts(file, unit="line")]
    tokenizer = train_tokenizer("char", poems)
    tokens = tokenize(poems, tokenizer)
    torch.manual_seed(0)
    model = rnnkit.LanguageModel(len(tokenizer), "gru", embedding_size=32, hidden_size=96, num_layers=1, tied=False)
    learner = rnnkit.Learner(model, lr=1e-2, clip_norm=1.0)
    learner.fit(tokens.batches(8, 24), stateful=True, epochs=epochs, schedule="warmup_cosine", seed=0)
    end = [tokenizer.end]
    found = generate(
        model,
        [begin] * 3,
        encode=tokenizer.encode,
        decode=tokenizer.decode,
        stop_ids=end,
        max_tokens=30,
        temperature=0.7,
        seed=[1, 2, 3],
    )
    for text in found.texts:
        print(begin + text)
    return [begin + text for text in found.texts]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="a text file with a poem a line")
    main(parser.parse_args().file)
