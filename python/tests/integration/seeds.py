# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Randomness that a failing test tells; test modules name this one in `pytest_plugins`."""

from __future__ import annotations

import zlib

import numpy as np
import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Seeded by the test's name and parameters; pytest shows the seed of a test that failed."""
    seed = zlib.crc32(request.node.name.encode())
    print(f"seed {seed}")
    return np.random.default_rng(seed)
