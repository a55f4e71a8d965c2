"""The references' options: against scalar formulas, their own limits, and row by row on ragged batches."""

import math
from functools import partial

import pytest
import torch
from layer_inputs import gradients
from tolerances import assert_close

from rnnkit.errors import ConfigError, ShapeError
from rnnkit.ops.direction import DirectionCall, LayerNormWeights, RecurrentOptions, RecurrentWeights
from rnnkit.ops.gru import gru_reference, gru_step
from rnnkit.ops.lstm import coupled, coupled_peephole, lstm_reference, lstm_step
from rnnkit.ops.normalisation import EPS, normalise
from rnnkit.ops.simple_rnn import NONLINEARITIES, simple_rnn_reference, simple_rnn_step
from rnnkit.ops.state import map_state, tensors
from rnnkit.ops.unroll import unroll

B, T, INPUTS, H, P = 5, 6, 2, 3, 2
GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
STEPS = {"simple_rnn": simple_rnn_step, "gru": gru_step, "lstm": lstm_step}


REFERENCES = {"simple_rnn": simple_rnn_reference, "gru": gru_reference, "lstm": lstm_reference}
FORMS = [*GATES, "gru, reset before"]
ZONEOUTS = ("zoneout_h", "zoneout_c")
LENGTHS = torch.tensor([T, 0, 3, 1, 4])


