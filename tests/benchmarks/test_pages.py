"""The pages of processors, and the page over them, from made runs."""

import dataclasses

import pytest

from benchmarks import pages
from benchmarks.report import render
from benchmarks.results import Part
from tests.benchmarks.test_report import made_run


@pytest.mark.parametrize(
    ("processor", "listed", "expected"),
    [
        ("Intel(R) Xeon(R) Processor", "avx2, fma, avx512f, amx_bf16", "intel-xeon-amx"),
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "avx2, fma", "intel-core-i7-8650u-avx2"),
        ("AMD EPYC 7763 64-Core Processor", "avx2, fma", "amd-epyc-7763-avx2"),
        ("aarch64", "not listed", "aarch64"),
    ],
)
def test_a_page_is_called_by_the_processor_and_its_widest_instructions(processor, listed, expected):
    assert pages.name({"Processor": processor, "Vector instructions": listed}) == expected


def test_the_overview_has_a_column_for_each_processor(tmp_path):
    fast, slow = made_run(ours=0.5), made_run(ours=1.0)
    slow = dataclasses.replace(slow, machine={**slow.machine, "Processor": "Made Model 2"}, date="2030-02-03")
    (tmp_path / "one.md").write_text(render(fast))
    (tmp_path / "two.md").write_text(render(slow))
    page = pages.overview(tmp_path)
    assert f"| [one]({tmp_path.name}/one.md) | Made Model 1 | 2 | 2030-01-02 | 3 of 4 |" in page
    assert f"| [two]({tmp_path.name}/two.md) | Made Model 2 | 2 | 2030-02-03 | 2 of 4 |" in page
    assert "| network | B, T, I, H | target | one | two |" in page
    assert "| SimpleRNN relu | 32, 28, 28, 128 | ≥ 2 | 2.40 | **1.20** |" in page


def test_a_page_without_steps_leaves_its_column_empty(tmp_path):
    (tmp_path / "one.md").write_text(render(made_run()))
    (tmp_path / "two.md").write_text(render(dataclasses.replace(made_run(), rows=[])))
    assert "| SimpleRNN relu | 32, 28, 28, 128 | ≥ 2 | 2.40 | — |" in pages.overview(tmp_path)


def test_a_later_run_of_one_part_takes_its_sections_place():
    figures = Part("Options", "What they cost.", ("size",), "ratio", [])
    first = render(dataclasses.replace(made_run(), parts=[figures]))
    later = dataclasses.replace(made_run(), rows=[], figures=[], parts=[dataclasses.replace(figures, text="Anew.")])
    page = pages.renewed(first, render(later), "2030-05-06")
    assert "Anew." in page
    assert "Measured apart from the rest, on 2030-05-06." in page
    assert page.count("## Options") == 1
    assert "What they cost." not in page
    assert page.partition("## Options")[0] == first.partition("## Options")[0]
    assert page.partition("## Around the step")[2] == first.partition("## Around the step")[2]
