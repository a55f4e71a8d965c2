"""The native recurrences as parts of PyTorch: operator, compilation, export, threads, processes, CPU families.

All data is made here: random numbers from a fixed seed.
"""

import copy
import threading

import fresh
import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import BackendError
from rnnkit.ops.backend import native_core
from rnnkit.ops.direction import DirectionCall, RecurrentWeights
from rnnkit.ops.draws import bernoulli
from rnnkit.ops.gru import gru, gru_reference
from rnnkit.ops.native_call import Inputs

LAYERS = [rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU]
KERNEL = {
    rnnkit.SimpleRNN: ("simple_rnn", "tanh"),
    rnnkit.LSTM: ("lstm", "standard"),
    rnnkit.GRU: ("gru", "reset_after"),
}


def numbers(*shape, dtype=torch.float64):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=dtype) - 0.5).requires_grad_()


@pytest.mark.parametrize("layer", LAYERS)
def test_operator(layer):
    """PyTorch's own checks: schema, shapes for tracing, gradients, and all of it under compilation."""
    gates, batch, time, hidden = layer.gates, 3, 4, 5
    wide = gates * hidden
    weights = [numbers(wide, 2), numbers(wide, hidden), numbers(wide), numbers(wide)]
    plain = Inputs(numbers(time, batch, 2), *weights)
    state = {"h0": numbers(batch, hidden), "reset_h": numbers(batch, hidden)}
    if gates == 4:
        state |= {"c0": numbers(batch, hidden), "reset_c": numbers(batch, hidden)}
    ragged = {"lengths": torch.tensor([4, 2, 0]), "resets": torch.arange(12).reshape(3, 4) % 3 == 0}
    every = plain._replace(**state, **ragged, mask=torch.ones(batch, hidden, dtype=torch.float64))
    every = every._replace(gain_ih=numbers(wide), gain_hh=numbers(wide))
    if gates == 4:
        every = every._replace(gain_c=numbers(hidden), shift_c=numbers(hidden))
    for inputs in (plain, every):
        arguments = (*inputs, *KERNEL[layer], False, False, True)
        torch.library.opcheck(torch.ops.rnnkit.recurrence.default, arguments)


@pytest.mark.parametrize("layer", LAYERS)
def test_export_keeps_the_operator(layer):
    module = layer(3, 4, num_layers=2).eval()
    x = torch.randn(5, 2, 3)
    program = torch.export.export(module, (x,))
    assert "rnnkit.recurrence.default" in {str(node.target) for node in program.graph.nodes}
    assert_close(program.module()(x), module(x))


@pytest.mark.parametrize("layer", LAYERS)
def test_compile_keeps_the_operator(layer):
    """Dynamo enters recurrent layers only where it is told to; then the whole model is one graph, gradients too."""
    graphs = []

    def backend(graph, inputs):
        graphs.append({str(node.target) for node in graph.graph.nodes})
        return graph

    model = rnnkit.SequenceClassifier(layer(3, 4, layer_norm=True, zoneout=0.1), 2).eval()
    x = torch.randn(2, 5, 3)
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(model, backend=backend, fullgraph=True)
        assert_close(compiled(x), model(x))
        (expected,) = torch.autograd.grad(model(x).square().sum(), model.body.weight_hh_l0)
        whole = torch.compile(model, backend="aot_eager", fullgraph=True)
        (gradient,) = torch.autograd.grad(whole(x).square().sum(), model.body.weight_hh_l0)
        assert_close(gradient, expected)
    assert any("rnnkit" in target for target in graphs[0]), graphs


