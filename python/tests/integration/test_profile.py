# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles of compiled models add up: with the tokens' steps, with the engine's counts, with the caches."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import lariat
from lariat.engine import Engine
from lariat.errors import RuntimeFault
from lariat.profile import Profile
from lariat.requests import GenerateOptions
from lariat.session import Session
from tests.checkpoints import MODELS
from tests.command import Command
from tests.integration.conftest import require_tools
from tests.test_profile import DOCUMENT, paths

PROMPTS = [[65, 110, 100, 32, 71, 111, 100], [84, 104, 101], [73, 110, 32, 116, 104, 101, 32, 98]]
OPTIONS = GenerateOptions(max_new_tokens=24, ignore_eos=True, profile=True)
EXITING = {"ouro": 0.5, "rrt": 0.5, "huginn": 0.1}


@pytest.fixture(scope="module")
def open_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Session]]:
    require_tools()
    folder = tmp_path_factory.mktemp("profiled")
    sessions: list[Session] = []

    @cache
    def open_one(name: str) -> Session:
        options = lariat.CompileOptions(target="native")
        lariat.compile(MODELS / name, folder / f"{name}.lariat", options)
        sessions.append(lariat.load(folder / f"{name}.lariat", threads=2, max_rows=9))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


def profile_of(results: list[lariat.Generation]) -> Profile:
    assert results[0].profile is not None
    assert all(one.profile is results[0].profile for one in results)
    return results[0].profile


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("ouro", None), ("ouro", "compute"), ("ouro", "propagate"), ("rrt", None), ("huginn", None),
        ("mor-expert", None), ("mor-token", None), ("mor-share", None),
    ],
)  # fmt: skip
def test_rows_by_depth_are_the_steps_of_all_rows(
    open_model: Callable[[str], Session], name: str, missing: str | None
) -> None:
    session = open_model(name)
    threshold = EXITING.get(name)
    options = dataclasses.replace(OPTIONS, exit_threshold=threshold, missing=missing)
    results = session.generate(PROMPTS, options)
    profile = profile_of(results)
    # Steps of every row, by a run of whole sequences; the last token of each is never a row.
    sequences = [prompt + list(one.tokens[:-1]) for prompt, one in zip(PROMPTS, results, strict=True)]
    scores = session.score(sequences, lariat.ScoreOptions(mode="generate", exit_threshold=threshold, missing=missing))
    prompt = Counter(int(one) for score, ids in zip(scores, PROMPTS, strict=True) for one in score.steps[: len(ids)])
    new = Counter(int(one) for score, ids in zip(scores, PROMPTS, strict=True) for one in score.steps[len(ids) :])
    assert {steps: count for steps, count in enumerate(profile.steps.prompt) if count} == prompt
    assert {steps: count for steps, count in enumerate(profile.steps.generated) if count} == new
    together = prompt + new
    for depth, one in enumerate(profile.depths):
        assert one.rows == sum(count for steps, count in together.items() if steps > depth)
        assert one.prompt_rows == sum(count for steps, count in prompt.items() if steps > depth)
        assert one.exits == together[depth + 1]
    assert sum(one.rows for one in profile.depths) == sum(steps * count for steps, count in together.items())


@pytest.mark.parametrize("name", ["ouro", "huginn", "mor-expert", "hrm"])
def test_a_profile_changes_no_token(open_model: Callable[[str], Session], name: str) -> None:
    session = open_model(name)
    options = dataclasses.replace(OPTIONS, exit_threshold=EXITING.get(name))
    plain = session.generate(PROMPTS[:1], dataclasses.replace(options, profile=False))
    assert plain[0].profile is None
    profiled = session.generate(PROMPTS[:1], options)
    assert [(one.tokens, one.steps, one.slots) for one in profiled] == [
        (one.tokens, one.steps, one.slots) for one in plain
    ]


