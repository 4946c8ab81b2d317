# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A token comes with the exit of its row, which may still owe entries. Results are those of the whole function; ticks
say when they come.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import lariat
from lariat.engine import Counts, Engine
from lariat.requests import CacheUse, GenerateOptions, ScoreOptions
from lariat.session import Session
from tests.integration.fast import Fast
from tests.integration.random_models import RandomModel

EXITS = (2, 6, 14, 26)  # seeds of models whose rows exit, with each declared missing mode
THRESHOLD = 0.2


@pytest.fixture(scope="module", params=EXITS)
def exits(request: pytest.FixtureRequest) -> Iterator[tuple[RandomModel, Fast]]:
    model = RandomModel.draw(request.param)
    print(model)
    fast = Fast(model.text())
    yield model, fast
    fast.close()


def run_ticks(session: Session, prompt: list[int], options: GenerateOptions, **how: object) -> tuple[
    list[int], list[int], list[int], Counts
]:  # fmt: skip
    """Tokens of a request alone in an engine, their steps, ticks from one to the next, and what has run."""
    engine = Engine(session, **how)  # type: ignore[arg-type]
    engine.submit(prompt, options)
    tokens, steps, ticks = [], [], []
    number, last, unfinished = 0, 0, 1
    while unfinished:
        tick = engine.tick()
        number, unfinished = number + 1, tick.unfinished
        for token in tick.tokens:
            tokens.append(token.id)
            steps.append(token.steps)
            ticks.append(number - last)
            last = number
    return tokens, steps, ticks, engine.counts()


def score_whole(
    session: Session, prompt: list[int], tokens: list[int], missing: str
) -> tuple[list[int], list[int], CacheUse]:
    """Most likely tokens after the prompt, steps and entries, from @forward over everything that had a row."""
    options = ScoreOptions(mode="generate", missing=missing, exit_threshold=THRESHOLD)
    (score,) = session.score([[*prompt, *tokens[:-1]]], options)
    rows = slice(len(prompt) - 1, None)
    return np.argmax(score.logits[rows], axis=1).tolist(), score.steps[rows].tolist(), score.slots


@pytest.mark.parametrize("missing", ["compute", "propagate"])
def test_a_token_comes_with_the_exit_of_its_row_while_that_still_owes_entries(
    exits: tuple[RandomModel, Fast], missing: str
) -> None:
    model, fast = exits
    if missing not in model.missing:
        pytest.skip(f"the model does not allow {missing}")
    options = GenerateOptions(max_new_tokens=20, ignore_eos=True, exit_threshold=THRESHOLD)
    with lariat.load(fast.artefact, threads=1) as session:
        tokens, steps, ticks, counts = run_ticks(session, [7], options, loop="steps", missing=missing)
        expected, expected_steps, slots = score_whole(session, [7], tokens, missing)
        whole = session.generate([[7]], GenerateOptions(**{**vars(options), "missing": missing}))[0]
    assert (tokens, steps) == (expected, expected_steps)
    assert ticks == steps
    assert min(steps) < model.loops, "no row exits, which proves nothing"
    # One step after the other of a row, each once; only what the last row owes runs in ticks of its own.
    owed = model.loops - steps[-1]
    rows = {"compute": counts.core.rows, "propagate": counts.core.rows + counts.fill.rows}[missing]
    assert rows == model.loops * len(tokens)
    assert counts.ticks == sum(steps) + owed
    assert (whole.tokens, whole.slots) == (tuple(tokens), slots)
    entries = [slot.computed + slot.filled for layer in slots["kv"] for slot in layer]
    assert entries == [len(tokens)] * (model.loops * model.layers)
