"""Random masks: shares, independence of threads and CPU family, seeds."""

import torch

from rnnkit.ops.draws import bernoulli

LIKE = torch.zeros(())


def test_share_values_and_seed():
    for probability in (0.0, 0.1, 0.5, 0.9, 1.0):
        torch.manual_seed(1)
        drawn = bernoulli((1000, 500), probability, 2.5, LIKE)
        assert set(drawn.unique().tolist()) <= {0.0, 2.5}
        assert abs((drawn > 0).float().mean().item() - probability) < 4 * (0.25 / drawn.numel()) ** 0.5
        torch.manual_seed(1)
        assert torch.equal(drawn, bernoulli((1000, 500), probability, 2.5, LIKE))
        assert probability in (0.0, 1.0) or not torch.equal(drawn, bernoulli((1000, 500), probability, 2.5, LIKE))


def test_rows_columns_and_neighbours_are_independent():
    torch.manual_seed(2)
    for drawn in (bernoulli((512, 512), 0.5, 1.0, LIKE), bernoulli((512, 512), 0.5, 1.0, LIKE.double()).float()):
        centred = drawn - 0.5
        deviation = 0.5 / 512**0.5
        assert centred.mean(0).abs().max() < 5 * deviation
        assert centred.mean(1).abs().max() < 5 * deviation
        for shift in ((0, 1), (1, 0), (1, 1), (0, 16), (64, 0)):
            product = (centred * centred.roll(shift, (0, 1))).mean()
            assert abs(product.item()) < 5 * 0.25 / 512


def test_threads_draw_the_same():
    """So do families of processors: tests/ops/test_torch.py, where each has a process of its own."""
    before = torch.get_num_threads()
    found = set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(3)
            found.add(bernoulli((700, 600), 0.3, 1.0, torch.zeros(())).nonzero().sum().item())
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
