// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The thread pool: every thread once, barriers, more threads than processors, several callers, what a caller finds
// afterwards. Prints what a launch costs; that is no assertion.

#include "lariat/Runtime/Base/FloatingPoint.h"
#include "lariat/Runtime/Threads/ThreadPool.h"

#include <chrono>
#include <cstdio>
#include <gtest/gtest.h>
#include <sched.h>
#include <thread>
#include <vector>

using namespace lariat::runtime;

static std::shared_ptr<ThreadPool> getPool(int64_t numThreads) {
  Expected<std::shared_ptr<ThreadPool>> pool = ThreadPool::get(numThreads, /*pin=*/true);
  EXPECT_TRUE(pool);
  return *pool;
}

TEST(ThreadPool, refusesSizes) {
  EXPECT_EQ(ThreadPool::get(0, true).text(), "0 threads, expected 1 to 1024");
  EXPECT_FALSE(ThreadPool::get(100000, true));
  EXPECT_GE(getDefaultNumThreads(), 1);
}

TEST(ThreadPool, isSharedByNumberOfThreads) {
  EXPECT_EQ(getPool(2), getPool(2));
  EXPECT_NE(getPool(2), getPool(3));
}

/// What a task saw.
struct Round {
  std::vector<int> counts; ///< of each thread
  int64_t numThreads = 0;
};

static void takePart(void *context, int64_t thread, int64_t numThreads, ThreadPool &) {
  auto &round = *static_cast<Round *>(context);
  ++round.counts[thread];
  if (thread == 0)
    round.numThreads = numThreads;
}

TEST(ThreadPool, runsEachThreadThatTakesPartOnceAndWaits) {
  for (int64_t numThreads : {1, 2, 3, 8}) {
    std::shared_ptr<ThreadPool> pool = getPool(numThreads);
    for (int number = 0; number < 200; ++number) {
      Round round{.counts = std::vector<int>(numThreads)};
      ThreadPool::Lease lease(*pool);
      pool->run(takePart, &round);
      ASSERT_GE(round.numThreads, 1);
      ASSERT_LE(round.numThreads, numThreads);
      for (int64_t thread = 0; thread < numThreads; ++thread)
        ASSERT_EQ(round.counts[thread], thread < round.numThreads ? 1 : 0);
    }
  }
}

/// Threads that take part in the next task.
static int64_t countActive(ThreadPool &pool) {
  Round round{.counts = std::vector<int>(pool.getNumThreads())};
  ThreadPool::Lease lease(pool);
  pool.run(takePart, &round);
  return round.numThreads;
}

TEST(ThreadPool, usesNoMoreThreadsThanProcessors) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  EXPECT_LE(countActive(*getPool(64)), CPU_COUNT(&allowed));
}

TEST(ThreadPool, followsTheProcessorsThatTheProcessMayUse) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  if (CPU_COUNT(&before) < 2)
    GTEST_SKIP() << "the process may use one processor only";
  CPU_ZERO(&one);
  for (int processor = 0; CPU_COUNT(&one) == 0; ++processor)
    if (CPU_ISSET(processor, &before))
      CPU_SET(processor, &one);
  // A thread whose pool does not take all processors, so that nothing but the look at affinities decides.
  std::thread([&] {
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    Expected<std::shared_ptr<ThreadPool>> pool = ThreadPool::get(7, /*pin=*/false);
    ASSERT_TRUE(pool);
    EXPECT_EQ(countActive(**pool), 1);
    // The calling thread may use more from now on, which the pool notices at one of its looks.
    ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (countActive(**pool) == 1 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_GT(countActive(**pool), 1);
  }).join();
}

/// Each thread writes its place, all meet, each reads its neighbour's.
static void passOn(void *context, int64_t thread, int64_t numThreads, ThreadPool &pool) {
  auto &values = *static_cast<std::vector<int64_t> *>(context);
  int64_t half = pool.getNumThreads();
  for (int round = 0; round < 100; ++round) {
    int64_t *mine = values.data() + (round % 2) * half, *other = values.data() + ((round + 1) % 2) * half;
    mine[thread] = other[(thread + 1) % numThreads] + 1;
    pool.barrier(thread);
  }
}

