"""The page of a run of text."""

import re
from pathlib import Path

import pytest
import torch
from pages import faults_of

from rnnkit.plotting.page import Page
from rnnkit.recipes import TextAnswer
from rnnkit.recipes.text_page import Picture, Sample, attention_of, is_run_page, write_text_page

pytestmark = pytest.mark.usefixtures("whole_pictures")
ROWS = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.1 / epoch} for epoch in (1, 2)]


def headings(text):
    return re.findall("<h2>(.*?)</h2>", text)


def test_a_page_has_all_that_it_is_given(tmp_path):
    answer = TextAnswer("早安 <b>", -0.2, ["good", "day"], ["早", " "], torch.eye(2))
    page = write_text_page(
        tmp_path,
        title="English to <German>",
        lead="Two epochs.",
        history=ROWS,
        troubles=["1 of 2 texts is <equal>.", "床前明月光 is unknown."],
        samples=[Sample("good day", "Guten Tag", "Guten Tag", 0.51234)],
        worst=[Sample("雪\n月", "", "a\nb", 0.0)],
        surest=[Sample("x", "y", "z", 0.99)],
        pictures=[attention_of(answer), attention_of(answer._replace(attention=None))],
        length_quality=[(3, 0.5), (30, 0.2), (31, 0.1)],
        quality="BLEU",
        sureness="sure",
        figures={"test": {"loss": 1.23456, "bleu": 35.0}, "chosen_on": "validation", "troubles": ["a"]},
    )
    assert page == tmp_path / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "<h1>English to &lt;German&gt;</h1>" in text
    assert headings(text) == [
        "Figures", "What the data and the output show", "Samples", "The worst answers", "The surest mistakes",
        "Attention", "Curves",
    ]  # fmt: skip
    assert "<td>test, loss</td><td>1.235</td>" in text
    assert "<li>1 of 2 texts is &lt;equal&gt;.</li>" in text
    assert "<td>good day</td><td>Guten Tag</td><td>Guten Tag</td><td>0.5123</td>" in text
    assert "<td>雪\n月</td><td>a\nb</td><td>0</td>" in text
    assert text.count("<img ") == 2
    assert '<table class="heat"><caption>早安 &lt;b&gt;</caption>' in text
    assert '<tr><th scope="row">早</th><td style="--heat: 100%" title="1.00"></td><td style="--heat: 0%"' in text
    assert '<th scope="row">␣</th>' in text
    assert '<th scope="col">sure</th>' in text
    assert (tmp_path / "troubles.txt").read_text(encoding="utf-8").splitlines()[1] == "床前明月光 is unknown."
    assert faults_of(text) == []
    assert "<td>test, BLEU</td><td>35</td>" in text
    assert is_run_page(page)
    assert not is_run_page(tmp_path / "none.html")


def test_figures_that_readers_look_for_come_first(tmp_path):
    figures = {
        "signatures": {"bleu": "n:1"},
        "rows": {"train": 29000},
        "validation": {"chrf": 1.0},
        "test": {"bleu": 2.0},
    }
    text = write_text_page(tmp_path, title="Nothing", figures=figures).read_text(encoding="utf-8")
    rows = re.findall("<tr><td>(.*?)</td><td>(.*?)</td></tr>", text)
    assert rows == [
        ("test, BLEU", "2"), ("validation, chrF", "1"), ("rows, train", "29,000"), ("signatures, BLEU", "n:1")
    ]  # fmt: skip


def test_all_of_it_may_be_empty(tmp_path):
    text = write_text_page(tmp_path, title="Nothing").read_text(encoding="utf-8")
    assert headings(text) == []
    assert (tmp_path / "troubles.txt").read_text() == ""


def test_samples_without_sources_are_texts(tmp_path):
    samples = [Sample("", "", "First line\n  second line"), Sample("", "", "春眠不觉晓，\n处处闻啼鸟。")]
    text = write_text_page(tmp_path, title="Poems", samples=samples).read_text(encoding="utf-8")
    assert '<p class="text" dir="auto">First line\n  second line</p>' in text
    assert "春眠不觉晓，\n处处闻啼鸟。" in text
    assert "<table>" not in text


def test_a_picture_of_ones_own(tmp_path):
    def draw(path: Path) -> None:
        path.write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')

    text = write_text_page(
        tmp_path, title="a", pictures=[Picture("Mine <1>", draw, 'what "it" shows'), None]
    ).read_text()
    assert "<h3>Mine &lt;1&gt;</h3>" in text
    assert 'alt="what &quot;it&quot; shows"' in text


def test_blocks_without_a_section_and_folded_sections(tmp_path):
    page = Page("Title", name="a&b")
    page.card("Card", "One.")
    page.section("Rules", folded=True).table(("a",), [(1,)])
    text = page.write(tmp_path / "p.html").read_text(encoding="utf-8")
    assert '<section aria-label="Title">\n<article><h3>Card</h3><p>One.</p></article>\n</section>' in text
    assert "<details><summary>Rules</summary>" in text
    assert '<p class="name">a&amp;b</p>' in text
    assert '<body class="plain">' in text


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (0, 0)])
def test_attention_of_any_size(tmp_path, size):
    from rnnkit.plotting.attention import attention_picture

    rows, columns = size
    drawn = attention_picture([f"s{n}" for n in range(columns)], [" "] * rows, torch.rand(size), tmp_path / "a.svg")
    (axes,) = drawn.axes
    assert (tmp_path / "a.svg").stat().st_size > 0
    assert len(axes.get_yticks()) == rows
    assert len(axes.get_xticks()) == {1: 1, 200: 50, 0: 0}[columns]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["␣"] * rows
