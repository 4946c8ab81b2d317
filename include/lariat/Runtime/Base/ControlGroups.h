// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What the control groups of this process allow it. A group is limited by those around it; in a container the
// root of the file system is the container's own group. Everything is best effort: where the system says nothing,
// nothing limits.

#ifndef LARIAT_RUNTIME_BASE_CONTROLGROUPS_H
#define LARIAT_RUNTIME_BASE_CONTROLGROUPS_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::runtime {

/// Where the system describes them.
struct ControlGroupFiles {
  std::string groups = "/proc/self/cgroup"; ///< lists the groups of the process
  std::string mounts = "/sys/fs/cgroup";    ///< version 2 here, version 1 in a folder per controller
};

/// The folders of the process's group and of those around it, for a controller as "cpu" or "memory". Some may not
/// exist.
std::vector<std::string> listGroupFolders(std::string_view controller, const ControlGroupFiles &files = {});

/// Bytes that the process can still use: what the system has available, and what each group leaves of its limit.
int64_t readAvailableMemory(const ControlGroupFiles &files = {}, const std::string &meminfo = "/proc/meminfo");

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_BASE_CONTROLGROUPS_H
