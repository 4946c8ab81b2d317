# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures Lariat beside other systems and beside the limits of the machine: `lariat bench`.

bench/README.md says what is measured and how; bench/configs holds the plans, bench/peers the other systems.
"""
