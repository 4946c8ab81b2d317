# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builder of IR text: values and regions, the generated `lariat` ops, and the upstream ops importers need."""
