# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`python -m lariat`: the `lariat` command."""

from __future__ import annotations

import sys

from lariat.cli import main

if __name__ == "__main__":
    sys.exit(main())
