// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Code of a small model by hand, a shared object that speaks include/lariat/Artefact/Abi.h; python/tests/counting.py writes
// the artefact around it and has the signatures. A row's sum is that of the tokens it sees in slot 0 of the cache, plus
// what its initial state says; the most likely next token is the sum modulo the vocabulary. A row with an odd token exits
// after one step where a threshold below 1 is given, and its later entries are filled in. Twice odd tokens count one too
// many until their second step.

#include "lariat/Artefact/Abi.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <vector>

using namespace lariat::abi;

static const Services *services = nullptr;

namespace {

constexpr int64_t kVocab = 320;
/// Tokens with a meaning of their own: logits that are no numbers, and rows that take their time.
constexpr int32_t kNotANumber = 300, kInfinite = 301, kSlow = 302;

/// Inputs of @forward; step functions have some of them elsewhere.
enum ForwardPort : int64_t { kRows, kIds, kLoops, kThreshold, kState, kNumInputs };

} // namespace

template <typename T>
static T *getPort(const Call *call, int64_t number) {
  return reinterpret_cast<T *>(call->bases[kFirstPort + number]);
}

static const int64_t *getLine(const Call *call, int64_t row) {
  return getPort<int64_t>(call, kRows) + row * kNumRowColumns;
}

//===----------------------------------------------------------------------===//
// Cache
//===----------------------------------------------------------------------===//

static float &keyOf(const EntryRef &entry) { return reinterpret_cast<float *>(entry.page)[entry.index]; }

/// Writes the tokens of rows with `depths[row]` at least 0 to the slots of these depths.
static void append(const Call *call, const std::vector<int64_t> &depths, const int32_t *ids, bool filled) {
  auto rows = static_cast<int64_t>(depths.size());
  std::vector<EntryRef> entries(rows);
  services->reserve(call, /*cache=*/0, getPort<int64_t>(call, kRows), rows, depths.data(), filled, entries.data());
  for (int64_t row = 0; row < rows; ++row)
    if (entries[row].page)
      keyOf(entries[row]) = static_cast<float>(ids[row]);
}

/// Adds what each row sees in slot 0.
static void addVisible(const Call *call, int64_t rows, float *sums) {
  std::vector<int64_t> slots(rows, 0);
  std::vector<View> views(rows);
  services->view(call, /*cache=*/0, getPort<int64_t>(call, kRows), rows, slots.data(), /*lookUp=*/0,
                 /*generatedSlots=*/nullptr, /*generatedLookUp=*/0, /*ahead=*/1, views.data());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t index = 0; index < views[row].count; ++index) {
      const View &view = views[row];
      EntryRef entry = view.pages ? EntryRef{view.pages[index / kPageEntries], index % kPageEntries} : view.refs[index];
      int32_t position = view.positions[index] & ~kPrefixBit;
      bool inPrefix = (view.positions[index] & kPrefixBit) && (getLine(call, row)[kFlags] & kPrefix);
      if (position <= getLine(call, row)[kPosition] || inPrefix)
        sums[row] += keyOf(entry);
    }
}

//===----------------------------------------------------------------------===//
// Pieces of the model
//===----------------------------------------------------------------------===//

/// Then runs no kernels, so that the call may be given up.
static void waitIfSlow(const Call *call, int32_t token) {
  timespec pause{0, 20'000'000};
  if (token != kSlow)
    return;
  nanosleep(&pause, nullptr);
  services->launch(call, /*records=*/nullptr, /*count=*/0);
}

static bool exitsEarly(int32_t token, float threshold) { return threshold < 1 && token % 2 == 1; }

/// What a row has counted too much after its first step.
static float getExcess(int32_t token) { return token % 4 == 2 ? 1 : 0; }

/// Lines are as long as the vocabulary, which is a multiple of 16.
static void writeLogits(int32_t token, float sum, float *logits) {
  for (int64_t id = 0; id < kVocab; ++id)
    logits[id] = 0;
  int64_t next = static_cast<int64_t>(sum) % kVocab;
  for (int64_t place = 0; place < 3; ++place)
    logits[(next + place) % kVocab] = static_cast<float>(8 - place);
  if (token == kNotANumber)
    logits[5] = NAN;
  if (token == kInfinite)
    logits[5] = INFINITY;
}

/// Logits of the wanted rows into a port; returns how many.
static int64_t writeWanted(const Call *call, int64_t port, const int32_t *ids, const float *sums) {
  int64_t count = 0;
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    if (getLine(call, row)[kFlags] & kWanted)
      writeLogits(ids[row], sums[row], getPort<float>(call, port) + count++ * kVocab);
  return count;
}

static float readState(const Call *call, int64_t row) {
  const float *state = getPort<float>(call, kState) + row * kLineColumns;
  return state[0] + 2 * state[1];
}

//===----------------------------------------------------------------------===//
// Whole functions
//===----------------------------------------------------------------------===//

