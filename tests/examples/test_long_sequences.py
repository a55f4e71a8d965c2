"""The example on long sequences, on a few short rows."""

from examples import long_sequences


def test_it_measures_trains_and_draws(tmp_path, capsys):
    errors = long_sequences.main(30, tmp_path, rows=300, epochs=2, hidden=8)
    printed = capsys.readouterr().out
    assert set(errors) == set(long_sequences.networks(30, 8))
    assert all(name in printed for name in errors)
    assert {path.name for path in tmp_path.iterdir()} == {"gradients.png", "learning.png"}


def test_the_gates_keep_gradients_that_tanh_loses():
    import torch

    import rnnkit
    from rnnkit.data.problems import adding
    from rnnkit.diagnostics import gradient_flow

    x, y = adding(16, 200)
    far = {}
    for name, (make, _, _) in long_sequences.networks(200, 32).items():
        torch.manual_seed(0)
        model = rnnkit.SequenceRegressor(make())
        far[name] = gradient_flow(model, x, y, torch.nn.functional.mse_loss).layers[0].far_to_near
    assert far["tanh"] < 1e-20
    assert far["GRU"] < 1e-3
    assert far["ReLU, identity × 1.02"] > 10
    assert 0.05 < far["GRU, chrono"] < 20
    assert 0.05 < far["ReLU, identity"] < 20
