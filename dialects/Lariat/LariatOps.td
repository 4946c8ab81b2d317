// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef LARIAT_OPS_TD
#define LARIAT_OPS_TD

include "LariatAttentionOps.td"
include "LariatLoopOps.td"
include "LariatRowOps.td"
include "LariatWeightOps.td"

#endif // LARIAT_OPS_TD
