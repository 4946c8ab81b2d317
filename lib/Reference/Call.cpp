// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C interface of lowered functions: a descriptor is {allocated, aligned, offset, sizes, strides}, every word eight
// bytes; results come as consecutive descriptors in a structure whose address is the first argument.

#include "lariat/Reference/Call.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <cstdlib>
#include <cstring>

using namespace mlir;
using namespace lariat::reference;

unsigned lariat::reference::getElementBytes(Type type) {
  return type.isIndex() ? 8 : (type.getIntOrFloatBitWidth() + 7) / 8;
}

static int64_t numElements(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

HostTensor::HostTensor(ArrayRef<int64_t> shape, unsigned elementBytes)
    : shape(shape), elementBytes(elementBytes), bytes(numElements(shape) * elementBytes) {}

size_t HostTensor::getRowBytes() const {
  return shape.empty() ? bytes.size() : numElements(ArrayRef(shape).drop_front()) * elementBytes;
}

HostTensor HostTensor::take(ArrayRef<int64_t> rows) const {
  SmallVector<int64_t> taken(shape);
  taken.front() = static_cast<int64_t>(rows.size());
  HostTensor result(taken, elementBytes);
  size_t size = getRowBytes();
  for (auto [index, row] : llvm::enumerate(rows))
    std::memcpy(result.bytes.data() + index * size, bytes.data() + row * size, size);
  return result;
}

void HostTensor::put(const HostTensor &values, ArrayRef<int64_t> rows) {
  size_t size = getRowBytes();
  for (auto [index, row] : llvm::enumerate(rows))
    std::memcpy(bytes.data() + row * size, values.bytes.data() + index * size, size);
}

/// Words of a descriptor of row-major memory.
static SmallVector<int64_t> describe(const void *data, ArrayRef<int64_t> shape) {
  auto address = reinterpret_cast<int64_t>(data);
  SmallVector<int64_t> words{address, address, 0};
  llvm::append_range(words, shape);
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t dimension = shape.size(); dimension-- > 1;)
    strides[dimension - 1] = strides[dimension] * shape[dimension];
  llvm::append_range(words, strides);
  return words;
}

/// Copies a result out of the words of its descriptor, element by element where it is not row-major.
static HostTensor copyOut(const int64_t *words, unsigned rank, unsigned elementBytes) {
  ArrayRef<int64_t> shape(words + 3, rank), strides(words + 3 + rank, rank);
  HostTensor result(shape, elementBytes);
  const char *base = reinterpret_cast<const char *>(words[1]) + words[2] * elementBytes;
  int64_t count = numElements(shape);
  for (int64_t index = 0; index < count; ++index) {
    int64_t rest = index, offset = 0;
    for (unsigned dimension = rank; dimension-- > 0;) {
      offset += rest % shape[dimension] * strides[dimension];
      rest /= shape[dimension];
    }
    std::memcpy(result.data<char>() + index * elementBytes, base + offset * elementBytes, elementBytes);
  }
  return result;
}

SmallVector<HostTensor> lariat::reference::callPacked(PackedFunction function, std::vector<HostTensor> inputs,
                                                      ArrayRef<MemoryRef> memory, ArrayRef<RankedTensorType> results) {
  SmallVector<SmallVector<int64_t>> descriptors;
  llvm::SmallPtrSet<void *, 16> seen;
  // An empty tensor still has an address of its own, so that no result can be mistaken for it.
  char empty = 0;
  for (HostTensor &input : inputs) {
    void *data = input.data<char>() ? input.data<char>() : &empty;
    seen.insert(data);
    descriptors.push_back(describe(data, input.getShape()));
  }
  for (const MemoryRef &ref : memory) {
    seen.insert(ref.data);
    descriptors.push_back(describe(ref.data, ref.shape));
  }
  size_t numWords = 0;
  for (RankedTensorType type : results)
    numWords += 3 + 2 * type.getRank();
  std::vector<int64_t> words(numWords);

  // Each argument of the packed function is the address of a pointer.
  SmallVector<void *> pointers;
  if (!results.empty())
    pointers.push_back(words.data());
  for (SmallVector<int64_t> &descriptor : descriptors)
    pointers.push_back(descriptor.data());
  SmallVector<void *> arguments;
  for (void *&pointer : pointers)
    arguments.push_back(&pointer);
  function(arguments.data());

  SmallVector<HostTensor> values;
  const int64_t *next = words.data();
  SmallVector<void *> allocated;
  for (RankedTensorType type : results) {
    values.push_back(copyOut(next, type.getRank(), getElementBytes(type.getElementType())));
    if (auto *pointer = reinterpret_cast<void *>(*next); seen.insert(pointer).second)
      allocated.push_back(pointer);
    next += 3 + 2 * type.getRank();
  }
  for (void *pointer : allocated)
    std::free(pointer);
  return values;
}
