// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The safetensors reader against files that are right and files that are wrong in one way each.

#include "lariat/Support/Safetensors.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace lariat;
using llvm::StringRef;

namespace {

/// A directory of its own for each test.
class Safetensors : public testing::Test {
protected:
  void SetUp() override { ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lariat-safetensors", directory)); }
  void TearDown() override { llvm::sys::fs::remove_directories(directory); }

  std::string path(StringRef name = "model.safetensors") const {
    llvm::SmallString<256> result(directory);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }
  void writeRaw(StringRef name, StringRef content) const {
    std::error_code code;
    llvm::raw_fd_ostream(path(name), code) << content;
    ASSERT_FALSE(code);
  }
  /// A file with this header and `numBytes` data bytes 0, 1, 2, ...
  void writeFile(StringRef header, size_t numBytes, StringRef name = "model.safetensors") const {
    std::string content(8, '\0');
    llvm::support::endian::write64le(content.data(), header.size());
    content += header;
    for (size_t index = 0; index < numBytes; ++index)
      content.push_back(static_cast<char>(index));
    writeRaw(name, content);
  }
  std::string errorOf(StringRef header, size_t numBytes) const {
    writeFile(header, numBytes);
    return errorOfFile();
  }
  std::string errorOfFile() const {
    auto file = SafetensorsFile::open(path());
    return file ? std::string() : toString(file.takeError());
  }
  std::string errorOfCheckpoint() const {
    auto checkpoint = Checkpoint::open(directory);
    return checkpoint ? std::string() : toString(checkpoint.takeError());
  }

  llvm::SmallString<256> directory;
};

} // namespace

#define EXPECT_CONTAINS(text, part) EXPECT_PRED_FORMAT2(testing::IsSubstring, part, text)

TEST_F(Safetensors, RoundTrip) {
  SafetensorsWriter writer;
  writer.addFloats("b", {2, 2}, {1.0f, -2.5f, 3.25f, 1e-30f});
  writer.addInts("a", {3}, {7, -8, 1 << 30});
  writer.addFloats("scalar", {}, {4.0f});
  writer.addFloats("empty", {0, 5}, {});
  writer.add("half", "BF16", {2}, [](llvm::raw_ostream &stream) {
    for (float value : {1.0f, 3.14159f}) {
      uint16_t half = toBFloat(value);
      stream.write(reinterpret_cast<const char *>(&half), sizeof half);
    }
    return llvm::Error::success();
  });
  ASSERT_FALSE(static_cast<bool>(writer.write(path())));
  auto file = SafetensorsFile::open(path());
  ASSERT_TRUE(static_cast<bool>(file)) << toString(file.takeError());
  EXPECT_EQ((*file)->getTensors().size(), 5u);
  EXPECT_EQ(*readFloats(*(*file)->find("b")), (std::vector<float>{1.0f, -2.5f, 3.25f, 1e-30f}));
  EXPECT_EQ(*readFloats(*(*file)->find("a")), (std::vector<float>{7, -8, 1 << 30}));
  EXPECT_EQ((*file)->find("scalar")->getNumElements(), 1);
  EXPECT_EQ((*file)->find("empty")->getNumElements(), 0);
  EXPECT_EQ(*readFloats(*(*file)->find("half")), (std::vector<float>{1.0f, 3.140625f}));
  EXPECT_EQ((*file)->find("c"), nullptr);
}

TEST_F(Safetensors, WriteToMissingDirectoryFails) {
  SafetensorsWriter writer;
  EXPECT_CONTAINS(toString(writer.write(path("no/such/file"))), "cannot write");
}

TEST_F(Safetensors, ReadsHalves) {
  writeRaw("x", "");
  std::string content(8, '\0');
  StringRef header = R"({"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]}})";
  llvm::support::endian::write64le(content.data(), header.size());
  content += header;
  for (uint16_t bits : {0x3c00, 0xc000, 0x0001, 0x7c00, 0x8000})
    content.append({static_cast<char>(bits & 0xff), static_cast<char>(bits >> 8)});
  writeRaw("model.safetensors", content);
  auto file = SafetensorsFile::open(path());
  ASSERT_TRUE(static_cast<bool>(file)) << toString(file.takeError());
  std::vector<float> values = *readFloats(*(*file)->find("h"));
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(values[2], 0x1p-24f);
  EXPECT_TRUE(std::isinf(values[3]));
  EXPECT_TRUE(values[4] == 0 && std::signbit(values[4]));
}

