# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Damaged artefacts of the fast pipeline: each is an error in one sentence, and none is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lariat
from lariat.errors import LariatError

# The code of every ISA is damaged at once: which of them a machine loads is its own affair.
FILES = ("manifest.json", "weights.bin", "code/*.so")


def damage(data: bytes, kind: int, generator: np.random.Generator) -> bytes:
    """A changed byte, a cut, bytes too many, or nothing left."""
    at = int(generator.integers(0, len(data)))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ int(generator.integers(1, 256))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    return data + bytes(int(generator.integers(1, 5000))) if kind == 2 else b""


@pytest.mark.parametrize("seed", range(200))
def test_damaged_artefact(fast_artefact: Path, seed: int) -> None:
    """One file of an artefact, chosen and damaged by the seed."""
    generator = np.random.default_rng([5, seed])
    for path in fast_artefact.glob(FILES[seed % len(FILES)]):
        before = path.read_bytes()
        after = damage(before, seed // len(FILES) % 4, generator)
        print(f"seed {seed}: {path.name}, {len(before)} bytes, then {len(after)}")
        path.write_bytes(after)
    with pytest.raises(LariatError, match=r"manifest|weights\.bin|\.so"), lariat.load(fast_artefact) as session:
        session.score([[72, 105]])


def test_weights_that_are_not_verified(fast_artefact: Path) -> None:
    """A caller who trusts the weights does not wait for their checksum; a changed bit of them goes unnoticed then."""
    weights = fast_artefact / "weights.bin"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # in what fills up the last page
    weights.write_bytes(data)
    with pytest.raises(LariatError, match=r"weights\.bin is damaged"), lariat.load(fast_artefact) as session:
        session.start()
    with lariat.load(fast_artefact, verify_weights=False) as session:
        assert session.score([[72, 105]])[0].logits.shape[0] == 2
