// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. A shared object, loaded from bytes in memory.

#ifndef LARIAT_LIB_RUNTIME_LOAD_MAPPEDCODE_H
#define LARIAT_LIB_RUNTIME_LOAD_MAPPEDCODE_H

#include "Files.h"

namespace lariat::runtime {

class MappedCode {
public:
  /// Loads `bytes`; `place` names them in messages.
  static Expected<MappedCode> load(std::span<const std::byte> bytes, const std::string &place);
  MappedCode(MappedCode &&other) noexcept : file(std::move(other.file)), handle(std::exchange(other.handle, nullptr)) {}
  MappedCode &operator=(MappedCode &&) = delete;
  ~MappedCode();

  /// The address of an exported symbol, or null.
  void *find(const std::string &symbol) const;

private:
  MappedCode(FileDescriptor file, void *handle) : file(std::move(file)), handle(handle) {}

  FileDescriptor file; ///< open while the code is loaded: the loader knows objects by name, which has its number
  void *handle;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_LOAD_MAPPEDCODE_H
