// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measures matrix products as compiled code runs them, beside the two limits of this machine, in one process: rounds
// are interleaved, seconds are processor time of the one thread. Prints one JSON object.
//
// Weights lie in large pages, as a mapped file of an artefact lies in the page cache after its first use.

#include "Kernels.h"
#include "lariat/Target/Description/CPUTarget.h"
#include "lariat/Testing/CompiledKernel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/mman.h>

using namespace lariat;
using namespace lariat::test;
using llvm::formatv;
namespace cl = llvm::cl;
namespace json = llvm::json;

static cl::OptionCategory category("lariat-bench-kernels");
static cl::list<std::string> products("product", cl::CommaSeparated, cl::OneOrMore, cl::cat(category),
                                      cl::desc("K:N, or K:N:2 for a norm and two products side by side into SwiGLU"));
static cl::list<std::string> isas("isa", cl::CommaSeparated, cl::cat(category),
                                  cl::desc("targets (default: all that this machine runs)"));
static cl::list<std::string> types("type", cl::CommaSeparated, cl::cat(category),
                                   cl::list_init<std::string>({"f32", "bf16"}),
                                   cl::desc("types of weights (default: f32,bf16)"));
static cl::list<int64_t> rowCounts("rows", cl::CommaSeparated, cl::cat(category),
                                   cl::list_init<int64_t>({1, 4, 8, 16, 64, 512}),
                                   cl::desc("rows (default: 1,4,8,16,64,512)"));
static cl::opt<int> numRounds("rounds", cl::init(9), cl::cat(category), cl::desc("rounds (default: 9)"));

namespace {

struct Product {
  int64_t k = 0, n = 0, sides = 1;
};

/// Memory with large pages where the system gives them.
class Pages {
public:
  explicit Pages(size_t bytes) : bytes(bytes) {
    void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
      llvm::report_fatal_error("there is no memory for the weights");
    madvise(address, bytes, MADV_HUGEPAGE);
    memory = static_cast<char *>(address);
    std::memset(memory, 0, bytes);
  }
  Pages(const Pages &) = delete;
  ~Pages() { munmap(memory, bytes); }
  char *get() { return memory; }

private:
  size_t bytes;
  char *memory;
};

} // namespace

/// Keeps results of the loops alive.
static volatile uint64_t sink;

static double getSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Seconds of one repeat, of as many as take 20 ms.
template <typename Work>
static double measure(Work work) {
  work();
  double first = getSeconds();
  work();
  first = getSeconds() - first;
  auto count = std::max<int64_t>(1, static_cast<int64_t>(0.02 / std::max(first, 1e-7)));
  double start = getSeconds();
  for (int64_t i = 0; i < count; ++i)
    work();
  return (getSeconds() - start) / static_cast<double>(count);
}

static int64_t getPanelBytes(const Product &product, bool isBF16) {
  return isBF16 ? (product.k + 1) / 2 * 64 : product.k * 64;
}

static int64_t getSideBytes(const Product &product, bool isBF16) {
  return (product.n + 15) / 16 * getPanelBytes(product, isBF16);
}

