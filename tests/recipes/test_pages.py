"""The check of pages finds what readers would notice, and pages explain the numbers of names in their pictures."""

import warnings

import pytest
from pages import faults_of

from rnnkit.plotting.numbering import numbered_names
from rnnkit.plotting.page import Page
from rnnkit.plotting.style import figure, write

pytestmark = pytest.mark.usefixtures("whole_pictures")


def draw(name):
    def drawn(path):
        made = figure(3, 2)
        made.add_subplot().set_title(name)
        write(made, path)

    return drawn


def page(*titles):
    made = Page("A run of 上海", "2 epochs & more.", name="r<1>")
    made.section("Figures").table(("what", "figure"), [("loss", 0.5), ("a\tb", "1 < 2")])
    for title in titles:
        made.picture(draw(title), f"It shows {title}.", title=title, caption="How to read it.")
    made.section("Map").heat("a", ["x", " "], ["y"], [[0.5], [1.0]])
    return made.html()


def test_a_page_with_everything_has_no_faults():
    assert faults_of(page("load")) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("</h2>", "", "stands inside"),
        ("</main>", "<p></main>", "stands inside ('p'"),
        ("<h2>Figures</h2>", "<h4>Figures</h4>", "skips a level"),
        ("<h2>Figures</h2>", "<h2> </h2>", "is empty"),
        ("<h1>", "<h2>", "stands inside"),
        (' scope="col"', "", "without a scope"),
        ("<td>0.5</td>", "", "rows of [1, 2] cells"),
        ("<td>0.5</td>", "<td>nan</td>", "<td> says 'nan'"),
        ("</header>", '<a href="#there">x</a></header>', "#there leads nowhere"),
        ("</header>", '<a href="other.html">x</a></header>', "other.html is not in the page"),
        ("</header>", '<script src="https://a.b/c.js"></script></header>', "<script> runs or fetches"),
        ("</style>", "@import 'x.css';</style>", "a style fetches something"),
        ("</header>", '<img src="data:image/png;base64," alt=""></header>', "no words"),
        ('<html lang="en">', "<html>", "no language"),
    ],
)
def test_faults_are_found(old, new, fault):
    assert any(fault in one for one in faults_of(page().replace(old, new, 1)))


def test_a_page_says_which_name_a_number_in_a_picture_stands_for(monkeypatch):
    monkeypatch.setattr(
        "rnnkit.plotting.style._fonts_for", lambda marks: ([], {one for one in marks if one > "\u3000"})
    )
    with warnings.catch_warnings(), numbered_names():
        warnings.simplefilter("ignore")
        text = page("load", "上海", "北京 and 上海")
    assert "<figcaption>How to read it.</figcaption>" in text
    assert "<figcaption>How to read it. In the picture #1 is 上海.</figcaption>" in text
    assert "<figcaption>How to read it. In the picture #1 is 上海, #2 is 北京.</figcaption>" in text
