// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Records of kernels: words of 64 bits that say which kernel runs on what. Tables of them stand in compiled code and go
// to Services::launch; kernels find their operands in them. A kernel is its number in the table that the object
// exports.
//   record: { kernel, flags, number of words, operands ... }

#ifndef LARIAT_ARTEFACT_RECORD_H
#define LARIAT_ARTEFACT_RECORD_H

#include <cassert>
#include <cstdint>
#include <vector>

namespace lariat::abi {

struct Call;

/// A kernel. `record` points at the record's first word.
using Kernel = void (*)(const Call *, const int64_t *record, int64_t thread, int64_t numThreads);

/// The kernels of an object by their numbers, exported as kKernelsSymbol.
struct KernelTable {
  int64_t count;
  const Kernel *kernels;
};

/// The name of that table.
inline constexpr const char *kKernelsSymbol = "lariat_kernels";

/// Words of a record before its operands.
enum RecordWord : int64_t {
  kKernelWord, ///< number of the kernel
  kFlagsWord,  ///< RecordFlag bits
  kSizeWord,   ///< number of words, these included
  kNumHeadWords
};

enum RecordFlag : int64_t { kBarrierAfter = 1 };

/// Base numbers of buffers: memory that a call brings along (Call::bases).
enum Base : int64_t { kArena, kWeights, kCells, kFirstPort };

/// A base number has the low bits of its word.
inline constexpr int64_t kBaseBits = 8;
/// Inputs and outputs that an entry function can have.
inline constexpr int64_t kMaxPorts = (int64_t(1) << kBaseBits) - kFirstPort;

/// What an operand is. Buffers take two words, {base | rowBytes << kBaseBits, offset}, everything else one.
enum class OperandKind {
  Buffer,  ///< address = bases[base] + offset + rowBytes * paddedRows
  Cell,    ///< c: the value is cells[c], in its low bytes
  Packed,  ///< its byte in the weights' file
  Table,   ///< its byte among the rotary tables
  Literal, ///< the value
};

/// Words are numbers, or values of code that is being written.
template <typename Word>
struct BufferOperand {
  Word base, rowBytes, offset;
};

/// Writes a record.
class RecordEncoder {
public:
  explicit RecordEncoder(int64_t kernel) : words{kernel, 0, kNumHeadWords} {}

  void setFlag(RecordFlag flag) { words[kFlagsWord] |= flag; }
  void addBuffer(const BufferOperand<int64_t> &buffer) {
    assert(buffer.base >= 0 && buffer.base < kFirstPort + kMaxPorts && "verified when the entry function is lowered");
    addWord(buffer.base | buffer.rowBytes << kBaseBits);
    addWord(buffer.offset);
  }
  /// An operand of one word.
  void addWord(int64_t word) {
    words.push_back(word);
    words[kSizeWord] = static_cast<int64_t>(words.size());
  }

  const std::vector<int64_t> &getWords() const { return words; }

private:
  std::vector<int64_t> words;
};

/// Reads the operands of a record, in order. `Source` gives words by their number, and the low bits of one and those
/// above them: numbers (RecordReader), or code that does so when it runs.
template <typename Source>
class RecordDecoder {
public:
  explicit RecordDecoder(Source source) : source(source) {}

  auto takeBuffer() {
    auto first = source.load(next++);
    auto base = source.getLow(first, kBaseBits), rowBytes = source.getHigh(first, kBaseBits);
    return BufferOperand<decltype(first)>{base, rowBytes, source.load(next++)};
  }
  /// An operand of one word.
  auto takeWord() { return source.load(next++); }

private:
  Source source;
  int64_t next = kNumHeadWords;
};

/// A record in memory.
struct RecordReader {
  const int64_t *words;

  int64_t load(int64_t number) const { return words[number]; }
  static int64_t getLow(int64_t word, int64_t bits) { return word & ((int64_t(1) << bits) - 1); }
  static int64_t getHigh(int64_t word, int64_t bits) { return word >> bits; }

  int64_t getKernel() const { return words[kKernelWord]; }
  bool hasFlag(RecordFlag flag) const { return (words[kFlagsWord] & flag) != 0; }
  /// The record behind this one in a table.
  RecordReader getNext() const { return {words + words[kSizeWord]}; }
};

} // namespace lariat::abi

#endif // LARIAT_ARTEFACT_RECORD_H
