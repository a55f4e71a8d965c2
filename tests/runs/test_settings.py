import json
from dataclasses import asdict, dataclass, replace
from typing import Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnkit.errors import ConfigError
from rnnkit.recipes import RECIPES, find
from rnnkit.recipes.adding import adding
from rnnkit.recipes.classify import classify
from rnnkit.recipes.finetuning import FineTune
from rnnkit.recipes.mnist import Mnist, mnist
from rnnkit.recipes.regress import regress
from rnnkit.runs.settings import describe, override, parse, restore, settings, show


@dataclass(frozen=True)
class Inner:
    lr: float = 0.001
    epochs: int = 10
    schedule: Literal["cosine", "step"] | None = None
    sizes: tuple[int, ...] = (8, 8)


@dataclass(frozen=True)
class Outer:
    fit: Inner = Inner()
    pair: tuple[int, float] = (1, 0.5)
    shuffle: bool = True
    root: Optional[str] = None  # noqa: UP045 (the older spelling is read too)
    names: tuple[str, ...] = ()
    level: Literal[1, 2] = 1
    odd: dict[str, int] | None = None

    def __post_init__(self):
        if self.level == 2 and self.shuffle:
            raise ConfigError("level 2 cannot be shuffled")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("fit.lr=1e-2", ("fit", "lr"), 0.01),
        ("fit.lr=3", ("fit", "lr"), 3.0),
        ("fit.epochs=1_000", ("fit", "epochs"), 1000),
        ("fit.epochs = 3", ("fit", "epochs"), 3),
        ("fit.schedule=cosine", ("fit", "schedule"), "cosine"),
        ("fit.schedule=None", ("fit", "schedule"), None),
        ("fit.sizes=1,2,3", ("fit", "sizes"), (1, 2, 3)),
        ("fit.sizes=(4, 5)", ("fit", "sizes"), (4, 5)),
        ("fit.sizes=", ("fit", "sizes"), ()),
        ("pair=3,4", ("pair",), (3, 4.0)),
        ("shuffle=no", ("shuffle",), False),
        ("shuffle=TRUE", ("shuffle",), True),
        ("root=/data/a=b", ("root",), "/data/a=b"),
        ("root=none", ("root",), None),
        ('root=""', ("root",), ""),
        ("root=\t", ("root",), "\t"),
        ('root="none"', ("root",), "none"),
        ("level=1", ("level",), 1),
        ("names=temp (C)", ("names",), ("temp (C)",)),
        ("names=[temp (C), (a) b (c)]", ("names",), ("temp (C)", "(a) b (c)")),
        ("names=(a) b (c)", ("names",), ("(a) b (c)",)),
        ('names="x,y", z', ("names",), ("x,y", "z")),
    ],
)
def test_values_are_read_by_the_fields_type(text, path, value):
    changed = override(Outer(), [text])
    for name in path:
        changed = getattr(changed, name)
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fit.epochs=three", r"fit.epochs=three arrived; expected a whole number, as in fit.epochs=10"),
        ("fit.epochs=3.5", "expected a whole number"),
        ("fit.lr=nan", "expected a number"),
        ("fit.lr=inf", "expected a number"),
        ("fit.lr=", "expected a number"),
        ("fit.schedule=cosin", r"expected cosine | step or none, as in fit.schedule=none"),
        ("fit.sizes=1,x", "expected a whole number or several, separated by commas, as in fit.sizes=8,8"),
        ("pair=1", "expected 2 values separated by commas"),
        ("root=", "root= arrived; expected text or none, as in root=none"),
        ("names=", "names= arrived without a value; expected text or several, separated by commas"),
        ("shuffle=maybe", "expected true or false, as in shuffle=true"),
        ("level=3", "expected 1 | 2"),
        ("odd=3", "cannot be set from text"),
        ("fit.lr", "'fit.lr' arrived; expected FIELD=VALUE, as in fit.lr=0.001"),
        ("=3", "expected FIELD=VALUE"),
        ("fit=3", "'fit' is a group of fields; set one of fit.lr, fit.epochs, fit.schedule, fit.sizes"),
        ("fit.epoch=3", "no field 'fit.epoch'; did you mean 'fit.epochs'?"),
        ("lr=3", "no field 'lr'; did you mean 'fit.lr'?"),
        ("fit.lr.x=3", "no field 'fit.lr.x'; did you mean 'fit.lr'?"),
        ("zzzzzz=3", "no field 'zzzzzz'; known: 'fit.lr', "),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ConfigError) as caught:
        override(Outer(), [text])
    assert message in str(caught.value)


def test_several_are_applied_at_once_and_the_last_of_a_field_holds():
    # One by one, `level=2` would be refused while the order still shuffles.
    changed = override(Outer(), ["level=2", "fit.lr=1", "shuffle=no", "fit.lr=2"])
    assert changed == Outer(fit=Inner(lr=2.0), level=2, shuffle=False)
    with pytest.raises(ConfigError, match="level 2"):
        override(Outer(), ["level=2"])


def test_only_dataclasses_can_be_changed():
    thing = object()
    assert override(thing, []) is restore(thing, {}) is thing
    with pytest.raises(ConfigError, match="the recipe is a object, not a dataclass"):
        override(thing, ["lr=1"])


