// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random caches, rows and views, and attention over them in plain loops in f64.

#include "AttendCases.h"

#include "llvm/Support/Format.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace lariat;
using namespace lariat::test;

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

double AttendShape::scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(dim))); }

std::string lariat::test::getBufferText(int64_t width) {
  int64_t line = kernel::roundUp(width, kernel::kLineColumns);
  std::string type = "memref<?x" + std::to_string(width) + "xf32";
  return line == width ? type + ">" : type + ", strided<[" + std::to_string(line) + ", 1]>>";
}

std::string AttendShape::source() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "kernel.cache @kv number(0) layers(" << layers << ") heads(" << kvHeads << ") dim(" << dim << ") keys_by "
     << kernel::stringifyKeyOrder(keys) << " : " << (isBF16 ? "bf16" : "f32") << "\n";
  os << "kernel.packed @sinks vector [\"s\"] shape [" << heads << "] offset(0) : f32\n";
  os << "kernel.packed @bias vectors [\"b\"] shape [" << heads << ", " << std::max<int64_t>(biasWidth, 1) << "] offset("
     << 4 * biasPlace() << ") : f32\n";
  os << "kernel.rope_table @rope [";
  for (int64_t i = 0; i < std::max<int64_t>(ropeDims / 2, 1); ++i)
    os << (i ? ", 1.0" : "1.0");
  os << "] positions(" << kPositions << ") angles(f32) offset(" << 4 * ropePlace() << ")\n";
  std::string type = getBufferText(heads * dim);
  os << "func.func @f(%n: index, %table: memref<?x6xindex>, %views: memref<?x4xindex>, %q: " << type
     << ", %out: " << type << ") {\n  kernel.parallel {\n    kernel.attend rows(%n) at %table views %views %q to %out "
     << "from @kv[" << layer << "] heads(" << heads << ") scale(" << llvm::format("%.17e", scale()) << ")";
  if (softcap)
    os << " softcap(" << llvm::format("%.17e", *softcap) << ")";
  os << " <" << kernel::stringifyMaskKind(mask);
  if (size)
    os << ", size = " << size;
  os << ">";
  if (hasSinks)
    os << " sinks @sinks";
  if (biasWidth)
    os << " distance_bias @bias";
  if (ropeDims)
    os << " rope <@rope, dims = " << ropeDims << ", interleaved = " << (interleaved ? "true" : "false") << ">";
  os << " : memref<?x6xindex>, memref<?x4xindex>, " << type << ", " << type << "\n  }\n  return\n}\n";
  return text;
}

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

AttendCase::AttendCase(const AttendShape &shape, unsigned seed, int64_t numSequences, int64_t maxEntries)
    : shape(shape), random(seed) {
  auto real = [&] { return std::normal_distribution<float>()(random); };
  auto below = [&](int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random); };
  weights.resize(shape.ropePlace() + kPositions * shape.ropeLine());
  for (float &value : weights)
    value = real();

  int64_t pageBytes = shape.layers * shape.kvHeads * 2 * shape.dim * 64 * (shape.isBF16 ? 2 : 4);
  for (int64_t s = 0; s < numSequences; ++s) {
    TestSequence &sequence = sequences.emplace_back();
    int64_t count = below(maxEntries + 1), position = 0;
    sequence.isList = below(3) == 0;
    bool hasGaps = below(2);
    int64_t numPages = (count + 63) / 64 * (sequence.isList ? 2 : 1) + 1;
    for (int64_t i = 0; i < numPages; ++i) {
      std::vector<std::byte> &page = sequence.pages.emplace_back(pageBytes);
      std::memset(page.data(), 0xff, page.size()); // NaN
    }
    for (std::vector<std::byte> &page : sequence.pages)
      sequence.pagePointers.push_back(page.data());
    std::vector<int64_t> filled(numPages);
    int64_t choice = 0;
    for (int64_t entry = 0; entry < count; ++entry) {
      position += hasGaps ? below(3) + (entry > 0) : entry > 0;
      if (position >= kPositions)
        break;
      sequence.positions.push_back(static_cast<int32_t>(position) | (entry < 40 ? abi::kPrefixBit : 0));
      if (sequence.isList) { // runs of entries from pages in turn
        if (below(20) == 0 || filled[choice] == 64)
          do
            choice = below(numPages);
          while (filled[choice] == 64);
        sequence.refs.push_back({sequence.pagePointers[choice], filled[choice]++});
      }
      for (int64_t block = 0; block < shape.layers * shape.kvHeads; ++block)
        for (int64_t column = 0; column < shape.dim; ++column)
          for (bool isValue : {false, true})
            setNumber(sequence, entry, block, column, isValue, real());
    }
  }
}

