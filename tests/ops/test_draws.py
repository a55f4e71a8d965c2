"""Random masks: shares, independence of threads and CPU family, seeds."""

import os
import subprocess
import sys

import torch

from rnnkit.ops.backend import native_core
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


def test_threads_and_families_draw_the_same():
    def drawn(threads):
        torch.set_num_threads(threads)
        torch.manual_seed(3)
        return bernoulli((700, 600), 0.3, 1.0, torch.zeros(())).nonzero().sum().item()

    before = torch.get_num_threads()
    try:
        found = {drawn(threads) for threads in (1, 2, 3)}
    finally:
        torch.set_num_threads(before)
    program = (
        "import torch; from rnnkit.ops.draws import bernoulli; torch.manual_seed(3); torch.set_num_threads(2)\n"
        "print(bernoulli((700, 600), 0.3, 1.0, torch.zeros(())).nonzero().sum().item())"
    )
    cpu = native_core().cpu_info()
    for family in set(cpu["available"]) - {cpu["chosen"]}:
        environment = os.environ | {"RNNKIT_CPU": family}
        command = [sys.executable, "-c", program]
        found.add(int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout))
    assert len(found) == 1
