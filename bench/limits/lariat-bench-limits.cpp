// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measures what this machine can do at most, on one or more threads: f32 multiply-add per second for each ISA, and
// bytes read per second by working set. Prints one JSON object; every figure has its median, minimum and maximum.
//
// A working set on T threads is cut into T parts, one for each thread, as kernels cut their weights.

#include "Kernels.h"
#include "Threads.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

using namespace lariat::limits;

namespace {

struct Options {
  std::vector<long> threads = {1, 2};
  std::vector<long> sizesInKiB = {16,   32,    64,    128,   256,   512,   1024,   2048,  4096,
                                  8192, 12288, 16384, 24576, 32768, 65536, 131072, 524288};
  int numRepeats = 5;
  int sampleMs = 20;
};

/// Samples of one figure.
struct Spread {
  double median, min, max;
};

} // namespace

static const char *const usage =
    "usage: lariat-bench-limits [--threads 1,2] [--sizes KIB,...] [--repeats N] [--milliseconds N]\n"
    "  --threads       numbers of threads to measure with (default: 1,2; more than the machine has is left out)\n"
    "  --sizes         working sets to read, in KiB (default: 16 to 524288)\n"
    "  --repeats       samples of a figure (default: 5)\n"
    "  --milliseconds  least time of a sample (default: 20)\n";

/// Keeps results of the loops alive.
static volatile uint64_t sink;

static Spread spreadOf(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples.front(), samples.back()};
}

/// Repeats per sample, so that one takes about `sampleMs`, from the seconds that `num` repeats took.
static int64_t scaleToSample(int64_t num, double seconds, int sampleMs) {
  return std::max<int64_t>(1, static_cast<int64_t>(num * (sampleMs * 1e-3) / std::max(seconds, 1e-9)));
}

static Spread measureFma(const Kernels &kernels, int numThreads, const Options &options) {
  auto seconds = [&](int64_t numRounds) {
    return timeOnThreads(
        numThreads, [&](int) { sink = static_cast<uint64_t>(kernels.fma(1000)); },
        [&](int) { sink = static_cast<uint64_t>(kernels.fma(numRounds)); });
  };
  int64_t numRounds = 200000;
  numRounds = scaleToSample(numRounds, seconds(numRounds), options.sampleMs);
  std::vector<double> samples;
  for (int repeat = 0; repeat < options.numRepeats; ++repeat)
    samples.push_back(numThreads * numRounds * kernels.flopsPerRound / seconds(numRounds) * 1e-9);
  return spreadOf(samples);
}

static Spread measureRead(const Kernels &kernels, const char *memory, size_t numBytes, int numThreads, int numStreams,
                          const Options &options) {
  const size_t partBytes = numBytes / numThreads / kReadUnitBytes * kReadUnitBytes;
  auto pass = [&](int thread) {
    sink = kernels.read(memory + thread * partBytes, partBytes, numStreams);
    __asm__ volatile("" ::: "memory");
  };
  auto seconds = [&](int64_t numPasses) {
    return timeOnThreads(numThreads, pass, [&](int thread) {
      for (int64_t at = 0; at < numPasses; ++at)
        pass(thread);
    });
  };
  int64_t numPasses = std::max<int64_t>(1, (1 << 20) / static_cast<int64_t>(numBytes));
  numPasses = scaleToSample(numPasses, seconds(numPasses), options.sampleMs);
  std::vector<double> samples;
  for (int repeat = 0; repeat < options.numRepeats; ++repeat)
    samples.push_back(static_cast<double>(numThreads * partBytes) * numPasses / seconds(numPasses) * 1e-9);
  return spreadOf(samples);
}

