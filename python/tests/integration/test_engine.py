# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The engine on compiled models: a request's tokens, steps and log probabilities are those it has alone, bit for bit.

Models are drawn from a seed, or have the shape of a family and random weights; so are schedules: when requests come,
rows of a tick, chunks of prompts, order, who drafts how far ahead, and pages so few that requests give theirs back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import lariat
from lariat.bench.experiment import ExperimentalEngine
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.requests import GenerateOptions
from lariat.session import Session
from tests.integration.families import WITH_RULES, write_named
from tests.integration.fast import Fast
from tests.integration.random_models import RandomModel

SEEDS = range(26)
FAMILIES = ("mor-token-sigmoid", "mor-expert-hybrid", "mor-expert-sharing", "ouro-propagate", "rrt-copy-last",
            "huginn-propagate", "hrm-h3-l1", "mor-expert-auxiliary", "mor-token-bias", "mod-every-other",
            *WITH_RULES)  # fmt: skip
SCHEDULES = 7  # of each model, which makes 294

Generator = np.random.Generator


class Case(NamedTuple):
    fast: Fast
    vocab: int
    threshold: float | None
    missing: tuple[str, ...]
    context: int
    loops: int
    may_draft: bool

    @staticmethod
    def of(fast: Fast, vocab: int, threshold: float | None, context: int) -> Case:
        manifest: Any = fast.session.info.manifest
        refused = [one for one in manifest["code"]["refused"] if one["mode"] == "generate"]
        allowed = next((one["allowed"] for one in manifest["caches"] if one["allowed"]), [])
        missing = tuple(mode for mode in allowed if not any(one["missing"] == mode for one in refused))
        rules = [cache.get(rows, {}) for cache in manifest["caches"] for rows in ("prompt", "generated")]
        is_free = all(rule.get("slot") not in ("shared", "ring") for rule in rules)
        may_draft = is_free and not manifest["states"] and not any(one["derived"] for one in refused)
        return Case(fast, vocab, threshold, missing, context, fast.session.info.loops.default, may_draft)


class Answer(NamedTuple):
    """Everything that a request gets; floats as their bits."""

    tokens: list[int]
    steps: list[int]
    logprobs: list[tuple[float | None, tuple[tuple[int, float], ...]]]
    finish: str


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Case]]:
    folder = tmp_path_factory.mktemp("checkpoints")
    opened: list[Fast] = []

    @cache
    def get(name: str) -> Case:
        if name.startswith("seed "):
            model = RandomModel.draw(int(name.removeprefix("seed ")))
            print(model)
            opened.append(Fast(model.text()))
            return Case.of(opened[-1], model.vocab, 0.5 if model.has_exit else None, 64)
        family = write_named(folder, name)
        opened.append(Fast(family.text, family.directory))
        return Case.of(opened[-1], family.vocab, family.threshold, 90)

    yield get
    for one in opened:
        one.close()


def draw_request(generator: Generator, case: Case) -> tuple[list[int], GenerateOptions]:
    prompt = generator.integers(0, case.vocab, generator.integers(1, case.context - 12)).tolist()
    options = GenerateOptions(
        max_new_tokens=int(generator.integers(1, 12)),
        temperature=float(generator.choice([0.0, 0.9])),
        seed=int(generator.integers(100)),
        ignore_eos=True,
        exit_threshold=case.threshold if generator.integers(2) else None,
        repetition_penalty=float(generator.choice([1.0, 1.2])),
        logprobs=3,
    )
    if case.may_draft and generator.integers(2):
        options = replace(
            options,
            speculate=int(generator.integers(1, case.loops)),
            drafts=int(generator.integers(1, 6)) if generator.integers(4) else None,
        )
    return prompt, options