TEST(ThreadPool, barrierSeparates) {
  for (int64_t numThreads : {1, 2, 5}) {
    std::shared_ptr<ThreadPool> pool = getPool(numThreads);
    std::vector<int64_t> values(2 * numThreads);
    ThreadPool::Lease lease(*pool);
    pool->run(passOn, &values);
    for (int64_t thread = 0; thread < numThreads; ++thread)
      EXPECT_TRUE(values[numThreads + thread] == 100 || (thread > 0 && values[numThreads + thread] == 0));
  }
}

TEST(ThreadPool, threadsComeBackAfterParking) {
  std::shared_ptr<ThreadPool> pool = getPool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_GE(countActive(*pool), 1);
  }
}

TEST(ThreadPool, callersTakeTurns) {
  std::shared_ptr<ThreadPool> pool = getPool(2);
  int64_t count = 0; // guarded by the lease
  auto call = [&] {
    for (int round = 0; round < 50; ++round) {
      ThreadPool::Lease lease(*pool);
      pool->run(
          [](void *context, int64_t thread, int64_t, ThreadPool &pool) {
            if (thread == 0)
              ++*static_cast<int64_t *>(context);
            pool.barrier(thread);
          },
          &count);
    }
  };
  std::thread first(call), second(call);
  first.join();
  second.join();
  EXPECT_EQ(count, 100);
}

TEST(ThreadPool, callerFindsItsAffinityAndModeAgain) {
  std::shared_ptr<ThreadPool> pool = getPool(2);
  cpu_set_t before, during, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  FloatingPointMode mode = readFloatingPoint();
#if defined(__x86_64__)
  writeFloatingPoint(mode | 0x8040); // flush results and operands
#endif
  FloatingPointMode changed = readFloatingPoint();
  {
    ThreadPool::Lease lease(*pool);
    EXPECT_EQ(readFloatingPoint(), kDefaultFloatingPoint);
    ASSERT_EQ(sched_getaffinity(0, sizeof(during), &during), 0);
  }
  EXPECT_EQ(readFloatingPoint(), changed);
  writeFloatingPoint(mode);
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  EXPECT_TRUE(CPU_COUNT(&during) == 1 || CPU_EQUAL(&during, &before));
}

TEST(ThreadPool, leasesNest) {
  std::shared_ptr<ThreadPool> two = getPool(2), three = getPool(3);
  int count = 0;
  auto add = [](void *context, int64_t thread, int64_t, ThreadPool &) {
    if (thread == 0)
      ++*static_cast<int *>(context);
  };
  {
    ThreadPool::Lease outer(*two);
    ThreadPool::Lease other(*three);
    ThreadPool::Lease inner(*two);
    two->run(add, &count);
    three->run(add, &count);
  }
  std::thread([&] {
    ThreadPool::Lease lease(*two);
    two->run(add, &count);
  }).join();
  EXPECT_EQ(count, 3);
}

TEST(ThreadPool, printLaunchOverhead) {
  for (int64_t numThreads : {1, 2}) {
    std::shared_ptr<ThreadPool> pool = getPool(numThreads);
    ThreadPool::Lease lease(*pool);
    constexpr int rounds = 2000;
    double best = 1e9;
    for (int repeat = 0; repeat < 5; ++repeat) {
      auto begin = std::chrono::steady_clock::now();
      for (int round = 0; round < rounds; ++round)
        pool->run([](void *, int64_t, int64_t, ThreadPool &) {}, nullptr);
      std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
      best = std::min(best, time.count() / rounds);
    }
    std::printf("launch on %d threads: %.3f us\n", static_cast<int>(numThreads), best);
  }
}
