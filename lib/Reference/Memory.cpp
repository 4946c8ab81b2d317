// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dense memory for caches and states: every position of every slot has its place, so nothing is searched and presence
// is one byte.

#include "lariat/Reference/Memory.h"

#include "lariat/Artefact/Fault.h"
#include "lariat/Conversion/LariatToReference/LariatToReference.h"
#include "lariat/Support/Error.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;
namespace json = llvm::json;

llvm::Error RequestMemory::add(StringRef name, ArrayRef<int64_t> shape, unsigned elementBytes) {
  uint64_t size = elementBytes;
  bool overflow = false;
  for (int64_t dimension : shape)
    if (!overflow)
      size = llvm::SaturatingMultiply<uint64_t>(size, dimension, &overflow);
  // calloc gives untouched pages for nothing, so the bound is one of sense: more than any machine has.
  void *block = overflow || size > (uint64_t(1) << 46) ? nullptr : std::calloc(std::max<uint64_t>(size, 1), 1);
  if (!block)
    return makeError("there is no memory for '" + name + "', which needs " + Twine(size) + " bytes");
  blocks.emplace_back(block);
  refs.push_back({block, SmallVector<int64_t>(shape)});
  return llvm::Error::success();
}

llvm::Expected<RequestMemory> RequestMemory::allocate(const ModelFacts &facts, const MemorySize &size) {
  RequestMemory memory;
  for (const CacheFacts &cacheFacts : facts.caches) {
    CacheOp cache = cacheFacts.op;
    int64_t layers = cache.getLayers(), slots = cacheFacts.getNumSlots(size.maxDepth);
    int64_t width = cache.getHeads() * cache.getDim();
    unsigned bytes = getElementBytes(cache.getType());
    for (int part = 0; part < 2; ++part)
      if (llvm::Error error =
              memory.add(cache.getSymName(), {size.numSequences, layers, slots, size.numPositions, width}, bytes))
        return std::move(error);
    if (llvm::Error error = memory.add(cache.getSymName(), {size.numSequences, layers, slots, size.numPositions}, 1))
      return std::move(error);
  }
  for (const StateFacts &stateFacts : facts.states) {
    StateOp state = stateFacts.op;
    int64_t layers = state.getLayers(), width = state.getWidth();
    int64_t depths = std::max<int64_t>(1, size.maxDepth) * stateFacts.depthFactor;
    if (llvm::Error error = memory.add(state.getSymName(), {size.numSequences, layers, depths, width},
                                       getElementBytes(state.getType())))
      return std::move(error);
  }
  if (llvm::Error error = memory.add("faults", {abi::kNumFaultWords}, sizeof(int64_t)))
    return std::move(error);
  return memory;
}

/// The name behind the number of a fault.
static StringRef getFaultName(const ModelFacts &facts, const int64_t *words) {
  int64_t place = words[abi::kFaultPlace];
  switch (words[abi::kFaultKind]) {
  case abi::kSlotFault:
    return CacheOp(facts.caches[place].op).getSymName();
  case abi::kStateFault:
    return StateOp(facts.states[place].op).getSymName();
  case abi::kWeightFault:
    return facts.getCheckedWeights()[place].getSymName();
  default:
    return {};
  }
}

llvm::Error RequestMemory::getFault(const ModelFacts &facts) const {
  const auto *words = static_cast<const int64_t *>(refs.back().data);
  if (words[abi::kFaultKind] == abi::kNoFault)
    return llvm::Error::success();
  return makeError(abi::describeFault(words, std::string_view(getFaultName(facts, words))));
}

json::Object RequestMemory::countSlots(const ModelFacts &facts, int64_t sequence) const {
  json::Object result;
  for (auto [index, cacheFacts] : llvm::enumerate(facts.caches)) {
    const MemoryRef &present = refs[kArgumentsPerCache * index + 2];
    int64_t numLayers = present.shape[1], numSlots = present.shape[2], numPositions = present.shape[3];
    const auto *next = static_cast<const uint8_t *>(present.data) + sequence * numLayers * numSlots * numPositions;
    json::Array layers;
    for (int64_t layer = 0; layer < numLayers; ++layer) {
      json::Array slots;
      for (int64_t slot = 0; slot < numSlots; ++slot) {
        int64_t computed = 0, filled = 0;
        for (int64_t position = 0; position < numPositions; ++position, ++next) {
          computed += (*next & 3) == kComputed;
          filled += (*next & 3) == kFilled;
        }
        slots.push_back(json::Object{{"computed", computed}, {"filled", filled}});
      }
      layers.push_back(std::move(slots));
    }
    result[CacheOp(cacheFacts.op).getSymName()] = std::move(layers);
  }
  return result;
}
