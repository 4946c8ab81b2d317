// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checksums beyond the sizes that 32 bits count, of bits (512 MiB) and of bytes (4 GiB), and files that cannot be
// written. Expected digests are those of Python's hashlib.

#include "lariat/Support/Files.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

#include <fcntl.h>
#include <unistd.h>

using namespace lariat;
using llvm::StringRef;

namespace {

constexpr uint64_t kMiB = uint64_t(1) << 20;

/// A path of its own for each test.
class Files : public testing::Test {
protected:
  void SetUp() override { ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-files", "bin", path)); }
  void TearDown() override { llvm::sys::fs::remove(path); }

  /// A file of zeros that takes no room, and `end` behind them.
  void writeSparse(uint64_t zeros, StringRef end) {
    int file = open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    ASSERT_GE(file, 0);
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(zeros)), 0);
    ASSERT_EQ(pwrite(file, end.data(), end.size(), static_cast<off_t>(zeros)), static_cast<ssize_t>(end.size()));
    close(file);
  }

  llvm::SmallString<128> path;
};

using LongFiles = Files;

} // namespace

TEST_F(Files, hashesMoreThan512MiB) {
  writeSparse(600 * kMiB, "");
  llvm::Expected<FileSum> sum = hashFile(path);
  ASSERT_TRUE(static_cast<bool>(sum)) << toString(sum.takeError());
  EXPECT_EQ(sum->bytes, 600 * kMiB);
  EXPECT_EQ(sum->sha256, "987523e7780392e283b404990c4e84e580bc75c451138b0c86c4f81c296eeebe");
}

TEST_F(LongFiles, hashesMoreThan4GiB) {
  writeSparse(4100 * kMiB, "lariat");
  llvm::Expected<FileSum> sum = hashFile(path);
  ASSERT_TRUE(static_cast<bool>(sum)) << toString(sum.takeError());
  EXPECT_EQ(sum->bytes, 4100 * kMiB + 6);
  EXPECT_EQ(sum->sha256, "716c9d0e40c395359010fe48411322967704d482a4099fb5cb605cec7a275eee");
}

TEST_F(Files, hashesBytesInMemoryAsOneOrInPieces) {
  constexpr StringRef kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  EXPECT_EQ(computeSha256({}), kEmpty.str());
  Sha256 pieces, whole;
  pieces.update("ab");
  pieces.update("c");
  whole.update("abc");
  EXPECT_EQ(pieces.finish(), whole.finish());
}

TEST_F(Files, hashesWhatItWrites) {
  llvm::Expected<std::unique_ptr<HashedFile>> file = HashedFile::create(path, /*bytes=*/20 * kMiB);
  ASSERT_TRUE(static_cast<bool>(file)) << toString(file.takeError());
  std::string line(4099, 'x'); // pieces end within lines
  for (int i = 0; i < 5000; ++i)
    **file << line << i;
  uint64_t end = (*file)->tell();
  llvm::Expected<FileSum> sum = (*file)->finish(), read = hashFile(path);
  ASSERT_TRUE(static_cast<bool>(sum)) << toString(sum.takeError());
  ASSERT_TRUE(static_cast<bool>(read)) << toString(read.takeError());
  EXPECT_EQ(sum->bytes, end);
  EXPECT_EQ(sum->bytes, read->bytes);
  EXPECT_EQ(sum->sha256, read->sha256);
}

TEST_F(Files, fullDiskIsASentence) {
  if (access("/dev/full", W_OK) != 0)
    GTEST_SKIP() << "no /dev/full";
  llvm::Expected<std::unique_ptr<HashedFile>> file = HashedFile::create("/dev/full", /*bytes=*/0);
  ASSERT_TRUE(static_cast<bool>(file)) << toString(file.takeError());
  std::string piece(kMiB, 'x');
  for (int i = 0; i < 64; ++i)
    **file << piece;
  EXPECT_TRUE((*file)->hasFailed());
  EXPECT_EQ(toString((*file)->finish().takeError()), "cannot write /dev/full: No space left on device");
}
