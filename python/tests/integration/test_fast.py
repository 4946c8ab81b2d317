# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The fast pipeline against the reference path, and its own promises about bits.

Models are drawn from a seed (500 of them with `LARIAT_LONG=1`), are fixtures, or have the shape of a family and random
weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from tests.integration.families import DECODERS, Family, find_family
from tests.integration.fast import ISAS, Fast
from tests.integration.programs import Ids, Outcome, Reference
from tests.integration.random_models import RandomModel

NUM_MODELS = 500 if os.environ.get("LARIAT_LONG") else 28
FAMILIES = ("mor-token-sigmoid", "mor-expert-hybrid", "mor-expert-sharing", "ouro-propagate", "rrt-copy-last",
            "huginn-propagate", "hrm-h3-l1", *DECODERS)  # fmt: skip
Get = Callable[[str], Family]
# Largest difference allowed, relative to the largest logit: both paths are f32 and sum in different orders.
TOLERANCE = 2e-4


def draw_batch(name: str, vocab: int, lengths: tuple[int, ...]) -> list[Ids]:
    """Ids of a sequence differ as far as the vocabulary goes: equal ones nearly tie where rows are chosen by score."""
    generator = np.random.default_rng([7, *name.encode()])
    return [
        np.concatenate([generator.permutation(vocab) for _ in range(0, length, vocab)])[:length].tolist()
        for length in lengths
    ]


def options_of(model: RandomModel) -> dict[str, object]:
    options: dict[str, object] = {"mode": "generate"} if model.has_top_k else {}
    return {**options, "exit_threshold": 0.5} if model.has_exit else options


def assert_close(found: list[Outcome], expected: list[Outcome]) -> None:
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.steps == other.steps, f"sequence {number}: steps"
        assert one.slots == other.slots, f"sequence {number}: cache entries"
        scale = max(1.0, float(np.abs(other.logits).max()))
        difference = float(np.abs(one.logits - other.logits).max()) / scale
        assert difference <= TOLERANCE, f"sequence {number}: logits differ by {difference:.3g} of the largest"


def assert_same_bits(found: list[Outcome], expected: list[Outcome]) -> None:
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.steps == other.steps, f"sequence {number}: steps"
        different = np.flatnonzero((one.logits.view(np.int32) != other.logits.view(np.int32)).any(1))
        assert not len(different), (
            f"sequence {number}: rows {different.tolist()} differ, at most by {np.abs(one.logits - other.logits).max()}"
        )


@pytest.mark.parametrize("seed", range(NUM_MODELS))
def test_random_models_agree_with_the_reference_path(seed: int) -> None:
    model = RandomModel.draw(seed)
    print(model)
    text = model.text()
    options = options_of(model)
    batch = draw_batch(f"seed {seed}", model.vocab, (13, 1, 6, 9))
    with Reference(text) as reference, Fast(text) as fast:
        assert_close(fast.score(batch, **options), reference.score(batch, **options))
        for missing in model.missing:
            chosen = {**options, "missing": missing}
            assert_close(fast.score(batch, **chosen), reference.score(batch, **chosen))
        if model.has_top_k:
            assert_close(fast.score(batch), reference.score(batch))
        if model.order == "atomic":  # segments are part of the input
            assert_close(fast.score(batch, chunk=4, **options), reference.score(batch, chunk=4, **options))
        if model.is_phased or model.order == "atomic":
            threshold = {"exit_threshold": 0.5} if model.has_exit else {}
            found, expected = (one.generate(batch, 9, ignore_eos=True, **threshold) for one in (fast, reference))
            assert found == expected


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Get:
    folder = tmp_path_factory.mktemp("checkpoints")
    return cache(lambda name: find_family(folder, name))


def family_options(family: Family) -> dict[str, object]:
    options: dict[str, object] = {} if family.threshold is None else {"exit_threshold": family.threshold}
    return {**options, "mode": "generate"} if family.has_top_k else options


@pytest.fixture(scope="module")
def compiled(family: Get) -> Iterator[Callable[[str, str], Fast]]:
    """A family by name and dtype, for every ISA; keys and values have the dtype of weights."""
    opened: list[Fast] = []

    @cache
    def compile_one(name: str, dtype: str) -> Fast:
        model = family(name)
        kv = "bf16" if dtype == "bf16" else None
        opened.append(Fast(model.text, model.directory, dtype=dtype, kv_dtype=kv, target=None))
        return opened[-1]

    yield compile_one
    for one in opened:
        one.close()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_has_the_same_bits_in_any_company(
    family: Get, compiled: Callable[[str, str], Fast], name: str, dtype: str, isa: str
) -> None:
    """Alone, in ragged batches of 7 and 64, first and last, with one thread and with two."""
    model, fast = family(name), compiled(name, dtype)
    options = family_options(model)
    lengths = tuple(1 + 5 * at % 17 for at in range(63))
    one, *others = draw_batch(name, model.vocab, (11, *lengths))
    for threads in (1, 2):
        with fast.on(isa, threads):
            alone = fast.score([one], **options)
            if threads == 1:
                expected = alone
            assert_same_bits(alone, expected)
            for company in (others[:6], others):
                assert_same_bits(fast.score([one, *company], **options)[:1], expected)
                assert_same_bits(fast.score([*company, one], **options)[-1:], expected)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("hrm")])
def test_a_row_has_the_same_bits_in_chunks_of_any_size(
    family: Get, compiled: Callable[[str, str], Fast], name: str, dtype: str, isa: str
) -> None:
    model, fast = family(name), compiled(name, dtype)
    options = family_options(model)
    batch = draw_batch(name, model.vocab, (70, 3, 29))
    with fast.on(isa, threads=1):
        whole = fast.score(batch, **options)
        for chunk in (1, 5, 64):
            assert_same_bits(fast.score(batch, chunk=chunk, **options), whole)
