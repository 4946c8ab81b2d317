# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pages about runs: `command` runs a model, `page` says what is on the page, `charts` where its marks stand."""
