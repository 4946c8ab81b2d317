# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`lariat report`, and its page in a real browser: what is drawn has the sizes that the numbers ask for."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lariat.profile import Profile
from tests.command import Command
from tests.test_report import Reader

HOSTILE = "<script>document.title='taken'</script> & <b>God</b> said "

# Runs in the page after everything else; what it finds is the page's only text afterwards.
PROBE = """
const faults = [];
addEventListener("error", (event) => faults.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => faults.push(event.violatedDirective));
addEventListener("load", () => {
  const box = (element) => { const r = element.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; };
  const bars = [...document.querySelectorAll("svg.columns")].map((svg) => ({
    chart: svg.dataset.chart,
    height: box(svg)[3],
    marks: [...svg.querySelectorAll("[data-value]")].map((g) => [g.dataset.key, Number(g.dataset.value),
      box(g.querySelector(".bar"))[3], getComputedStyle(g.querySelector(".bar")).fill]),
  }));
  const depths = [...document.querySelectorAll("[data-rows]")].map((li) => [Number(li.dataset.rows),
    box(li.querySelector(".bar"))[2], getComputedStyle(li.querySelector(".bar")).backgroundColor]);
  const token = document.querySelector(".token");
  token.dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: 30, clientY: 30 }));
  const tip = document.getElementById("tip");
  const said = [tip.hidden, tip.textContent, document.getElementById("said").textContent];
  document.querySelector(".text").dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, key: "ArrowRight" }));
  const result = {
    faults, bars, depths, said,
    title: document.title,
    chosen: [...document.querySelectorAll(".token")].findIndex((one) => one.classList.contains("chosen")),
    tokens: [...document.querySelectorAll(".token")].map((one) => one.textContent),
    text: document.querySelector(".prompt").textContent,
    loaded: performance.getEntriesByType("resource").length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
  };
  document.body.textContent = "RESULT" + JSON.stringify(result) + "END";
});
"""


def show(page: Path, *, width: int = 1200, dark: bool = False) -> dict[str, Any]:
    """What a browser makes of the page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no chromium, which scripts/packages.sh installs: the page is not checked in a browser")
    probed = page.with_name("probed.html")
    text = page.read_text(encoding="utf-8")
    assert text.count("<body>") == 1
    probed.write_text(text.replace("<body>", f"<body><script>{PROBE}</script>"), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'browser'}",
        f"--window-size={width},900", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", probed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r"RESULT(\{.*\})END", done.stdout, re.S)
    assert found, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    assert result["faults"] == []
    return result


@pytest.fixture
def page(lariat: Command) -> Path:
    lariat.ok(
        "report", "ouro.lariat", "--prompt", HOSTILE, "In the beginning", "--max-new-tokens", 40, "--ignore-eos",
        "--exit-threshold", 0.5, "-o", "out.html",
    )  # fmt: skip
    return lariat.folder / "out.html"


def test_a_browser_draws_what_the_numbers_say(page: Path) -> None:
    shown = show(page)
    assert [chart["chart"] for chart in shown["bars"]] == ["steps-generated", "steps-prompt", "time", "memory"]
    written = Reader(page.read_text())
    for chart in shown["bars"]:
        assert {key: value for key, value, _, _ in chart["marks"]} == written.chart(chart["chart"])
        largest = max(value for _, value, _, _ in chart["marks"])
        tallest = max(height for _, _, height, _ in chart["marks"])
        assert tallest > chart["height"] / 3
        for _, value, height, _ in chart["marks"]:
            assert height / tallest == pytest.approx(value / largest, abs=0.01)
    rows = [(count, width) for count, width, _ in shown["depths"]]
    assert len(rows) == 4 and rows[0][0] > rows[3][0]
    for count, width in rows:
        assert width / rows[0][1] == pytest.approx(count / rows[0][0], abs=0.02)
    # A depth has its colour in every chart.
    colors = [color for _, _, color in shown["depths"]]
    assert len(set(colors)) == 4
    times = next(chart for chart in shown["bars"] if chart["chart"] == "time")
    assert [color for key, _, _, color in times["marks"] if key.startswith("depth")] == colors


def test_texts_are_shown_and_tokens_tell_of_themselves(page: Path) -> None:
    shown = show(page)
    assert shown["title"] == "ouro · ouro.lariat · Lariat report"
    assert shown["text"] == HOSTILE
    assert len(shown["tokens"]) == 80
    hidden, tip, said = shown["said"]
    assert not hidden
    assert re.fullmatch(r"token 1, id \d+: [1-4] loop steps?", tip)
    assert said == f"{json.dumps(shown['tokens'][0])}, {tip}"
    assert shown["chosen"] == 1
    assert shown["loaded"] == 0


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_a_phone_in_either_theme(page: Path, dark: bool) -> None:
    shown = show(page, width=390, dark=dark)
    assert shown["overflow"] <= 0

    def brightness(color: str) -> int:
        return sum(map(int, re.findall(r"\d+", color)[:3]))

    assert (brightness(shown["ground"]) < brightness(shown["ink"])) == dark


def test_a_report_of_token_ids_and_without_a_loop_that_can_be_split(lariat: Command) -> None:
    lariat.ok("report", "hrm.lariat", "--tokens", "in.json", "--max-new-tokens", 3, "--ignore-eos", "-o", "out.html")
    read = Reader((lariat.folder / "out.html").read_text())
    assert read.chart("time").keys() == {"whole"}
    assert len(read.tokens) == 3


def test_a_profile_made_earlier_is_drawn(lariat: Command) -> None:
    lariat.ok(
        "generate", "ouro.lariat", "--prompt", "And", "--max-new-tokens", 6, "--ignore-eos", "--profile", "profile.json"
    )
    lariat.ok("report", "ouro.lariat", "--profile", "profile.json", "-o", "out.html")
    read = Reader((lariat.folder / "out.html").read_text())
    profile = Profile.parse((lariat.folder / "profile.json").read_text())
    assert read.tokens == []
    assert read.chart("time")["coda"] == profile.functions["coda"].seconds


def test_there_is_nothing_to_report_of_encoders_and_of_the_reference_path(lariat: Command) -> None:
    prompt = ("--prompt", "a", "-o", "out.html")
    assert lariat.fails("report", "albert.lariat", *prompt) == (
        "albert.lariat is an encoder: a report is about generation, so there is nothing to report"
    )
    assert lariat.fails("report", "reference.lariat", *prompt) == (
        "reference.lariat: the reference path has no engine, so there is nothing to report"
    )
    assert not (lariat.folder / "out.html").exists()


def test_what_is_no_profile_is_refused(lariat: Command) -> None:
    assert lariat.fails("report", "ouro.lariat", "--profile", "in.json", "-o", "out.html") == (
        "in.json: not a profile of version 1, which is what this version reads"
    )
    assert lariat.fails("report", "ouro.lariat", "--profile", "none.json", "-o", "out.html") == (
        "cannot read none.json: No such file or directory"
    )
    (lariat.folder / "empty.json").write_text("[]")
    assert lariat.fails("report", "ouro.lariat", "--tokens", "empty.json", "-o", "out.html") == (
        "empty.json: there is no sequence, so there is nothing to report"
    )
