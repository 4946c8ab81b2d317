// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Code of an artefact as a compiler would emit it, by hand: a shared object that speaks include/lariat/Artefact/Abi.h.
// Its functions exercise every service; FakeArtefact.cpp has their signatures.

#include "lariat/Artefact/Abi.h"

#include <cstdint>
#include <iterator>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace lariat::abi;

static const Services *services = nullptr;

namespace {

/// Base numbers of ports.
constexpr int64_t port(int64_t number) { return kFirstPort + number; }

} // namespace

/// Address of the next buffer operand of a record.
template <typename T>
static T *takeBuffer(const Call *call, RecordDecoder<RecordReader> &record) {
  BufferOperand<int64_t> buffer = record.takeBuffer();
  return reinterpret_cast<T *>(call->bases[buffer.base] + buffer.offset + buffer.rowBytes * call->paddedRows);
}

template <typename T>
static T *getPort(const Call *call, int64_t number) {
  return reinterpret_cast<T *>(call->bases[port(number)]);
}

/// Numbers of kernels.
enum : int64_t { kDoubleRows, kCopyRows, kWriteMode };

//===----------------------------------------------------------------------===//
// double: inputs rows, ids, x; outputs y = 2 x + id, kept (rows with odd ids), wanted
//===----------------------------------------------------------------------===//

/// Arena line 0, element 0 of each row: 2 x + id.
static void doubleRows(const Call *call, const int64_t *record, int64_t thread, int64_t numThreads) {
  RecordDecoder operands(RecordReader{record});
  int64_t rows = call->cells[operands.takeWord()];
  const auto *ids = takeBuffer<int32_t>(call, operands);
  const auto *x = takeBuffer<float>(call, operands);
  auto *out = takeBuffer<float>(call, operands);
  int64_t columns = operands.takeWord();
  for (int64_t row = thread; row < rows; row += numThreads)
    for (int64_t column = 0; column < columns; ++column)
      out[row * 16 + column] = 2 * x[row * 16 + column] + static_cast<float>(ids[row]);
}

/// Copies rows that another thread wrote.
static void copyRows(const Call *call, const int64_t *record, int64_t thread, int64_t numThreads) {
  RecordDecoder operands(RecordReader{record});
  int64_t rows = call->cells[operands.takeWord()];
  const auto *in = takeBuffer<float>(call, operands);
  auto *out = takeBuffer<float>(call, operands);
  for (int64_t row = numThreads - 1 - thread; row < rows; row += numThreads)
    for (int64_t column = 0; column < 16; ++column)
      out[row * 16 + column] = in[row * 16 + column];
}

extern "C" void lariat_double(const Call *call) {
  // The arena has two buffers of 64 bytes per row; the second is used.
  RecordEncoder doubled(kDoubleRows), copied(kCopyRows);
  doubled.setFlag(kBarrierAfter);
  doubled.addWord(0);
  doubled.addBuffer({port(1), 0, 0});
  doubled.addBuffer({port(2), 0, 0});
  doubled.addBuffer({kArena, 64, 0});
  doubled.addWord(5);
  copied.setFlag(kBarrierAfter);
  copied.addWord(0);
  copied.addBuffer({kArena, 64, 0});
  copied.addBuffer({port(3), 0, 0});
  std::vector<int64_t> records = doubled.getWords();
  records.insert(records.end(), copied.getWords().begin(), copied.getWords().end());
  services->launch(call, records.data(), 2);
  const auto *table = getPort<int64_t>(call, 0);
  int64_t rows = call->cells[0];
  auto *bits = static_cast<uint8_t *>(services->allocate(rows));
  for (int64_t row = 0; row < rows; ++row)
    bits[row] = getPort<int32_t>(call, 1)[row] & 1;
  call->cells[3] = rows;
  call->cells[4] = services->compact(call, table, rows, bits, getPort<int64_t>(call, 4));
  services->advance(call, getPort<int64_t>(call, 4), call->cells[4], /*depth=*/0, /*next=*/1,
                    getPort<int64_t>(call, 4));
  call->cells[5] = services->last(call, table, rows, getPort<int64_t>(call, 5));
  services->release();
}

//===----------------------------------------------------------------------===//
// cache: inputs rows, slots, values, options (bytes of line 0: look-up, ahead, filled, cache); outputs count, sum
//===----------------------------------------------------------------------===//

/// Element of the key of an entry of layer 0, head 0.
static float &keyOf(const EntryRef &entry) { return reinterpret_cast<float *>(entry.page)[entry.index]; }

