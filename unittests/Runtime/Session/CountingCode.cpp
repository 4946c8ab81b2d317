// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Code of a small model by hand, a shared object that speaks include/lariat/Artefact/Abi.h; python/tests/counting.py
// writes the artefact around it and has the signatures. A row's sum is that of the tokens it sees in slot 0 of the
// cache, plus what its initial state says; the most likely next token is the sum modulo the vocabulary. A row with an
// odd token exits after one step where a threshold below 1 is given, and its later entries are filled in. Twice odd
// tokens count one too many until their second step.
//
// As in code of the compiler, entry functions touch shared memory alone, and kernels do the rest; thread 0 runs them.

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

/// Where arrays with an element per row begin in the arena, in bytes per row.
enum ArenaPlace : int64_t {
  kComputed = 0,
  kFilled = 8,
  kSlots = 16,
  kSteps = 24,
  kEntries = 32,
  kViews = 48,
  kSums = 80
};

using Operands = RecordDecoder<RecordReader>;
using Buffer = BufferOperand<int64_t>;

constexpr Buffer inPort(int64_t number) { return {kFirstPort + number, 0, 0}; }
constexpr Buffer inArena(ArenaPlace place) { return {kArena, place, 0}; }

} // namespace

template <typename T>
static T *find(const Call *call, const Buffer &buffer) {
  return reinterpret_cast<T *>(call->bases[buffer.base] + buffer.offset + buffer.rowBytes * call->paddedRows);
}

template <typename T>
static T *getPort(const Call *call, int64_t number) {
  return find<T>(call, inPort(number));
}

template <typename T>
static T *getArena(const Call *call, ArenaPlace place) {
  return find<T>(call, inArena(place));
}

/// A kernel that one thread runs.
template <void (*run)(const Call *, Operands)>
static void kernel(const Call *call, const int64_t *record, int64_t thread, int64_t) {
  if (thread == 0)
    run(call, Operands(RecordReader{record}));
}

static int64_t getNumber(Kernel wanted);

template <void (*run)(const Call *, Operands)>
static void launch(const Call *call, const std::vector<Buffer> &operands = {}) {
  RecordEncoder record(getNumber(kernel<run>));
  for (const Buffer &operand : operands)
    record.addBuffer(operand);
  services->launch(call, record.getWords().data(), 1);
}

static const int64_t *getLine(const Call *call, int64_t row) {
  return getPort<int64_t>(call, kRows) + row * kNumRowColumns;
}

//===----------------------------------------------------------------------===//
// Cache
//===----------------------------------------------------------------------===//

static float &keyOf(const EntryRef &entry) { return reinterpret_cast<float *>(entry.page)[entry.index]; }

/// Operands: the tokens of rows.
static void writeKeys(const Call *call, Operands operands) {
  const auto *ids = find<int32_t>(call, operands.takeBuffer());
  const auto *entries = getArena<EntryRef>(call, kEntries);
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    if (entries[row].page)
      keyOf(entries[row]) = static_cast<float>(ids[row]);
}

/// Writes the tokens of rows with a depth of at least 0, which are in the arena, to the slots of these depths.
static void append(const Call *call, ArenaPlace depths, const Buffer &ids, bool filled) {
  services->reserve(call, /*cache=*/0, getPort<int64_t>(call, kRows), call->cells[kRows],
                    getArena<int64_t>(call, depths), filled, getArena<EntryRef>(call, kEntries));
  launch<writeKeys>(call, {ids});
}

static void addKeys(const Call *call, Operands) {
  const auto *views = getArena<View>(call, kViews);
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    for (int64_t index = 0; index < views[row].count; ++index) {
      const View &view = views[row];
      EntryRef entry = view.pages ? EntryRef{view.pages[index / kPageEntries], index % kPageEntries} : view.refs[index];
      int32_t position = view.positions[index] & ~kPrefixBit;
      bool inPrefix = (view.positions[index] & kPrefixBit) && (getLine(call, row)[kFlags] & kPrefix);
      if (position <= getLine(call, row)[kPosition] || inPrefix)
        getArena<float>(call, kSums)[row] += keyOf(entry);
    }
}

