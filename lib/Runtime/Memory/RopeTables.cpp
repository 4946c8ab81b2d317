// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Addresses are a mapping that may not be touched; pieces of it are opened as they are filled, so that a table never
// moves and a system counts only what is there.

#include "lariat/Runtime/Memory/RopeTables.h"

#include "lariat/Runtime/Base/AlignedBuffer.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <sys/mman.h>
#include <unistd.h>

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

Status RopeTables::reserve(std::vector<RopeFacts> facts) {
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
  end = roundUp(end, sysconf(_SC_PAGESIZE));
  void *mapped = mmap(nullptr, end, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, /*offset=*/0);
  if (mapped == MAP_FAILED)
    return makeError("cannot set ", end,
                     " bytes of addresses aside for rotary tables of the context that the model declares");
  memory = static_cast<std::byte *>(mapped);
  reserved = end;
  tables = std::move(facts);
  return Status::success();
}

void RopeTables::release() {
  if (memory)
    munmap(memory, reserved);
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

/// Opens the pages of lines `begin` to `end`.
Status RopeTables::allow(const RopeFacts &table, int64_t begin, int64_t end) {
  int64_t page = sysconf(_SC_PAGESIZE);
  int64_t first = (table.offset + begin * table.lineBytes) / page * page;
  int64_t last = roundUp(table.offset + end * table.lineBytes, page);
  if (mprotect(memory + first, last - first, PROT_READ | PROT_WRITE) != 0)
    return makeError("there is no memory for the rotary table of ", end, " positions, ", last - first, " bytes more");
  return Status::success();
}

static void fill(std::byte *memory, const RopeFacts &table, int64_t begin, int64_t end) {
  for (int64_t position = begin; position < end; ++position) {
    auto *line = reinterpret_cast<float *>(memory + table.offset + position * table.lineBytes);
    for (double frequency : table.frequencies) {
      double angle = static_cast<double>(position) * frequency;
      *line++ = roundAngle(std::cos(angle) * table.magnitude, table.angles);
      *line++ = roundAngle(std::sin(angle) * table.magnitude, table.angles);
    }
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
    if (Status status = allow(table, begin, end))
      return status;
    fill(memory, table, begin, end);
  }
  covered = wanted;
  return Status::success();
}
