"""The main job in ten lines: a recurrent network reads MNIST images row by row."""

import rnnkit
from rnnkit.data import mnist

train, test = mnist.load()
body = rnnkit.SimpleRNN(28, 128, nonlinearity="relu", init="keras")
model = rnnkit.SequenceClassifier(body, classes=10)
learner = rnnkit.Learner(model, loss="cross_entropy", optimizer="adam", metrics=["accuracy"])
learner.fit(train, epochs=10, batch_size=32, seed=0)
print(f"Accuracy: {learner.evaluate(test)['accuracy']:.2%}")
