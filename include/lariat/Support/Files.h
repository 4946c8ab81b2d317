// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing and hashing files of any size in bounded memory, with the reason where it fails.

#ifndef LARIAT_SUPPORT_FILES_H
#define LARIAT_SUPPORT_FILES_H

#include "lariat/Artefact/Sha256.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace lariat {

/// Writes a file of this content over what was there.
llvm::Error writeFile(llvm::StringRef path, llvm::StringRef content);

/// Size and checksum of a file, as manifests list them.
struct FileSum {
  uint64_t bytes = 0;
  std::string sha256;
};

/// Reads a file in pieces.
llvm::Expected<FileSum> hashFile(llvm::StringRef path);

/// A new file that is hashed as it is written. What is full is hashed and written by another thread while the next
/// piece is made; two pieces are in memory. The first failure is kept, and what is written after it is dropped.
class HashedFile final : public llvm::raw_ostream {
public:
  /// Opens `path` to write over what was there. Where the file system can, `bytes` are reserved, so that a disk that is
  /// too small is known at once; the file has in the end what was written.
  static llvm::Expected<std::unique_ptr<HashedFile>> create(llvm::StringRef path, uint64_t bytes);
  ~HashedFile() override;

  /// Whether writing on is in vain.
  bool hasFailed() const { return failed.load(std::memory_order_relaxed); }
  /// Closes the file; the error of any write. Nothing may be written after it.
  llvm::Expected<FileSum> finish();

private:
  HashedFile(llvm::StringRef path, int descriptor);
  void write_impl(const char *data, size_t size) override;
  uint64_t current_pos() const override { return position; }
  /// On the other thread.
  void store();
  void wait();

  std::string path;
  int descriptor;
  uint64_t position = 0;   ///< bytes taken over
  std::vector<char> piece; ///< the other thread's while it stores it
  std::future<void> storing;
  Sha256 sum;
  std::error_code code;
  std::atomic<bool> failed = false;
};

/// Gives up the memory of mapped pages, which are read again from their file when they are next used.
void releasePages(llvm::ArrayRef<uint8_t> mapped);

} // namespace lariat

#endif // LARIAT_SUPPORT_FILES_H
