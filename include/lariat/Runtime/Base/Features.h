// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Which instructions this machine may run, by the names that a manifest uses: the processor has them and the
// operating system keeps their registers.

#ifndef LARIAT_RUNTIME_BASE_FEATURES_H
#define LARIAT_RUNTIME_BASE_FEATURES_H

#include <string>
#include <string_view>
#include <vector>

namespace lariat::runtime {

/// Names of all features found, in a fixed order.
const std::vector<std::string> &getMachineFeatures();

bool machineHas(std::string_view feature);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_FEATURES_H
