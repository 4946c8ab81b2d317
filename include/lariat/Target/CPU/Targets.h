// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPUs of the table (lariat/Target/Description/CPUTarget.h) as targets of the compiler.

#ifndef LARIAT_TARGET_CPU_TARGETS_H
#define LARIAT_TARGET_CPU_TARGETS_H

#include "lariat/Target/Description/CPUTarget.h"
#include "lariat/Target/Registry/Target.h"

namespace lariat {

/// A CPU as a target; the description outlives it.
std::unique_ptr<const Target> createCPUTarget(const CPUTarget &description);

/// Adds all CPUs of the table, in their order.
void registerCPUTargets(TargetRegistry &registry);

/// Whether a CPU's code is for machines of this kind, and whether this machine has all that it requires.
bool isForHost(const CPUTarget &target);
bool runsHere(const CPUTarget &target);

} // namespace lariat

#endif // LARIAT_TARGET_CPU_TARGETS_H
