import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch

import rnnkit
from rnnkit.diagnostics.findings import RULES
from rnnkit.diagnostics.page import write_page

VOID = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """A page's headings, pictures and text; fails on tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.sources, self.words, self.heads = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert not {"src", "href", "srcset"} & set(found) or tag in ("img", "source")
        if tag == "img":
            self.images.append(found)
        elif tag == "source":
            self.sources.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.heads.append((self.open[-1], data))
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


RECORDS = [
    {"epoch": epoch, "measured": 2, "gradients": {"body.l0": 0.5, "head": 0.1}, "gradient_peak": 2.0,
     "updates": {"body.weight_hh_l0": 1e-3, "head.weight": None, "head.bias": 0.1}}
    for epoch in (1, 2)
]  # fmt: skip
HISTORY = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 1.1 / epoch, "mae": 0.5, "lr": 1e-3} for epoch in (1, 2)]


@pytest.fixture(scope="module")
def ill(tmp_path_factory):
    torch.manual_seed(0)
    model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 16))
    found = rnnkit.diagnose(model, torch.randn(8, 100, 2), torch.zeros(8), records=RECORDS, history=HISTORY)
    path = write_page(found, tmp_path_factory.mktemp("page") / "report.html", name="runs/a<b>&c")
    return found, path.read_text(encoding="utf-8")


def test_the_verdict_comes_first_and_every_finding_has_its_sentences(ill):
    found, text = ill
    page = Page(text)
    assert page.heads[0] == ("h1", "Gradients vanish.")
    assert page.heads[1] == ("h3", "Gradients vanish")
    (finding,) = found.findings
    assert finding.problem in page.text
    assert finding.helps in page.text
    assert f"{finding.figure:.3g}" in page.text
    assert "SequenceRegressor, 337 parameters, looked at on 8 rows of up to 100 steps" in page.text
    assert f"The output sees {found.evidence.horizon.steps} of 100 steps back." in page.text
    assert all(rule.measure in page.text for rule in RULES.values())
    assert "runs/a<b>&c" in page.text  # escaped in the file
    assert "a<b>" not in text


def test_the_pictures_are_inside_described_and_there_for_light_and_dark(ill):
    page = Page(ill[1])
    titles = [head for level, head in page.heads if level == "h3"][1:]
    assert titles == [
        "Gradients through time", "How far back the output sees", "Recurrent weights", "Saturated and idle units",
        "Update-to-weight ratios", "Gradients over training", "Learning curves",
    ]  # fmt: skip
    assert len(page.images) == len(page.sources) == len(titles)
    for image, source in zip(page.images, page.sources, strict=True):
        assert len(image["alt"]) > 40
        assert source["media"] == "(prefers-color-scheme: dark)"
        for data in (image["src"], source["srcset"]):
            head, _, body = data.partition(",")
            assert head == "data:image/svg+xml;base64"
            assert ElementTree.fromstring(base64.b64decode(body)).tag.endswith("svg")
        assert image["src"] != source["srcset"]
    assert "body.weight_hh_l0 0.001" in page.images[4]["alt"]


def test_it_needs_no_network_no_script_and_fits_a_phone(ill):
    text = ill[1]
    outside = re.sub(r'(src|srcset)="data:[^"]*"', "", text)
    assert not re.search(r"https?:|//|<script|@import|url\(", outside)
    assert 'name="viewport" content="width=device-width' in text
    assert "prefers-color-scheme: dark" in outside
    assert len(text) < 2_000_000


def test_a_healthy_network_and_one_without_targets(tmp_path):
    torch.manual_seed(0)
    found = rnnkit.diagnose(rnnkit.GRU(2, 4, batch_first=True), torch.randn(3, 9, 2))
    page = Page(write_page(found, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert page.heads[0] == ("h1", "Nothing wrong was found.")
    assert f"None of the {len(RULES)} rules below applies." in page.text
    titles = [head for level, head in page.heads if level == "h3"]
    assert titles == ["How far back the output sees", "Recurrent weights", "Saturated and idle units"]
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_broken_weights_still_make_a_page(tmp_path):
    model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 4))
    torch.nn.init.constant_(model.body.weight_hh_l0, float("nan"))
    found = rnnkit.diagnose(model, torch.randn(3, 9, 2), torch.zeros(3))
    page = Page(write_page(found, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert page.heads[0] == ("h1", "Numbers overflowed.")