void AttendCase::addRows(int64_t s, int64_t numRows) {
  const TestSequence &sequence = sequences[s];
  bool ahead = shape.mask == kernel::MaskKind::Full || shape.mask == kernel::MaskKind::Prefix;
  int64_t count = static_cast<int64_t>(sequence.positions.size());
  int64_t first = std::max<int64_t>(0, count - numRows);
  auto strip = [](int32_t position) { return position & (abi::kPrefixBit - 1); };
  for (int64_t i = 0; i < numRows; ++i) {
    int64_t entry = first + i;
    int64_t position =
        entry < count ? strip(sequence.positions[entry]) : (count ? strip(sequence.positions[count - 1]) + i : i);
    position = std::min(position, kPositions - 1);
    int64_t flags = entry < 40 ? abi::kPrefix : 0;
    int64_t seen = 0;
    while (seen < count && (ahead || strip(sequence.positions[seen]) <= position))
      ++seen;
    rows.push_back({s, position, flags, seen});
    std::vector<float> &query = queries.emplace_back(shape.heads * shape.dim);
    for (float &value : query)
      value = std::normal_distribution<float>()(random);
  }
}

std::vector<float> AttendCase::run(CompiledKernel &code, llvm::ArrayRef<int64_t> which, int64_t numThreads) {
  int64_t width = shape.heads * shape.dim, line = kernel::roundUp(width, 16);
  std::vector<int64_t> table;
  std::vector<abi::View> views;
  std::vector<float> query(which.size() * line), out(which.size() * line, -77);
  for (auto [i, row] : llvm::enumerate(which)) {
    const TestRow &fact = rows[row];
    const TestSequence &sequence = sequences[fact.sequence];
    table.insert(table.end(), {row, fact.sequence, fact.position, 0, fact.flags, 0});
    views.push_back({sequence.isList ? nullptr : sequence.pagePointers.data(),
                     sequence.isList ? sequence.refs.data() : nullptr, sequence.positions.data(), fact.count});
    std::copy(queries[row].begin(), queries[row].end(), query.begin() + i * line);
  }
  code.run({static_cast<int64_t>(which.size()), table.data(), views.data(), query.data(), out.data()}, weights.data(),
           numThreads);
  std::vector<float> results;
  for (size_t i = 0; i < which.size(); ++i)
    results.insert(results.end(), out.begin() + i * line, out.begin() + i * line + width);
  return results;
}

//===----------------------------------------------------------------------===//
// In f64
//===----------------------------------------------------------------------===//

std::byte *AttendCase::getPlace(const TestSequence &sequence, int64_t entry, int64_t block, int64_t column,
                                bool isValue) const {
  int64_t dim = shape.dim, index = sequence.isList ? sequence.refs[entry].index : entry % 64;
  std::byte *page = sequence.isList ? sequence.refs[entry].page : sequence.pagePointers[entry / 64];
  int64_t line = index * dim + column, turned = column * 64 + index, values = dim * 64;
  int64_t inBlock = isValue ? values + line : shape.keys == kernel::KeyOrder::Columns ? turned : line;
  int64_t place = block * 2 * values + inBlock;
  return page + place * (shape.isBF16 ? 2 : 4);
}

void AttendCase::setNumber(const TestSequence &sequence, int64_t entry, int64_t block, int64_t column, bool isValue,
                           float number) {
  uint16_t half = toBF16(number);
  std::memcpy(getPlace(sequence, entry, block, column, isValue),
              shape.isBF16 ? static_cast<void *>(&half) : static_cast<void *>(&number), shape.isBF16 ? 2 : 4);
}

