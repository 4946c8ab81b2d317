// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An object file to a shared object, with lld as a library. Everything is bound when the object is opened, nothing may
// stay undefined, and no other library is named. The names of kernels are kept, for profilers; there is no debug data.

#include "SharedObjectParts.h"

#include "lariat/Support/Error.h"
#include "lariat/Support/Interruption.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>
#include <optional>

LLD_HAS_DRIVER(elf)

using namespace lariat;
using namespace lariat::cpu;
namespace fs = llvm::sys::fs;

namespace {

/// A file that goes when its user does.
struct TemporaryFile {
  llvm::SmallString<128> path;
  std::optional<Unfinished> unfinished;

  llvm::Error create(llvm::StringRef suffix, llvm::ArrayRef<char> content) {
    int descriptor = -1;
    if (std::error_code code = fs::createTemporaryFile("lariat", suffix, descriptor, path))
      return makeError("cannot create a temporary file: " + code.message());
    unfinished.emplace(path);
    llvm::raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
    stream.write(content.data(), content.size());
    stream.close();
    std::error_code code = stream.error();
    stream.clear_error();
    return code ? makeError("cannot write " + path + ": " + code.message()) : llvm::Error::success();
  }
};

} // namespace

/// What the linker complains about first, as one sentence.
static llvm::Error describeFailure(llvm::StringRef messages) {
  constexpr llvm::StringLiteral missing = "undefined symbol: ";
  if (size_t place = messages.find(missing); place != llvm::StringRef::npos) {
    llvm::StringRef name = messages.drop_front(place + missing.size());
    return makeError("compiled code needs '" + name.take_until([](char c) { return c == '\n'; }) +
                     "', which no runtime offers");
  }
  llvm::StringRef line = messages.take_until([](char c) { return c == '\n'; });
  line.consume_front("ld.lld: ");
  line.consume_front("error: ");
  return makeError("cannot link compiled code: " + (line.empty() ? "the linker says nothing" : line));
}

static llvm::Expected<std::vector<char>> link(llvm::ArrayRef<char> object) {
  static std::mutex linkerMutex; // lld keeps its state in globals
  TemporaryFile input, output;
  if (llvm::Error error = input.create("o", object))
    return std::move(error);
  if (llvm::Error error = output.create("so", {}))
    return std::move(error);
  std::vector<const char *> arguments{"ld.lld",
                                      "-shared",
                                      "-nostdlib",
                                      "--hash-style=gnu",
                                      "--build-id=none",
                                      "--gc-sections",
                                      "--threads=1",
                                      "-z",
                                      kSanitizesAddresses ? "undefs" : "defs", // the sanitizer is in the program
                                      "-z",
                                      "now",
                                      "-o",
                                      output.path.c_str(),
                                      input.path.c_str()};
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  std::lock_guard lock(linkerMutex);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return describeFailure(messages);
  auto buffer = llvm::MemoryBuffer::getFile(output.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("cannot read " + output.path + ": " + buffer.getError().message());
  return std::vector<char>((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
}

llvm::Expected<MachineCode> lariat::linkObject(MachineCode object) {
  StageClock clock(object.seconds);
  llvm::Expected<std::vector<char>> linked = link(object.bytes);
  if (!linked)
    return linked.takeError();
  object.bytes = std::move(*linked);
  object.codeBytes = countCodeBytes(object.bytes);
  clock.lap("link");
  return object;
}

llvm::Expected<MachineCode> lariat::emitSharedObject(mlir::ModuleOp llvmDialect, const CPUTarget &target) {
  llvm::Expected<MachineCode> code = emitCode(llvmDialect, target, CodeForm::Object);
  if (!code)
    return code.takeError();
  return linkObject(std::move(*code));
}
