# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What callers may give for options, prompts and paths, and the sentences that refuse the rest."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import pytest

from lariat._runner import Settings, capacity_shares
from lariat._values import read_path, read_prompts, read_tokens
from lariat.compiler import CompileOptions
from lariat.errors import CompileError, RuntimeFault
from lariat.requests import GenerateOptions, ScoreOptions

GENERATE = {
    "whole": ("max_new_tokens", "seed", "top_k", "loops", "prefix", "logprobs", "speculate", "drafts"),
    "real": (
        *("temperature", "top_p", "min_p", "exit_threshold"),
        *("repetition_penalty", "presence_penalty", "frequency_penalty"),
    ),
    "flag": ("ignore_eos", "profile"),
}
NOT_WHOLE = [1.0, numpy.float32(2), "3", True, numpy.bool_(True), [4], numpy.array([5]), 1 + 0j, object()]
NOT_REAL = ["0.7", True, numpy.bool_(False), [0.5], numpy.array([0.5]), 1 + 0j, b"1", object(), float("nan"), 10**400]
NOT_FLAGS = [1, 0, "yes", None, numpy.int64(1), []]


def make(name: str, value: Any) -> Any:
    return getattr(GenerateOptions(**{name: value}), name)


@pytest.mark.parametrize("name", GENERATE["whole"])
@pytest.mark.parametrize("value", [4, numpy.int64(4), numpy.uint8(4), numpy.array(4, numpy.int32)], ids=repr)
def test_whole_numbers_of_numpy_are_whole_numbers(name: str, value: Any) -> None:
    assert type(make(name, value)) is int
    assert make(name, value) == 4


@pytest.mark.parametrize("name", GENERATE["whole"])
@pytest.mark.parametrize("value", NOT_WHOLE, ids=lambda value: type(value).__name__)
def test_what_is_no_whole_number_is_named(name: str, value: Any) -> None:
    with pytest.raises(RuntimeFault, match=rf"'{name}' is .*, expected a whole number"):
        make(name, value)


@pytest.mark.parametrize("name", GENERATE["real"])
@pytest.mark.parametrize(
    "value", [0.5, numpy.float32(0.5), numpy.float64(0.5), Fraction(1, 2), Decimal("0.5")], ids=repr
)
def test_numbers_of_all_kinds_are_floats(name: str, value: Any) -> None:
    assert type(make(name, value)) is float
    assert make(name, value) == 0.5


@pytest.mark.parametrize("name", GENERATE["real"])
@pytest.mark.parametrize("value", NOT_REAL, ids=lambda value: type(value).__name__)
def test_what_is_no_finite_number_is_named(name: str, value: Any) -> None:
    with pytest.raises(RuntimeFault, match=rf"'{name}' is .*, expected a (finite )?number"):
        make(name, value)


@pytest.mark.parametrize("name", GENERATE["flag"])
def test_truth_values(name: str) -> None:
    assert make(name, numpy.bool_(True)) is True
    for value in NOT_FLAGS:
        with pytest.raises(RuntimeFault, match=rf"'{name}' is .*, expected True or False"):
            make(name, value)


def test_an_option_that_has_no_none_says_so() -> None:
    with pytest.raises(RuntimeFault, match=r"'temperature' is None \(NoneType\), expected a number$"):
        GenerateOptions(temperature=None)  # type: ignore[arg-type]
    with pytest.raises(RuntimeFault, match=r"'loops' is 1.5 \(float\), expected a whole number or None$"):
        GenerateOptions(loops=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "texts"),
    [("xt", ("xt",)), (["a", "b"], ("a", "b")), ({"a": 1}.keys(), ("a",)), (None, ()), (iter("ab"), ("a", "b")),
     (numpy.array(["a", "b"]), ("a", "b")), (numpy.str_("xt"), ("xt",))],
)  # fmt: skip
def test_stop_texts(given: Any, texts: tuple[str, ...]) -> None:
    options = GenerateOptions(stop=given)
    assert options.stop == texts
    assert all(type(one) is str for one in options.stop)


