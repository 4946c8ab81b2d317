// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Caches and states of one request: dense, zero at the start, gone with the request.

#ifndef LARIAT_REFERENCE_MEMORY_H
#define LARIAT_REFERENCE_MEMORY_H

#include "lariat/Compiler/ModelFacts.h"
#include "lariat/Reference/Call.h"

#include <cstdlib>
#include <memory>

namespace lariat::reference {

/// Bounds for which memory is allocated.
struct MemorySize {
  int64_t numSequences;
  int64_t numPositions; ///< of the longest sequence
  int64_t maxDepth;     ///< largest number of loop steps
};

class RequestMemory {
public:
  static llvm::Expected<RequestMemory> allocate(const ModelFacts &facts, const MemorySize &size);

  /// All memory, in the order of an entry function's arguments.
  llvm::ArrayRef<MemoryRef> getRefs() const { return refs; }
  /// The first fault that compiled code has reported, or success.
  llvm::Error getFault(const ModelFacts &facts) const;
  /// Entries of one sequence: {cache: [layer][slot]{computed, filled}}.
  llvm::json::Object countSlots(const ModelFacts &facts, int64_t sequence) const;

private:
  llvm::Error add(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, unsigned elementBytes);

  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks;
  llvm::SmallVector<MemoryRef> refs;
};

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_MEMORY_H
