"""scikit-learn's own checks of what an estimator is."""

from sklearn.utils.estimator_checks import parametrize_with_checks

import rnnkit
from rnnkit.estimators import EXPECTED_FAILED_CHECKS

# Small and quick, between them with and without the front end, dropout and made-up changes.
CLASSIFIER = rnnkit.RNNClassifier(
    hidden_size=8, settings={"channels": 4, "kernel_sizes": (3, 5)}, epochs=5, batch_size=50, learning_rate=0.05
)
REGRESSOR = rnnkit.RNNRegressor(
    cell="simple_rnn", hidden_size=32, bidirectional=False, pooling="last", front="none", dropout=0, augment=0,
    epochs=8, batch_size=32, learning_rate=0.03,
)  # fmt: skip


@parametrize_with_checks([CLASSIFIER, REGRESSOR], expected_failed_checks=lambda _: EXPECTED_FAILED_CHECKS)
def test_scikit_learn(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it a check would skip itself
    check(estimator)