/// Appends a value per row and sums what each row sees: sum of value * (place in the view + 1).
extern "C" void lariat_cache(const Call *call) {
  int64_t rows = call->cells[0];
  const auto *table = getPort<int64_t>(call, 0), *slots = getPort<int64_t>(call, 1);
  const auto *values = getPort<float>(call, 2);
  int64_t options = getPort<int64_t>(call, 3)[0];
  int64_t lookUp = options & 255, ahead = options >> 8 & 255, filled = options >> 16 & 255, cache = options >> 24 & 255;
  auto *entries = static_cast<EntryRef *>(services->allocate(rows * static_cast<int64_t>(sizeof(EntryRef))));
  auto *views = static_cast<View *>(services->allocate(rows * static_cast<int64_t>(sizeof(View))));
  services->reserve(call, cache, table, rows, slots, filled, entries);
  for (int64_t row = 0; row < rows; ++row)
    if (entries[row].page)
      keyOf(entries[row]) = values[row];
  services->view(call, cache, table, rows, slots, lookUp, /*generatedSlots=*/nullptr, /*generatedLookUp=*/0, ahead,
                 views);
  for (int64_t row = 0; row < rows; ++row) {
    float sum = 0;
    for (int64_t index = 0; index < views[row].count; ++index) {
      EntryRef entry = views[row].pages ? EntryRef{views[row].pages[index / 64], index % 64} : views[row].refs[index];
      sum += keyOf(entry) * static_cast<float>(index + 1);
    }
    getPort<int64_t>(call, 4)[row] = views[row].count;
    getPort<float>(call, 5)[row] = sum;
  }
  call->cells[4] = call->cells[5] = rows;
  services->release();
}

//===----------------------------------------------------------------------===//
// state: inputs rows; output sum. Adds the position of each row to its sequence's state at the row's depth.
//===----------------------------------------------------------------------===//

extern "C" void lariat_state(const Call *call) {
  const auto *table = getPort<int64_t>(call, 0);
  auto *state = reinterpret_cast<float *>(call->states[0]);
  int64_t depths = call->stateDepths[0], rows = call->cells[0];
  constexpr int64_t layers = 2, width = 3;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t *line = table + row * kNumRowColumns;
    float *place = state + ((line[kSequence] * layers + 1) * depths + line[kDepth]) * width + 2;
    *place += static_cast<float>(line[kPosition]);
    getPort<float>(call, 1)[row] = *place;
  }
  call->cells[1] = rows;
}

//===----------------------------------------------------------------------===//
// mode: inputs rows; output modes: the floating-point mode of thread (row modulo threads), and what scratch is like
//===----------------------------------------------------------------------===//

static void writeMode(const Call *call, const int64_t *record, int64_t thread, int64_t numThreads) {
  RecordDecoder operands(RecordReader{record});
  auto *out = takeBuffer<int64_t>(call, operands);
  auto *scratch = reinterpret_cast<int64_t *>(call->scratch + thread * call->scratchBytes);
#if defined(__x86_64__)
  scratch[0] = _mm_getcsr() & 0xffc0;
#else
  scratch[0] = 0x1f80;
#endif
  for (int64_t row = thread; row < call->cells[0]; row += numThreads)
    out[row] = scratch[0];
}

extern "C" void lariat_mode(const Call *call) {
  RecordEncoder record(kWriteMode);
  record.addBuffer({port(1), 0, 0});
  services->launch(call, record.getWords().data(), 1);
  call->cells[1] = call->cells[0];
}

//===----------------------------------------------------------------------===//
// weights: inputs rows; output byte: weight number (position)
//===----------------------------------------------------------------------===//

extern "C" void lariat_weights(const Call *call) {
  const auto *table = getPort<int64_t>(call, 0);
  const auto *weights = reinterpret_cast<const uint8_t *>(call->bases[kWeights]);
  for (int64_t row = 0; row < call->cells[0]; ++row)
    getPort<int64_t>(call, 1)[row] = weights[table[row * kNumRowColumns + kPosition]];
  call->cells[1] = call->cells[0];
}

/// Promises more rows than there are.
extern "C" void lariat_too_many(const Call *call) { call->cells[1] = call->paddedRows + 1; }

static const Kernel kernels[] = {doubleRows, copyRows, writeMode};
extern "C" KernelTable lariat_kernels = {std::size(kernels), kernels};

extern "C" void lariat_bind(const Services *given) { services = given; }
