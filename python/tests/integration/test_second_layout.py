# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A target of another layout: panels of 32 columns, and pages with the keys of an entry side by side.

It is a target of these tests alone (unittests/Target/WideTarget.cpp), in a compiler of their own. One artefact holds
its code and weights beside those of the machine's ISA, and all bits are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat._process import find_tool
from lariat.session import Session
from tests.integration.fast import Fast
from tests.integration.fixtures import NAMES, Fixture, generate_options, score_options

Compile = Callable[[str, str], Fast]


@pytest.fixture(scope="module")
def compile_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compile]:
    """Compiles a fixture for this machine's ISA and for `wide`, once per dtype of weights, keys and values."""
    tool = find_tool("lariat-compile").parents[1] / "unittests" / "lariat-compile-wide"
    if not os.access(tool, os.X_OK):
        pytest.skip("the compiler with a second layout is not built")
    tools = tmp_path_factory.mktemp("bin")
    for path in find_tool("lariat-compile").parent.iterdir():
        (tools / path.name).symlink_to(tool if path.name == "lariat-compile" else path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LARIAT_BIN_DIR", str(tools))
        opened: list[Fast] = []

        @cache
        def compile_one(name: str, dtype: str) -> Fast:
            opened.append(Fast(Fixture.load(name).path, dtype=dtype, kv_dtype=dtype, target="native,wide"))
            return opened[-1]

        yield compile_one
        for one in opened:
            one.close()


def run_all(session: Session, fixture: Fixture) -> list[bytes]:
    """What the fixture's cases give under each rule, as scores and greedy tokens."""
    batch = [fixture.ids(case) for case in fixture.cases()]
    if fixture.name == "albert":
        return [one.hidden.tobytes() for one in session.encode(batch)]
    results = []
    for rule in fixture.rules("len31"):
        for score in session.score(batch, score_options(rule)):
            results += [score.logits.tobytes(), score.steps.tobytes()]
        if rule != "causal":
            made = session.generate([ids[:7] for ids in batch], generate_options(rule, 9))
            results += [np.array([one.tokens, one.steps]).tobytes() for one in made]
    return results


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_no_bit_depends_on_the_layout(compile_both: Compile, name: str, dtype: str) -> None:
    fast, fixture = compile_both(name, dtype), Fixture.load(name)
    results = []
    for isa, threads in ((None, 1), ("wide", 2)):
        with lariat.load(fast.artefact, threads=threads, isa=isa) as session:
            results.append(run_all(session, fixture))
    assert results[0] == results[1]


def test_an_artefact_holds_a_file_of_weights_per_layout(compile_both: Compile) -> None:
    artefact = compile_both("ouro", "f32").artefact
    code = json.loads((artefact / "manifest.json").read_text())["code"]
    layouts = {layout["name"]: layout for layout in code["layouts"]}
    assert {object["isa"]: object["layout"] for object in code["objects"]}["wide"] == "wide"
    assert {name: (one["panel_columns"], one["keys"]) for name, one in layouts.items()} == {
        "cpu": (16, "columns"),
        "wide": (32, "entries"),
    }
    first, second = ((artefact / layouts[name]["weights"]["file"]).read_bytes() for name in ("cpu", "wide"))
    assert first != second
    assert (artefact / "weights.bin").read_bytes() == first


def test_code_reads_the_weights_of_its_layout_alone(compile_both: Compile, tmp_path: Path) -> None:
    """Without the other file nothing is missing."""
    source, artefact = compile_both("ouro", "f32").artefact, tmp_path / "m.lariat"
    artefact.mkdir()
    for path in source.rglob("*"):
        if path.is_file() and path.name != "weights.bin":
            target = artefact / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    with lariat.load(artefact, threads=1, isa="wide") as session:
        assert len(session.score([[1, 2, 3]])) == 1
    with pytest.raises(lariat.ArtefactError, match=r"weights\.bin"), lariat.load(artefact, threads=1) as session:
        session.score([[1, 2, 3]])