@given(
    st.one_of(
        st.tuples(st.just(int), st.integers()),
        st.tuples(st.just(float), st.floats(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(int | None), st.none() | st.integers()),
        st.tuples(st.just(tuple[int, ...]), st.lists(st.integers()).map(tuple)),
        st.tuples(st.just(Literal["a", "b"] | None), st.sampled_from(["a", "b", None])),
    )
)
def test_what_is_shown_can_be_read(case):
    annotation, value = case
    assert parse(show(value), annotation) == value
    assert describe(annotation)


def test_settings_of_a_run_come_back():
    changed = override(
        mnist(),
        ["model.cell=lstm", "fit.schedule=none", "fit.clip_norm=0.1", "data.root=/a b", "model.bidirectional=1"],
    )
    assert restore(mnist(), asdict(changed)) == changed
    with pytest.raises(ConfigError, match="no field 'fit.momentum'"):
        restore(mnist(), {"fit": {"momentum": 0.9}})


def test_every_field_of_the_recipe_can_be_set():
    for name, setting in settings(mnist()).items():
        assert override(mnist(), [f"{name}={show(setting.value)}"]) == replace(Mnist())


@pytest.mark.parametrize("names", [("a,b", "c"), ("none",), ("(a)",), ("temp (C)",), ('5" pipe', "[x"), ()])
def test_names_come_back_from_json_and_from_text(names):
    recipe = replace_names(names)
    assert restore(Outer(), json.loads(json.dumps(asdict(recipe)))) == recipe
    assert parse(show(names), tuple[str, ...]) == names


def replace_names(names):
    return replace(Outer(), names=names, root="none")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"fit": {"epochs": "3"}}, "fit.epochs is '3'; expected a whole number"),
        ({"fit": {"epochs": True}}, "fit.epochs is True"),
        ({"pair": [1]}, r"pair is \[1\]; expected 2 values"),
        ({"fit": {"epoch": 3}}, "no field 'fit.epoch'; did you mean 'fit.epochs'"),
        ({"fit": 3}, "no field 'fit'"),
        ({"fit": {"lr": {"x": 3}}}, "no field 'fit.lr.x'"),
    ],
)
def test_stored_values_of_another_type_are_refused(stored, message):
    with pytest.raises(ConfigError, match=message):
        restore(Outer(), stored)


def test_the_nearest_name_is_found_in_any_case():
    with pytest.raises(ConfigError, match=r"no field 'FIT.LR'; did you mean 'fit\.lr'\?$"):
        override(Outer(), ["FIT.LR=3"])


@pytest.mark.parametrize(
    "recipe", [adding(), classify(), mnist(), regress(), FineTune()], ids=lambda one: type(one).__name__
)
@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_generator_takes_is_refused(recipe, seed):
    with pytest.raises(ConfigError, match=f"seed={seed} arrived; expected"):
        override(recipe, [f"seed={seed}"])
    if "data.split_seed" in settings(recipe):
        with pytest.raises(ConfigError, match=f"data.split_seed={seed} arrived"):
            override(recipe, [f"data.split_seed={seed}"])


@pytest.mark.parametrize("name", [*RECIPES, "finetune"])
def test_every_setting_of_every_recipe_has_a_meaning_and_says_what_it_takes(name):
    recipe = FineTune() if name == "finetune" else find(name)()
    for setting, found in settings(recipe).items():
        assert len(found.meaning) > 8, setting
        assert found.accepted(), setting


def test_a_range_is_shown_and_refused_alike():
    found = settings(mnist())
    assert found["fit.epochs"].accepted() == "a whole number, at least 1"
    assert found["fit.clip_norm"].accepted() == "a number or none, more than 0"
    assert found["model.dropout"].accepted() == "a number, at least 0 and less than 1"
    assert found["seed"].accepted() == "a whole number, at least 0 and less than 2**63"
    for text, allowed in (("fit.epochs=0", "at least 1"), ("model.dropout=1", "at least 0 and less than 1")):
        with pytest.raises(ConfigError, match=f"arrived; expected {allowed}$"):
            override(mnist(), [text])


@dataclass(frozen=True)
class Base:
    """First line.

    Attributes:
        lr, momentum: of the optimizer; see
            :class:`rnnkit.Learner` and ``torch``.
        epochs: passes.

    Example:
        lr: no meaning.
    """

    lr: float = 0.1
    momentum: float = 0.9
    epochs: int = 1


@dataclass(frozen=True)
class Derived(Base):
    """Derived.

    Attributes:
        epochs: passes over all rows.
    """

    extra: int = 3


def test_meanings_come_from_the_docstrings_of_all_bases():
    found = {name: setting.meaning for name, setting in settings(Derived()).items()}
    both = "of the optimizer; see rnnkit.Learner and torch."
    assert found == {"lr": both, "momentum": both, "epochs": "passes over all rows.", "extra": ""}


@pytest.mark.parametrize(("stored", "expected"), [(None, ()), ("tokens", ("tokens",)), (["a", "b"], ("a", "b"))])
def test_a_setting_that_took_one_value_before_is_restored(stored, expected):
    """``data.shards`` of a language model took one folder or none."""
    assert restore(find("lm")(), {"data": {"shards": stored}}).data.shards == expected
