// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. Files below a directory, opened without following any link below it.

#ifndef LARIAT_LIB_RUNTIME_LOAD_FILES_H
#define LARIAT_LIB_RUNTIME_LOAD_FILES_H

#include "lariat/Runtime/Base/Status.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lariat::runtime {

/// Owns a file descriptor.
class FileDescriptor {
public:
  explicit FileDescriptor(int number = -1) : number(number) {}
  FileDescriptor(FileDescriptor &&other) noexcept : number(std::exchange(other.number, -1)) {}
  FileDescriptor &operator=(FileDescriptor &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return number; }

private:
  int number;
};

/// Which bytes of which file: equal only for the same content, as far as the file system can tell.
struct FileIdentity {
  uint64_t device = 0, inode = 0;
  int64_t bytes = 0, seconds = 0, nanoseconds = 0;

  auto operator<=>(const FileIdentity &) const = default;
};

struct OpenFile {
  FileDescriptor descriptor;
  FileIdentity identity;
};

/// Opens a directory.
Expected<FileDescriptor> openFolder(const std::string &path);

/// Opens the regular file `path` below `folder`. `place` is the folder's path, for messages.
Expected<OpenFile> openBelow(const FileDescriptor &folder, const std::string &path, const std::string &place);

/// All bytes of a file that has `bytes` of them.
Expected<std::vector<std::byte>> readFile(const FileDescriptor &file, int64_t bytes, const std::string &place);

/// Digest of a file that has `bytes` bytes, read in pieces; nothing where libcrypto fails.
Expected<std::optional<std::string>> hashFile(const FileDescriptor &file, int64_t bytes, const std::string &place);

/// A file mapped read-only.
class MappedFile {
public:
  static Expected<MappedFile> map(const FileDescriptor &file, int64_t bytes, const std::string &place);
  MappedFile(MappedFile &&other) noexcept : memory(std::exchange(other.memory, {})) {}
  MappedFile &operator=(MappedFile &&) = delete;
  ~MappedFile();

  std::span<const std::byte> getBytes() const { return memory; }

private:
  explicit MappedFile(std::span<const std::byte> memory) : memory(memory) {}

  std::span<const std::byte> memory;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_LOAD_FILES_H
