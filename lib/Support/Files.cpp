// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors of a stream are checked after it is closed: the last bytes may be the ones that do not fit.

#include "lariat/Support/Files.h"

#include "lariat/Support/Error.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Process.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace lariat;
namespace fs = llvm::sys::fs;

/// What is hashed and written at a time: long enough to make starting a thread for it cheap.
static constexpr size_t kPieceBytes = size_t(8) << 20;

llvm::Error lariat::writeFile(llvm::StringRef path, llvm::StringRef content) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << content;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  return code ? makeError("cannot write " + path + ": " + code.message()) : llvm::Error::success();
}

/// The digest, or the one reason why there may be none.
static llvm::Expected<std::string> finishSum(Sha256 &sum) {
  if (std::optional<std::string> digest = sum.finish())
    return *digest;
  return makeError("libcrypto cannot compute SHA-256");
}

llvm::Expected<FileSum> lariat::hashFile(llvm::StringRef path) {
  llvm::Expected<fs::file_t> file = fs::openNativeFileForRead(path);
  if (!file)
    return makeError("cannot read " + path + ": " + toString(file.takeError()));
  auto close = llvm::scope_exit([&] { (void)fs::closeFile(*file); });
  std::vector<char> piece(size_t(1) << 20);
  FileSum result;
  Sha256 sum;
  while (true) {
    llvm::Expected<size_t> count = fs::readNativeFile(*file, piece);
    if (!count)
      return makeError("cannot read " + path + ": " + toString(count.takeError()));
    if (*count == 0)
      break;
    sum.update(std::string_view(piece.data(), *count));
    result.bytes += *count;
  }
  llvm::Expected<std::string> digest = finishSum(sum);
  if (!digest)
    return digest.takeError();
  result.sha256 = std::move(*digest);
  return result;
}

void lariat::releasePages(llvm::ArrayRef<uint8_t> mapped) {
  uintptr_t page = llvm::sys::Process::getPageSizeEstimate();
  uintptr_t begin = reinterpret_cast<uintptr_t>(mapped.begin()) & ~(page - 1);
  if (!mapped.empty())
    (void)madvise(reinterpret_cast<void *>(begin), reinterpret_cast<uintptr_t>(mapped.end()) - begin, MADV_DONTNEED);
}

//===----------------------------------------------------------------------===//
// HashedFile
//===----------------------------------------------------------------------===//

/// Reserves room; nothing where the file system does not know how.
static std::error_code reserve(int descriptor, uint64_t bytes) {
  if (bytes == 0 || fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0)
    return {};
  bool isFull = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return isFull ? std::error_code(errno, std::generic_category()) : std::error_code();
}

llvm::Expected<std::unique_ptr<HashedFile>> HashedFile::create(llvm::StringRef path, uint64_t bytes) {
  int descriptor = -1;
  std::error_code code = fs::openFileForWrite(path, descriptor);
  if (!code) {
    code = reserve(descriptor, bytes);
    if (!code)
      return std::unique_ptr<HashedFile>(new HashedFile(path, descriptor));
    (void)close(descriptor);
    (void)fs::remove(path);
  }
  return makeError("cannot write " + path + ": " + code.message());
}

HashedFile::HashedFile(llvm::StringRef path, int descriptor) : path(path.str()), descriptor(descriptor) {
  SetBufferSize(kPieceBytes);
}

HashedFile::~HashedFile() {
  if (descriptor >= 0)
    llvm::consumeError(finish().takeError());
}

void HashedFile::store() {
  sum.update(std::string_view(piece.data(), piece.size()));
  for (size_t done = 0; done < piece.size() && !code;) {
    ssize_t count = ::write(descriptor, piece.data() + done, piece.size() - done);
    if (count >= 0)
      done += count;
    else if (errno != EINTR)
      code = std::error_code(errno, std::generic_category());
  }
  if (code)
    failed.store(true, std::memory_order_relaxed);
}

void HashedFile::wait() {
  if (storing.valid())
    storing.get();
}

void HashedFile::write_impl(const char *data, size_t size) {
  position += size;
  for (size_t count; size > 0 && !hasFailed(); data += count, size -= count) {
    count = std::min(size, kPieceBytes);
    wait();
    piece.assign(data, data + count);
    storing = std::async(std::launch::async, [this] { store(); });
  }
}

llvm::Expected<FileSum> HashedFile::finish() {
  flush();
  wait();
  // A network's file system may say only now that there is no room.
  if (close(std::exchange(descriptor, -1)) != 0 && !code)
    code = std::error_code(errno, std::generic_category());
  if (code)
    return makeError("cannot write " + path + ": " + code.message());
  llvm::Expected<std::string> digest = finishSum(sum);
  if (!digest)
    return digest.takeError();
  return FileSum{position, std::move(*digest)};
}
