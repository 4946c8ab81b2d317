// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiling, opening, and the services that write down what they are asked for.

#include "HostCode.h"

#include "lariat/Compiler/Dialects.h"
#include "lariat/Compiler/FastPath.h"
#include "lariat/Compiler/Modules.h"
#include "lariat/Compiler/Pipelines.h"
#include "lariat/Compiler/Targets.h"
#include "lariat/Conversion/KernelToHost/KernelToHost.h"
#include "lariat/Support/Error.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <dlfcn.h>
#include <limits>

using namespace lariat;
using namespace lariat::test;
using namespace mlir;

/// The fixture that runs; services get nothing but the call.
static HostCode *current = nullptr;

struct HostCode::FakeServices {
  static std::string at(const void *address) { return current->describe(address); }
  static void say(const std::string &text) { current->log.push_back(text); }
  static std::string text(int64_t number) { return std::to_string(number); }

  static void launch(const abi::Call *call, const int64_t *records, int64_t count) {
    say("launch " + text(count));
    const auto &table = *static_cast<const abi::KernelTable *>(dlsym(current->library, abi::kKernelsSymbol));
    std::vector<SeenRecord> seen;
    for (abi::RecordReader record{records}; count > 0; --count, record = record.getNext()) {
      std::vector<int64_t> operands(record.words + abi::kNumHeadWords, record.getNext().words);
      seen.push_back({record.words[abi::kFlagsWord], std::move(operands)});
      ASSERT_LT(record.getKernel(), table.count);
      for (int64_t thread = 0; thread < 2; ++thread)
        table.kernels[record.getKernel()](call, record.words, thread, 2);
    }
    current->launches.push_back(std::move(seen));
  }
  static int64_t compact(const abi::Call *, const int64_t *table, int64_t rows, const uint8_t *bits, int64_t *out) {
    say("compact " + at(table) + ", " + text(rows) + ", " + at(bits) + ", " + at(out));
    return current->compactCount;
  }
  static int64_t last(const abi::Call *, const int64_t *table, int64_t rows, int64_t *out) {
    say("last " + at(table) + ", " + text(rows) + ", " + at(out));
    return rows - 1;
  }
  static void advance(const abi::Call *, const int64_t *table, int64_t rows, int64_t depth, int64_t next,
                      int64_t *out) {
    say("advance " + at(table) + ", " + text(rows) + ", " + (next ? "next" : text(depth)) + ", " + at(out));
  }
  static void depths(const abi::Call *, const int64_t *table, int64_t rows, int64_t weight, int64_t end) {
    say("depths " + at(table) + ", " + text(rows) + ", " + text(weight) + ", " + text(end));
  }
  static void lines(const abi::Call *, const int64_t *from, int64_t fromRows, const int64_t *to, int64_t rows,
                    int64_t *out) {
    say("lines " + at(from) + ", " + text(fromRows) + ", " + at(to) + ", " + text(rows) + ", " + at(out));
  }
  static void copyRows(const abi::Call *, const int64_t *table, int64_t rows, int64_t *out) {
    say("copyRows " + at(table) + ", " + text(rows) + ", " + at(out));
  }
  static void slots(const abi::Call *, const int64_t *table, int64_t rows, int64_t kind, int64_t slots, int64_t end,
                    int64_t generatedKind, int64_t generatedSlots, int64_t generatedEnd, int64_t *out) {
    auto rule = [](int64_t kind, int64_t slots, int64_t end) {
      return text(kind) + " of " + text(slots) +
             (end == std::numeric_limits<int64_t>::max() ? "" : " below " + text(end));
    };
    say("slots " + at(table) + ", " + text(rows) + ", " + rule(kind, slots, end) + ", " +
        rule(generatedKind, generatedSlots, generatedEnd) + ", " + at(out));
  }
  static void fill(const abi::Call *, int64_t rows, int64_t value, int64_t *out) {
    say("fill " + text(rows) + ", " + text(value) + ", " + at(out));
  }
  static void reserve(const abi::Call *, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots,
                      int64_t filled, abi::EntryRef *out) {
    say("reserve " + text(cache) + ", " + at(table) + ", " + text(rows) + ", " + at(slots) + ", " + text(filled) +
        ", " + at(out));
  }
  static void view(const abi::Call *, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots,
                   int64_t lookUp, const int64_t *generatedSlots, int64_t generatedLookUp, int64_t ahead,
                   abi::View *out) {
    say("view " + text(cache) + ", " + at(table) + ", " + text(rows) + ", " + at(slots) + ", " + text(lookUp) + ", " +
        (generatedSlots ? at(generatedSlots) + ", " + text(generatedLookUp) + ", " : "") + text(ahead) + ", " +
        at(out));
  }
  static void *allocate(int64_t bytes) {
    if (current->memory.empty())
      say("allocate"); // how many times is nobody's business
    current->memory.push_back(std::make_unique<std::byte[]>(bytes));
    return current->memory.back().get();
  }
  static void release() {
    say("release");
    current->memory.clear();
  }
  /// Stands for every function of the C library that is not found.
  static void missing() { ADD_FAILURE() << "code calls a function that this process lacks"; }
};

