// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many threads take part, from losses that are made up; and what control groups allow.

#include "ActiveThreads.h"
#include "Processors.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

using namespace lariat::runtime;
using namespace std::chrono_literals;

namespace {

/// Feeds windows of twenty milliseconds, in which the caller and the others lose these shares.
struct Clock {
  ActiveThreads &active;
  Nanoseconds now = 1s;

  void pass(double caller, double waited, double others) {
    auto share = [](double part) { return Nanoseconds(static_cast<int64_t>(part * 20e6)); };
    now += 20ms;
    active.judge({.wall = 20ms, .caller = share(caller), .waited = share(waited), .others = share(others)}, now);
  }
};

} // namespace

TEST(ActiveThreads, takesNoMoreThanThereAreProcessors) {
  ActiveThreads active(32);
  active.setUsable(2);
  EXPECT_EQ(active.get(), 2);
  EXPECT_FALSE(active.isCrowded());
  active.setUsable(1);
  EXPECT_EQ(active.get(), 1);
  active.setUsable(64);
  EXPECT_EQ(active.get(), 32);
}

TEST(ActiveThreads, givesUpTheThreadWhoseProcessorIsTaken) {
  ActiveThreads active(2);
  Clock clock{active};
  clock.pass(/*caller=*/0, /*waited=*/0.5, /*others=*/0.5);
  EXPECT_EQ(active.get(), 1);
  EXPECT_TRUE(active.isCrowded());
}

TEST(ActiveThreads, keepsAsManyAsAreServed) {
  ActiveThreads active(8);
  Clock(active).pass(/*caller=*/0.1, /*waited=*/0.4, /*others=*/2.1);
  EXPECT_EQ(active.get(), 6);
}

TEST(ActiveThreads, doesNotMindWaitingForThreadsThatCompute) {
  ActiveThreads active(4);
  Clock(active).pass(/*caller=*/0, /*waited=*/0.9, /*others=*/0);
  EXPECT_EQ(active.get(), 4);
}

TEST(ActiveThreads, doesNotMindLossesThatNobodyWaitedFor) {
  ActiveThreads active(4);
  Clock(active).pass(/*caller=*/0, /*waited=*/0, /*others=*/0.9);
  EXPECT_EQ(active.get(), 4);
}

TEST(ActiveThreads, triesAllAgainLessAndLessOften) {
  ActiveThreads active(2);
  Clock clock{active};
  int tries = 0;
  for (int window = 0; window < 500; ++window) { // ten seconds
    bool isAll = active.get() == 2;
    tries += isAll;
    clock.pass(0, isAll ? 0.5 : 0, isAll ? 0.5 : 0);
  }
  EXPECT_GE(tries, 5);
  EXPECT_LE(tries, 12);
}

TEST(ActiveThreads, isCalmAgainAfterOthersLeft) {
  ActiveThreads active(2);
  Clock clock{active};
  clock.pass(0, 0.5, 0.5);
  for (int window = 0; window < 10; ++window)
    clock.pass(0, 0, 0);
  EXPECT_EQ(active.get(), 2);
  EXPECT_FALSE(active.isCalm());
  for (int window = 0; window < 60; ++window)
    clock.pass(0, 0, 0);
  EXPECT_TRUE(active.isCalm());
}

TEST(ActiveThreads, aShortDisturbanceIsNoReason) {
  ActiveThreads active(2);
  Clock(active).pass(0, 0.2, 0.2);
  EXPECT_EQ(active.get(), 2);
}

namespace {

/// A folder that looks like the file system of control groups.
class Groups : public ::testing::Test {
protected:
  void SetUp() override {
    std::string name = "/tmp/lariat-groups-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root = name;
  }
  void TearDown() override { std::filesystem::remove_all(root); }

  void write(const std::string &path, const std::string &text) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  int64_t read(const std::string &groups) {
    write("cgroup", groups);
    return readTimeQuota({root / "cgroup", root / "mounts"});
  }

  std::filesystem::path root;
};

constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

} // namespace

TEST_F(Groups, withoutQuota) {
  EXPECT_EQ(read("0::/\n"), kNone);
  write("mounts/cpu.max", "max 100000\n");
  EXPECT_EQ(read("0::/\n"), kNone);
  EXPECT_EQ(readTimeQuota({root / "none", root / "mounts"}), kNone);
}

TEST_F(Groups, theTightestOfThoseAroundCounts) {
  write("mounts/cpu.max", "800000 100000\n");
  write("mounts/a.slice/cpu.max", "250000 100000\n");
  write("mounts/a.slice/b.service/cpu.max", "400000 100000\n");
  EXPECT_EQ(read("0::/a.slice/b.service\n"), 3);
}

TEST_F(Groups, aPathFromOutsideAContainerIsItsRoot) {
  write("mounts/cpu.max", "150000 100000\n");
  EXPECT_EQ(read("0::/docker/0123\n"), 2);
}

TEST_F(Groups, versionOne) {
  write("mounts/cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n");
  write("mounts/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  write("mounts/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("mounts/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read("3:cpuset:/\n2:cpu,cpuacct:/a\n0::/\n"), 2);
}

TEST_F(Groups, memoryThatIsLeft) {
  write("meminfo", "MemTotal:  4000 kB\nMemFree:  10 kB\nMemAvailable:   2000 kB\n");
  write("cgroup", "0::/a/b\n");
  auto left = [&] { return readAvailableMemory({root / "cgroup", root / "mounts"}, root / "meminfo"); };
  EXPECT_EQ(left(), 2000 * 1024);
  write("mounts/a/b/memory.max", "max\n");
  write("mounts/a/b/memory.current", "300\n");
  write("mounts/a/memory.max", "1000\n");
  write("mounts/a/memory.current", "400\n");
  EXPECT_EQ(left(), 600);
  write("mounts/a/memory.current", "1400\n");
  EXPECT_EQ(left(), 0);
  write("mounts/a/memory.stat", "anon 500\nfile 900\nshmem 100\n"); // pages of files can be taken away
  EXPECT_EQ(left(), 400);
}
