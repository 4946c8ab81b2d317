# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a report's page says, and that texts on it stay texts. How a browser shows it: integration/test_report.py."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lariat.artefact import Artefact
from lariat.report.charts import AMOUNT, BYTES, Series, Span, Value, bytes_text, columns, panel, seconds_text
from lariat.report.page import Continuation, Piece, render
from tests import fakes
from tests.profiles import FIELDS, make_profile

HOSTILE = "</span><script>alert('x')</script>\"><img src=x onerror=alert(1)> &amp; <!--"


class Reader(HTMLParser):
    """Elements with their attributes, and the text of tokens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str] = []
        self.prompt = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._inside = found.get("class", "") if tag == "span" else self._inside
        if self._inside.startswith("token"):
            self.tokens.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside.startswith("token"):
            self.tokens[-1] += data
        elif self._inside == "prompt":
            self.prompt += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def chart(self, name: str) -> dict[str, float]:
        """Numbers of a column chart, by the key of the column."""
        start = next(at for at, (_, found) in enumerate(self.elements) if found.get("data-chart") == name)
        values = {}
        for tag, found in self.elements[start + 1 :]:
            if tag == "svg":
                break
            if "data-value" in found:
                values[found["data-key"]] = float(found["data-value"])
        return values


@pytest.fixture
def info(tmp_path: Path) -> Artefact:
    fakes.make_artefact(tmp_path / "a.lariat")
    return Artefact.open(tmp_path / "a.lariat")


def test_texts_stay_texts(info: Artefact) -> None:
    page = Reader(
        render(info, make_profile(), [Continuation(HOSTILE, (Piece(1, 2, HOSTILE), Piece(2, 1, "x")), "eos")])
    )
    plain = Reader(render(info, make_profile(), [Continuation("a", (Piece(1, 2, "b"), Piece(2, 1, "x")), "eos")]))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.tokens == [HOSTILE, "x"]
    assert page.prompt == HOSTILE


def test_names_of_artefacts_are_escaped(tmp_path: Path) -> None:
    fakes.make_artefact(tmp_path / "<script>.lariat")
    page = render(Artefact.open(tmp_path / "<script>.lariat"), make_profile(), [])
    assert Reader(page).count("script") == 1
    assert "&lt;script&gt;.lariat" in page


def test_the_page_loads_nothing(info: Artefact) -> None:
    page = Reader(render(info, make_profile(), []))
    loading = {"src", "href", "srcset", "action", "data", "poster"}
    assert not [found for _, found in page.elements if loading & found.keys()]
    assert not {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base"}
    policy = next(
        found["content"] for tag, found in page.elements if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")


def test_charts_have_the_numbers_of_the_profile(info: Artefact) -> None:
    page = Reader(render(info, make_profile(), []))
    assert page.chart("steps-generated") == {"1": 1, "2": 1}
    assert page.chart("steps-prompt") == {"1": 0, "2": 2}
    assert page.chart("time") == {"prelude": 0.002, "depth-0": 0.01, "depth-1": 0.006, "fill": 0.001, "coda": 0.004}
    assert page.chart("memory") == {"kv-0": 4096, "kv-1": 3072}
    totals = {found["data-key"]: float(found["data-total"]) for _, found in page.elements if "data-total" in found}
    assert totals == {
        "depth-0": 4, "depth-1": 3, "running": 5, "waiting": 1, "live": 5000, "pages": 3 * 65536,
    }  # fmt: skip
    rows = [int(found["data-rows"]) for _, found in page.elements if "data-rows" in found]
    assert rows == [4, 3]


def test_every_chart_has_a_text_alternative(info: Artefact) -> None:
    page = Reader(render(info, make_profile(), []))
    charts = [found for tag, found in page.elements if tag == "svg" and found.get("role") == "img"]
    assert len(charts) == 7
    assert all(found["aria-label"] for found in charts)
    assert page.count("table") == page.count("caption") == 6


def test_time_of_whole_calls_belongs_to_no_depth(info: Artefact) -> None:
    functions = {name: {**one, "calls": 0, "rows": 0, "seconds": 0} for name, one in FIELDS["functions"].items()}
    functions["whole"] = {**functions["whole"], "calls": 2, "rows": 4, "seconds": 0.02}
    text = render(info, make_profile(functions=functions), [])
    assert Reader(text).chart("time") == {"whole": 0.02}
    assert "so that its time belongs to no depth" in text


def test_a_loop_of_one_step_is_no_range(info: Artefact) -> None:
    assert f"× up to {len(FIELDS['depths'])}<" in render(info, make_profile(), [])
    assert "× 1<" in render(info, make_profile(depths=FIELDS["depths"][:1]), [])


def test_an_empty_profile_has_a_page(info: Artefact) -> None:
    nothing: dict[str, Any] = {"ticks": 0, "seconds": 0, "tokens": 0, "depths": [], "caches": []}
    nothing |= {"steps": {"generated": [], "prompt": []}, "occupancy": {"ticks_per_record": 1, "records": []}}
    assert Reader(render(info, make_profile(**nothing), [])).count("svg") > 0


def test_columns_are_as_high_as_their_values() -> None:
    values = [Value(str(at), str(at), value, "d0", "") for at, value in enumerate([0, 1, 5, 10])]
    chart = columns(values, AMOUNT)
    unit = chart.bars[1].height
    assert [round(bar.height / unit, 9) for bar in chart.bars] == [0, 1, 5, 10]
    assert all(math.isclose(bar.y + bar.height, chart.base) for bar in chart.bars)
    assert all(left.x + left.width < right.x for left, right in zip(chart.bars, chart.bars[1:], strict=False))


@pytest.mark.parametrize("largest", [1, 2, 3, 7, 10, 99, 1234, 10**9])
def test_an_axis_ends_at_or_above_the_largest_value(largest: int) -> None:
    for scale in (AMOUNT, BYTES):
        chart = columns([Value("a", "a", largest, "d0", "")], scale)
        assert 2 <= len(chart.ticks) <= 6
        assert chart.bars[0].y >= chart.ticks[-1].at - 1e-9
        assert len({tick.text for tick in chart.ticks}) == len(chart.ticks)


def test_a_tick_far_above_the_others_is_cut_and_says_its_number() -> None:
    values = [400.0] + [10.0] * 99
    chart = panel([Span(at, 1) for at in range(100)], [Series("a", "a", "d0", values)], 100, AMOUNT, stacked=True)
    assert [cut.number for cut in chart.cuts] == ["400"]
    values[1:3] = [500.0, 450.0]
    values[50] = 300.0
    chart = panel([Span(at, 1) for at in range(100)], [Series("a", "a", "d0", values)], 100, AMOUNT, stacked=True)
    assert [cut.number for cut in chart.cuts] == ["500", "300"]
    level = panel([Span(at, 1) for at in range(4)], [Series("a", "a", "d0", [9, 8, 10, 9])], 100, AMOUNT, stacked=True)
    assert level.cuts == ()


def test_numbers_have_units() -> None:
    assert [bytes_text(size) for size in (0, 512, 1536, 20 * 2**20)] == ["0 B", "512 B", "1.50 KiB", "20 MiB"]
    assert [seconds_text(one) for one in (0, 2e-6, 0.0125, 3.0)] == ["0 s", "2 µs", "12.5 ms", "3 s"]