HostCode::HostCode() {
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  current = this;
  for (const char *name : abi::kLibraryFunctions) {
    void *function = dlsym(RTLD_DEFAULT, name);
    functions.push_back(function ? function : reinterpret_cast<void *>(FakeServices::missing));
  }
  services = {.version = abi::kAbiVersion,
              .launch = FakeServices::launch,
              .compact = FakeServices::compact,
              .last = FakeServices::last,
              .advance = FakeServices::advance,
              .depths = FakeServices::depths,
              .lines = FakeServices::lines,
              .copyRows = FakeServices::copyRows,
              .slots = FakeServices::slots,
              .fill = FakeServices::fill,
              .reserve = FakeServices::reserve,
              .view = FakeServices::view,
              .allocate = FakeServices::allocate,
              .release = FakeServices::release,
              .library = functions.data()};
}

HostCode::~HostCode() {
  current = nullptr;
  if (library)
    dlclose(library);
  if (!path.empty())
    llvm::sys::fs::remove(path);
}

llvm::Expected<std::vector<char>> HostCode::emit(StringRef text) {
  auto module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (!module)
    return makeError("the test's module is not valid IR");
  auto targets = selectTargets("native");
  if (!targets)
    return targets.takeError();
  const Target &target = *targets->front();
  auto build = [&](OpPassManager &manager) {
    buildLowerGenericPipeline(manager);
    buildKernelsToLLVMPipeline(manager, target.getName());
  };
  if (llvm::Error error = runPipeline(*module, build))
    return std::move(error);
  for (auto function : module->getOps<LLVM::LLVMFuncOp>())
    if (auto attr = function->getAttrOfType<IntegerAttr>(kCellsAttr))
      numCells = attr.getInt();
  auto translated = translateToLLVM(*module);
  if (!translated)
    return translated.takeError();
  auto object = target.emitCode(std::move(*translated), CodeForm::Object);
  if (!object)
    return object.takeError();
  auto code = target.link(std::move(*object));
  if (!code)
    return code.takeError();
  return std::move(code->bytes);
}

std::string HostCode::errorOf(StringRef text) {
  auto bytes = emit(text);
  return bytes ? std::string() : toString(bytes.takeError());
}

void HostCode::compile(StringRef text) {
  auto bytes = emit(text);
  ASSERT_TRUE(bool(bytes)) << toString(bytes.takeError());
  int descriptor = -1;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-test", "so", descriptor, path));
  llvm::raw_fd_ostream(descriptor, true).write(bytes->data(), bytes->size());
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  auto *bind = reinterpret_cast<void (*)(const abi::Services *)>(dlsym(library, abi::kBindSymbol));
  ASSERT_TRUE(bind);
  bind(&services);
}

void HostCode::run(const char *symbol, int64_t rows, std::vector<void *> ports, std::vector<int64_t> portRows,
                   std::vector<std::byte *> states, std::vector<int64_t> stateDepths, int64_t numSequences) {
  ASSERT_TRUE(library);
  auto *entry = reinterpret_cast<void (*)(const abi::Call *)>(dlsym(library, symbol));
  ASSERT_TRUE(entry);
  log.clear();
  launches.clear();
  portAddresses = ports;
  cells.assign(numCells, -1);
  std::copy(portRows.begin(), portRows.end(), cells.begin());
  paddedRows = (rows + abi::kRowPadding - 1) / abi::kRowPadding * abi::kRowPadding;
  std::vector<std::byte *> bases{reinterpret_cast<std::byte *>(arena.data()), nullptr,
                                 reinterpret_cast<std::byte *>(cells.data())};
  for (void *port : ports)
    bases.push_back(static_cast<std::byte *>(port));
  abi::Call call{};
  call.bases = bases.data();
  call.paddedRows = paddedRows;
  call.cells = cells.data();
  call.states = states.data();
  call.stateDepths = stateDepths.data();
  call.numSequences = numSequences;
  entry(&call);
}

std::string HostCode::describe(const void *address) const {
  const auto *begin = reinterpret_cast<const std::byte *>(arena.data());
  const auto *place = static_cast<const std::byte *>(address);
  if (place >= begin && place < begin + arena.size() * sizeof(float))
    return "arena " + std::to_string((place - begin) / paddedRows);
  for (auto [index, port] : llvm::enumerate(portAddresses))
    if (port == address)
      return "port " + std::to_string(index);
  return "nowhere";
}
