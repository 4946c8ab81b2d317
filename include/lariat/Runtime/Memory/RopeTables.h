// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the runtime. Cosines and sines by position, which compiled code reads. Addresses for all positions that a
// model declares are set aside; memory and time are spent on those that calls have reached.

#ifndef LARIAT_RUNTIME_MEMORY_ROPETABLES_H
#define LARIAT_RUNTIME_MEMORY_ROPETABLES_H

#include "lariat/Runtime/Device/DeviceMemory.h"

#include <span>
#include <vector>

namespace lariat::runtime {

/// The type to which angles are rounded: digits of its significand, and the exponent of its smallest normal number.
struct AngleType {
  int64_t digits = 24, minExponent = -126;
};

/// `value` rounded to the nearest number of a type, ties to even.
float roundAngle(double value, AngleType type);

/// A table: f32 [positions][pairs][2], cosine then sine of position * frequency, computed in f64, multiplied by
/// `magnitude` and rounded once.
struct RopeFacts {
  int64_t offset = 0; ///< its first byte among the tables, a multiple of 64
  int64_t positions = 0;
  int64_t lineBytes = 0; ///< from one position to the next
  std::span<const double> frequencies;
  double magnitude = 1;
  AngleType angles = {};
};

class RopeTables {
public:
  RopeTables() = default;
  RopeTables(const RopeTables &) = delete;
  RopeTables &operator=(const RopeTables &) = delete;
  ~RopeTables() { release(); }

  /// Sets addresses aside, which stay. The frequencies last as long as the tables.
  Status reserve(DeviceMemory &device, std::vector<RopeFacts> facts);
  /// Computes the lines of positions below `count` that are not there yet.
  Status cover(int64_t count);
  void release();

  std::byte *data() const { return memory; }
  /// Memory of lines that are there.
  int64_t getBytes() const;

private:
  /// Computes lines of a table, whose memory is there.
  void fill(const RopeFacts &table, int64_t begin, int64_t end);

  std::shared_ptr<DeviceMemory> device;
  std::vector<RopeFacts> tables;
  std::byte *memory = nullptr;
  int64_t reserved = 0, covered = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_MEMORY_ROPETABLES_H
