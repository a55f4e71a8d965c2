"""The native core's threads: other programs that use the cores change who computes, never what."""

import os
import threading

import fresh
import pytest
import torch

import rnnkit
from rnnkit import _native
from rnnkit.ops.machine import busy_cores_of_others

SHARED_CORES = 2.0


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def contended(two_threads):
    """Returns the function that says how many cores other programs use; it is undone behind the test."""
    yield _native.assume_busy_cores_of_others
    _native.assume_busy_cores_of_others(-1.0)


def results(layer, x):
    layer.zero_grad()
    output, _ = layer(x)
    output.square().sum().backward()
    return [output.detach().clone(), *(parameter.grad.clone() for parameter in layer.parameters())]


LAYERS = {
    "simple_rnn": (lambda: rnnkit.SimpleRNN(20, 96, batch_first=True), 33),
    "lstm": (lambda: rnnkit.LSTM(20, 64, num_layers=2, batch_first=True), 17),
    "gru": (lambda: rnnkit.GRU(20, 64, bidirectional=True, batch_first=True), 9),
    "lstm by units": (lambda: rnnkit.LSTM(64, 512, batch_first=True), 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_beside_other_programs(contended, name):
    make, rows = LAYERS[name]
    torch.manual_seed(0)
    layer, x = make(), torch.randn(rows, 30, 64 if "units" in name else 20)
    contended(0.0)
    expected = results(layer, x)
    for _ in range(3):
        contended(SHARED_CORES)
        found = results(layer, x)
        contended(0.0)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_several_python_threads_at_once(contended):
    contended(SHARED_CORES)
    torch.manual_seed(0)
    layer, x = rnnkit.GRU(16, 64, batch_first=True), torch.randn(32, 40, 16)
    expected = layer(x)[0].detach()
    wrong = []

    def compute():
        with torch.no_grad():
            wrong.extend(not torch.equal(layer(x)[0], expected) for _ in range(20))

    threads = [threading.Thread(target=compute) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 80


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads by /proc")
def test_threads_do_not_pile_up(contended):
    layer, x = rnnkit.SimpleRNN(16, 128, batch_first=True), torch.randn(32, 40, 16)
    counts = []
    for _ in range(30):
        contended(SHARED_CORES)
        layer(x)
        counts.append(len(os.listdir("/proc/self/task")))
        contended(0.0)
        layer(x)
    # A thread a round would be 25 more; threads of other tests may end or begin meanwhile.
    assert max(counts[5:]) <= counts[4] + 5


CHILD = """
import os, torch, rnnkit
from rnnkit import _native
from rnnkit.ops.machine import busy_cores_of_others
torch.set_num_threads(2)
_native.assume_busy_cores_of_others(2.0)
layer, x = rnnkit.LSTM(8, 64, batch_first=True), torch.ones(32, 50, 8)
run = lambda: layer(x)[0].detach().numpy().tobytes()  # none of PyTorch's own threads, which hang after a fork
expected = run()
pid = os.fork()
if pid == 0:
    os._exit(run() != expected)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert run() == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_computes_beside_other_programs():
    run = fresh.run(CHILD)
    assert run.returncode == 0, run.stderr


def test_the_cores_of_others_are_known_from_the_second_look_on(contended):
    contended(1.5)
    assert _native.cpu_info()["busy_cores_of_others"] == 1.5
    assert busy_cores_of_others() == 1.5