static std::string getText(const Product &product, llvm::StringRef type, int64_t cachedBytes) {
  bool isBF16 = type == "bf16";
  bool isStreamed = getSideBytes(product, isBF16) * product.sides >= cachedBytes;
  if (product.sides == 1)
    return getPlainGemm(product.n, product.k, type, /*out=*/{}, isStreamed);
  return formatv(R"(
    kernel.packed @a panels ["a"] shape [{0}, {1}] offset(0) {6} : {2}
    kernel.packed @b panels ["b"] shape [{0}, {1}] offset({3}) {6} : {2}
    func.func @f(%n: index, %x: {4}, %y: {5}) {{
      kernel.gemm rows(%n) k({1}) n({0}) ins(%x : {4}) vectors [] weights [@a, @b] epilogue_vectors [] outs(%y : {5})
        gather [-1] scatter [-1] prologue {{
      ^bb0(%e: f32):
        %square = arith.mulf %e, %e : f32
        %sum = kernel.reduce sum %square : f32
        %root = math.sqrt %sum : f32
        %normed = arith.divf %e, %root : f32
        kernel.yield %normed : f32
      } epilogue {{
      ^bb0(%gate: f32, %up: f32):
        %one = arith.constant 1.0 : f32
        %minus = arith.negf %gate : f32
        %exp = math.exp %minus : f32
        %below = arith.addf %exp, %one : f32
        %silu = arith.divf %gate, %below : f32
        %result = arith.mulf %silu, %up : f32
        kernel.yield %result : f32
      }
      return
    })",
                 product.n, product.k, type, getSideBytes(product, isBF16), bufferType(product.k),
                 bufferType(product.n), isStreamed ? "streamed" : "");
}

static json::Object toJson(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return json::Object{{"median", samples[samples.size() / 2]}, {"min", samples.front()}, {"max", samples.back()}};
}

namespace {

/// A product with weights of one type, for each target and number of rows, beside limits with the same bytes.
class Measurement {
public:
  Measurement(const Product &product, const std::string &type, llvm::ArrayRef<std::string> targets, Pages &weights)
      : product(product), type(type), targets(targets), weights(weights),
        bytes(getSideBytes(product, type == "bf16") * product.sides), x(getMaxRows() * lineOf(product.k) + 16),
        y(getMaxRows() * lineOf(product.n) + 16), seconds(targets.size() * rowCounts.size()) {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(i % 17) * 0.01f;
    for (const std::string &target : targets) {
      kernels.push_back(
          std::make_unique<CompiledKernel>(getText(product, type, findCPUTarget(target)->tuning.cachedBytes), target));
      for (int64_t rows : rowCounts)
        calls.push_back(kernels.back()->prepare({rows, x, y}, weights.get()));
    }
  }

  void measureRound(const limits::Kernels &limitKernels) {
    constexpr int64_t kFmaRounds = 200000;
    fma.push_back(static_cast<double>(kFmaRounds * limitKernels.flopsPerRound) /
                  measure([&] { sink = static_cast<uint64_t>(limitKernels.fma(kFmaRounds)); }));
    int64_t readBytes = bytes / static_cast<int64_t>(limits::kReadUnitBytes) * limits::kReadUnitBytes;
    for (int numStreams : {1, 4})
      read.push_back(static_cast<double>(readBytes) / measure([&] {
                       sink = limitKernels.read(weights.get(), readBytes, numStreams);
                       __asm__ volatile("" ::: "memory");
                     }));
    for (size_t r = 0; r < rowCounts.size(); ++r)
      for (size_t t = 0; t < targets.size(); ++t)
        seconds[t * rowCounts.size() + r].push_back(measure([&] { calls[t * rowCounts.size() + r].run(); }));
  }

  json::Object getResult() const {
    json::Array entries;
    for (size_t t = 0; t < targets.size(); ++t)
      for (size_t r = 0; r < rowCounts.size(); ++r)
        entries.push_back(json::Object{
            {"isa", targets[t]}, {"rows", rowCounts[r]}, {"seconds", toJson(seconds[t * rowCounts.size() + r])}});
    return json::Object{{"k", product.k},
                        {"n", product.n},
                        {"sides", product.sides},
                        {"type", type},
                        {"bytes", bytes},
                        {"flops_per_row", 2 * product.k * product.n * product.sides},
                        {"fma_flops", toJson(fma)},
                        {"read_bytes_per_second", toJson(read)},
                        {"entries", std::move(entries)}};
  }

private:
  static int64_t getMaxRows() { return *std::max_element(rowCounts.begin(), rowCounts.end()); }

  Product product;
  std::string type;
  llvm::ArrayRef<std::string> targets;
  Pages &weights;
  int64_t bytes;
  Memory<float> x, y;
  std::vector<std::unique_ptr<CompiledKernel>> kernels;
  std::vector<CompiledKernel::Prepared> calls;
  std::vector<double> fma, read;
  std::vector<std::vector<double>> seconds; ///< by target and rows
};

} // namespace

static std::optional<Product> readProduct(llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef, 3> parts;
  text.split(parts, ':');
  Product product;
  bool isWrong = parts.size() < 2 || parts.size() > 3 || parts[0].getAsInteger(10, product.k) ||
                 parts[1].getAsInteger(10, product.n) ||
                 (parts.size() == 3 && parts[2].getAsInteger(10, product.sides));
  if (isWrong || product.k < 1 || product.n < 1 || product.k * product.n > (int64_t(1) << 30) ||
      (product.sides != 1 && product.sides != 2))
    return std::nullopt;
  return product;
}

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "Measures matrix products beside the machine's limits\n");
  auto fail = [](const llvm::Twine &message) {
    llvm::errs() << "error: " << message << "\n";
    return 1;
  };
  std::vector<std::string> here = listTargets();
  std::vector<std::string> targets = isas.empty() ? here : std::vector<std::string>(isas.begin(), isas.end());
  for (const std::string &target : targets)
    if (std::find(here.begin(), here.end(), target) == here.end())
      return fail("this machine runs no code for '" + target + "', only " + llvm::join(here, ", "));
  for (int64_t rows : rowCounts)
    if (rows < 1 || rows > 65536)
      return fail("--rows: " + llvm::Twine(rows) + " is not 1 to 65536");
  for (const std::string &type : types)
    if (type != "f32" && type != "bf16")
      return fail("--type: '" + type + "' is neither f32 nor bf16");
  if (numRounds < 1)
    return fail("--rounds: " + llvm::Twine(numRounds) + " is less than 1");
  std::vector<Product> wanted;
  for (const std::string &text : products) {
    std::optional<Product> product = readProduct(text);
    if (!product)
      return fail("--product: '" + text + "' is not K:N, K:N:1 or K:N:2");
    wanted.push_back(*product);
  }

  int64_t most = 0;
  for (const Product &product : wanted)
    most = std::max(most, getSideBytes(product, /*isBF16=*/false) * product.sides);
  Pages weights(most + 4096);
  // Small normal numbers, whatever the type.
  for (int64_t i = 0; i < most / 2; ++i)
    reinterpret_cast<uint16_t *>(weights.get())[i] = static_cast<uint16_t>(0x3c00 + (i * 7919 & 0x1ff));
  std::vector<limits::Kernels> limitKernels = limits::availableKernels();
  std::vector<std::unique_ptr<Measurement>> measurements;
  for (const std::string &type : types)
    for (const Product &product : wanted)
      measurements.push_back(std::make_unique<Measurement>(product, type, targets, weights));
  // A round goes over all products, so that a shared machine's slow minutes do not fall on one of them.
  for (int round = 0; round < numRounds; ++round)
    for (auto &measurement : measurements)
      measurement->measureRound(limitKernels.front());
  json::Array results;
  for (auto &measurement : measurements)
    results.push_back(measurement->getResult());
  llvm::outs() << formatv("{0:2}\n", json::Value(json::Object{{"version", 1}, {"products", std::move(results)}}));
  return 0;
}
