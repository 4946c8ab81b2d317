# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Independent oracle of the looped models: see README.md in this folder."""
