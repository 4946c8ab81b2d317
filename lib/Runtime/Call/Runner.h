// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private. One call from request to result, in steps of which all but the last can fail and change nothing.

#ifndef LARIAT_LIB_RUNTIME_CALL_RUNNER_H
#define LARIAT_LIB_RUNTIME_CALL_RUNNER_H

#include "ModelState.h"
#include "lariat/Runtime/Call/Call.h"

#include <algorithm>

namespace lariat::runtime {

class Runner {
public:
  /// The model is locked and open, and the calling thread holds its device.
  Runner(ModelState &model, const CallRequest &request, CallResult &result)
      : model(model), device(model.getMemory()), request(request), function(*request.function), result(result) {}

  Status run();

private:
  Status verify();
  Status collectSequences();
  Status fillInputs();
  Status fillTable(int64_t input);
  void fillValues(int64_t input);
  Status prepareOutputs();
  Status reservePages();
  Status reserveOnce();
  Status loadStates();
  Status execute();
  void emptyTransientCaches();
  /// Copies results to where the host reads them.
  void downloadOutputs();
  Status finish(Status status);

  /// Rows of an input as the request has them.
  int64_t getNumRows(int64_t input) const;
  /// Whether the host reads an output from a copy.
  bool needsCopy(const Port &output) const {
    return getSpace(output) == Space::Device && !device.isHost() && !request.keepsOutputs;
  }
  const Port &getInput(int64_t input) const { return function.inputs[input]; }
  /// Depths that rows of the call may reach in its loop steps.
  int64_t getNumDepths() const { return maxDepth + std::max<int64_t>(request.loops, 1); }
  std::string_view getFaultName(const int64_t *words) const;

  ModelState &model;
  DeviceMemory &device;
  const CallRequest &request;
  const Function &function;
  CallResult &result;

  std::vector<SequenceMemory *> sequences;
  std::vector<std::byte *> bases; ///< abi::Call::bases
  int64_t paddedRows = 0;
  int64_t maxDepth = 0;           ///< of any row, at the start
  int64_t maxPosition = 0;        ///< of any row
  const int64_t *table = nullptr; ///< the largest row set
  int64_t numTableRows = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_LIB_RUNTIME_CALL_RUNNER_H
