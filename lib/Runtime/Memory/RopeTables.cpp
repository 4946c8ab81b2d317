// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Addresses are set aside for all, and pieces are opened as they are filled, so that a table never moves and a system
// counts only what is there.

#include "lariat/Runtime/Memory/RopeTables.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <cmath>

using namespace lariat::runtime;

/// Positions that are computed at once.
static constexpr int64_t kStep = 256;

float lariat::runtime::roundAngle(double value, AngleType type) {
  if (type.digits == 24 && type.minExponent == -126)
    return static_cast<float>(value);
  if (value == 0 || !std::isfinite(value))
    return static_cast<float>(value);
  // The distance of neighbours around the value is a power of two, so that both steps are exact but for rint.
  int64_t exponent = std::max<int64_t>(std::ilogb(value), type.minExponent) - (type.digits - 1);
  double scaled = std::nearbyint(std::ldexp(value, static_cast<int>(-exponent)));
  return static_cast<float>(std::ldexp(scaled, static_cast<int>(exponent)));
}

Status RopeTables::reserve(DeviceMemory &wanted, std::vector<RopeFacts> facts) {
  release();
  int64_t end = 0;
  for (const RopeFacts &table : facts) {
    int64_t bytes = 0;
    if (!multiply(table.positions, table.lineBytes, bytes) || bytes > (int64_t(1) << 46))
      return makeError("a rotary table has ", table.positions, " lines of ", table.lineBytes,
                       " bytes, which is too many");
    end = std::max(end, table.offset + bytes);
  }
  if (end == 0)
    return Status::success();
  memory = wanted.setAside(end);
  if (!memory)
    return makeError("cannot set ", end,
                     " bytes of addresses aside for rotary tables of the context that the model declares");
  device = wanted.shared_from_this();
  reserved = end;
  tables = std::move(facts);
  return Status::success();
}

void RopeTables::release() {
  if (memory)
    device->giveBack(memory, reserved);
  memory = nullptr;
  reserved = covered = 0;
  tables.clear();
}

int64_t RopeTables::getBytes() const {
  int64_t bytes = 0;
  for (const RopeFacts &table : tables)
    bytes += std::min(covered, table.positions) * table.lineBytes;
  return bytes;
}

static void compute(std::byte *lines, const RopeFacts &table, int64_t begin, int64_t end) {
  for (int64_t position = begin; position < end; ++position, lines += table.lineBytes) {
    auto *line = reinterpret_cast<float *>(lines);
    for (double frequency : table.frequencies) {
      double angle = static_cast<double>(position) * frequency;
      *line++ = roundAngle(std::cos(angle) * table.magnitude, table.angles);
      *line++ = roundAngle(std::sin(angle) * table.magnitude, table.angles);
    }
  }
}

void RopeTables::fill(const RopeFacts &table, int64_t begin, int64_t end) {
  std::byte *target = memory + table.offset + begin * table.lineBytes;
  if (device->isHost())
    return compute(target, table, begin, end);
  std::vector<std::byte> lines(kStep * table.lineBytes);
  for (int64_t first = begin; first < end; first += kStep, target += kStep * table.lineBytes) {
    int64_t last = std::min(first + kStep, end);
    compute(lines.data(), table, first, last);
    device->upload(target, lines.data(), (last - first) * table.lineBytes);
  }
}

Status RopeTables::cover(int64_t count) {
  for (const RopeFacts &table : tables)
    if (count > table.positions)
      return makeError("position ", count - 1, " is beyond the context of the model, ", table.positions, " positions");
  if (count <= covered || tables.empty())
    return Status::success();
  int64_t wanted = roundUp(count, kStep);
  for (const RopeFacts &table : tables) {
    int64_t begin = std::min(covered, table.positions), end = std::min(wanted, table.positions);
    if (begin == end)
      continue;
    int64_t bytes = (end - begin) * table.lineBytes;
    if (!device->open(memory + table.offset + begin * table.lineBytes, bytes))
      return makeError("there is no memory for the rotary table of ", end, " positions, ", bytes, " bytes more");
    fill(table, begin, end);
  }
  covered = wanted;
  return Status::success();
}
