// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Which processors the calling thread may use, and moving a thread to one of them.

#ifndef LARIAT_LIB_RUNTIME_THREADS_PROCESSORS_H
#define LARIAT_LIB_RUNTIME_THREADS_PROCESSORS_H

#include "lariat/Runtime/Base/ControlGroups.h"

#include <array>
#include <cstdint>
#include <pthread.h>
#include <vector>

namespace lariat::runtime {

/// Processors by number.
using ProcessorSet = std::vector<int>;

/// Where a thread may run, in the system's form: taken and put back in a microsecond.
class Affinity {
public:
  /// Of the calling thread; empty where the system does not say.
  static Affinity read();
  static Affinity readOf(pthread_t thread);
  static Affinity of(int processor);

  /// Whether the calling thread now runs there only.
  bool apply() const;
  bool applyTo(pthread_t thread) const;
  bool operator==(const Affinity &other) const = default;
  bool has(int processor) const;
  ProcessorSet list() const;
  Affinity operator|(const Affinity &other) const;

private:
  static constexpr int kMaxProcessors = 8192;

  std::array<unsigned long, kMaxProcessors / (8 * sizeof(unsigned long))> bits = {};
};

/// The processors of `allowed`, one of each core first.
ProcessorSet orderByCore(const ProcessorSet &allowed);
/// How many cores these are.
int64_t countCores(const ProcessorSet &allowed);
/// Processors' worth of time that the process may use by the control groups it is in, rounded up; nothing to limit it:
/// a large number.
int64_t readTimeQuota(const ControlGroupFiles &files = {});

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_THREADS_PROCESSORS_H
