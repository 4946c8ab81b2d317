# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles as JSON: what is read is what was written, and anything else is refused with its place."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lariat.errors import RuntimeFault
from lariat.profile import Profile
from tests.profiles import FIELDS, make_profile

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "profile.md"


def paths(value: object, path: str = "") -> Iterator[str]:
    """Fields as the document writes them: NAME for names that are data, [] for entries of a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "NAME" if path in ("functions", "occupancy.records[].rows") else key
            yield from paths(inner, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        yield f"{path}[]"
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def test_a_profile_survives_json() -> None:
    profile = make_profile()
    assert json.loads(profile.to_json()) == FIELDS
    assert Profile.parse(profile.to_json()) == profile


def test_fields_of_later_versions_are_passed_over() -> None:
    assert make_profile(novelty=[1, 2]) == make_profile()


def test_the_document_lists_every_field() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(), re.M)) - {"functions.NAME"}
    assert set(paths(FIELDS)) == listed


def _set(*place: Any, value: object) -> Callable[[Any], None]:
    def change(fields: Any) -> None:
        for key in place[:-1]:
            fields = fields[key]
        fields[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("version", value=2), "not a profile of version 1"),
        (_set("ticks", value=-1), "'ticks': expected a whole number of at least 0, found -1"),
        (_set("ticks", value=True), "'ticks': expected a whole number of at least 0, found True"),
        (_set("seconds", value=math.inf), "'seconds': expected a number of at least 0, found inf"),
        (_set("isa", value=None), "'isa': expected str, found NoneType"),
        (_set("depths", value={}), "'depths': expected a list, found dict"),
        (_set("depths", 1, "rows", value="3"), r"'depths'\[1\]: 'rows': expected a whole number"),
        (_set("caches", 0, value=[]), r"'caches'\[0\]: expected an object, found list"),
        (_set("functions", value={}), "'functions': expected coda, core, fill, prelude, whole"),
        (_set("occupancy", "records", 0, "rows", value={"core": 1}), r"'records'\[0\]: 'rows': expected coda, core"),
        (lambda fields: fields["steps"].pop("prompt"), "'steps': 'prompt' is missing"),
    ],
)
def test_what_is_no_profile_is_refused_with_its_place(change: Callable[[Any], None], message: str) -> None:
    fields = copy.deepcopy(FIELDS)
    change(fields)
    with pytest.raises(RuntimeFault, match=f"^x.json: .*{message}" if "version" not in message else message):
        Profile.parse(json.dumps(fields), "x.json")


@pytest.mark.parametrize("text", ["", "[", "1", "[]", "{}", "[" * 100000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(RuntimeFault, match="^the profile: not "):
        Profile.parse(text)