@pytest.mark.parametrize("layer", LAYERS)
def test_second_derivatives_name_no_backend_but_work(layer):
    """A gradient penalty: through the reference, the same as backend="reference"."""
    module = layer(2, 3, dtype=torch.float64)
    other = copy.deepcopy(module)
    other.backend = "reference"
    found = []
    for one in (module, other):
        x = numbers(4, 2, 2)
        (gradient,) = torch.autograd.grad(one(x)[0].square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *one.parameters()], allow_unused=True))
    for actual, expected in zip(*found, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert_close(actual, expected)


@pytest.mark.parametrize("layer", LAYERS)
def test_threads_share_the_work(layer):
    """One thread and several agree; the same number of threads gives the same bits."""
    x = torch.rand(20, 33, 9)
    module = layer(9, 70, backend="native")
    lengths = torch.arange(33) % 20 + 1
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            module.zero_grad()
            output, state = module(x, lengths=lengths)
            state = module.final_output(state)
            (output.sum() + state.square().sum()).backward()
            results.append([output, state, *(p.grad.clone() for p in module.parameters())])
    finally:
        torch.set_num_threads(before)
    for one, two, three, again in zip(*results, strict=True):
        assert_close(two, one)
        assert_close(three, one)
        assert torch.equal(two, again)


@pytest.mark.parametrize("layer", LAYERS)
def test_hidden_units_split_over_threads(layer):
    """Wide weights: threads share the hidden units; one thread alone finds the same, and again the same bits."""
    module = layer(300, 264, backend="native")
    x = torch.rand(5, 9, 300).requires_grad_()
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            output, _ = module(x, lengths=[5, 3, 1, 5, 4, 2, 5, 5, 1])
            results.append([output, *torch.autograd.grad(output.square().sum(), [x, *module.parameters()])])
    finally:
        torch.set_num_threads(before)
    for one, two, again in zip(*results, strict=True):
        assert_close(two, one)
        assert torch.equal(two, again)


def test_python_threads_at_once():
    """The GIL is released during a call, and calls from several threads do not meet in memory."""
    module = rnnkit.LSTM(9, 40, backend="native")
    inputs = [torch.rand(20, 8, 9) for _ in range(4)]
    expected = [module(x)[0] for x in inputs]
    wrong = []

    def work(index):
        for _ in range(20):
            output, _ = module(inputs[index])
            if not torch.equal(output, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Rows(torch.utils.data.Dataset):
    """Rows that a recurrent layer computes inside a DataLoader worker."""

    def __init__(self):
        torch.manual_seed(0)
        self.layer = rnnkit.GRU(3, 8, backend="native")

    def __len__(self):
        return 4

    def __getitem__(self, index):
        with torch.no_grad():
            return self.layer(torch.full((5, 1, 3), float(index)))[0]


@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_dataloader_workers(start, workers):
    rows = Rows()
    rows[0]  # threads are warm before the workers start
    loader = torch.utils.data.DataLoader(rows, num_workers=workers, batch_size=None, multiprocessing_context=start)
    for index, row in enumerate(loader):
        assert_close(row, rows[index])


def test_a_forked_child_computes():
    """Fork after the threads are warm: the child must neither hang nor differ."""
    program = """
import os, torch, rnnkit
torch.manual_seed(0)
layer = rnnkit.SimpleRNN(28, 64, nonlinearity="relu", backend="native")
x = torch.rand(28, 32, 28)
run = lambda: layer(x)[0].detach().numpy().tobytes()  # none of PyTorch's own threads, which hang after a fork
expected = run()
pid = os.fork()
if pid == 0:
    os._exit(0 if run() == expected else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    run = fresh.run(program)
    assert run.stdout.strip() == "0", run.stderr


def drawn():
    """What the positions of drawn values add up to."""
    torch.manual_seed(3)
    return bernoulli((700, 600), 0.3, 1.0, torch.zeros(())).nonzero().sum().item()


FAMILY_PROGRAM = """
import contract, torch, rnnkit
from rnnkit.ops.backend import native_core
from rnnkit.ops.direction import DirectionCall, RecurrentWeights
from rnnkit.ops.draws import bernoulli
from rnnkit.ops.gru import gru, gru_reference
assert native_core().cpu_info()["chosen"] == {family!r}
torch.manual_seed(0)  # one draw of weights in 2,000 has a ReLU within rounding of its kink, and another gradient there
OPTIONS = dict(nonlinearity="relu"), dict(nonlinearity="sigmoid"), dict(layer_norm=True)
for dtype in (torch.float32, torch.float64):
    for layer in (rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU):
        for options in OPTIONS if layer is rnnkit.SimpleRNN else ({{}}, dict(layer_norm=True)):
            make = lambda i, h, **o: layer(i, h, dtype=dtype, backend="native", **options, **o)
            checks = contract.check_reference, contract.check_reference_lengths_and_resets
            for check in checks:
                check(make)
            contract.check_padding(make, bidirectional=True)
torch.manual_seed(3)
print("served", bernoulli((700, 600), 0.3, 1.0, torch.zeros(())).nonzero().sum().item())
"""


@pytest.mark.parametrize("family", ["generic", "avx2", "avx512"])
def test_each_cpu_family(family):
    """Each family meets the contract and draws the same. The one that this process chose has the layers' own tests.

    The checks with the fewest and with the most kinds of rows stand for those between.
    """
    chosen, available = (native_core().cpu_info()[name] for name in ("chosen", "available"))
    if family == chosen:
        return
    if family in available:
        program, expected = FAMILY_PROGRAM.format(family=family), f"served {drawn()}\n"
    else:  # this machine lacks it: asking for it must say so and still compute
        program = (
            "import warnings, torch, rnnkit\nwarnings.simplefilter('error')\n"
            "try:\n    rnnkit.SimpleRNN(1, 1)(torch.zeros(1, 1, 1))\nexcept UserWarning as w:\n    print(w)"
        )
        expected = "lacks"
    run = fresh.run(program, RNNKIT_CPU=family)
    assert expected in run.stdout, run.stderr


@pytest.mark.parametrize("layer", LAYERS)
def test_tensors_without_data_reach_no_memory(layer):
    """FakeTensor, jit.trace and another default device go through the operator, or stay on the CPU."""
    module, x = layer(3, 5), torch.randn(7, 4, 3)
    expected = module(x)[0]
    with torch._subclasses.fake_tensor.FakeTensorMode(allow_non_fake_inputs=True):
        assert layer(3, 5)(torch.randn(7, 4, 3))[0].shape == (7, 4, 5)
    with torch.no_grad():
        traced = torch.jit.trace(module, (x,), check_trace=False)
        assert_close(traced(x * 2), module(x * 2))
    with torch.device("meta"):
        output, _ = module(x)
        output.sum().backward()
    assert_close(output, expected)


def test_a_direct_call_refuses_transforms():
    """A layer goes through its reference by itself, see tests/layers/test_transforms.py."""
    weights = RecurrentWeights(torch.randn(15, 3), torch.randn(15, 5))
    x = torch.randn(4, 2, 3)

    def run(function):
        return torch.func.jvp(lambda x: function(DirectionCall(x, weights)).output, (x,), (x,))

    with pytest.raises(BackendError, match="no torch.func transforms.*or the reference"):
        run(gru)
    assert run(gru_reference)[1].shape == (4, 2, 5)


@pytest.mark.parametrize("layer", LAYERS)
def test_saved_tensors_may_come_back_in_another_layout(layer):
    module, x = layer(3, 5), torch.randn(7, 4, 3)

    def transposed(tensor):
        return tensor if tensor.dim() != 3 else tensor.transpose(0, 2).contiguous().transpose(0, 2)

    found = []
    for unpack in (lambda tensor: tensor, transposed):
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
            output, _ = module(x)
        found.append(torch.autograd.grad(output.square().sum(), list(module.parameters())))
    assert_close(*found)
