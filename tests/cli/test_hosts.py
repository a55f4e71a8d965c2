"""Training over two hosts, of which one is cut off in mid-run and comes back."""

import os

import hosts
import pytest


@pytest.mark.skipif(os.environ.get("RNNKIT_HOSTS") != "1", reason="takes a minute; RNNKIT_HOSTS=1 runs it")
def test_a_host_that_is_cut_off_comes_back(tmp_path):
    reason = hosts.why_not()
    if reason is not None:
        pytest.fail(f"two hosts cannot be made here: {reason}")
    codes, printed = hosts.cut_and_come_back(tmp_path)
    assert codes == [0, 0], printed
    assert "Going on" in printed
    assert "epoch 8/8" in printed