TEST_F(Safetensors, RoundsToNearestEven) {
  EXPECT_EQ(roundToBFloat(1.0f + 0x1p-8f), 1.0f);
  EXPECT_EQ(roundToBFloat(1.0f + 0x1p-7f + 0x1p-8f), 1.0f + 0x1p-6f);
  EXPECT_EQ(roundToBFloat(1.0f + 0x1p-8f + 0x1p-20f), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isnan(roundToBFloat(std::nanf(""))));
  EXPECT_TRUE(std::isinf(roundToBFloat(INFINITY)));
}

TEST_F(Safetensors, RoundsToF16) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) // all of them stay what they are, and NaN stays one
    if (float value = fromF16(static_cast<uint16_t>(bits)); value == value)
      EXPECT_EQ(toF16(value), bits);
    else
      EXPECT_NE(fromF16(toF16(value)), fromF16(toF16(value)));
  EXPECT_EQ(toF16(65519.0f), 0x7bff);
  EXPECT_EQ(toF16(-65520.0f), 0xfc00);
  EXPECT_EQ(toF16(1.0f + 0x1p-11f), 0x3c00); // ties to even
  EXPECT_EQ(toF16(1.0f + 0x3p-11f), 0x3c02);
  EXPECT_EQ(toF16(1.0f + 0x1.002p-11f), 0x3c01);
  EXPECT_EQ(toF16(0x1p-25f), 0); // subnormals too
  EXPECT_EQ(toF16(0x1.8p-24f), 2);
  EXPECT_EQ(toF16(0x1.ffcp-15f + 0x1p-26f), 0x0400);
}

TEST_F(Safetensors, RefusesBrokenFraming) {
  writeRaw("model.safetensors", "");
  EXPECT_CONTAINS(errorOfFile(), "has 0 bytes, expected at least 8");
  writeRaw("model.safetensors", "1234567");
  EXPECT_CONTAINS(errorOfFile(), "has 7 bytes");
  writeRaw("model.safetensors", StringRef("\xff\xff\xff\xff\xff\xff\xff\xff", 8));
  EXPECT_CONTAINS(errorOfFile(), "announces a header of 18446744073709551615 bytes");
  writeRaw("model.safetensors", StringRef("\x10\0\0\0\0\0\0\0{}", 10));
  EXPECT_CONTAINS(errorOfFile(), "announces a header of 16 bytes, but only 2 follow");
  EXPECT_CONTAINS(errorOf("[]", 0), "does not start with '{'");
  EXPECT_CONTAINS(errorOf("{\"a\":", 0), "not valid JSON");
  EXPECT_CONTAINS(errorOf("", 0), "does not start with '{'");
  EXPECT_EQ(errorOf("{}", 0), "");
  EXPECT_EQ(errorOf("{\"__metadata__\":{\"format\":\"pt\"}}     ", 0), "");
  EXPECT_EQ(errorOf("{\"__metadata__\":null}", 0), "");
}

TEST_F(Safetensors, RefusesBrokenTensors) {
  EXPECT_CONTAINS(errorOf(R"({"t":1})", 0), "tensor 't' is not described by a JSON object");
  EXPECT_CONTAINS(errorOf(R"({"t":{"shape":[1],"data_offsets":[0,4]}})", 4), "has no dtype");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4), "unknown dtype 'F33'");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "has a shape that is not");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4), "has a shape that is not");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4), "data_offsets that are not");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4), "has data_offsets [4, 0]");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "the file has 4 data bytes");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "that is 8 bytes");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,4]}})", 4),
                  "does not fit 64 bits");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4), "unknown key 'x'");
  EXPECT_CONTAINS(errorOf(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                              "t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                          1),
                  "key 't' is there twice");
}

