// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A target for tests: a CPU of the table whose panels have 32 columns, and whose pages have the keys of an entry side
// by side. Linked with lariat-compile it makes a compiler that knows a target more (lariat-compile-wide).

#include "lariat/Compiler/Targets.h"
#include "lariat/Target/CPU/Targets.h"

using namespace lariat;

/// The CPU of this kind of machine that asks for least, which is the last one, in another layout.
static CPUTarget describeWide() {
  CPUTarget wide = getCPUTargets().back();
  for (const CPUTarget &target : getCPUTargets())
    if (isForHost(target))
      wide = target;
  wide.name = "wide";
  wide.layout = {.name = "wide", .panelColumns = 32, .keys = lariat::abi::KeyOrder::Entries};
  return wide;
}

namespace {

/// Adds the target before `main` runs.
struct Registration {
  Registration() {
    static const CPUTarget wide = describeWide();
    getTargetRegistry().add(createCPUTarget(wide));
  }
} registration;

} // namespace
