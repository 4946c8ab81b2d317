// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// abi::Services for compiled code, on the thread that called the entry function. Something that cannot happen with code
// of our compiler (a sequence that the call does not have, no page where one was set aside, ...) is kept as the call's
// error; the code goes on with an entry that writes nothing or a view that shows nothing.

#include "ModelState.h"
#include "lariat/Runtime/Memory/GenericMemory.h"
#include "lariat/Runtime/Rows/RowTable.h"

#include <algorithm>
#include <chrono>
#include <new>

using namespace lariat;
using namespace lariat::runtime;

static CallContext &getContext(const abi::Call *call) { return *static_cast<CallContext *>(call->runtime); }

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// A region that takes longer is slow.
static constexpr std::chrono::milliseconds kSlowRegion(5);

static void countLaunch(abi::RecordReader record, int64_t count, LaunchCounts &counts) {
  ++counts.regions;
  for (int64_t index = 0; index + 1 < count; ++index, record = record.getNext())
    counts.barriers += record.hasFlag(abi::kBarrierAfter);
}

static void launch(const abi::Call *call, const int64_t *records, int64_t count) {
  CallContext &context = getContext(call);
  if (context.isOver())
    return;
  if (context.launches)
    countLaunch({records}, count, *context.launches);
  StopPoll::Time end = context.model.device->launch(context.model.artefact->getKernels(), call, records, count,
                                                    context.isSlow ? context.stop : nullptr);
  context.isSlow = context.lastRegion != StopPoll::Time() && end - context.lastRegion > kSlowRegion;
  context.lastRegion = end;
  if (context.stop && context.stop->askAt(end))
    context.fail(makeError(kStoppedMessage));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static int64_t compact(const abi::Call *call, const int64_t *table, int64_t rows, const uint8_t *bits, int64_t *out) {
  return getContext(call).isOver() ? 0 : compactRows(table, rows, bits, out);
}

static int64_t last(const abi::Call *, const int64_t *table, int64_t rows, int64_t *out) {
  return lastRows(table, rows, out);
}

static void advance(const abi::Call *call, const int64_t *table, int64_t rows, int64_t depth, int64_t next,
                    int64_t *out) {
  std::optional<int64_t> to = next ? std::nullopt : std::optional(depth);
  if (int64_t outside = advanceRows(table, rows, to, kMaxDepth + 1, out))
    getContext(call).fault({abi::kDepthFault, 0, outside, kMaxDepth + 1}, {});
}

static void depths(const abi::Call *call, const int64_t *table, int64_t rows, int64_t weight, int64_t end) {
  CallContext &context = getContext(call);
  for (int64_t row = 0; row < rows; ++row)
    if (int64_t depth = table[row * abi::kNumRowColumns + abi::kDepth]; depth >= end) {
      const std::vector<manifest::DepthWeight> &weights = context.model.getManifest().traits.depthWeights;
      bool isKnown = weight >= 0 && weight < static_cast<int64_t>(weights.size());
      return context.fault({abi::kWeightFault, weight, depth, end}, isKnown ? weights[weight].name : "?");
    }
}

static void lines(const abi::Call *call, const int64_t *from, int64_t fromRows, const int64_t *at, int64_t rows,
                  int64_t *out) {
  if (!findLines(from, fromRows, at, rows, out))
    getContext(call).fail(makeError("compiled code asks for rows that are not in their row set"));
}

static void copy(const abi::Call *, const int64_t *table, int64_t rows, int64_t *out) { copyRows(table, rows, out); }

static void slots(const abi::Call *, const int64_t *table, int64_t rows, int64_t kind, int64_t slots, int64_t end,
                  int64_t generatedKind, int64_t generatedSlots, int64_t generatedEnd, int64_t *out) {
  auto choose = [](int64_t kind, int64_t slots, int64_t end) -> SlotChoice {
    return {{.kind = static_cast<abi::SlotRule::Kind>(kind), .slots = slots}, end};
  };
  chooseSlots(table, rows, choose(kind, slots, end), choose(generatedKind, generatedSlots, generatedEnd), out);
}

static void fill(const abi::Call *, int64_t rows, int64_t value, int64_t *out) { std::fill_n(out, rows, value); }

//===----------------------------------------------------------------------===//
// Caches
//===----------------------------------------------------------------------===//

/// The sequence of a line of a row table, or null.
static SequenceMemory *findSequence(CallContext &context, const int64_t *line) {
  int64_t sequence = line[abi::kSequence];
  if (sequence >= 0 && sequence < static_cast<int64_t>(context.sequences.size()))
    return context.sequences[sequence];
  context.fail(
      makeError("compiled code names sequence ", sequence, " of ", static_cast<int64_t>(context.sequences.size())));
  return nullptr;
}

static bool verifyCache(CallContext &context, int64_t cache) {
  if (cache >= 0 && cache < context.model.kv->getNumCaches())
    return true;
  context.fail(makeError("compiled code names cache ", cache, " of ", context.model.kv->getNumCaches()));
  return false;
}

/// Whether a cache has a slot; its absence is a fault of the call.
static bool verifySlot(CallContext &context, int64_t cache, int64_t slot) {
  const CacheSpec &facts = context.model.kv->getFacts(cache);
  int64_t end = facts.getNumSlots(context.numDepths);
  if (slot >= 0 && slot < end)
    return true;
  context.fault({abi::kSlotFault, cache, slot, end}, facts.name);
  return false;
}

/// Runs `body`, which may find no memory for lists that kernels read.
template <typename Body>
static void withLists(CallContext &context, Body body) {
  try {
    body();
  } catch (const std::bad_alloc &) {
    context.fail(makeError("there is no memory for lists of pages and positions"));
  }
}

static abi::EntryRef reserveOne(CallContext &context, int64_t cache, const int64_t *line, int64_t slot, int64_t flags) {
  SequenceMemory *sequence = findSequence(context, line);
  bool writes = slot != -1 || (flags & abi::kExplicitSlots);
  if (!sequence || !writes || !verifySlot(context, cache, slot))
    return {nullptr, 0};
  const CacheSpec &facts = context.model.kv->getFacts(cache);
  EntryFlags row{.inPrefix = (line[abi::kFlags] & abi::kPrefix) != 0,
                 .filled = (flags & abi::kFilledRows) != 0,
                 .isGenerated = (line[abi::kFlags] & abi::kGenerated) != 0};
  abi::EntryRef entry{nullptr, 0};
  withLists(context, [&] {
    entry = sequence->caches[cache].reserve(slot, static_cast<int32_t>(line[abi::kPosition]), row,
                                            context.model.kv->getPages(cache), context.model.views);
  });
  if (!entry.page)
    context.fail(makeError("compiled code writes more entries of cache '", facts.name,
                           "' than were set aside, at position ", line[abi::kPosition], " of slot ", slot));
  return entry;
}

/// Empties the slots that rows are about to write: what other rows left there is over.
static void restartSlots(CallContext &context, int64_t cache, const int64_t *table, int64_t rows,
                         const int64_t *slots) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t *line = table + row * abi::kNumRowColumns;
    bool isNew = row == 0 || line[abi::kSequence] != line[abi::kSequence - abi::kNumRowColumns];
    if (SequenceMemory *sequence = isNew ? findSequence(context, line) : nullptr; sequence && slots[row] >= 0)
      sequence->caches[cache].restart(slots[row], context.model.views);
  }
}