def finish_all(engine: Engine, come: Callable[[], bool]) -> dict[int, Answer]:
    """Tick until nothing comes any more and all have ended."""
    answers: dict[int, Answer] = {}
    while True:
        more = come()
        tick = engine.tick()
        for token in tick.tokens:
            answer = answers.setdefault(token.sequence, Answer([], [], [], ""))
            answer.tokens.append(token.id)
            answer.steps.append(token.steps)
            answer.logprobs.append((token.logprob, token.top_logprobs))
        for end in tick.ends:
            assert end.finish != "failed", end.error
            answers[end.request] = answers[end.request]._replace(finish=end.finish)
        if not more and not tick.unfinished:
            return answers


def run_alone(session: Session, prompt: list[int], options: GenerateOptions, missing: str | None) -> tuple[Answer, int]:
    """Without drafts; and the bytes of its pages."""
    engine = Engine(session, prefix_cache=False, missing=missing)
    engine.submit(prompt, replace(options, speculate=None, drafts=None))
    (answer,) = finish_all(engine, lambda: False).values()
    return answer, engine.counts().kv_bytes_peak


@pytest.mark.parametrize("schedule", range(SCHEDULES))
@pytest.mark.parametrize("name", [f"seed {seed}" for seed in SEEDS] + list(FAMILIES))
def test_every_schedule_gives_what_a_request_gets_alone(case: Callable[[str], Case], name: str, schedule: int) -> None:
    one = case(name)
    generator = np.random.default_rng([schedule, *name.encode()])
    missing = str(generator.choice([*one.missing, ""])) or None
    requests = [draw_request(generator, one) for _ in range(generator.integers(2, 9))]
    with lariat.load(one.fast.artefact, threads=1) as session:
        alone = [run_alone(session, prompt, options, missing) for prompt, options in requests]
    page = max(cache.page_bytes for cache in session.info.caches)
    most = max(size for _, size in alone)
    pages = -(-most // page) + 8 if schedule % 2 else None
    with lariat.load(
        one.fast.artefact,
        threads=2,
        max_rows=int(generator.integers(1, 100)),
        scheduler=str(generator.choice(["oldest", "fifo", "deepest"])),
        kv_pages=pages,
    ) as session:
        engine = ExperimentalEngine(
            session,
            chunk_rows=int(generator.integers(1, 60)),
            refills=bool(generator.integers(4)),
            splits_loop=bool(generator.integers(3)),
            loop=str(generator.choice(["auto", "steps"])),
            missing=missing,
        )
        waiting = list(requests)

        def come() -> bool:
            while waiting and generator.integers(2):
                engine.submit(*waiting.pop(0))
            return bool(waiting)

        answers = finish_all(engine, come)
        assert [answers[number] for number in range(len(requests))] == [answer for answer, _ in alone]
        engine.clear_prefixes()
        assert session.memory()["kv_pages"] == 0


@pytest.mark.parametrize("schedule", range(3))
@pytest.mark.parametrize("name", [f"seed {seed}" for seed in SEEDS] + list(FAMILIES))
def test_rows_of_others_change_no_answer(case: Callable[[str], Case], name: str, schedule: int) -> None:
    one = case(name)
    generator = np.random.default_rng([schedule, 7, *name.encode()])
    missing = str(generator.choice([*one.missing, ""])) or None
    texts = generator.integers(0, one.vocab, (2, one.context - 14)).tolist()

    def draw_alike() -> tuple[list[int], GenerateOptions]:
        begin = texts[generator.integers(2)][: generator.integers(1, one.context - 14)]
        more, options = draw_request(generator, one)
        return (begin + more)[: len(begin) + int(generator.integers(3))], options

    requests = [draw_alike() for _ in range(generator.integers(3, 8))]
    with lariat.load(one.fast.artefact, threads=1) as session:
        alone = [run_alone(session, prompt, options, missing) for prompt, options in requests]
    page = max(cache.page_bytes for cache in session.info.caches)
    pages = -(-max(size for _, size in alone) // page) + 8 if schedule == 2 else None
    with lariat.load(one.fast.artefact, max_rows=int(generator.integers(5, 60)), kv_pages=pages) as session:
        loop, splits_loop = str(generator.choice(["auto", "steps"])), bool(generator.integers(3))
        engine = ExperimentalEngine(session, loop=loop, splits_loop=splits_loop, missing=missing)
        waiting = list(requests)

        def come() -> bool:
            while waiting and generator.integers(3) == 0:
                engine.submit(*waiting.pop(0))
            return bool(waiting)

        answers = finish_all(engine, come)
        assert [answers[number] for number in range(len(requests))] == [answer for answer, _ in alone]
        engine.clear_prefixes()
        assert session.memory()["kv_pages"] == 0


@pytest.mark.parametrize("name", ["mor-token-sigmoid", "ouro-propagate", "rrt-copy-last", "huginn-propagate"])
def test_rows_in_common_are_computed_once(case: Callable[[str], Case], name: str) -> None:
    one = case(name)
    prompts = [[3, 1, 2] * 22 + [last] for last in (1, 2)]
    options = GenerateOptions(max_new_tokens=3, ignore_eos=True, exit_threshold=one.threshold)
    with lariat.load(one.fast.artefact) as session:
        engine = Engine(session)
        for prompt in prompts:
            engine.submit(prompt, options)
        finish_all(engine, lambda: False)
        counts = engine.counts()
    assert counts.reused_rows == 66
    assert counts.prelude.rows + counts.whole.rows == 66 + 2 * (1 + 2)


@pytest.mark.parametrize("change", [{"loops": 2}, {"exit_threshold": 0.625}])
def test_another_loop_shares_no_rows(case: Callable[[str], Case], change: dict[str, float]) -> None:
    one = case("ouro-propagate")
    options = GenerateOptions(max_new_tokens=2, ignore_eos=True, exit_threshold=0.5)
    with lariat.load(one.fast.artefact) as session:
        engine = Engine(session)
        for asked in (options, replace(options, **change)):  # type: ignore[arg-type]
            engine.submit([1, 2, 3] * 20, asked)
            finish_all(engine, lambda: False)
        assert engine.counts().reused_rows == 0


def test_prompts_of_one_run_that_begin_alike_give_what_they_give_alone(case: Callable[[str], Case]) -> None:
    one = case("rrt-copy-last")
    prompts = [[3, 1, 2] * 24 + [last] for last in range(4)]
    options = GenerateOptions(max_new_tokens=4, ignore_eos=True, exit_threshold=one.threshold)
    with lariat.load(one.fast.artefact) as session:
        expected = [session.generate([prompt], options)[0] for prompt in prompts]
        found = session.generate(prompts, options)
    assert [(one.tokens, one.steps, one.slots) for one in found] == [
        (one.tokens, one.steps, one.slots) for one in expected
    ]


def test_generate_gives_the_same_with_few_rows_and_few_pages(case: Callable[[str], Case]) -> None:
    one = case("ouro-propagate")
    prompts = [[1, 2, 3] * 20, [4], [5, 6] * 30]
    options = GenerateOptions(max_new_tokens=12, exit_threshold=one.threshold, ignore_eos=True)
    with lariat.load(one.fast.artefact) as session:
        expected = [session.generate([prompt], options)[0] for prompt in prompts]
    with lariat.load(one.fast.artefact, max_rows=7, scheduler="deepest", kv_pages=30) as session:
        found = session.generate(prompts, options)
    assert [(one.tokens, one.steps, one.slots) for one in found] == [
        (one.tokens, one.steps, one.slots) for one in expected
    ]


def test_a_model_that_generates_nothing_has_no_engine(compiled: object) -> None:
    folder = compiled
    with lariat.load(f"{folder}/albert.lariat") as session, pytest.raises(RuntimeFault, match="albert.lariat"):
        Engine(session)
    with lariat.load(f"{folder}/reference.lariat") as session, pytest.raises(RuntimeFault, match="has no engine"):
        Engine(session)
