# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts/record_bits.py calls a difference."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "record_bits.py"


@pytest.mark.parametrize(
    ("after", "status", "sentence"),
    [
        ({"a": "1", "b": "2"}, 0, "2 digests in both records, 0 differences"),
        ({"a": "1", "b": "3"}, 1, "b: differs"),
        ({"a": "1"}, 1, "b: is in one record only"),
    ],
)
def test_records_are_equal_only_with_all_digests_equal(
    tmp_path: Path, after: dict[str, str], status: int, sentence: str
) -> None:
    paths = [tmp_path / "before.json", tmp_path / "after.json"]
    paths[0].write_text(json.dumps({"a": "1", "b": "2"}))
    paths[1].write_text(json.dumps(after))
    done = subprocess.run([sys.executable, SCRIPT, "compare", *paths], capture_output=True, text=True)
    assert done.returncode == status
    assert sentence in done.stdout