def draw(*shape, seed):
    generator = torch.Generator().manual_seed(seed + 31 * sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def weights(name):
    """w_ih, w_hh, b_ih, b_hh, and the LSTM's projection to P."""
    rows, state = GATES[name] * H, P if name == "lstm" else H
    shapes = [(rows, INPUTS), (rows, state), (rows,), (rows,)] + [(P, H)] * (name == "lstm")
    return [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]


def start(name):
    return (draw(B, P, seed=5), draw(B, H, seed=6)) if name == "lstm" else draw(B, H, seed=5)


def options(form):
    """The recurrence's name and all of its options at once, zoneouts as whole arrays [B, T, H]."""
    name = form.split(",")[0]
    rows, state = GATES[name] * H, P if name == "lstm" else H
    found = {"mask": draw(B, state, seed=7), "norm": (1 + draw(rows, seed=8), 1 + draw(rows, seed=9))}
    if name == "lstm":
        found["peephole"] = draw(3, H, seed=10)
        found["norm"] += (1 + draw(H, seed=11), draw(H, seed=12))
        found |= {"zoneout_h": draw(B, T, P, seed=13).sigmoid(), "zoneout_c": draw(B, T, H, seed=14).sigmoid()}
    else:
        found["zoneout_h"] = draw(B, T, H, seed=13).sigmoid()
    if form != name:
        del found["norm"]
        found["reset_after"] = False
    return name, found


def at_step(found, t):
    return {key: value[:, t] if key in ZONEOUTS else value for key, value in found.items()}


def split(found):
    """The tensors of the options, and the other arguments of a recurrence."""
    flags = {key: found[key] for key in ("reset_after", "nonlinearity") if key in found}
    named = {key: value for key, value in found.items() if key not in flags}
    if "norm" in named:
        named["norm"] = LayerNormWeights(*named["norm"])
    return RecurrentOptions(**named), flags


def run_step(name, x, state, w, found):
    named, flags = split(found)
    return STEPS[name](x, state, RecurrentWeights(*w), named, **flags)


def run_sequence(name, x, state, w, found, **ragged):
    named, flags = split(found)
    result = REFERENCES[name](DirectionCall(x, RecurrentWeights(*w), named, state, **ragged), **flags)
    return result.output, result.state


# --- scalar formulas: one row, lists of numbers ----------------------------------------------------------------------


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def product(matrix, vector):
    return [sum(w * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def layer_norm(a, gain, shift):
    mean = sum(a) / len(a)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in a) / len(a) + 1e-5)
    return [k * (v - mean) / deviation + s for k, v, s in zip(gain, a, shift, strict=True)]


def sums(x, h, w_ih, w_hh, b_ih, b_hh, norm, mask):
    """What x and what the state send to each gate's row."""
    masked = [m * v for m, v in zip(mask, h, strict=True)]
    pairs = []
    for weight, vector, bias, place in ((w_ih, x, b_ih, 0), (w_hh, masked, b_hh, 1)):
        a = product(weight, vector)
        pairs.append(layer_norm(a, norm[place], bias) if norm else [v + b for v, b in zip(a, bias, strict=True)])
    return pairs


def between(zoneout, before, after):
    return [z * old + (1 - z) * new for z, old, new in zip(zoneout, before, after, strict=True)]


def scalar_simple_rnn(x, h, w, *, nonlinearity="tanh", norm=None, mask=(1,) * H, zoneout_h=(0,) * H):
    function = {"tanh": math.tanh, "sigmoid": sigmoid, "relu": lambda a: max(a, 0)}[nonlinearity]
    from_x, from_h = sums(x, h, *w, norm, mask)
    return between(zoneout_h, h, [function(from_x[k] + from_h[k]) for k in range(H)])


def scalar_gru(x, h, w, *, reset_after=True, norm=None, mask=(1,) * H, zoneout_h=(0,) * H):
    from_x, from_h = sums(x, h, *w, norm, mask)
    r = [sigmoid(from_x[k] + from_h[k]) for k in range(H)]
    z = [sigmoid(from_x[H + k] + from_h[H + k]) for k in range(H)]
    _, w_hh, _, b_hh = w
    if reset_after:
        inner = [r[k] * from_h[2 * H + k] for k in range(H)]
    else:
        inner = [sum(w_hh[2 * H + k][j] * r[j] * mask[j] * h[j] for j in range(H)) + b_hh[2 * H + k] for k in range(H)]
    n = [math.tanh(from_x[2 * H + k] + inner[k]) for k in range(H)]
    return between(zoneout_h, h, [(1 - z[k]) * n[k] + z[k] * h[k] for k in range(H)])


def scalar_lstm(
    x, state, w, *, peephole=((0,) * H,) * 3, norm=None, mask=(1,) * P, zoneout_h=(0,) * P, zoneout_c=(0,) * H
):
    (h, c), w_hr = state, w[4]
    from_x, from_h = sums(x, h, *w[:4], norm and norm[:2], mask)
    i, f, g, o = ([from_x[gate * H + k] + from_h[gate * H + k] for k in range(H)] for gate in range(4))
    new_c = [
        sigmoid(f[k] + peephole[1][k] * c[k]) * c[k] + sigmoid(i[k] + peephole[0][k] * c[k]) * math.tanh(g[k])
        for k in range(H)
    ]
    inner = layer_norm(new_c, norm[2], norm[3]) if norm else new_c
    unprojected = [sigmoid(o[k] + peephole[2][k] * new_c[k]) * math.tanh(inner[k]) for k in range(H)]
    return between(zoneout_h, h, product(w_hr, unprojected)), between(zoneout_c, c, new_c)


SCALARS = {"simple_rnn": scalar_simple_rnn, "gru": scalar_gru, "lstm": scalar_lstm}


def lists(value):
    return value.tolist() if isinstance(value, torch.Tensor) else tuple(map(lists, value))


def assert_scalar(name, found, **flags):
    """One step of every row by the tensors' formula and by the scalar one."""
    x, state, w = draw(B, INPUTS, seed=20), start(name), weights(name)
    actual = run_step(name, x, state, w, found | flags)
    for row in range(B):
        own = {key: lists(value[row] if key in ("mask", *ZONEOUTS) else value) for key, value in found.items()}
        before = lists(map_state(lambda leaf, at=row: leaf[at], state))
        expected = SCALARS[name](x[row].tolist(), before, lists(w), **own, **flags)
        for ours, theirs in zip(tensors(actual), expected if name == "lstm" else [expected], strict=True):
            assert_close(ours[row], torch.tensor(theirs, dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
def test_every_option_equals_its_scalar_formula(form):
    name, found = options(form)
    found = at_step(found, 2)
    flags = {key: found.pop(key) for key in ("reset_after",) if key in found}
    for chosen in ({}, *({key: value} for key, value in found.items()), found):
        assert_scalar(name, chosen, **flags)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_options_with_each_nonlinearity(nonlinearity):
    name, found = options("simple_rnn")
    assert_scalar(name, at_step(found, 0), nonlinearity=nonlinearity)


def test_gru_with_reset_before_by_hand():
    """Size 1: r = σ(1·½ + 2·¼) = σ(1), z = σ(−½ + ¾) = σ(¼), n = tanh(½·½ + 0.1 + 0.2 + 3·(r·¼))."""
    column = [torch.tensor(values, dtype=torch.float64) for values in ([1.0, -1.0, 0.5], [2.0, 3.0, 3.0])]
    biases = [torch.tensor(values, dtype=torch.float64) for values in ([0.0, 0.0, 0.1], [0.0, 0.0, 0.2])]
    x, h = torch.full((1, 1), 0.5, dtype=torch.float64), torch.full((1, 1), 0.25, dtype=torch.float64)
    own = RecurrentWeights(*(weight[:, None] for weight in column), *biases)
    found = gru_step(x, h, own, reset_after=False)
    r, z = 1 / (1 + math.e**-1), 1 / (1 + math.exp(-0.25))
    assert found.item() == pytest.approx((1 - z) * math.tanh(0.55 + 0.75 * r) + z * 0.25, abs=1e-12)


def test_layer_norm_equals_pytorchs():
    functional = torch.nn.functional
    a = torch.cat([draw(3, 8, seed=1) * 5 + 2, torch.full((1, 8), 3.0, dtype=torch.float64)])  # and a row without var
    assert_close(normalise(a), functional.layer_norm(a, (8,), eps=EPS))
    assert not normalise(a)[3].any()
    (w_ih, w_hh, b_ih, b_hh), (gain_ih, gain_hh) = weights("gru"), options("gru")[1]["norm"]
    x, h = draw(B, INPUTS, seed=2), start("gru")
    from_x = functional.layer_norm(x @ w_ih.T, (3 * H,), gain_ih, b_ih)
    from_h = functional.layer_norm(h @ w_hh.T, (3 * H,), gain_hh, b_hh)
    r, z = torch.sigmoid(from_x + from_h)[:, : 2 * H].chunk(2, 1)
    expected = (1 - z) * torch.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :]) + z * h
    own, norm = RecurrentWeights(w_ih, w_hh, b_ih, b_hh), RecurrentOptions(LayerNormWeights(gain_ih, gain_hh))
    assert_close(gru_step(x, h, own, norm), expected)
    with pytest.raises(ConfigError, match="layer_norm needs reset_after=True"):
        gru_step(x, h, own, norm, reset_after=False)


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_neutral_options_change_nothing_and_full_zones_keep_the_state(form):
    name, found = options(form)
    x, state, w = draw(B, INPUTS, seed=20), start(name), weights(name)
    found = at_step(found, 0)
    neutral = {key: torch.zeros_like(value) for key, value in found.items() if key in (*ZONEOUTS, "peephole")}
    rest = {key: value for key, value in found.items() if key in ("norm", "reset_after")}
    plain = run_step(name, x, state, w, rest)
    neutral |= {"mask": torch.ones_like(found["mask"])}
    assert_close(run_step(name, x, state, w, rest | neutral), plain)
    full = {key: torch.ones_like(value) if key in ZONEOUTS else value for key, value in found.items()}
    kept_state = run_step(name, x, state, w, full)
    for kept, before, moved in zip(*map(tensors, (kept_state, state, plain)), strict=True):
        assert torch.equal(kept, before)
        assert not torch.isclose(moved, before).any()


@pytest.mark.parametrize("normalised", [False, True])
def test_coupled_gates(normalised):
    """Three gates by their own formula; with norm, f + i = 1 keeps a cell of ones at one where g is one."""
    w_ih, w_hh, bias = draw(3 * H, INPUTS, seed=1), draw(3 * H, H, seed=2), draw(3 * H, seed=3)
    peephole, x, h, c = draw(2, H, seed=4), draw(B, INPUTS, seed=5), draw(B, H, seed=6), draw(B, H, seed=7)
    four = [coupled(weight, normalised=normalised) for weight in (w_ih, w_hh)]
    extra = {"peephole": coupled_peephole(peephole)}
    if not normalised:
        i, g, o = (x @ w_ih.T + h @ w_hh.T + bias).chunk(3, 1)
        i = torch.sigmoid(i + peephole[0] * c)
        cell = (1 - i) * c + i * torch.tanh(g)
        expected = torch.sigmoid(o + peephole[1] * cell) * torch.tanh(cell), cell
        assert_close(run_step("lstm", x, (h, c), (*four, coupled(bias)), extra), expected)
    else:
        gains = [draw(3 * H, seed=seed) for seed in (8, 9)]
        for gain in gains:
            gain[H : 2 * H] = 0
        bias[H : 2 * H] = 30  # g = tanh(30) = 1
        extra["norm"] = (*map(coupled, gains), draw(H, seed=10), draw(H, seed=11))
        ones = torch.ones(B, H, dtype=torch.float64)
        assert_close(run_step("lstm", x, (h, ones), (*four, coupled(bias)), extra)[1], ones)
        wrong = [coupled(weight) for weight in (w_ih, w_hh)]
        assert not torch.allclose(run_step("lstm", x, (h, ones), (*wrong, coupled(bias)), extra)[1], ones)


def test_coupled_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r"\(8, 2\); expected \(3·H, ...\)"):
        coupled(torch.zeros(8, 2))
    with pytest.raises(ShapeError, match=r"\(3, 4\); expected \(2, H\)"):
        coupled_peephole(torch.zeros(3, 4))


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck_of_a_step_with_all_options(form):
    name, found = options(form)
    found = {key: value[:2] if key in ("mask", *ZONEOUTS) else value for key, value in at_step(found, 1).items()}
    flags = {key: found.pop(key) for key in ("reset_after",) if key in found}
    state = map_state(lambda leaf: leaf[:2], start(name))
    tree = (draw(2, INPUTS, seed=20), state, weights(name), tuple(found.values()))

    def run(*flat):
        given = iter(flat)
        x, before, w, values = map_state(lambda _: next(given), tree)
        return run_step(name, x, before, w, dict(zip(found, values, strict=True)) | flags)

    inputs = [leaf.clone().requires_grad_() for leaf in tensors(tree)]
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


