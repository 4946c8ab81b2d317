# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drafts: when tokens come, and who may not draft. That drafts change no result is in test_engine.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions
from lariat.session import Session
from tests.integration.families import find_spec, write_family
from tests.integration.fast import Fast
from tests.integration.random_models import RandomModel


@pytest.fixture(scope="module")
def bound() -> Iterator[Session]:
    """A model whose rows all run four loop steps."""
    model = RandomModel.draw(5)
    assert (model.end, model.loops) == ("bound", 4)
    fast = Fast(model.text())
    yield fast.session
    fast.close()


def refuse(session: Session, match: str, **asked: int) -> None:
    options = replace(GenerateOptions(max_new_tokens=2), **asked)  # type: ignore[arg-type]
    with pytest.raises(RuntimeFault, match=match):
        session.generate([[1, 2]], options)
    with pytest.raises(RuntimeFault, match=match):
        Engine(session).submit([1, 2], options)


def test_a_token_comes_as_soon_as_drafts_allow(bound: Session) -> None:
    """A right draft saves the steps after it: what it was drafted from has run them by the time that it is verified."""
    options = GenerateOptions(max_new_tokens=20, ignore_eos=True, speculate=3, drafts=8)
    engine = Engine(bound, loop="steps")
    engine.submit([7], options)
    ticks: list[int] = []
    number, unfinished = 0, 1
    while unfinished:
        tick = engine.tick()
        number, unfinished = number + 1, tick.unfinished
        ticks += [number] * len(tick.tokens)
    counts = engine.counts()
    assert 0 < counts.accepted <= counts.drafted
    assert ticks[-1] == 4 * 20 - counts.accepted


def test_generate_gives_the_same_with_drafts(bound: Session) -> None:
    prompts = [[1, 2, 3], [4], [5] * 20]
    plain = GenerateOptions(max_new_tokens=12, temperature=0.8, presence_penalty=0.5, logprobs=2, ignore_eos=True)
    expected = bound.generate(prompts, plain)
    for steps in (1, 2, 3):
        assert bound.generate(prompts, replace(plain, speculate=steps)) == expected


def test_stop_tokens_end_a_sequence_where_they_are_drafted(bound: Session) -> None:
    plain = GenerateOptions(max_new_tokens=12, ignore_eos=True)
    (whole,) = bound.generate([[7]], plain)
    for token in sorted(set(whole.tokens)):
        options = replace(plain, stop_tokens=(token,))
        assert bound.generate([[7]], replace(options, speculate=2, drafts=4)) == bound.generate([[7]], options)


def test_steps_out_of_range_are_refused(bound: Session) -> None:
    for steps in (0, -3, 4):
        refuse(bound, f"speculation after {steps} loop steps is asked for, expected 1 to 3", speculate=steps)
    refuse(bound, "drafts of 0 tokens are asked for, expected at least 1", speculate=1, drafts=0)
    refuse(bound, "drafts of 2 tokens are asked for without speculation", drafts=2)


def test_a_loop_that_cannot_be_split_is_refused(tmp_path: Path) -> None:
    family = write_family(tmp_path, find_spec("hrm-h3-l1"))
    with Fast(family.text, family.directory) as fast:
        refuse(fast.session, "cannot speculate", speculate=1)


def test_states_are_refused() -> None:
    model = next(one for one in map(RandomModel.draw, range(40)) if one.shifts)
    with Fast(model.text()) as fast:
        refuse(fast.session, "it has states, which cannot be taken back", speculate=1)
