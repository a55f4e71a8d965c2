"""The example on copying, on a few short rows."""

import torch

from examples import copying
from rnnkit.data import problems


def test_it_trains_and_draws(tmp_path, capsys):
    shares = copying.main(5, tmp_path, rows=300, epochs=1, hidden=8)
    printed = capsys.readouterr().out
    assert set(shares) == set(copying.networks(5, 8))
    assert all(name in printed for name in shares)
    assert (tmp_path / "copying.png").stat().st_size > 1000


def test_the_share_counts_the_word_alone():
    class Oracle(torch.nn.Module):
        def forward(self, x):
            answer = torch.nn.functional.one_hot(torch.full(x.shape[:2], 8), 9).float()
            answer[:, -10:-5] = torch.nn.functional.one_hot(x[:, :5].argmax(-1), 9).float()  # the first half of it
            return answer

    assert copying.repeated(Oracle(), problems.copying(20, 7)) == 0.5
