# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether results depend on how a prompt is cut into calls follows from what a module does."""

from __future__ import annotations

import numpy as np
import pytest

from lariat.errors import LariatError
from tests.integration.fast import Fast
from tests.integration.programs import EVEN, Ids, Outcome, Program, Reference, assert_near, embed, open_text, table

CACHE = "lariat.cache @kv layers(2) heads(1) dim(4) depths(4) : f32 policy(#lariat.{policy})"

# Bodies and policies: what is appended to layer 0, and attended to, in which order.
SETS = f"""
{embed(4)}{EVEN}
%c0 = arith.constant 0 : index
%c1 = arith.constant 1 : index
%c2 = arith.constant 2 : index
%few = lariat.select %all where %even : !all to !few
%xf = lariat.take %x of %all at %few : !all:4 at !few
%deep = lariat.advance %all to %c1 : !all
"""
ATTEND = "%seen = lariat.attend @kv[0] %x at %{at} heads(1) mask(<{mask}>) : !all:4\n"
APPEND = "lariat.append @kv[{layer}] %x, %x at %{at} : !all:4\n"
SOME = "lariat.append @kv[0] %xf, %xf at %few : !few:4\n"
END = "%y = arith.addf %seen, %x : !all:4\n"


def attend(at: str = "all", mask: str = "causal") -> str:
    return ATTEND.format(at=at, mask=mask)


def append(at: str = "all", layer: int = 0) -> str:
    return APPEND.format(at=at, layer=layer)


def loop(head: str, body: str) -> str:
    return f"{head} {{\n{body}}}\n"


def recur(body: str) -> str:
    head = "%seen, %steps = lariat.recur max(%loops : !all:index) over %all : !all as %s : !s carry(%h = %x : !all:4)"
    return loop(head, body + "%n = arith.addf %see, %h : !s:4\nlariat.next keep %s : !s carry(%n : !s:4)\n")


STEP_APPEND = "lariat.append @kv[0] %h, %h at %{at} : !s:4\n"
STEP_ATTEND = "%see = lariat.attend @kv[0] %h at %{at} heads(1) mask(<causal>) : !s:4\n"
NEXT = "%next = lariat.advance %s : !s\n"
FOR = "%seen = scf.for %i = %c0 to %c2 step %c1 iter_args(%h = %x) -> (!all:4)"
FOR_APPEND = "lariat.append @kv[0] %h, %h at %all{slot} : !all:4\n"
FOR_ATTEND = "%see = lariat.attend @kv[0] %h at %all heads(1) mask(<causal>){slot} : !all:4\n"
YIELD = "scf.yield %see : !all:4\n"
SLOT = " slot(%i)"
NEXT_SLOT = "%j = arith.addi %i, %c1 : index\n"

FREE = {
    "in order": ("union", append() + attend()),
    "another layer behind": ("union", append() + attend() + append(layer=1)),
    "a deeper slot behind": ("own<missing = skip>", append() + attend() + append("deep")),
    "some rows, then the attend": ("latest", SOME + attend()),
    "in a loop over depth": ("own<missing = slot0>", recur(STEP_APPEND.format(at="s") + STEP_ATTEND.format(at="s"))),
    "all depths of a loop": ("union", recur(STEP_APPEND.format(at="s") + STEP_ATTEND.format(at="s"))),
    "the step before, of a loop": ("own<missing = skip>",
                                   recur(NEXT + STEP_APPEND.format(at="next") + STEP_ATTEND.format(at="s"))),
    "a slot per iteration": ("own<missing = skip>",
                             loop(FOR, FOR_APPEND.format(slot=SLOT) + FOR_ATTEND.format(slot=SLOT) + YIELD)),
    "the first depth only": ("first", recur(STEP_APPEND.format(at="s") + STEP_ATTEND.format(at="s"))),
}  # fmt: skip
CUT = {
    "behind": ("own<missing = skip>", attend() + append()),
    "some rows behind": ("own<missing = skip>", append() + attend() + SOME),
    "deeper rows behind, all depths shown": ("union", append() + attend("deep") + append("deep")),
    "the first depth behind": ("own<missing = slot0>", attend("deep") + append()),
    "attend first in a loop": ("own<missing = skip>", recur(STEP_ATTEND.format(at="s") + STEP_APPEND.format(at="s"))),
    "the next step's entry": ("own<missing = skip>",
                              recur(NEXT + STEP_APPEND.format(at="s") + STEP_ATTEND.format(at="next"))),
    "the same place in each iteration": ("own<missing = skip>",
                                         loop(FOR, FOR_APPEND.format(slot="") + FOR_ATTEND.format(slot="") + YIELD)),
    "the next iteration's slot": ("own<missing = skip>",
                                  loop(FOR, NEXT_SLOT + FOR_APPEND.format(slot=SLOT) +
                                       FOR_ATTEND.format(slot=" slot(%j)") + YIELD)),
    "before a loop that appends": ("union", attend().replace("%seen", "%early") +
                                   recur(STEP_APPEND.format(at="s") + STEP_ATTEND.format(at="s"))
                                   .replace("%seen", "%late") + "%seen = arith.addf %early, %late : !all:4\n"),
    "rows behind the own": ("own<missing = skip>", append() + attend(mask="full")),
}  # fmt: skip