void AttendCase::setEntry(int64_t sequence, int64_t entry, float number) {
  for (int64_t block = 0; block < shape.layers * shape.kvHeads; ++block)
    for (int64_t column = 0; column < shape.dim; ++column)
      for (bool isValue : {false, true})
        setNumber(sequences[sequence], entry, block, column, isValue, number);
}

float AttendCase::getKey(const TestSequence &sequence, int64_t entry, int64_t head, int64_t column,
                         bool isValue) const {
  const std::byte *place = getPlace(sequence, entry, shape.layer * shape.kvHeads + head, column, isValue);
  if (shape.isBF16) {
    uint16_t half;
    std::memcpy(&half, place, 2);
    return fromBF16(half);
  }
  float value;
  std::memcpy(&value, place, 4);
  return value;
}

bool AttendCase::sees(const TestRow &row, int64_t entry) const {
  int32_t word = sequences[row.sequence].positions[entry];
  int64_t p = row.position, u = word & (abi::kPrefixBit - 1);
  if (entry >= row.count)
    return false;
  switch (shape.mask) {
  case kernel::MaskKind::Causal:
    return u <= p;
  case kernel::MaskKind::Full:
    return true;
  case kernel::MaskKind::Prefix:
    return u <= p || ((word & abi::kPrefixBit) && (row.flags & abi::kPrefix));
  case kernel::MaskKind::Window:
    return u <= p && p < u + shape.size;
  case kernel::MaskKind::Chunk:
    return u <= p && p / shape.size == u / shape.size;
  }
  llvm_unreachable("enumeration covered");
}

std::vector<double> AttendCase::getQuery(int64_t row, int64_t head) const {
  const float *from = queries[row].data() + head * shape.dim;
  std::vector<double> query(from, from + shape.dim);
  const float *line = weights.data() + shape.ropePlace() + rows[row].position * shape.ropeLine();
  for (int64_t i = 0; i < shape.ropeDims / 2; ++i) {
    int64_t first = shape.interleaved ? 2 * i : i, second = shape.interleaved ? 2 * i + 1 : i + shape.ropeDims / 2;
    double u = query[first], v = query[second], c = line[2 * i], s = line[2 * i + 1];
    query[first] = u * c - v * s;
    query[second] = v * c + u * s;
  }
  return query;
}

std::vector<double> AttendCase::expect(int64_t row) const {
  const TestRow &fact = rows[row];
  const TestSequence &sequence = sequences[fact.sequence];
  std::vector<double> out(shape.heads * shape.dim);
  for (int64_t head = 0; head < shape.heads; ++head) {
    std::vector<double> query = getQuery(row, head);
    std::vector<std::pair<double, int64_t>> scores;
    for (int64_t entry = 0; entry < fact.count; ++entry) {
      if (!sees(fact, entry))
        continue;
      double product = 0;
      for (int64_t j = 0; j < shape.dim; ++j)
        product += query[j] * getKey(sequence, entry, head / shape.groups(), j, false);
      double score = product * shape.scale();
      if (shape.softcap)
        score = std::tanh(score / *shape.softcap) * *shape.softcap;
      if (int64_t distance = fact.position - (sequence.positions[entry] & (abi::kPrefixBit - 1));
          distance >= 0 && distance < shape.biasWidth)
        score += weights[shape.biasPlace() + head * shape.biasLine() + distance];
      scores.push_back({score, entry});
    }
    if (scores.empty())
      continue;
    double largest = shape.hasSinks ? weights[head] : -std::numeric_limits<double>::infinity();
    for (auto [score, entry] : scores)
      largest = std::max(largest, score);
    double total = shape.hasSinks ? std::exp(weights[head] - largest) : 0;
    for (auto [score, entry] : scores)
      total += std::exp(score - largest);
    for (auto [score, entry] : scores)
      for (int64_t j = 0; j < shape.dim; ++j)
        out[head * shape.dim + j] +=
            std::exp(score - largest) / total * getKey(sequence, entry, head / shape.groups(), j, true);
  }
  return out;
}
