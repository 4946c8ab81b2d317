// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. An artefact in memory: its manifest, the code of one ISA, its weights. Code is mapped from the very bytes
// that were hashed; weights are mapped from their file, read-only. Opening an artefact runs its code: checksums find
// damage, not malice.

#ifndef LARIAT_RUNTIME_LOAD_ARTEFACT_H
#define LARIAT_RUNTIME_LOAD_ARTEFACT_H

#include "lariat/Artefact/Abi.h"
#include "lariat/Runtime/Base/Status.h"
#include "lariat/Runtime/Load/Manifest.h"

#include <memory>

namespace lariat::runtime {

/// Which checksums are compared. Sizes are compared always, the checksum of code too.
enum class Verify {
  Full, ///< also the weights', the first time that this process loads the file
  Code, ///< not the weights'
};

struct LoadOptions {
  std::string isa = {}; ///< empty: the first object that this machine runs
  Verify verify = Verify::Full;
};

using EntryFunction = void (*)(const abi::Call *);

class MappedCode;
class MappedFile;

/// A loaded artefact. Not to be used in a child of fork; code and weights are unmapped with it.
class Artefact {
public:
  /// Loads the directory at `path`; `services` outlive the result.
  static Expected<std::unique_ptr<Artefact>> load(const std::string &path, const LoadOptions &options,
                                                  const abi::Services *services);
  ~Artefact();

  const std::string &getPath() const { return path; }
  const Manifest &getManifest() const { return manifest; }
  /// The ISA whose code was chosen.
  const std::string &getIsa() const { return object->isa; }
  /// How that code finds weights and cache entries.
  const Layout &getLayout() const { return *manifest.code->findLayout(object->layout); }
  EntryFunction getEntry(const Function &function) const { return entries[function.index]; }
  /// The kernels that records name, by number.
  const abi::Kernel *getKernels() const { return kernels; }
  /// Null where there are none.
  const std::byte *getWeights() const;
  int64_t getWeightBytes() const;
  /// Unmaps code and weights; the manifest stays.
  void unload();

private:
  Artefact() = default;

  std::string path;
  Manifest manifest;
  const CodeObject *object = nullptr; ///< of the manifest
  std::unique_ptr<MappedCode> code;
  std::unique_ptr<MappedFile> weights;
  std::vector<EntryFunction> entries;
  const abi::Kernel *kernels = nullptr;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_LOAD_ARTEFACT_H
