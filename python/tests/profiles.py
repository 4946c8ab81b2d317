# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A profile by hand, for tests that need no model."""

from __future__ import annotations

import json
from typing import Any

from lariat.profile import Profile


def make_profile(**changes: Any) -> Profile:
    """Two depths, three ticks: 4 rows enter, 3 of them go on."""
    return Profile.parse(json.dumps({**FIELDS, **changes}))


def _function(calls: int, rows: int, seconds: float) -> dict[str, Any]:
    return {
        "calls": calls, "rows": rows, "prompt_rows": min(rows, 2), "seconds": seconds, "regions": 6 * calls,
        "barriers": 4 * calls,
    }  # fmt: skip


def _record(depths: list[int], running: int, waiting: int) -> dict[str, Any]:
    rows = {"prelude": depths[0], "core": sum(depths), "fill": 0, "coda": 1, "whole": 0}
    return {
        "ticks": 1, "seconds": 0.01, "rows": rows, "depths": depths, "prompt_rows": 0, "tokens": 1, "running": running,
        "waiting": waiting, "live_bytes": 1000 * running, "page_bytes": 65536,
    }  # fmt: skip


FIELDS: dict[str, Any] = {
    "version": 1,
    "isa": "avx2",
    "threads": 2,
    "max_rows": 8,
    "ticks": 3,
    "seconds": 0.03,
    "tokens": 3,
    "preemptions": 0,
    "functions": {
        "prelude": _function(2, 4, 0.002),
        "core": _function(3, 7, 0.016),
        "fill": _function(1, 1, 0.001),
        "coda": _function(2, 4, 0.004),
        "whole": _function(0, 0, 0.0),
    },
    "depths": [
        {"rows": 4, "prompt_rows": 2, "exits": 1, "filled_rows": 0, "seconds": 0.01, "fill_seconds": 0.0},
        {"rows": 3, "prompt_rows": 2, "exits": 3, "filled_rows": 1, "seconds": 0.006, "fill_seconds": 0.001},
    ],
    "steps": {"generated": [0, 1, 1], "prompt": [0, 0, 2]},
    "caches": [
        {
            "name": "kv", "looped": True, "bytes_per_entry": 1024, "bytes_per_page": 65536,
            "slots": [
                {"computed": 0, "filled": 0, "pages": 0, "entries_peak": 4, "pages_peak": 1},
                {"computed": 0, "filled": 0, "pages": 0, "entries_peak": 3, "pages_peak": 1},
            ],
            "live_bytes": 0, "page_bytes": 0, "live_bytes_peak": 7168, "page_bytes_peak": 131072,
        }
    ],
    "occupancy": {
        "ticks_per_record": 1,
        "records": [_record([3, 0], 2, 1), _record([1, 2], 2, 0), _record([0, 1], 1, 0)],
    },
}  # fmt: skip
