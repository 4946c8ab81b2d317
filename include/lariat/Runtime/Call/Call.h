// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. One call of an entry function. Values go in as arrays of the host or of the device, and results are read by
// the host, where they are or as copies.

#ifndef LARIAT_RUNTIME_CALL_CALL_H
#define LARIAT_RUNTIME_CALL_CALL_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Base/StopPoll.h"
#include "lariat/Runtime/Call/Sequence.h"
#include "lariat/Runtime/Device/DeviceBuffer.h"
#include "lariat/Runtime/Load/Manifest.h"

#include <span>
#include <vector>

namespace lariat::runtime {

/// Where a port is. Row sets, bits and indices are what services and callers look at, all else is for kernels.
inline Space getSpace(const Port &port) {
  bool isSeen = port.isRows || port.type == ElementType::I1 || port.type == ElementType::Index;
  return isSeen ? Space::Shared : Space::Device;
}

/// A row of a call.
struct Row {
  int64_t sequence = 0; ///< index in CallRequest::sequences
  int64_t position = 0;
  int64_t depth = 0;
  int64_t flags = 0;  ///< lariat::abi::RowFlag
  int64_t length = 0; ///< rows of its sequence that count as one prompt; 0: those in this call
};

/// Values of an input, read during the call only.
struct InputArray {
  const void *data = nullptr;
  int64_t numRows = 0;
  int64_t lineBytes = 0;          ///< from one line to the next; 0: Port::getValueBytes(), nothing in between
  const int64_t *lines = nullptr; ///< which line each row has, where it is not that of its own number
  bool onDevice = false; ///< the data, which is then memory of the model's device; `lines` are the host's always
};

/// What a call had run on all threads.
struct LaunchCounts {
  int64_t regions = 0;  ///< tables of records, see abi::Services::launch
  int64_t barriers = 0; ///< between records of a region; its end, where threads wait too, is not counted
};

struct CallRequest {
  const Function *function = nullptr;        ///< of Model::findFunction
  std::span<Sequence *const> sequences = {}; ///< each once
  /// The rows of the call: by sequence, positions ascending in a sequence. They become the table of every input of kind
  /// rows that has no array in `inputs`, with roots 0, 1, 2, ...
  std::span<const Row> rows = {};
  /// One per input of the function, in its order. Empty data for a row set (see `rows`), or a table that an earlier
  /// call gave, int64_t[numRows][6].
  std::vector<InputArray> inputs = {};
  /// The most loop steps that any row runs in this call: what @forward is asked for; 1 for @core and @fill, which do
  /// one; 0 where no looped cache is written. Room for pages is set aside accordingly.
  int64_t loops = 1;
  /// Leaves outputs on the device that the host cannot read there (getSpace): the caller hands them on.
  bool keepsOutputs = false;
  LaunchCounts *launches = nullptr; ///< counted here, unless null
  /// Asked now and then while code runs; with yes the call ends soon, as one that failed with kStoppedMessage.
  StopPoll *stop = nullptr;
};

/// Values of an output. Owned; reused when the same CallResult is handed to the next call.
struct OutputArray {
  int64_t numRows = 0;
  int64_t lineBytes = 0;           ///< from one row to the next
  PortBuffer memory;               ///< what compiled code wrote
  AlignedBuffer copy;              ///< of it, where the host needs one
  const std::byte *host = nullptr; ///< where the host reads; null: nowhere, see CallRequest::keepsOutputs

  template <typename T>
  const T *line(int64_t row) const {
    return reinterpret_cast<const T *>(host + row * lineBytes);
  }
};

struct CallResult {
  std::vector<OutputArray> outputs; ///< one per output of the function, in its order
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_CALL_CALL_H
