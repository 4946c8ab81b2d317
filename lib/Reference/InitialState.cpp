// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// States before the loop, from a file.

#include "lariat/Reference/InitialState.h"

#include "lariat/Compiler/Weights.h"
#include "lariat/Support/Error.h"
#include "llvm/ADT/STLExtras.h"

#include <cstring>

using namespace mlir;
using namespace lariat;
using namespace lariat::reference;

llvm::Expected<std::vector<HostTensor>> reference::readInitialState(const requests::Request &request, StringRef path,
                                                                    int64_t width) {
  if (width == 0)
    return makeError("an initial state is given, but the model takes none");
  llvm::Expected<std::unique_ptr<SafetensorsFile>> file = SafetensorsFile::open(path);
  if (!file)
    return file.takeError();
  bool single = request.sequences.size() == 1 && (*file)->getTensors().size() == 1;
  std::vector<HostTensor> states;
  for (auto [sequence, ids] : llvm::enumerate(request.sequences)) {
    std::string name = "state." + std::to_string(sequence);
    const StoredTensor *tensor = single ? &(*file)->getTensors().front() : (*file)->find(name);
    if (!tensor)
      return makeError(path + " has no tensor '" + name + "' for sequence " + Twine(sequence));
    SmallVector<int64_t> expected{static_cast<int64_t>(ids.size()), width};
    if (ArrayRef<int64_t>(tensor->shape) != ArrayRef<int64_t>(expected))
      return makeError(path + ": tensor '" + tensor->name + "' has shape " + formatShape(tensor->shape) +
                       ", expected " + formatShape(expected));
    if (tensor->type != "F32")
      return makeError(path + ": tensor '" + tensor->name + "' has type " + tensor->type + ", expected F32");
    HostTensor &state = states.emplace_back(expected, sizeof(float));
    std::memcpy(state.data<char>(), tensor->bytes.data(), tensor->bytes.size());
  }
  return states;
}
