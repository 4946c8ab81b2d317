// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. One call of an entry function, as host arrays.

#ifndef LARIAT_RUNTIME_CALL_CALL_H
#define LARIAT_RUNTIME_CALL_CALL_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Runtime/Base/AlignedBuffer.h"
#include "lariat/Runtime/Base/StopPoll.h"
#include "lariat/Runtime/Call/Sequence.h"
#include "lariat/Runtime/Load/Manifest.h"

#include <span>
#include <vector>

namespace lariat::runtime {

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
  /// One per input of the function, in its order. Empty data for a row set (see `rows`), or a table that an earlier call
  /// gave, int64_t[numRows][6].
  std::vector<InputArray> inputs = {};
  /// The most loop steps that any row runs in this call: what @forward is asked for; 1 for @core and @fill, which do one;
  /// 0 where no looped cache is written. Room for pages is set aside accordingly.
  int64_t loops = 1;
  LaunchCounts *launches = nullptr; ///< counted here, unless null
  /// Asked now and then while code runs; with yes the call ends soon, as one that failed with kStoppedMessage.
  StopPoll *stop = nullptr;
};

/// Values of an output. Owned; reused when the same CallResult is handed to the next call.
struct OutputArray {
  int64_t numRows = 0;
  int64_t lineBytes = 0; ///< from one row to the next
  AlignedBuffer memory;

  template <typename T>
  const T *line(int64_t row) const {
    return reinterpret_cast<const T *>(memory.data() + row * lineBytes);
  }
};

struct CallResult {
  std::vector<OutputArray> outputs; ///< one per output of the function, in its order
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_CALL_CALL_H