/// Adds what each row sees in slot 0 to its sum in the arena.
static void addVisible(const Call *call) {
  int64_t rows = call->cells[kRows];
  auto *slots = getArena<int64_t>(call, kSlots);
  std::fill_n(slots, rows, 0);
  services->view(call, /*cache=*/0, getPort<int64_t>(call, kRows), rows, slots, /*lookUp=*/0,
                 /*generatedSlots=*/nullptr, /*generatedLookUp=*/0, /*ahead=*/1, getArena<View>(call, kViews));
  launch<addKeys>(call);
}

//===----------------------------------------------------------------------===//
// Pieces of the model
//===----------------------------------------------------------------------===//

static void waitIfSlow(int32_t token) {
  timespec pause{0, 20'000'000};
  if (token == kSlow)
    nanosleep(&pause, nullptr);
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

static bool isWanted(const Call *call, int64_t row) { return getLine(call, row)[kFlags] & kWanted; }

static int64_t countWanted(const Call *call) {
  int64_t count = 0;
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    count += isWanted(call, row);
  return count;
}

/// Operands: tokens, sums, logits of the wanted rows.
static void writeWanted(const Call *call, Operands operands) {
  const auto *ids = find<int32_t>(call, operands.takeBuffer());
  const auto *sums = find<float>(call, operands.takeBuffer());
  auto *logits = find<float>(call, operands.takeBuffer());
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    if (isWanted(call, row)) {
      writeLogits(ids[row], sums[row], logits);
      logits += kVocab;
    }
}

static float readState(const Call *call, int64_t row) {
  const float *state = getPort<float>(call, kState) + row * kLineColumns;
  return state[0] + 2 * state[1];
}

//===----------------------------------------------------------------------===//
// Whole functions
//===----------------------------------------------------------------------===//

static void startRows(const Call *call, Operands) {
  const auto *ids = getPort<int32_t>(call, kIds);
  const auto *loops = getPort<int64_t>(call, kLoops);
  const auto *thresholds = getPort<float>(call, kThreshold);
  for (int64_t row = 0; row < call->cells[kRows]; ++row) {
    waitIfSlow(ids[row]);
    int64_t steps = exitsEarly(ids[row], thresholds[row]) ? 1 : loops[row];
    getArena<int64_t>(call, kSteps)[row] = steps;
    getPort<int32_t>(call, kNumInputs + 1)[row] = static_cast<int32_t>(steps);
    getArena<float>(call, kSums)[row] = readState(call, row) + (steps == 1 ? getExcess(ids[row]) : 0);
  }
}

/// Outputs: logits, steps.
extern "C" void lariat_forward(const Call *call) {
  int64_t rows = call->cells[kRows];
  const auto *loops = getPort<int64_t>(call, kLoops), *steps = getArena<int64_t>(call, kSteps);
  launch<startRows>(call);
  auto *computed = getArena<int64_t>(call, kComputed), *filled = getArena<int64_t>(call, kFilled);
  for (int64_t depth = 0, most = *std::max_element(loops, loops + rows); depth < most; ++depth) {
    for (int64_t row = 0; row < rows; ++row) {
      computed[row] = depth < steps[row] ? depth : -1;
      filled[row] = depth >= steps[row] && depth < loops[row] ? depth : -1;
    }
    append(call, kComputed, inPort(kIds), /*filled=*/false);
    append(call, kFilled, inPort(kIds), /*filled=*/true);
  }
  addVisible(call);
  launch<writeWanted>(call, {inPort(kIds), inArena(kSums), inPort(kNumInputs)});
  call->cells[kNumInputs] = countWanted(call);
  call->cells[kNumInputs + 1] = rows;
}

static void encodeRows(const Call *call, Operands) {
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
}

/// Of an encoder; inputs rows, ids; output hidden: token, position, sum of the tokens of its sequence in the call.
extern "C" void lariat_encode(const Call *call) {
  launch<encodeRows>(call);
  call->cells[2] = call->cells[kRows];
}

//===----------------------------------------------------------------------===//
// Step functions: carried sum; invariants token, threshold
//===----------------------------------------------------------------------===//

static void enterRows(const Call *call, Operands) {
  for (int64_t row = 0; row < call->cells[kRows]; ++row) {
    getPort<uint8_t>(call, kNumInputs)[row] = 1;
    getPort<float>(call, kNumInputs + 1)[row] = readState(call, row);
    getPort<int32_t>(call, kNumInputs + 2)[row] = getPort<int32_t>(call, kIds)[row];
    getPort<float>(call, kNumInputs + 3)[row] = getPort<float>(call, kThreshold)[row];
    getPort<int64_t>(call, kNumInputs + 4)[row] = getPort<int64_t>(call, kLoops)[row];
  }
}

/// Outputs: enters, sum, token, threshold, max.
extern "C" void lariat_prelude(const Call *call) {
  launch<enterRows>(call);
  for (int64_t port = kNumInputs; port < kNumInputs + 5; ++port)
    call->cells[port] = call->cells[kRows];
}

/// Inputs rows, sum, token, threshold: appends rows at their depths.
static void appendStep(const Call *call, bool filled) {
  for (int64_t row = 0; row < call->cells[kRows]; ++row)
    getArena<int64_t>(call, kComputed)[row] = getLine(call, row)[kDepth];
  append(call, kComputed, inPort(2), filled);
}

static void runStep(const Call *call, Operands) {
  const auto *ids = getPort<int32_t>(call, 2);
  const auto *visible = getArena<float>(call, kSums);
  for (int64_t row = 0; row < call->cells[kRows]; ++row) {
    int64_t depth = getLine(call, row)[kDepth];
    float more = depth == 0 ? visible[row] + getExcess(ids[row]) : depth == 1 ? -getExcess(ids[row]) : 0;
    getPort<float>(call, 4)[row] = getPort<float>(call, 1)[row] + more;
    getPort<uint8_t>(call, 5)[row] = 1;
    getPort<uint8_t>(call, 6)[row] = exitsEarly(ids[row], getPort<float>(call, 3)[row]);
  }
}

/// Outputs: sum, kept, stops.
extern "C" void lariat_core(const Call *call) {
  int64_t rows = call->cells[kRows];
  appendStep(call, /*filled=*/false);
  std::fill_n(getArena<float>(call, kSums), rows, 0);
  addVisible(call);
  launch<runStep>(call);
  call->cells[4] = call->cells[5] = call->cells[6] = rows;
}

extern "C" void lariat_fill(const Call *call) { appendStep(call, /*filled=*/true); }

/// Operands: steps, where to.
static void copySteps(const Call *call, Operands operands) {
  const auto *steps = find<int32_t>(call, operands.takeBuffer());
  std::copy_n(steps, call->cells[kRows], find<int32_t>(call, operands.takeBuffer()));
}

/// Inputs of @forward, then enters, sum, steps; outputs logits, steps.
extern "C" void lariat_coda(const Call *call) {
  constexpr int64_t sum = kNumInputs + 1, steps = kNumInputs + 2, logits = kNumInputs + 3;
  launch<writeWanted>(call, {inPort(kIds), inPort(sum), inPort(logits)});
  launch<copySteps>(call, {inPort(steps), inPort(logits + 1)});
  call->cells[logits] = countWanted(call);
  call->cells[logits + 1] = call->cells[kRows];
}

static const Kernel kernels[] = {kernel<writeKeys>,  kernel<addKeys>,   kernel<startRows>, kernel<writeWanted>,
                                 kernel<encodeRows>, kernel<enterRows>, kernel<runStep>,   kernel<copySteps>};
extern "C" KernelTable lariat_kernels = {std::size(kernels), kernels};

static int64_t getNumber(Kernel wanted) { return std::ranges::find(kernels, wanted) - kernels; }

extern "C" void lariat_bind(const Services *given) { services = given; }
