// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memory of devices, that of the CPU and that of a device apart, and what the runtime keeps there: the same bytes in
// both.

#include "RecordingDevice.h"
#include "lariat/Runtime/Device/DeviceBuffer.h"
#include "lariat/Runtime/KV/KVPool.h"
#include "lariat/Runtime/Memory/RopeTables.h"
#include "lariat/Runtime/Memory/States.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace lariat::runtime;

namespace {

using Bytes = std::vector<std::byte>;

/// Either memory.
class DeviceMemoryTest : public testing::TestWithParam<bool> {
protected:
  DeviceMemory &getMemory() const { return GetParam() ? device.getMemory() : getHostMemory(); }

  Bytes read(const std::byte *memory, int64_t bytes) const {
    Bytes result(bytes);
    getMemory().download({result.data(), 0}, {memory, 0}, 1, bytes);
    return result;
  }
  DeviceBuffer makeBuffer(const Bytes &content) const {
    DeviceBuffer buffer;
    auto bytes = static_cast<int64_t>(content.size());
    EXPECT_TRUE(buffer.reserve(getMemory(), Space::Device, bytes, "a test").ok());
    getMemory().upload(buffer.data(), content.data(), bytes);
    return buffer;
  }

  RecordingDevice device;
};

/// 0, 1, 2, ...
Bytes count(int64_t number) {
  Bytes bytes(number);
  for (int64_t index = 0; index < number; ++index)
    bytes[index] = std::byte(index);
  return bytes;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(, DeviceMemoryTest, testing::Bool(),
                         [](const auto &info) { return info.param ? "Recording" : "Host"; });

TEST_P(DeviceMemoryTest, copiesLinesByTheirNumbers) {
  DeviceBuffer source = makeBuffer(count(40)), target = makeBuffer(Bytes(40));
  const int64_t from[] = {3, 0, 2}, to[] = {1, 3, 0};
  getMemory().copy({target.data() + 1, 10, to}, {source.data(), 8, from}, 3, 2);
  Bytes expected(40);
  for (int64_t line = 0; line < 3; ++line)
    for (int64_t byte = 0; byte < 2; ++byte)
      expected[1 + 10 * to[line] + byte] = std::byte(8 * from[line] + byte);
  EXPECT_EQ(read(target.data(), 40), expected);
  EXPECT_TRUE(getMemory().takeFault().ok());
}

TEST_P(DeviceMemoryTest, zeroesPartsOfLines) {
  DeviceBuffer buffer = makeBuffer(count(12));
  getMemory().zero({buffer.data() + 2, 4}, 2, 2);
  Bytes expected = count(12);
  for (int64_t place : {2, 3, 6, 7})
    expected[place] = std::byte(0);
  EXPECT_EQ(read(buffer.data(), 12), expected);
}

TEST_P(DeviceMemoryTest, zerosAreAskedFor) {
  DeviceBuffer buffer;
  ASSERT_TRUE(buffer.reserve(getMemory(), Space::Device, 100, "a test", Content::Zeros).ok());
  EXPECT_EQ(read(buffer.data(), 100), Bytes(100));
}

TEST_P(DeviceMemoryTest, growingKeepsWhatIsThere) {
  DeviceBuffer buffer = makeBuffer(count(50));
  ASSERT_TRUE(buffer.grow(getMemory(), int64_t(1) << 21, "a test").ok());
  EXPECT_GE(buffer.size(), int64_t(1) << 21);
  EXPECT_EQ(read(buffer.data(), 50), count(50));
  const std::byte *place = buffer.data();
  EXPECT_EQ(buffer.grow(getMemory(), int64_t(1) << 50, "a test").text(),
            "there is no memory for a test, which needs 1125899906842624 bytes");
  EXPECT_EQ(buffer.data(), place);
  EXPECT_EQ(read(place, 50), count(50));
}

TEST_P(DeviceMemoryTest, buffersRefuseWhatDoesNotFit) {
  DeviceBuffer buffer;
  EXPECT_EQ(buffer.reserve(getMemory(), Space::Device, -1, "a test").text(),
            "there is no memory for a test, which needs -1 bytes");
  EXPECT_EQ(buffer.data(), nullptr);
}

TEST_P(DeviceMemoryTest, sharedMemoryIsTouchedByTheHost) {
  DeviceBuffer buffer, source = makeBuffer(count(8));
  ASSERT_TRUE(buffer.reserve(getMemory(), Space::Shared, 8, "a test").ok());
  buffer.data()[7] = std::byte(1);
  EXPECT_EQ(read(buffer.data() + 7, 1)[0], std::byte(1));
  getMemory().copy(buffer.data(), source.data(), 8);
  EXPECT_EQ(Bytes(buffer.data(), buffer.data() + 8), count(8));
}

TEST_P(DeviceMemoryTest, rotaryTablesAreFilledWhereTheyAre) {
  const std::vector<double> frequencies{1.0, 0.1};
  RopeFacts facts{.positions = 100'000, .lineBytes = 64, .frequencies = frequencies};
  RopeTables tables, expected;
  ASSERT_TRUE(tables.reserve(getMemory(), {facts}).ok());
  ASSERT_TRUE(expected.reserve(getHostMemory(), {facts}).ok());
  for (int64_t positions : {1, 700}) {
    ASSERT_TRUE(tables.cover(positions).ok() && expected.cover(positions).ok());
    int64_t bytes = positions * facts.lineBytes;
    EXPECT_EQ(read(tables.data(), bytes), Bytes(expected.data(), expected.data() + bytes));
  }
}

TEST_P(DeviceMemoryTest, statesGoInAndOut) {
  StateShape shape{/*layers=*/2, /*width=*/1, /*elementBytes=*/1};
  SequenceState state;
  SequenceState *one[] = {&state};
  BatchState batch;
  ASSERT_TRUE(batch.load(getMemory(), shape, one, 2).ok());
  EXPECT_EQ(read(batch.data(), 4), Bytes(4));
  Bytes computed = count(4);
  getMemory().upload(batch.data(), computed.data(), 4);
  batch.store(one);
  ASSERT_TRUE(batch.load(getMemory(), shape, one, 3).ok());
  EXPECT_EQ(read(batch.data(), 6), (Bytes{std::byte(0), std::byte(1), std::byte(0), std::byte(2), std::byte(3), {}}));
}

TEST_P(DeviceMemoryTest, statesThatAreNotStoredStayAsTheyWere) {
  StateShape shape{/*layers=*/1, /*width=*/4096, /*elementBytes=*/1};
  SequenceState state;
  SequenceState *one[] = {&state};
  BatchState batch;
  Bytes before = count(4096), after(2 * 4096, std::byte(1));
  ASSERT_TRUE(batch.load(getMemory(), shape, one, 1).ok());
  getMemory().upload(batch.data(), before.data(), 4096);
  batch.store(one);
  ASSERT_TRUE(batch.load(getMemory(), shape, one, 2).ok());
  getMemory().upload(batch.data(), after.data(), 2 * 4096);
  ASSERT_TRUE(batch.load(getMemory(), shape, one, 1).ok());
  EXPECT_EQ(read(batch.data(), 4096), before);
}

TEST_P(DeviceMemoryTest, entriesMoveWithAllTheirParts) {
  constexpr PageLayout layout{/*parts=*/2, /*dim=*/3, /*elementBytes=*/2};
  KVPool pool(getMemory(), {{.name = "kv", .layout = layout, .slotsAtMost = 1}}, /*limit=*/0);
  ViewMemory views(getMemory());
  std::vector<SequenceCache> caches(1);
  // Positions 2, 0, 1: dropping 2 moves the others together.
  caches[0].startCall(3);
  std::byte *page = nullptr;
  for (int32_t position : {2, 0, 1})
    page = caches[0].reserve(/*slot=*/0, position, {}, pool.getPages(0), views).page;
  Bytes content(layout.getPageBytes());
  for (size_t byte = 0; byte < content.size(); ++byte)
    content[byte] = std::byte(byte * 7 % 251);
  getMemory().upload(page, content.data(), layout.getPageBytes());
  ASSERT_TRUE(pool.truncate(caches, /*position=*/2));
  Bytes moved = read(page, layout.getPageBytes());
  int64_t side = layout.dim * 64 * layout.elementBytes;
  for (int64_t part = 0; part < layout.parts; ++part)
    for (int64_t entry = 0; entry < 2; ++entry)
      for (int64_t column = 0; column < layout.dim; ++column)
        for (int64_t byte = 0; byte < layout.elementBytes; ++byte) {
          int64_t key = part * 2 * side + column * 64 * layout.elementBytes + byte;
          int64_t value = part * 2 * side + side + column * layout.elementBytes + byte;
          int64_t keyStep = layout.elementBytes, valueStep = layout.dim * layout.elementBytes;
          EXPECT_EQ(moved[key + entry * keyStep], content[key + (entry + 1) * keyStep]);
          EXPECT_EQ(moved[value + entry * valueStep], content[value + (entry + 1) * valueStep]);
        }
  ASSERT_TRUE(pool.truncate(caches, /*position=*/0));
}

//===----------------------------------------------------------------------===//
// The recording device itself
//===----------------------------------------------------------------------===//

TEST(RecordingDeviceDeathTest, theHostCannotTouchItsMemory) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  RecordingDevice device;
  DeviceBuffer buffer;
  ASSERT_TRUE(buffer.reserve(device.getMemory(), Space::Device, 100, "a test").ok());
  auto *place = reinterpret_cast<volatile char *>(buffer.data());
  EXPECT_DEATH(static_cast<void>(place[3]), "");
  EXPECT_DEATH(place[3] = 1, "");
}

TEST(RecordingDevice, writesDownWhatIsAsked) {
  RecordingDevice device;
  DeviceMemory &memory = device.getMemory();
  DeviceBuffer buffer;
  ASSERT_TRUE(buffer.reserve(memory, Space::Device, 100, "a test").ok());
  Bytes bytes(100);
  memory.upload({buffer.data(), 10}, {bytes.data(), 4}, 3, 4);
  memory.zero(buffer.data(), 7);
  memory.download({bytes.data(), 0}, {buffer.data(), 0}, 1, 100);
  EXPECT_EQ(device.memory().takeRecord(), (std::vector<std::string>{"upload 3 x 4", "zero 1 x 7", "download 1 x 100"}));
}

TEST(RecordingDevice, knowsWhatIsNotItsMemory) {
  RecordingDevice device;
  Bytes bytes(100);
  DeviceMemory &memory = device.getMemory();
  memory.zero(bytes.data(), 100);
  EXPECT_EQ(memory.takeFault().text(), "what is zeroed is not in memory of the device");
  EXPECT_TRUE(memory.takeFault().ok());
}
