// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the runtime needs to know of compiled code, which holds no facts itself.

#include "lariat/Compiler/FastPath.h"

#include "lariat/Artefact/Abi.h"
#include "lariat/Artefact/ElementType.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/ScopedPrinter.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace lariat;

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// Sets what functions and refused variants are of.
template <typename T>
static T describeVariant(const Variant &variant) {
  T described;
  described.mode = variant.mode;
  if (variant.missing)
    described.missing = toArtefact(*variant.missing);
  described.derived = variant.derived;
  return described;
}

static manifest::Function describeEntry(const EntryFunction &entry, const EntrySizes &sizes) {
  auto function = describeVariant<manifest::Function>(entry.variant);
  function.name = entry.name;
  function.symbol = entry.symbol;
  function.inputs = entry.inputs;
  function.outputs = entry.outputs;
  function.record = entry.record;
  function.arenaBytesPerRow = sizes.arenaRowBytes;
  function.cells = sizes.cells;
  function.scratchBytes = sizes.scratchBytes;
  return function;
}

static EntrySizes getSizes(const FastProgram &program, const EntryFunction &entry) {
  auto it = program.sizes.find(entry.symbol);
  return it == program.sizes.end() ? EntrySizes() : it->second;
}

/// "forward (generate, missing = skip, derived)", as the runtime's messages name it.
static std::string describe(const EntryFunction &entry) {
  const Variant &variant = entry.variant;
  std::string text = entry.name + " (" + std::string(abi::getName(variant.mode));
  if (variant.missing)
    text += ", missing = " + std::string(abi::getName(toArtefact(*variant.missing)));
  return text + (variant.derived ? ", derived)" : ")");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Bytes of a page: the entries of all layers.
static int64_t getPageBytes(const CacheFacts &cache) {
  CacheOp op = cache.op;
  return op.getLayers() * cache.getBytesPerEntry() * abi::kPageEntries;
}

/// Where a rotary table lies, and what the runtime computes it from.
static manifest::RopeTable describeRopeTable(kernel::RopeTableOp table) {
  const llvm::fltSemantics &angles = cast<FloatType>(table.getAngles()).getFloatSemantics();
  return {.offset = static_cast<int64_t>(table.getOffset().value_or(0)),
          .lineBytes = static_cast<int64_t>(table.getLineBytes()),
          .positions = static_cast<int64_t>(table.getPositions()),
          .pairs = static_cast<int64_t>(table.getNumPairs()),
          .frequencies = static_cast<int64_t>(table.getStored().value_or(0)),
          .magnitude = table.getMagnitude() ? table.getMagnitude()->convertToDouble() : 1.0,
          .angleDigits = llvm::APFloat::semanticsPrecision(angles),
          .angleMinExponent = llvm::APFloat::semanticsMinExponent(angles)};
}

//===----------------------------------------------------------------------===//
// Headlines
//===----------------------------------------------------------------------===//

/// Caches of attention among the rows of one call, in order of number.
static std::vector<manifest::CallCache> describeCallCaches(ModuleOp module) {
  SmallVector<kernel::CacheOp> caches;
  for (auto cache : module.getOps<kernel::CacheOp>())
    if (cache.getTransient())
      caches.push_back(cache);
  llvm::sort(caches, [](kernel::CacheOp a, kernel::CacheOp b) { return a.getNumber() < b.getNumber(); });
  std::vector<manifest::CallCache> described;
  for (kernel::CacheOp cache : caches)
    described.push_back({cache.getSymName().str(), static_cast<int64_t>(cache.getLayers()),
                         static_cast<int64_t>(cache.getHeads()), static_cast<int64_t>(cache.getDim())});
  return described;
}

/// The orders of summation that kernels declare.
static manifest::Sums describeSums(ModuleOp module) {
  manifest::Sums sums;
  module.walk([&](kernel::AttendOp op) { sums.attend = llvm::to_string(op.getSum()); });
  module.walk([&](kernel::GemmOp op) { sums.gemm = llvm::to_string(op.getSum()); });
  return sums;
}

std::string lariat::getCodeFile(const CodeObject &object) { return "code/" + object.isa + ".so"; }

manifest::CodeSection lariat::describeCode(const FastProgram &program) {
  manifest::CodeSection code;
  for (const CodeObject &object : program.objects)
    code.objects.push_back({object.isa, object.layout, getCodeFile(object), object.features, object.numKernels});
  for (const PackedWeights &weights : program.weights)
    code.layouts.push_back({weights.layout, {weights.file, weights.getBytes()}});
  ModuleOp kernelModule = *program.kernels.module;
  code.callCaches = describeCallCaches(kernelModule);
  // The same in all layouts.
  for (auto table : ModuleOp(*program.weights.front().contents).getOps<kernel::RopeTableOp>())
    code.ropeTables.push_back(describeRopeTable(table));
  for (const EntryFunction &entry : program.kernels.entries)
    code.functions.push_back(describeEntry(entry, getSizes(program, entry)));
  for (const RefusedVariant &variant : program.kernels.refused) {
    auto refused = describeVariant<manifest::RefusedVariant>(variant.variant);
    refused.error = variant.reason;
    code.refused.push_back(std::move(refused));
  }
  code.sums = describeSums(kernelModule);
  return code;
}

static std::string formatSizes(const EntrySizes &sizes) {
  std::string text;
  llvm::raw_string_ostream(text) << sizes.arenaRowBytes << " bytes per row, rows rounded up to " << abi::kRowPadding
                                 << "; " << sizes.cells * 8 << " bytes of cells; " << sizes.scratchBytes
                                 << " bytes of scratch per thread";
  return text;
}

std::string lariat::formatFastMemory(const FastProgram &program, const ModelFacts &facts) {
  std::string text;
  llvm::raw_string_ostream os(text);
  int64_t loops = facts.loops.getDefaultSteps(), context = facts.model.getContextSize(), pool = 0;
  for (const CacheFacts &cache : facts.caches) {
    CacheOp op = cache.op;
    int64_t pageBytes = getPageBytes(cache), slots = cache.getNumSlots(loops);
    int64_t bound = cache.getBytes(context, loops) + slots * pageBytes;
    os << "pages of cache " << op.getSymName() << ": " << pageBytes << " bytes for " << abi::kPageEntries
       << " entries of a slot; at most one that is not full in each of " << slots << " slots of a sequence, " << bound
       << " bytes for " << context << " tokens\n";
    pool += bound;
  }
  os << "page pool: at most " << pool << " bytes for a sequence of " << context << " tokens\n";
  for (const PackedWeights &weights : program.weights)
    os << "weights: " << weights.getBytes() << " bytes, mapped from " << weights.file << "\n";
  int64_t lineBytes = 0;
  ModuleOp kernelModule = *program.kernels.module;
  for (auto table : kernelModule.getOps<kernel::RopeTableOp>())
    lineBytes += table.getLineBytes();
  if (lineBytes > 0)
    os << "rotary tables: " << lineBytes << " bytes per position, as far as positions are reached\n";
  // One line per function of the contract, whatever modes and missing modes it is compiled for.
  llvm::MapVector<StringRef, EntrySizes> largest;
  for (const EntryFunction &entry : program.kernels.entries) {
    EntrySizes sizes = getSizes(program, entry), &most = largest[entry.name];
    most.arenaRowBytes = std::max(most.arenaRowBytes, sizes.arenaRowBytes);
    most.cells = std::max(most.cells, sizes.cells);
    most.scratchBytes = std::max(most.scratchBytes, sizes.scratchBytes);
  }
  for (const auto &[name, sizes] : largest)
    os << "call of " << name << ": at most " << formatSizes(sizes) << "\n";
  return text;
}

std::string lariat::formatCallMemory(const FastProgram &program) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (const EntryFunction &entry : program.kernels.entries)
    os << "call of " << describe(entry) << ": " << formatSizes(getSizes(program, entry)) << "\n";
  return text;
}
