"""Models keep what they made of their parts, and make it anew where a part was replaced, wrapped or copied."""

import copy
import pickle
import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import rnnkit
from rnnkit.errors import DataError, RnnkitWarning
from rnnkit.finetuning.adapters import add_adapters, merge_adapters

X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))


def build(**parts) -> rnnkit.SequenceClassifier:
    torch.manual_seed(1)
    return rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), classes=2, **parts).eval()


def front(scale: float) -> nn.Sequential:
    linear = nn.Linear(3, 3)
    nn.init.constant_(linear.weight, scale)
    return nn.Sequential(nn.Tanh(), linear)


def by_hand(model: rnnkit.SequenceClassifier, x: torch.Tensor) -> torch.Tensor:
    x = x if model.augment is None else model.augment(x)
    x = x if model.front is None else model.front(x)
    return model.head(model.body(x.transpose(0, 1))[0][-1])


@pytest.mark.parametrize("parts", [{}, {"front": front(0.1)}], ids=["body", "front and body"])
def test_layers_are_made_once(parts):
    model = build(**parts)
    model(X)
    layers = model._layers()
    model(X)
    assert model._layers() is layers


@pytest.mark.parametrize(
    ("part", "module"),
    [
        ("body", rnnkit.GRU(3, 4)),
        ("body", nn.RNN(3, 4)),
        ("front", front(0.5)),
        ("augment", nn.Tanh()),
        ("front", None),
    ],
)
def test_a_part_may_be_assigned_after_a_call(part, module):
    model = build(front=front(0.1))
    before = model(X)
    setattr(model, part, module)
    after = model(X)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, by_hand(model, X))


def test_a_part_of_a_sequential_or_of_a_chain_may_be_replaced_after_a_call():
    model = build(front=front(0.1))
    model(X)
    model.front[0] = nn.ReLU()
    torch.testing.assert_close(model(X), by_hand(model, X))
    chain = rnnkit.Chain(nn.Tanh(), nn.Linear(3, 3))
    chain(X)
    chain._modules["0"] = nn.ReLU()
    torch.testing.assert_close(chain(X)[0], chain._modules["1"](X.relu()))


def test_a_layer_that_changes_its_class_is_adapted_anew():
    model = rnnkit.SequenceClassifier(nn.GRU(3, 4), classes=2)
    before, resets = model(X), torch.zeros(2, 5, dtype=torch.bool)
    with pytest.raises(rnnkit.errors.BackendError, match="resets"):
        model.forward_chunk(X, resets=resets)
    rnnkit.accelerate(model)
    torch.testing.assert_close(model(X), before)
    torch.testing.assert_close(model.forward_chunk(X, resets=resets)[0], before)


def test_low_rank_adapters_reach_the_outputs():
    model = build()
    before = model(X)
    add_adapters(model, rank=2)
    for name, parameter in model.named_parameters():
        if name.endswith(".B"):
            nn.init.constant_(parameter, 0.3)
    adapted = model(X)
    assert not torch.equal(adapted, before)
    merge_adapters(model)
    torch.testing.assert_close(model(X), adapted)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_runs_its_own_parts(copied):
    model = build(front=front(0.1))
    before = model(X)
    other = copied(model)
    with torch.no_grad():
        other.body.weight_ih_l0.zero_()
        other.front[1].weight.zero_()
    assert torch.equal(model(X), before)
    assert not torch.equal(other(X), before)
    torch.testing.assert_close(other(X), by_hand(other, X))


def test_a_compiled_chain_sees_the_replaced_part():
    chain = rnnkit.Chain(nn.Tanh(), nn.Linear(3, 3))
    chain(X)
    compiled = torch.compile(chain, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(X)[0], chain(X)[0])
    chain._modules["0"] = nn.ReLU()
    torch.testing.assert_close(compiled(X)[0], chain._modules["1"](X.relu()))


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "head", [Doubled(4, 2), nn.Sequential(OrderedDict(hidden=nn.Linear(4, 4), out=nn.Linear(4, 2)))]
)
def test_a_head_that_no_description_makes_again_is_loaded_into_a_model(head, tmp_path):
    model = build(head=head)
    told_of = rf"weights alone: .* head \({type(head).__name__}\) anew; load it into"
    with pytest.warns(RnnkitWarning, match=told_of) as told:
        rnnkit.Learner(model).save(tmp_path)
    assert told[0].filename == __file__
    with pytest.raises(DataError, match=r"a module of your own; pass rnnkit\.load\(path, model=module\)"):
        rnnkit.load(tmp_path)
    assert torch.equal(rnnkit.load(tmp_path, model=build(head=copy.deepcopy(head)))(X), model(X))


def test_a_head_of_common_modules_is_built_again(tmp_path):
    head = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.PReLU(), nn.Sequential(nn.GLU(), nn.Linear(3, 2)))
    model = build(head=head)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner = rnnkit.Learner(model)
        learner.fit(X, torch.arange(len(X)) % 2, epochs=1, progress=False)  # which moves the statistics
        learner.save(tmp_path)
    assert torch.equal(rnnkit.load(tmp_path)(X), model.eval()(X))


def test_saving_names_the_innermost_part_and_the_hooks_that_are_lost(tmp_path):
    model = build(head=nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), Doubled(4, 2))))
    with pytest.warns(RnnkitWarning, match=r"rnnkit\.load cannot make head\.1\.1 \(Doubled\) anew"):
        rnnkit.Learner(model).save(tmp_path)
    hooked = build()
    hooked.head.register_forward_hook(lambda module, given, output: output + 1)
    hooked.body.register_forward_pre_hook(lambda module, given: None)
    with pytest.warns(RnnkitWarning, match="forward hooks of body, head are not saved; register them again"):
        rnnkit.Learner(hooked).save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rnnkit.Learner(nn.Linear(2, 1), loss="mse").save(tmp_path)  # always loaded into a module

        class Saves(rnnkit.Callback):
            def on_step_end(self, learner, step):
                learner.save(tmp_path)

        learner = rnnkit.Learner(build(), ar=1.0)  # which hooks itself in while it trains
        learner.fit(X, torch.arange(len(X)) % 2, epochs=1, callbacks=[Saves()], progress=False)


@pytest.mark.parametrize(
    "change", [nn.utils.parametrizations.weight_norm, lambda head: prune.random_unstructured(head, "weight", 0.5)]
)
def test_a_changed_layer_is_loaded_into_a_model_that_has_the_same_change(change, tmp_path):
    model, again = build(), build()
    change(model.head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RnnkitWarning)  # of the hook that prunes
        rnnkit.Learner(model).save(tmp_path)
    with pytest.raises(DataError, match=r"pruned or parametrized .* pass rnnkit\.load\(path, model=module\)"):
        rnnkit.load(tmp_path)
    change(again.head)
    assert torch.equal(rnnkit.load(tmp_path, model=again)(X), model(X))
