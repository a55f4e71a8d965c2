"""The main job in ten lines: a recurrent network reads MNIST images row by row.

Run: python examples/mnist.py
"""

import argparse

import rnnkit
from rnnkit.data import mnist

argparse.ArgumentParser(description=__doc__).parse_args()
train, test = mnist.load()
body = rnnkit.SimpleRNN(28, 128, nonlinearity="relu", init="keras")
model = rnnkit.SequenceClassifier(body, classes=10)
learner = rnnkit.Learner(model, loss="cross_entropy", optimizer="adam", metrics=["accuracy"])
learner.fit(train, epochs=10, batch_size=32, seed=0)
print(f"Accuracy: {learner.evaluate(test)['accuracy']:.2%}")
