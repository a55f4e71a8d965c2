"""A run that may be killed at any moment: started again, it goes on and ends with the same weights, bit for bit.

Run it, press Ctrl-C or `kill -9` it, run it again. `runs/resume/model.safetensors` is for use all the while.
"""

import argparse

import torch

import rnnkit
from rnnkit.data import mnist


def main(folder="runs/resume", data=None, epochs=10):
    train, test = mnist.load(data)
    torch.manual_seed(0)  # the first start draws the weights; later ones take those of the checkpoint
    model = rnnkit.SequenceClassifier(rnnkit.GRU(28, 128, batch_first=True), classes=10)
    learner = rnnkit.Learner(model, clip_norm=1.0)
    history = learner.fit(
        train,
        epochs=epochs,
        schedule="warmup_cosine",
        average="ema",
        seed=0,
        checkpoint=folder,  # gets the model after each epoch, and the state of the run
        resume=True,  # goes on from that state, if there is one
        checkpoint_every=500,  # steps; without, every 5 minutes within an epoch
    )
    print(f"{history.stopped} after {len(history.rows)} epochs, {learner.evaluate(test)['accuracy']:.2%}")
    return learner


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
