// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads what Linux says of processors. Everything here is best effort: where it says nothing, nothing is pinned.

#include "Processors.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sched.h>
#include <string>

using namespace lariat::runtime;

static constexpr int kWordBits = 8 * sizeof(unsigned long);

Affinity Affinity::read() {
  Affinity affinity;
  auto *set = reinterpret_cast<cpu_set_t *>(affinity.bits.data());
  if (sched_getaffinity(/*pid=*/0, sizeof(affinity.bits), set) != 0)
    affinity.bits = {};
  return affinity;
}

Affinity Affinity::readOf(pthread_t thread) {
  Affinity affinity;
  if (pthread_getaffinity_np(thread, sizeof(affinity.bits), reinterpret_cast<cpu_set_t *>(affinity.bits.data())) != 0)
    affinity.bits = {};
  return affinity;
}

Affinity Affinity::of(int processor) {
  Affinity affinity;
  affinity.bits[processor / kWordBits] = 1UL << processor % kWordBits;
  return affinity;
}

bool Affinity::apply() const {
  return sched_setaffinity(/*pid=*/0, sizeof(bits), reinterpret_cast<const cpu_set_t *>(bits.data())) == 0;
}

bool Affinity::applyTo(pthread_t thread) const {
  return pthread_setaffinity_np(thread, sizeof(bits), reinterpret_cast<const cpu_set_t *>(bits.data())) == 0;
}

Affinity Affinity::operator|(const Affinity &other) const {
  Affinity both = *this;
  for (size_t word = 0; word < bits.size(); ++word)
    both.bits[word] |= other.bits[word];
  return both;
}

bool Affinity::has(int processor) const { return (bits[processor / kWordBits] >> processor % kWordBits & 1) != 0; }

ProcessorSet Affinity::list() const {
  ProcessorSet result;
  for (int processor = 0; processor < kMaxProcessors; ++processor)
    if (has(processor))
      result.push_back(processor);
  return result;
}

/// The lowest processor of the same core; itself where the system does not say.
static int getFirstOfCore(int processor) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/thread_siblings_list");
  int first = 0;
  return file >> first ? first : processor;
}

/// Of each processor, whether an earlier one has the same core.
static std::vector<bool> findShared(const ProcessorSet &allowed) {
  std::vector<int> cores;
  std::vector<bool> shared;
  for (int processor : allowed) {
    int core = getFirstOfCore(processor);
    shared.push_back(std::ranges::find(cores, core) != cores.end());
    cores.push_back(core);
  }
  return shared;
}

ProcessorSet lariat::runtime::orderByCore(const ProcessorSet &allowed) {
  std::vector<bool> shared = findShared(allowed);
  ProcessorSet result;
  for (bool wanted : {false, true})
    for (size_t index = 0; index < allowed.size(); ++index)
      if (shared[index] == wanted)
        result.push_back(allowed[index]);
  return result;
}

int64_t lariat::runtime::countCores(const ProcessorSet &allowed) {
  std::vector<bool> shared = findShared(allowed);
  return std::ranges::count(shared, false);
}

/// A quota in one folder of a control group: processors' worth of time, rounded up, or a large number.
static int64_t readQuotaOf(const std::string &folder) {
  int64_t quota = 0, period = 0;
  std::ifstream both(folder + "/cpu.max"); // "max 100000" or "200000 100000"
  if (!(both >> quota >> period))
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota, std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? (quota + period - 1) / period : std::numeric_limits<int64_t>::max();
}

int64_t lariat::runtime::readTimeQuota(const ControlGroupFiles &files) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const std::string &folder : listGroupFolders("cpu", files))
    least = std::min(least, readQuotaOf(folder));
  return least;
}