static void reserve(const abi::Call *call, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots,
                    int64_t flags, abi::EntryRef *out) {
  CallContext &context = getContext(call);
  bool known = verifyCache(context, cache) && !context.isOver();
  if (known && context.model.kv->getFacts(cache).transient)
    restartSlots(context, cache, table, rows, slots);
  for (int64_t row = 0; row < rows; ++row)
    out[row] = known ? reserveOne(context, cache, table + row * abi::kNumRowColumns, slots[row], flags)
                     : abi::EntryRef{nullptr, 0};
}

/// Entries of a view up to a position.
static int64_t countUpTo(const abi::View &view, int64_t position) {
  std::span positions(view.positions, view.count);
  return std::ranges::upper_bound(positions, position, {}, withoutPrefixBit) - positions.begin();
}

/// Whether a row asks what the row before it asks: rows of a sequence follow each other, mostly with the same slot.
static bool asksAsBefore(const int64_t *line, const int64_t *slot, const int64_t *generatedSlot) {
  return line[abi::kSequence] == line[abi::kSequence - abi::kNumRowColumns] && slot[0] == slot[-1] &&
         (!generatedSlot || generatedSlot[0] == generatedSlot[-1]);
}

static void view(const abi::Call *call, int64_t cache, const int64_t *table, int64_t rows, const int64_t *slots,
                 int64_t lookUp, const int64_t *generatedSlots, int64_t generatedLookUp, int64_t ahead,
                 abi::View *out) {
  CallContext &context = getContext(call);
  bool known = verifyCache(context, cache) && !context.isOver();
  for (int64_t kind : {lookUp, generatedLookUp})
    if (kind < 0 || kind >= abi::kNumLookUps) {
      context.fail(makeError("compiled code asks for look-up ", kind, ", expected 0 to ", abi::kNumLookUps - 1));
      known = false;
    }
  SequenceMemory *sequence = nullptr;
  abi::View all = {};
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t *line = table + row * abi::kNumRowColumns;
    const int64_t *generatedSlot = generatedSlots ? generatedSlots + row : nullptr;
    if (row == 0 || !asksAsBefore(line, slots + row, generatedSlot)) {
      sequence = known ? findSequence(context, line) : nullptr;
      SequenceCache::Query query{slots[row], static_cast<LookUp>(lookUp)};
      if (generatedSlot)
        query = {query.slot, query.lookUp, true, *generatedSlot, static_cast<LookUp>(generatedLookUp)};
      auto isThere = [&](LookUp kind, int64_t slot) {
        return kind == LookUp::First || verifySlot(context, cache, slot);
      };
      bool seesNothing = !sequence || !isThere(query.lookUp, query.slot) ||
                         (generatedSlot && !isThere(query.generatedLookUp, query.generatedSlot));
      all = {};
      if (!seesNothing)
        withLists(context, [&] { all = sequence->caches[cache].view(query, context.model.views); });
    }
    out[row] = all;
    if (!ahead)
      out[row].count = countUpTo(all, line[abi::kPosition]);
  }
}

const abi::Services &runtime::getServices() {
  static const abi::Services services{
      .version = abi::kAbiVersion,
      .launch = launch,
      .compact = compact,
      .last = last,
      .advance = advance,
      .depths = depths,
      .lines = lines,
      .copyRows = copy,
      .slots = slots,
      .fill = fill,
      .reserve = reserve,
      .view = view,
      .allocate = allocateGeneric,
      .release = releaseGeneric,
      .library = getLibrary(),
  };
  return services;
}
