# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exit rules: when a row leaves the loop. One function each in `rules`, which writes IR into the loop body.

`docs/exit-rules.md` has the table; `pick` is what families call, `ExitRule` what they get.
"""

from __future__ import annotations

from lariat.exits.choice import ExitRule, ignore_heads, pick
from lariat.exits.rules import RULES

__all__ = ["RULES", "ExitRule", "ignore_heads", "pick"]