# --- whole sequences -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_ragged_batch_equals_its_rows_alone(form, reverse):
    """NaN behind the lengths, in x and in the zones; a row of length 0; gradients of everything, h0's too."""
    name, found = options(form)
    x, state, w = draw(T, B, INPUTS, seed=20).requires_grad_(), start(name), weights(name)
    leaves = [leaf.requires_grad_() for leaf in (x, *tensors(state), *w, *found.get("norm", ()), found["mask"])]
    leaves += [value.requires_grad_() for key, value in found.items() if key in (*ZONEOUTS, "peephole")]
    behind = torch.arange(T) >= LENGTHS[:, None]
    poisoned = {key: value.masked_fill(behind[:, :, None], math.nan) for key, value in found.items() if key in ZONEOUTS}
    out, last = run_sequence(
        name,
        x.masked_fill(behind.T[:, :, None], math.nan),
        state,
        w,
        found | poisoned,
        lengths=LENGTHS,
        reverse=reverse,
    )
    assert not out[behind.T].any()
    outputs, finals = torch.zeros_like(out), []
    for row, length in enumerate(LENGTHS.tolist()):
        before = map_state(lambda leaf, at=row: leaf[at : at + 1], state)
        finals.append(before)
        if length:
            own = {key: value[row : row + 1, :length] for key, value in found.items() if key in ZONEOUTS}
            own["mask"] = found["mask"][row : row + 1]
            alone, finals[row] = run_sequence(name, x[:length, row : row + 1], before, w, found | own, reverse=reverse)
            outputs[:length, row] = alone[:, 0]
    expected = outputs, map_state(lambda *rows: torch.cat(rows), *finals)
    assert_close((out, last), expected)
    for ours, theirs in zip(gradients((out, last), leaves), gradients(expected, leaves), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_same_sequence(form):
    """Steps in a row, a flipped sequence, batch_first, resets, no state and constant zones mean what they say."""
    name, found = options(form)
    x, state, w, run = draw(T, B, INPUTS, seed=20), start(name), weights(name), partial(run_sequence, name)
    out, last = run(x, state, w, found)
    steps, after = [], state
    for t in range(T):
        after = run_step(name, x[t], after, w, at_step(found, t))
        steps.append(tensors(after)[0])
    assert_close((out, last), (torch.stack(steps), after))

    flipped = found | {key: value.flip(1) for key, value in found.items() if key in ZONEOUTS}
    backward = run(x.flip(0), state, w, flipped, reverse=True)
    assert_close((backward[0].flip(0), backward[1]), (out, last))
    swapped = run(x.transpose(0, 1), state, w, found, batch_first=True)
    assert_close((swapped[0].transpose(0, 1), swapped[1]), (out, last))

    resets = torch.zeros(B, T, dtype=torch.bool)
    resets[1, 2] = resets[3, 4] = True
    reset_out = run(x, state, w, found, resets=resets, initial=state)[0]
    for row, t in ((1, 2), (3, 4)):
        rest = found | {key: value[:, t:] for key, value in found.items() if key in ZONEOUTS}
        assert_close(reset_out[:, row], torch.cat([out[:t, row], run(x[t:], state, w, rest)[0][:, row]]))
    assert_close(reset_out[:, 0], out[:, 0])

    zeros = map_state(torch.zeros_like, state)
    assert_close(run(x, None, w, found), run(x, zeros, w, found))
    constant = {key: value[0, 0] for key, value in found.items() if key in ZONEOUTS}
    whole = {key: value.expand(B, T, -1) for key, value in constant.items()}
    for ragged in ({}, {"lengths": LENGTHS}):
        assert_close(run(x, state, w, found | constant, **ragged), run(x, state, w, found | whole, **ragged))


@pytest.mark.parametrize("reverse", [False, True])
def test_unroll_takes_nested_inputs_and_states(reverse):
    """States of several shapes, an input of integers, one that is absent: against a loop over each row's own steps."""
    tokens, values = torch.arange(1, 10).view(3, 3), draw(3, 3, 2, seed=1)  # [T, B], [T, B, I]
    tokens[1:, 1], values[1:, 1] = -99, math.nan
    lengths, resets = torch.tensor([3, 1, 0]), torch.tensor([[False, True, False]] * 3)
    first = (torch.ones(3, dtype=torch.long), (draw(3, 2, seed=2), (draw(3, 2, 2, seed=3),)))

    def step(inputs, state):
        ((token, value), nothing), (count, (total, (outer,))) = inputs, state
        assert nothing is None
        assert token.min() >= 0, "padding reached the step"
        following = count + token, (total + 2 * value, (0.5 * outer + value[:, :, None] * total[:, None, :],))
        return following[1][0], following

    out, last = unroll(step, ((tokens, values), None), first, lengths=lengths, resets=resets, reverse=reverse)
    for row, length in enumerate(lengths.tolist()):
        initial = state = map_state(lambda leaf, at=row: leaf[at : at + 1], first)
        expected = torch.zeros(3, 2, dtype=torch.float64)
        for t in sorted(range(length), reverse=reverse):
            inputs = (tokens[t, row : row + 1], values[t, row : row + 1]), None
            expected[t], state = step(inputs, initial if resets[row, t] else state)
        assert torch.equal(out[:, row], expected)
        for ours, theirs in zip(tensors(last), tensors(state), strict=True):
            assert torch.equal(ours[row : row + 1], theirs)


def test_compile_takes_a_reference_whole():
    name, found = options("lstm")
    x, state, w = draw(2, B, INPUTS, seed=20), start(name), weights(name)
    found |= {key: found[key][:, :2] for key in ZONEOUTS}
    lengths = LENGTHS.clamp(max=2)

    def run(x, lengths):
        return run_sequence("lstm", x, state, w, found, lengths=lengths)

    assert_close(torch.compile(run, backend="eager", fullgraph=True)(x, lengths), run(x, lengths))
