// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPU runs a table of records on all threads of a pool: one task, in which threads meet at the barriers of the
// table.

#include "lariat/Runtime/Device/Device.h"
#include "lariat/Runtime/Threads/ThreadPool.h"

#include <atomic>
#include <chrono>

using namespace lariat;
using namespace lariat::runtime;

namespace {

struct Launch {
  const abi::Kernel *kernels; ///< by number
  const abi::Call *call;
  const int64_t *records;
  int64_t count;
  StopPoll *stop; ///< to be asked between kernels; null: not
  /// The record after whose barrier all threads leave. Thread 0 sets it before it comes to that barrier, so whoever has
  /// passed the barrier of record i knows whether it is i; it may see that a later one is.
  std::atomic<int64_t> last;
};

class CPUDevice final : public Device {
public:
  explicit CPUDevice(std::shared_ptr<ThreadPool> threads) : Device(getHostMemory()), threads(std::move(threads)) {}

  int64_t getNumThreads() const override { return threads->getNumThreads(); }
  std::unique_ptr<Hold> hold() override {
    struct Lease final : Hold {
      explicit Lease(ThreadPool &pool) : lease(pool) {}
      ThreadPool::Lease lease;
    };
    return std::make_unique<Lease>(*threads);
  }
  StopPoll::Time launch(const abi::Kernel *kernels, const abi::Call *call, const int64_t *records, int64_t count,
                        StopPoll *stop) override;

private:
  std::shared_ptr<ThreadPool> threads;
};

} // namespace

static void runRecords(void *memory, int64_t thread, int64_t numThreads, ThreadPool &pool) {
  auto &launch = *static_cast<Launch *>(memory);
  abi::RecordReader record{launch.records};
  for (int64_t index = 0; index < launch.count; ++index, record = record.getNext()) {
    launch.kernels[record.getKernel()](launch.call, record.words, thread, numThreads);
    bool isLast = index + 1 == launch.count; // the end of a task is a barrier anyway
    if (!record.hasFlag(abi::kBarrierAfter) || isLast)
      continue;
    if (thread == 0 && launch.stop && launch.stop->askAt(std::chrono::steady_clock::now()))
      launch.last.store(index, std::memory_order_relaxed);
    pool.barrier(thread);
    if (launch.last.load(std::memory_order_relaxed) <= index)
      return;
  }
}

StopPoll::Time CPUDevice::launch(const abi::Kernel *kernels, const abi::Call *call, const int64_t *records,
                                 int64_t count, StopPoll *stop) {
  Launch launch{kernels, call, records, count, stop, count};
  return threads->run(runRecords, &launch);
}

Status lariat::runtime::verifyNumThreads(int64_t numThreads) {
  if (numThreads >= 0)
    return Status::success(); // too many are the pool's to refuse
  return makeError(numThreads, " threads, expected 0 for one per core or 1 to ", kMaxThreads);
}

Expected<std::shared_ptr<Device>> lariat::runtime::openCPU(int64_t numThreads, bool pin) {
  if (Status status = verifyNumThreads(numThreads))
    return status.takeError();
  Expected<std::shared_ptr<ThreadPool>> threads =
      ThreadPool::get(numThreads == 0 ? getDefaultNumThreads() : numThreads, pin);
  if (!threads)
    return threads.takeError();
  return std::shared_ptr<Device>(std::make_shared<CPUDevice>(std::move(*threads)));
}
