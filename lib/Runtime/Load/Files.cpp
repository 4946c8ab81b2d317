// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A path is walked part by part with O_NOFOLLOW, so that no link leads out of the directory.

#include "Files.h"

#include "lariat/Artefact/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lariat::runtime;

FileDescriptor::~FileDescriptor() {
  if (number >= 0)
    close(number);
}

Expected<FileDescriptor> lariat::runtime::openFolder(const std::string &path) {
  FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0)
    return folder;
  if (errno == ENOENT)
    return makeError(path, ": no such artefact, 'lariat compile' makes one");
  if (errno == ENOTDIR)
    return makeError(path, ": not an artefact, which is a folder 'lariat compile' makes");
  return makeSystemError("open", path, errno);
}

/// Opens one part of a path, which must be no link.
static Expected<FileDescriptor> openPart(const FileDescriptor &folder, const std::string &part, int flags,
                                         const std::string &shown) {
  FileDescriptor file(openat(folder.get(), part.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | flags));
  if (file.get() >= 0)
    return file;
  int number = errno;
  struct stat facts = {};
  bool isLink = fstatat(folder.get(), part.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(facts.st_mode);
  if (isLink)
    return makeError(shown, " is a link, expected a file of the artefact itself");
  return makeSystemError("open", shown, number);
}

Expected<OpenFile> lariat::runtime::openBelow(const FileDescriptor &folder, const std::string &path,
                                              const std::string &place) {
  std::string shown = place + "/" + path;
  FileDescriptor parent;
  size_t begin = 0;
  for (size_t end = path.find('/'); end != std::string::npos; begin = end + 1, end = path.find('/', begin)) {
    Expected<FileDescriptor> part =
        openPart(begin == 0 ? folder : parent, path.substr(begin, end - begin), O_DIRECTORY, shown);
    if (!part)
      return part.takeError();
    parent = std::move(*part);
  }
  Expected<FileDescriptor> file = openPart(begin == 0 ? folder : parent, path.substr(begin), /*flags=*/0, shown);
  if (!file)
    return file.takeError();
  struct stat facts = {};
  if (fstat(file->get(), &facts) != 0)
    return makeSystemError("open", shown, errno);
  if (!S_ISREG(facts.st_mode))
    return makeError(shown, " is not a regular file");
  return OpenFile{std::move(*file),
                  {facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec}};
}

/// Fills `part` with what the file has from `offset` on; `total` bytes are expected of it in all.
static Status readPart(const FileDescriptor &file, std::span<std::byte> part, int64_t offset, int64_t total,
                       const std::string &place) {
  while (!part.empty()) {
    ssize_t count = pread(file.get(), part.data(), part.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return makeSystemError("read", place, errno);
    if (count == 0)
      return makeError(place, " ended after ", offset, " bytes, expected ", total);
    part = part.subspan(count);
    offset += count;
  }
  return Status::success();
}

Expected<std::vector<std::byte>> lariat::runtime::readFile(const FileDescriptor &file, int64_t bytes,
                                                           const std::string &place) {
  std::vector<std::byte> content(bytes);
  if (Status status = readPart(file, content, /*offset=*/0, bytes, place))
    return status.takeError();
  return content;
}

Expected<std::optional<std::string>> lariat::runtime::hashFile(const FileDescriptor &file, int64_t bytes,
                                                               const std::string &place) {
  constexpr int64_t kPieceBytes = int64_t(1) << 20;
  std::vector<std::byte> piece(std::min(bytes, kPieceBytes));
  Sha256 sum;
  for (int64_t done = 0; done < bytes; done += kPieceBytes) {
    std::span<std::byte> part = std::span(piece).first(std::min(kPieceBytes, bytes - done));
    if (Status status = readPart(file, part, done, bytes, place))
      return status.takeError();
    sum.update(part);
  }
  return sum.finish();
}

Expected<MappedFile> MappedFile::map(const FileDescriptor &file, int64_t bytes, const std::string &place) {
  if (bytes == 0)
    return MappedFile({});
  void *memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), /*offset=*/0);
  if (memory == MAP_FAILED)
    return makeSystemError("map", place, errno);
  return MappedFile(std::span(static_cast<const std::byte *>(memory), bytes));
}

MappedFile::~MappedFile() {
  if (!memory.empty())
    munmap(const_cast<std::byte *>(memory.data()), memory.size());
}
