// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For unit tests and benchmarks: a kernel from text, compiled for one CPU and called as the runtime calls it, with
// memory that the caller lays out. What cannot be compiled or called ends the process with a message.

#ifndef LARIAT_TESTING_COMPILEDKERNEL_H
#define LARIAT_TESTING_COMPILEDKERNEL_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Conversion/KernelToVector/KernelToVector.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace lariat::test {

using kernel::RecordField;

/// Memory on 64 bytes, filled with NaN-like garbage.
template <typename T>
class Memory {
public:
  explicit Memory(size_t count) : count(count) {
    data = static_cast<T *>(std::aligned_alloc(64, (count * sizeof(T) + 127) / 64 * 64));
    for (size_t i = 0; i < (count * sizeof(T) + 127) / 64 * 64; ++i)
      reinterpret_cast<unsigned char *>(data)[i] = 0xff;
  }
  Memory(Memory &&other) noexcept : count(other.count), data(std::exchange(other.data, nullptr)) {}
  ~Memory() { std::free(data); }
  T &operator[](size_t i) { return data[i]; }
  T *get() { return data; }
  size_t size() const { return count; }

private:
  size_t count;
  T *data;
};

/// Names of targets that this machine runs.
std::vector<std::string> listTargets();

/// A dialect context for kernels.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// The object file of all kernels in the text; the first one is exported as lariat_kernel.
struct KernelObject {
  std::vector<char> bytes;
  int64_t scratchBytes = 0;
  std::vector<RecordField> fields; ///< of the first kernel; values and symbols are gone
  std::vector<int64_t> packedOffsets;
};
KernelObject compileObject(llvm::StringRef text, const CPUTarget &target);

class CompiledKernel {
public:
  CompiledKernel(llvm::StringRef text, llvm::StringRef target) : CompiledKernel(text, *findCPUTarget(target)) {}
  CompiledKernel(llvm::StringRef text, const CPUTarget &target);
  ~CompiledKernel();

  /// Buffers by address, indices and literals by value, other scalars by their bits; packed data is not listed.
  struct Operand {
    Operand(void *address) : address(address) {}
    Operand(int64_t value) : value(value) {}
    template <typename T>
    Operand(Memory<T> &memory) : address(memory.get()) {}
    void *address = nullptr;
    int64_t value = 0;
  };
  /// A call that can be repeated; kernel and operands must outlive it.
  class Prepared {
  public:
    /// Calls the kernel for each thread, one after the other.
    void run();

  private:
    friend class CompiledKernel;
    Prepared(int64_t scratchBytes, int64_t numThreads) : scratch(scratchBytes * numThreads), numThreads(numThreads) {}
    std::vector<std::byte *> bases;
    std::vector<int64_t> cells;
    abi::RecordEncoder record{0};
    Memory<std::byte> scratch;
    int64_t numThreads;
    abi::Call call{};
    abi::Kernel function = nullptr;
  };
  Prepared prepare(std::vector<Operand> operands, void *weights = nullptr, int64_t numThreads = 1);

  /// Prepares a call and runs it once.
  void run(std::vector<Operand> operands, void *weights = nullptr, int64_t numThreads = 1) {
    prepare(std::move(operands), weights, numThreads).run();
  }

private:
  KernelObject object;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  abi::Kernel function = nullptr;
};

/// Elements from one line of such a buffer to the next.
inline int64_t lineOf(int64_t width) { return kernel::roundUp(width, kernel::kLineColumns); }

/// The type of a buffer of `width` columns, as text.
std::string bufferType(int64_t width, const char *element = "f32");

/// A module with one gemm of weights (N, K) that does nothing else; `out` is the type of its result where it is not
/// that of a buffer of its own; `isStreamed` and `panelColumns` are as kernel.packed has them.
std::string getPlainGemm(int64_t n, int64_t k, llvm::StringRef format, llvm::StringRef out = {},
                         bool isStreamed = false, int64_t panelColumns = kernel::kPanelColumns);

/// Bits of a scalar operand.
template <typename T>
int64_t bitsOf(T value) {
  int64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  return bits;
}

/// bf16 to nearest even, and back.
uint16_t toBF16(float value);
float fromBF16(uint16_t value);

/// Weights (N, K) as panels of a format, at `place`; returns bytes.
int64_t packPanels(char *place, const std::vector<float> &weights, int64_t n, int64_t k, llvm::StringRef format = "f32",
                   int64_t columns = kernel::kPanelColumns);

/// What a value is in panels of a format.
float roundTo(llvm::StringRef format, float value);

} // namespace lariat::test

#endif // LARIAT_TESTING_COMPILEDKERNEL_H
