// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Values on the caller's side of compiled code, and calls with memref descriptors.

#ifndef LARIAT_REFERENCE_CALL_H
#define LARIAT_REFERENCE_CALL_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace lariat::reference {

/// Bytes of one element in memory: i1 takes one, index eight.
unsigned getElementBytes(mlir::Type type);

/// A row-major tensor that owns its bytes.
class HostTensor {
public:
  HostTensor() = default;
  HostTensor(llvm::ArrayRef<int64_t> shape, unsigned elementBytes);

  template <typename T>
  T *data() {
    return reinterpret_cast<T *>(bytes.data());
  }
  template <typename T>
  const T *data() const {
    return reinterpret_cast<const T *>(bytes.data());
  }
  llvm::ArrayRef<int64_t> getShape() const { return shape; }
  int64_t getNumRows() const { return shape.empty() ? 1 : shape.front(); }
  unsigned getElementBytes() const { return elementBytes; }
  /// Bytes of one entry of the leading dimension.
  size_t getRowBytes() const;
  /// The entries of some rows, in the order given.
  HostTensor take(llvm::ArrayRef<int64_t> rows) const;
  /// Overwrites rows of this tensor with those of `values`, one by one.
  void put(const HostTensor &values, llvm::ArrayRef<int64_t> rows);

private:
  llvm::SmallVector<int64_t> shape;
  unsigned elementBytes = 1;
  std::vector<char> bytes;
};

/// Memory that compiled code reads and writes in place.
struct MemoryRef {
  void *data;
  llvm::SmallVector<int64_t> shape;
};

/// A packed function: takes the addresses of its arguments.
using PackedFunction = void (*)(void **);

/// Calls a function through its C interface. `inputs` are handed over as buffers that the code may overwrite; results
/// are copied out and their buffers freed, once each, unless they are an argument's.
llvm::SmallVector<HostTensor> callPacked(PackedFunction function, std::vector<HostTensor> inputs,
                                         llvm::ArrayRef<MemoryRef> memory,
                                         llvm::ArrayRef<mlir::RankedTensorType> results);

} // namespace lariat::reference

#endif // LARIAT_REFERENCE_CALL_H