def build(case: tuple[str, str], loops: int = 2) -> Program:
    policy, body = case
    weights = {"x": table(np.random.default_rng(1), 4)}
    return Program(SETS + body + END, 4, weights, CACHE.format(policy=policy), loops=loops)


@pytest.mark.parametrize("name", [*FREE, *CUT])
def test_what_a_module_does_decides(name: str) -> None:
    text = build(FREE.get(name) or CUT[name]).text()
    with Reference(text) as reference:
        cuts = reference.request("info")["manifest"]["traits"]["cuts"]
    print(cuts)
    assert (cuts is None) == (name in FREE)


def score(opened: Reference | Fast, ids: list[Ids], **options: object) -> list[Outcome] | str:
    """Results, or why there are none."""
    try:
        return opened.score(ids, **options)
    except (LariatError, AssertionError) as error:
        return str(error)


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize("name", FREE)
def test_chunks_of_a_free_module_are_one_call(name: str) -> None:
    ids = [list(range(9)), [3], [5, 8, 2, 4]]
    with open_text(build(FREE[name]).text()) as opened:
        whole = opened.score(ids)
        for one, other in zip(opened.score(ids, chunk=2), whole, strict=True):
            assert one.logits.tobytes() == other.logits.tobytes()


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize("name", ["behind", "the same place in each iteration", "rows behind the own"])
def test_a_chunk_is_refused_where_cuts_decide(name: str) -> None:
    with open_text(build(CUT[name]).text()) as opened:
        said = score(opened, [[1, 2, 3]], chunk=2)
        assert isinstance(said, str)
        assert said.startswith("a chunk is given, but results of this model depend on how a prompt is cut: an attend")
        assert not isinstance(score(opened, [[1, 2, 3]]), str)


@pytest.mark.parametrize("name", ["behind", "rows behind the own"])
def test_a_long_prompt_is_not_cut(name: str) -> None:
    """More rows than a call of the fast pipeline has otherwise."""
    text = build(CUT[name]).text().replace("context = 64", "context = 1024")
    ids = [np.random.default_rng(2).integers(0, 32, 600).tolist()]
    with Reference(text) as reference, Fast(text) as fast:
        expected = reference.score(ids)
        assert_near(fast.score(ids), [one.logits for one in expected], 1e-4)
        assert (fast.session.info.order, fast.session.info.cuts is None) == ("atomic", False)
        # A generated row is a call of its own, on both.
        prompts = [one[:7] for one in ids]
        assert fast.generate(prompts, 5)[0].tokens == reference.generate(prompts, 5)[0].tokens


def test_a_model_whose_cuts_decide_does_not_speculate() -> None:
    said = "cannot speculate: its results depend on which rows run together"
    with Fast(build(CUT["attend first in a loop"]).text()) as fast, pytest.raises(LariatError, match=said):
        fast.generate([[1, 2]], 2, speculate=1)
