# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One importer per family: a pure function from config.json and tensor names to IR text."""
