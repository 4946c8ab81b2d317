// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors, buffers, features, memory of generic kernels.

#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Base/Features.h"
#include "lariat/Runtime/Memory/GenericMemory.h"
#include "lariat/Runtime/Memory/States.h"

#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace lariat::runtime;

TEST(Status, carriesOneSentence) {
  EXPECT_TRUE(Status::success().ok());
  Status status = makeError("page ", 3, " of '", std::string("kv"), "'");
  EXPECT_TRUE(static_cast<bool>(status));
  EXPECT_EQ(status.text(), "page 3 of 'kv'");
  Expected<int64_t> value = makeSystemError("read", "a/b", ENOENT);
  EXPECT_FALSE(value);
  EXPECT_EQ(value.text(), "cannot read a/b: No such file or directory");
  Expected<std::string> text = "abc";
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "abc");
}

TEST(AlignedBuffer, isAlignedAndGrowsOnly) {
  AlignedBuffer buffer;
  for (int64_t bytes :
       {int64_t(0), int64_t(1), int64_t(1000), int64_t(1) << 20, (int64_t(1) << 20) + 1, int64_t(16) << 20}) {
    ASSERT_TRUE(buffer.reserve(bytes, "a test").ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment, 0u);
    EXPECT_GE(buffer.size(), bytes);
    std::memset(buffer.data(), 1, bytes);
  }
  std::byte *before = buffer.data();
  ASSERT_TRUE(buffer.reserve(5, "a test").ok());
  EXPECT_EQ(buffer.data(), before);
}

TEST(AlignedBuffer, refusesWhatCannotBe) {
  AlignedBuffer buffer;
  EXPECT_EQ(buffer.reserve(-1, "a test").text(), "there is no memory for a test, which needs -1 bytes");
  EXPECT_FALSE(buffer.reserve(INT64_MAX, "a test").ok());
  EXPECT_FALSE(buffer.reserve(int64_t(1) << 60, "a test").ok());
  EXPECT_TRUE(buffer.reserve(8, "a test").ok());
}

TEST(Features, nestAsTheyDoInProcessors) {
  EXPECT_FALSE(machineHas("a-feature-of-the-future"));
  for (auto [feature, needed] : {std::pair{"avx512f", "avx2"}, {"avx2", "avx"}, {"avx512vl", "avx512f"}})
    EXPECT_TRUE(!machineHas(feature) || machineHas(needed)) << feature;
#if defined(__x86_64__)
  EXPECT_EQ(machineHas("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(machineHas("fma"), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(machineHas("avx512bw"), __builtin_cpu_supports("avx512bw") != 0);
#endif
}

TEST(GenericMemory, givesBlocksThatDoNotOverlap) {
  std::vector<std::pair<char *, int64_t>> blocks;
  for (int round = 0; round < 3; ++round) {
    blocks.clear();
    for (int64_t bytes : {int64_t(0), int64_t(100), int64_t(3) << 20, int64_t(64), int64_t(1) << 20}) {
      auto *block = static_cast<char *>(allocateGeneric(bytes));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % kAlignment, 0u);
      std::memset(block, static_cast<int>(blocks.size() + 1), bytes);
      blocks.emplace_back(block, bytes);
    }
    for (size_t index = 0; index < blocks.size(); ++index)
      for (int64_t byte = 0; byte < blocks[index].second; byte += 61)
        ASSERT_EQ(blocks[index].first[byte], static_cast<char>(index + 1));
    releaseGeneric();
  }
  EXPECT_GT(getKeptGenericBytes(), 0);
  EXPECT_LE(getKeptGenericBytes(), int64_t(64) << 20);
  std::thread([] { EXPECT_EQ(getKeptGenericBytes(), 0); }).join();
}

TEST(BatchState, keepsDepthsApartAndFillsWithZeros) {
  StateShape shape{/*layers=*/2, /*width=*/1, /*elementBytes=*/4};
  SequenceState first, second;
  SequenceState *both[] = {&first, &second};
  BatchState batch;
  ASSERT_TRUE(batch.load(getHostMemory(), shape, both, 2).ok());
  auto *values = reinterpret_cast<int32_t *>(batch.data()); // [sequence][layer][depth]
  for (int index = 0; index < 8; ++index) {
    EXPECT_EQ(values[index], 0);
    values[index] = index;
  }
  batch.store(both);
  SequenceState *one[] = {&second};
  ASSERT_TRUE(batch.load(getHostMemory(), shape, one, 3).ok());
  EXPECT_EQ(batch.getDepths(), 3);
  values = reinterpret_cast<int32_t *>(batch.data());
  EXPECT_EQ(std::vector<int32_t>(values, values + 6), (std::vector<int32_t>{4, 5, 0, 6, 7, 0}));
  EXPECT_EQ(first.depths, 2);
}