@pytest.mark.parametrize("name", ["ouro", "mor-expert", "hrm"])
def test_times_and_records_add_up(open_model: Callable[[str], Session], name: str) -> None:
    session = open_model(name)
    start = time.perf_counter()
    profile = profile_of(session.generate(PROMPTS, OPTIONS))
    wall = time.perf_counter() - start
    in_calls = sum(one.seconds for one in profile.functions.values())
    assert 0 < in_calls <= profile.seconds <= wall
    assert sum(one.seconds for one in profile.depths) == pytest.approx(profile.functions["core"].seconds)
    assert sum(one.fill_seconds for one in profile.depths) == pytest.approx(profile.functions["fill"].seconds)
    records = profile.occupancy.records
    assert sum(one.ticks for one in records) == profile.ticks
    assert sum(one.seconds for one in records) == pytest.approx(profile.seconds)
    assert sum(one.tokens for one in records) == profile.tokens == 24 * len(PROMPTS)
    for name_of, function in profile.functions.items():
        assert sum(one.rows[name_of] for one in records) == function.rows
    for depth, of_depth in enumerate(profile.depths):
        assert sum(one.depths[depth] if depth < len(one.depths) else 0 for one in records) == of_depth.rows
    assert max(one.running for one in records) == len(PROMPTS)
    if profile.functions["core"].calls:
        assert all(sum(one.depths) <= 9 * one.ticks for one in records)


def test_an_engine_counts_what_its_profile_says(open_model: Callable[[str], Session]) -> None:
    session = open_model("ouro")
    engine = Engine(session, prefix_cache=False, profile=True)
    for prompt in PROMPTS:
        engine.submit(prompt, GenerateOptions(max_new_tokens=9, ignore_eos=True, exit_threshold=0.5))
    while engine.tick().unfinished:
        profile, memory = engine.profile(), session.memory()
        assert sum(one.live_bytes for one in profile.caches) == memory["kv_live"]
        assert sum(one.page_bytes for one in profile.caches) == memory["kv_pages"]
        entries = sum(
            one.bytes_per_entry * (slot.computed + slot.filled) for one in profile.caches for slot in one.slots
        )
        assert entries == memory["kv_live"]
    counts, profile = engine.counts(), engine.profile()
    for name, function in profile.functions.items():
        timing = getattr(counts, name)
        assert (function.calls, function.rows, function.prompt_rows) == (timing.calls, timing.rows, timing.prompt_rows)
        assert function.seconds == pytest.approx(timing.seconds)
        # A call of one function is the same table of regions each time, whatever its rows.
        assert function.regions % max(function.calls, 1) == function.barriers % max(function.calls, 1) == 0
        assert (function.regions > 0) == (function.calls > 0)
    assert all(one.live_bytes == one.page_bytes == 0 for one in profile.caches)


def test_peaks_of_a_sequence_alone_are_what_it_left(open_model: Callable[[str], Session]) -> None:
    results = open_model("mor-expert").generate(PROMPTS[:1], OPTIONS)
    profile, slots = profile_of(results), results[0].slots
    assert slots is not None
    for one in profile.caches:
        left = [slot.computed + slot.filled for slot in slots[one.name][0]]
        peaks = [slot.entries_peak for slot in one.slots]
        assert peaks == left[: len(peaks)] and not any(left[len(peaks) :])
        assert one.live_bytes_peak == sum(peaks) * one.bytes_per_entry


def test_every_field_is_in_the_document(open_model: Callable[[str], Session]) -> None:
    profile = profile_of(open_model("ouro").generate(PROMPTS, OPTIONS))
    text = DOCUMENT.read_text()
    for path in set(paths(json.loads(profile.to_json()))):
        assert f"| `{path}` |" in text


def test_no_profile_is_kept_unless_asked_for(open_model: Callable[[str], Session]) -> None:
    session = open_model("ouro")
    with pytest.raises(RuntimeFault, match="no profile is kept"):
        Engine(session).profile()
    with pytest.raises(RuntimeFault, match="'profile' are not options of a request to an engine"):
        Engine(session, profile=True).submit(PROMPTS[0], OPTIONS)


def test_the_reference_path_has_no_profile(compiled: Path) -> None:
    with (
        lariat.load(compiled / "reference.lariat") as session,
        pytest.raises(RuntimeFault, match="the reference path has no engine, so there is no profile"),
    ):
        session.generate([[1]], OPTIONS)


@pytest.mark.parametrize("source", [("--prompt", "And God"), ("--tokens", "in.json", "-o", "out.json")])
def test_the_command_writes_a_profile(lariat: Command, source: tuple[str, ...]) -> None:
    lariat.ok("generate", "ouro.lariat", *source, "--max-new-tokens", 5, "--ignore-eos", "--profile", "profile.json")
    profile = Profile.parse((lariat.folder / "profile.json").read_text())
    assert profile.tokens == 5
    message = lariat.fails(
        "generate", "ouro.lariat", "--prompt", "a", "--max-new-tokens", 5, "--profile", "nowhere/profile.json"
    )
    assert message == "cannot write nowhere/profile.json: No such file or directory"