/// Outputs: logits, steps.
extern "C" void lariat_forward(const Call *call) {
  int64_t rows = call->cells[kRows];
  const auto *ids = getPort<int32_t>(call, kIds);
  const auto *loops = getPort<int64_t>(call, kLoops);
  const auto *thresholds = getPort<float>(call, kThreshold);
  auto *steps = getPort<int32_t>(call, kNumInputs + 1);
  std::vector<float> sums(rows);
  for (int64_t row = 0; row < rows; ++row) {
    waitIfSlow(call, ids[row]);
    steps[row] = exitsEarly(ids[row], thresholds[row]) ? 1 : static_cast<int32_t>(loops[row]);
    sums[row] = readState(call, row) + (steps[row] == 1 ? getExcess(ids[row]) : 0);
  }
  std::vector<int64_t> computed(rows), filled(rows);
  for (int64_t depth = 0, most = *std::max_element(loops, loops + rows); depth < most; ++depth) {
    for (int64_t row = 0; row < rows; ++row) {
      computed[row] = depth < steps[row] ? depth : -1;
      filled[row] = depth >= steps[row] && depth < loops[row] ? depth : -1;
    }
    append(call, computed, ids, /*filled=*/false);
    append(call, filled, ids, /*filled=*/true);
  }
  addVisible(call, rows, sums.data());
  call->cells[kNumInputs] = writeWanted(call, kNumInputs, ids, sums.data());
  call->cells[kNumInputs + 1] = rows;
}

/// Of an encoder; inputs rows, ids; output hidden: token, position, sum of the tokens of its sequence in the call.
extern "C" void lariat_encode(const Call *call) {
  int64_t rows = call->cells[kRows];
  const auto *ids = getPort<int32_t>(call, kIds);
  for (int64_t row = 0; row < rows; ++row) {
    float *hidden = getPort<float>(call, 2) + row * kLineColumns;
    hidden[0] = static_cast<float>(ids[row]);
    hidden[1] = static_cast<float>(getLine(call, row)[kPosition]);
    hidden[2] = 0;
    for (int64_t other = 0; other < rows; ++other)
      if (getLine(call, other)[kSequence] == getLine(call, row)[kSequence])
        hidden[2] += static_cast<float>(ids[other]);
  }
  call->cells[2] = rows;
}

//===----------------------------------------------------------------------===//
// Step functions: carried sum; invariants token, threshold
//===----------------------------------------------------------------------===//

/// Outputs: enters, sum, token, threshold, max.
extern "C" void lariat_prelude(const Call *call) {
  int64_t rows = call->cells[kRows];
  for (int64_t row = 0; row < rows; ++row) {
    getPort<uint8_t>(call, kNumInputs)[row] = 1;
    getPort<float>(call, kNumInputs + 1)[row] = readState(call, row);
    getPort<int32_t>(call, kNumInputs + 2)[row] = getPort<int32_t>(call, kIds)[row];
    getPort<float>(call, kNumInputs + 3)[row] = getPort<float>(call, kThreshold)[row];
    getPort<int64_t>(call, kNumInputs + 4)[row] = getPort<int64_t>(call, kLoops)[row];
  }
  for (int64_t port = kNumInputs; port < kNumInputs + 5; ++port)
    call->cells[port] = rows;
}

/// Inputs rows, sum, token, threshold.
static std::vector<int64_t> listDepths(const Call *call) {
  std::vector<int64_t> depths;
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    depths.push_back(getLine(call, row)[kDepth]);
  return depths;
}

/// Outputs: sum, kept, stops.
extern "C" void lariat_core(const Call *call) {
  int64_t rows = call->cells[kRows];
  const auto *ids = getPort<int32_t>(call, 2);
  append(call, listDepths(call), ids, /*filled=*/false);
  std::vector<float> visible(rows);
  addVisible(call, rows, visible.data());
  for (int64_t row = 0; row < rows; ++row) {
    int64_t depth = getLine(call, row)[kDepth];
    float more = depth == 0 ? visible[row] + getExcess(ids[row]) : depth == 1 ? -getExcess(ids[row]) : 0;
    getPort<float>(call, 4)[row] = getPort<float>(call, 1)[row] + more;
    getPort<uint8_t>(call, 5)[row] = 1;
    getPort<uint8_t>(call, 6)[row] = exitsEarly(ids[row], getPort<float>(call, 3)[row]);
  }
  call->cells[4] = call->cells[5] = call->cells[6] = rows;
}

extern "C" void lariat_fill(const Call *call) {
  append(call, listDepths(call), getPort<int32_t>(call, 2), /*filled=*/true);
}

/// Inputs of @forward, then enters, sum, steps; outputs logits, steps.
extern "C" void lariat_coda(const Call *call) {
  constexpr int64_t enters = kNumInputs, sum = enters + 1, steps = enters + 2, logits = enters + 3;
  call->cells[logits] = writeWanted(call, logits, getPort<int32_t>(call, kIds), getPort<float>(call, sum));
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    getPort<int32_t>(call, logits + 1)[row] = getPort<int32_t>(call, steps)[row];
  call->cells[logits + 1] = call->cells[kRows];
}

extern "C" KernelTable lariat_kernels = {0, nullptr};

extern "C" void lariat_bind(const Services *given) { services = given; }
