// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "lariat/Support/CommandLine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CommandLine.h"

namespace cl = llvm::cl;

void lariat::hideLibraryOptions(const cl::OptionCategory *own) {
  for (auto &[name, option] : cl::getRegisteredOptions()) {
    // LLVM's category of --help and --version, which has no name of its own in the interface.
    bool serves = llvm::any_of(option->Categories, [&](const cl::OptionCategory *category) {
      return category == own || category->getName() == "Generic Options";
    });
    if (!serves)
      option->setHiddenFlag(cl::Hidden);
  }
}
