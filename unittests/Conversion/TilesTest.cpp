// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Microkernels as machine code: no sum of a tile may live in memory, for any target. One register too many halves the
// speed, and LLVM does not say so.

#include "lariat/Target/CPU/SharedObject.h"
#include "lariat/Testing/CompiledKernel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

using namespace lariat;
using namespace lariat::test;

namespace {

/// A file that goes away.
struct TemporaryFile {
  explicit TemporaryFile(llvm::StringRef suffix) {
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-tiles", suffix, path));
  }
  ~TemporaryFile() { llvm::sys::fs::remove(path); }
  llvm::SmallString<128> path;
};

/// The disassembly of an object; empty without a disassembler.
std::string disassemble(const std::vector<char> &bytes) {
  auto program = llvm::sys::findProgramByName("llvm-objdump-22");
  if (!program)
    program = llvm::sys::findProgramByName("llvm-objdump", {LARIAT_LLVM_TOOLS});
  if (!program)
    return {};
  TemporaryFile object("o"), listing("s");
  std::error_code error;
  llvm::raw_fd_ostream(object.path, error).write(bytes.data(), bytes.size());
  std::optional<llvm::StringRef> streams[] = {std::nullopt, llvm::StringRef(listing.path), std::nullopt};
  EXPECT_EQ(llvm::sys::ExecuteAndWait(*program, {*program, "-d", "--no-show-raw-insn", object.path.str()}, std::nullopt,
                                      streams),
            0);
  auto text = llvm::MemoryBuffer::getFile(listing.path);
  return text ? (*text)->getBuffer().str() : std::string();
}

/// Instructions of each tile that move vector registers from or to the stack; -1 for a tile without fma.
llvm::StringMap<int> countSpills(const std::string &listing) {
  llvm::StringMap<int> spills;
  llvm::StringMap<bool> hasFma;
  llvm::Regex start("^[0-9a-f]+ <(.*)>:$"), stackX86("%[xyz]mm.*\\(%rsp|\\(%rsp.*%[xyz]mm"),
      stackArm("[^a-z][qvds][0-9]+[^0-9].*\\[sp");
  llvm::SmallVector<llvm::StringRef> lines, matches;
  llvm::StringRef(listing).split(lines, '\n');
  llvm::StringRef name;
  for (llvm::StringRef line : lines) {
    if (start.match(line, &matches)) {
      name = matches[1].starts_with("tile_") ? matches[1] : llvm::StringRef();
      if (!name.empty())
        spills[name] = 0;
    } else if (!name.empty()) {
      // What the caller's registers are saved with counts nothing: that is d8 to d15, before the loop.
      if (stackX86.match(line) || (stackArm.match(line) && !line.contains("stp\td") && !line.contains("ldp\td") &&
                                   !line.contains("str\td") && !line.contains("ldr\td")))
        ++spills[name];
      hasFma[name] |= line.contains("vfmadd") || line.contains("fmla");
    }
  }
  for (auto &entry : spills)
    if (!hasFma.lookup(entry.getKey()))
      entry.second = -1;
  return spills;
}

} // namespace

TEST(Tiles, FitTheRegisters) {
  for (const CPUTarget &target : getCPUTargets())
    for (int64_t rows = 1; rows <= target.getMaxRows(); ++rows)
      EXPECT_LE(target.getTileRegisters(rows, target.getPanels(rows)), target.numRegisters)
          << target.name << ", " << rows << " rows";
}

TEST(Tiles, StayInRegisters) {
  if (kSanitizesAddresses)
    GTEST_SKIP() << "checks of the address sanitizer take registers";
  for (const CPUTarget &target : getCPUTargets())
    for (auto [type, isStreamed] :
         {std::pair("f32", false), {"f32", true}, {"bf16", false}, {"bf16", true}, {"f16", false}, {"f16", true}}) {
      std::string listing = disassemble(compileObject(getPlainGemm(64, 64, type, {}, isStreamed), target).bytes);
      if (listing.empty())
        GTEST_SKIP() << "no llvm-objdump";
      llvm::StringMap<int> spills = countSpills(listing);
      EXPECT_GE(spills.size(), target.tuning.tilePanels.size());
      for (const auto &entry : spills)
        EXPECT_EQ(entry.second, 0) << target.name << ": " << entry.getKey().str();
    }
}
