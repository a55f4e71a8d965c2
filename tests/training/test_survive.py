"""Two processes that are killed go on to the bits of a run that was not; `python tests/survive.py 30` kills more."""

import pytest
import survive
import together

from rnnkit.cli.member import is_loss


@pytest.mark.parametrize("background", [False, True])
def test_killed_processes_go_on_to_the_same_bits(tmp_path, background):
    with together.search_path():
        kills, _, ends = survive.kill_often(2, tmp_path, seed=int(background), every=3, background=background, epochs=2)
    assert kills == 2
    assert ends
    assert all(ends)


def test_a_process_that_says_nothing_is_given_up(tmp_path):
    with together.search_path():
        first, second = together.start(survive.stall, str(tmp_path / "seen"), world=2, RNNKIT_TIMEOUT="1.5")
        assert together.finish([first], 60) == [0]
        second.kill()
        second.join()
    seconds, _, message = (tmp_path / "seen").read_text().partition(" ")
    assert 1 < float(seconds) < 30
    assert is_loss(RuntimeError(message))