TEST_F(Safetensors, RefusesHolesOverlapsAndRests) {
  StringRef overlap = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                          "b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})";
  EXPECT_CONTAINS(errorOf(overlap, 6), "tensor 'b' starts at data byte 2, inside the tensor before it");
  StringRef hole = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                       "b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";
  EXPECT_CONTAINS(errorOf(hole, 6), "data bytes 2 to 4 before tensor 'b' belong to no tensor");
  EXPECT_CONTAINS(errorOf(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 5), "has 3 bytes behind");
}

TEST_F(Safetensors, EveryTruncationIsAnError) {
  SafetensorsWriter writer;
  writer.addFloats("a", {2, 2}, {1, 2, 3, 4});
  writer.addInts("b", {1}, {5});
  ASSERT_FALSE(static_cast<bool>(writer.write(path())));
  std::string whole = (*llvm::MemoryBuffer::getFile(path()))->getBuffer().str();
  for (size_t size = 0; size < whole.size(); ++size) {
    writeRaw("model.safetensors", StringRef(whole).take_front(size));
    EXPECT_NE(errorOfFile(), "") << size;
  }
}

TEST_F(Safetensors, EveryFlippedHeaderByteIsReadOrRefused) {
  SafetensorsWriter writer;
  writer.addFloats("a", {2, 2}, {1, 2, 3, 4});
  ASSERT_FALSE(static_cast<bool>(writer.write(path())));
  std::string whole = (*llvm::MemoryBuffer::getFile(path()))->getBuffer().str();
  for (size_t at = 0; at < whole.size() - 16; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      writeRaw("model.safetensors", changed);
      (void)errorOfFile(); // must not crash; a changed name, for one, is still right
    }
}

TEST_F(Safetensors, OpensShards) {
  EXPECT_CONTAINS(errorOfCheckpoint(), "has neither model.safetensors nor model.safetensors.index.json");
  writeFile(R"({"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", 4, "s1.safetensors");
  writeFile(R"({"b":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", 4, "s2.safetensors");
  writeRaw("model.safetensors.index.json", R"({"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})");
  auto checkpoint = Checkpoint::open(directory);
  ASSERT_TRUE(static_cast<bool>(checkpoint)) << toString(checkpoint.takeError());
  EXPECT_NE(checkpoint->find("a"), nullptr);
  EXPECT_EQ(checkpoint->find("c"), nullptr);
  writeRaw("model.safetensors.index.json", R"({"weight_map":{"c":"s1.safetensors"}})");
  EXPECT_CONTAINS(errorOfCheckpoint(), "places tensor 'c' in s1.safetensors, which has no such tensor");
  writeRaw("model.safetensors.index.json", R"({"weight_map":{"a":"../s1.safetensors"}})");
  EXPECT_CONTAINS(errorOfCheckpoint(), "the shard of tensor 'a' is not a file name");
  writeRaw("model.safetensors.index.json", R"({"weight_map":{"a":"s3.safetensors"}})");
  EXPECT_CONTAINS(errorOfCheckpoint(), "names shards that are missing: s3.safetensors");
  writeRaw("model.safetensors.index.json", R"({"weights":{}})");
  EXPECT_CONTAINS(errorOfCheckpoint(), "has no object 'weight_map'");
}

TEST_F(Safetensors, NamesGitLfsPointers) {
  writeRaw("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123456\n");
  EXPECT_CONTAINS(errorOfFile(), "model.safetensors is a git-lfs pointer, not the file itself");
}

TEST_F(Safetensors, NamesAllMissingShards) {
  writeRaw("model.safetensors.index.json", R"({"weight_map": {"a": "2.safetensors", "b": "1.safetensors"}})");
  EXPECT_CONTAINS(errorOfCheckpoint(), "names shards that are missing: 1.safetensors, 2.safetensors");
}