/// Memory with large pages where the system gives them, written once so that every page is there.
static char *allocate(size_t numBytes) {
  void *memory = mmap(nullptr, numBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
#if defined(MADV_HUGEPAGE)
  madvise(memory, numBytes, MADV_HUGEPAGE);
#endif
  memset(memory, 1, numBytes);
  return static_cast<char *>(memory);
}

static void printSpread(const char *key, const Spread &spread) {
  printf("\"%s\": {\"median\": %.2f, \"min\": %.2f, \"max\": %.2f}", key, spread.median, spread.min, spread.max);
}

static void printFma(const std::vector<Kernels> &all, const Options &options) {
  const char *separator = "\n    ";
  for (long numThreads : options.threads)
    for (const Kernels &kernels : all) {
      printf("%s{\"threads\": %ld, \"isa\": \"%s\", ", separator, numThreads, kernels.isa.data());
      printSpread("gflops", measureFma(kernels, static_cast<int>(numThreads), options));
      printf("}");
      separator = ",\n    ";
    }
}

static void printRead(const Kernels &kernels, const char *memory, const Options &options) {
  const char *separator = "\n    ";
  for (long numThreads : options.threads)
    for (long size : options.sizesInKiB) {
      const size_t numBytes = static_cast<size_t>(size) * 1024;
      const int threads = static_cast<int>(numThreads);
      Spread best = measureRead(kernels, memory, numBytes, threads, /*numStreams=*/1, options);
      int numStreams = 1;
      Spread four = measureRead(kernels, memory, numBytes, threads, /*numStreams=*/4, options);
      if (four.median > best.median) {
        best = four;
        numStreams = 4;
      }
      printf("%s{\"threads\": %ld, \"bytes\": %zu, \"streams\": %d, ", separator, numThreads, numBytes, numStreams);
      printSpread("gbytes_per_second", best);
      printf("}");
      fflush(stdout);
      separator = ",\n    ";
    }
}

/// Positive numbers separated by commas; empty if the text is anything else.
static std::vector<long> readNumbers(const char *text, long largest) {
  std::vector<long> numbers;
  for (const char *at = text;;) {
    char *end = nullptr;
    long number = strtol(at, &end, 10);
    if (end == at || number < 1 || number > largest)
      return {};
    numbers.push_back(number);
    if (*end == '\0')
      return numbers;
    if (*end != ',')
      return {};
    at = end + 1;
  }
}

/// Whether the arguments were understood.
static bool readOptions(int argc, char **argv, Options &options) {
  for (int at = 1; at + 1 < argc; at += 2) {
    const std::string name = argv[at];
    const std::vector<long> numbers = readNumbers(argv[at + 1], name == "--sizes" ? 1L << 24 : 10000);
    if (numbers.empty() || (name != "--threads" && name != "--sizes" && numbers.size() != 1))
      return false;
    if (name == "--threads")
      options.threads = numbers;
    else if (name == "--sizes")
      options.sizesInKiB = numbers;
    else if (name == "--repeats")
      options.numRepeats = static_cast<int>(numbers[0]);
    else if (name == "--milliseconds")
      options.sampleMs = static_cast<int>(numbers[0]);
    else
      return false;
  }
  return argc % 2 == 1;
}

int main(int argc, char **argv) {
  Options options;
  if (!readOptions(argc, argv, options)) {
    fputs(usage, stderr);
    return 2;
  }
  std::erase_if(options.threads, [](long numThreads) { return numThreads > numUsableProcessors(); });
  // A thread's part is at least four streams of one unit.
  const long maxThreads = options.threads.empty() ? 1 : *std::ranges::max_element(options.threads);
  std::erase_if(options.sizesInKiB, [&](long size) { return size * 1024 < long{kReadUnitBytes} * maxThreads; });
  if (options.threads.empty() || options.sizesInKiB.empty()) {
    fputs("error: this machine has fewer processors than asked for, or every working set is too small\n", stderr);
    return 1;
  }
  const size_t largest = static_cast<size_t>(*std::ranges::max_element(options.sizesInKiB)) * 1024;
  char *memory = allocate(largest);
  if (!memory) {
    fprintf(stderr, "error: cannot allocate %zu bytes\n", largest);
    return 1;
  }
  const std::vector<Kernels> all = availableKernels();
  printf("{\n  \"version\": 1,\n  \"processors\": %d,\n  \"fma\": [", numUsableProcessors());
  printFma(all, options);
  printf("\n  ],\n  \"read_isa\": \"%s\",\n  \"read\": [", all.front().isa.data());
  printRead(all.front(), memory, options);
  printf("\n  ]\n}\n");
  return 0;
}
