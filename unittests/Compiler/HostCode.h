// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Entry functions from the text of a module at the kernel level, compiled as the fast pipeline does, linked, opened,
// and called with services that write down what they are asked for.

#ifndef LARIAT_UNITTESTS_COMPILER_HOSTCODE_H
#define LARIAT_UNITTESTS_COMPILER_HOSTCODE_H

#include "lariat/Artefact/Abi.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "gtest/gtest.h"

#include <memory>
#include <string>
#include <vector>

namespace lariat::test {

/// A record as a launch saw it; operands start behind the head.
struct SeenRecord {
  int64_t flags;
  std::vector<int64_t> operands;
};

class HostCode : public testing::Test {
protected:
  HostCode();
  ~HostCode() override;

  /// Compiles and opens a module; a failure is a failure of the test.
  void compile(llvm::StringRef text);
  /// Compiles as far as code; the error.
  std::string errorOf(llvm::StringRef text);
  /// Calls an entry function with `rows` rows, its ports' memory and their row counts.
  void run(const char *symbol, int64_t rows, std::vector<void *> ports, std::vector<int64_t> portRows,
           std::vector<std::byte *> states = {}, std::vector<int64_t> stateDepths = {}, int64_t numSequences = 1);

  /// Where a pointer points: "arena + 64", "port 1 + 0".
  std::string describe(const void *address) const;

  std::vector<std::string> log; ///< services, in order
  std::vector<std::vector<SeenRecord>> launches;
  std::vector<int64_t> cells;
  std::vector<float> arena = std::vector<float>(1 << 14);
  int64_t numCells = 0; ///< of the entry function that was compiled last
  int64_t compactCount = 0;

private:
  struct FakeServices;

  llvm::Expected<std::vector<char>> emit(llvm::StringRef text);

  mlir::MLIRContext context;
  llvm::SmallString<128> path;
  void *library = nullptr;
  std::vector<void *> functions;                    ///< of the C library
  std::vector<std::unique_ptr<std::byte[]>> memory; ///< of the generic path
  std::vector<void *> portAddresses;
  int64_t paddedRows = 0;
  abi::Services services{};
};

} // namespace lariat::test

#endif // LARIAT_UNITTESTS_COMPILER_HOSTCODE_H