@pytest.mark.parametrize("given", [(3, 4), [3, 4], {3: 0, 4: 0}, numpy.arange(3, 5), (one for one in (3, 4))])
def test_stop_tokens_of_any_iterable(given: Any) -> None:
    options = GenerateOptions(stop_tokens=given)
    assert options.stop_tokens == (3, 4)
    assert options.stop_tokens == (3, 4), "an iterator is read once, the options may be used again"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stop_tokens": 5}, "'stop_tokens' is 5 (int), expected whole numbers"),
        ({"stop_tokens": "ab"}, "'stop_tokens' is 'ab' (str), expected whole numbers"),
        ({"stop_tokens": [1, None]}, "'stop_tokens[1]' is None (NoneType), expected a whole number"),
        ({"stop": 5}, "'stop' is 5 (int), expected a text or several"),
        ({"stop": b"ab"}, "'stop' is b'ab' (bytes), expected a text or several"),
        ({"stop": ["a", 1]}, "'stop[1]' is 1 (int), expected a text"),
        ({"missing": 1}, "'missing' is 1 (int), expected a text or None"),
        ({"bias": {"a": 1.0}}, "'bias[0][0]' is 'a' (str), expected a whole number"),
        ({"bias": [(1, 2, 3)]}, "'bias[0]' is (1, 2, 3) (tuple), expected a token id and a number"),
        ({"bias": 3}, "'bias' is 3 (int), expected numbers by token id"),
    ],
)
def test_what_is_refused_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        GenerateOptions(**given)
    assert str(caught.value) == message


def test_a_bias_is_a_mapping_or_pairs() -> None:
    assert GenerateOptions(bias={numpy.int64(7): 1}).bias == ((7, 1.0),)  # type: ignore[arg-type]
    assert GenerateOptions(bias=[(7, numpy.float32(0.5))]).bias == ((7, 0.5),)  # type: ignore[arg-type]


def test_options_that_score() -> None:
    options = ScoreOptions(initial_state="a/b", chunk=numpy.int16(3), capacity=numpy.array([0.5, 1.0]))  # type: ignore[arg-type]
    assert options.initial_state == Path("a/b")
    assert options.chunk == 3
    assert capacity_shares(options.capacity) == [(1, 2), (1, 1)]
    assert capacity_shares(ScoreOptions(capacity=["2/3", numpy.float32(0.25), numpy.int64(1)]).capacity) == [
        (2, 3),
        (1, 4),
        (1, 1),
    ]
    for name, value in (("capacity", "2/3"), ("initial_state", 4), ("mode", None), ("derived", False)):
        with pytest.raises(RuntimeFault, match=f"'{name}' is "):
            ScoreOptions(**{name: value})  # type: ignore[arg-type]


def test_options_of_the_compiler() -> None:
    assert CompileOptions(weights="a", report="b").report == Path("b")  # type: ignore[arg-type]
    for name, value in (("dtype", 16), ("force", 1), ("weights", 4), ("report", "a\0b")):
        with pytest.raises(CompileError, match=f"'{name}' is "):
            CompileOptions(**{name: value})  # type: ignore[arg-type]


def test_settings_of_a_session() -> None:
    assert Settings(threads=numpy.int32(2), max_rows=numpy.int64(8)) == Settings(threads=2, max_rows=8)
    for name, value in (("threads", "2"), ("isa", 2), ("max_rows", 8.0), ("scheduler", None), ("kv_pages", True)):
        with pytest.raises(RuntimeFault, match=f"'{name}' is "):
            Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ("And", ["And"]),
        (numpy.str_("And"), ["And"]),
        (["And", [1, 2]], ["And", [1, 2]]),
        (({1, 2} for _ in range(1)), [[1, 2]]),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"And": 0}.keys(), ["And"]),
        ([range(2), numpy.arange(2, dtype=numpy.uint8), iter((5,)), b"AB"], [[0, 1], [0, 1], [5], [65, 66]]),
    ],
)
def test_prompts(given: Any, prompts: list[Any]) -> None:
    assert read_prompts(given) == prompts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "'prompts' is 5 (int), expected a text, texts or sequences of token ids"),
        (None, "'prompts' is None (NoneType), expected a text, texts or sequences of token ids"),
        ([65, 66], "sequence 0 is 65 (int), expected token ids"),
        ([[65], None], "sequence 1 is None (NoneType), expected token ids"),
        ([[65, 1.0]], "token 1 of sequence 0 is 1.0 (float), expected a whole number"),
        ([[True]], "token 0 of sequence 0 is True (bool), expected a whole number"),
        ([["A"]], "token 0 of sequence 0 is 'A' (str), expected a whole number"),
        ([[1], [2, None]], "token 1 of sequence 1 is None (NoneType), expected a whole number"),
    ],
)
def test_prompts_that_are_none(given: Any, message: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        read_prompts(given)
    assert str(caught.value) == message


def test_texts_are_no_token_ids() -> None:
    with pytest.raises(RuntimeFault, match="'sequences' is 'And'"):
        read_tokens("And")
    with pytest.raises(RuntimeFault, match="sequence 0 is 'And'"):
        read_tokens(["And"])


def test_paths() -> None:
    assert read_path(b"a/b", "path") == Path("a/b")
    with pytest.raises(RuntimeFault, match=r"'path' is 3 \(int\), expected a path"):
        read_path(3, "path")
