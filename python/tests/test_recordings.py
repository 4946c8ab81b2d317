# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The recordings are what transformers writes, where it is installed."""

from __future__ import annotations

import pytest

from tests import conversations, record_transformers, settings

pytest.importorskip("transformers", reason="transformers is not installed: scripts/setup.sh --with-torch")


def test_recorded_chats() -> None:
    assert record_transformers.record_chats() == conversations.recorded()


def test_recorded_tokens() -> None:
    assert record_transformers.record_tokens() == settings.recorded()
