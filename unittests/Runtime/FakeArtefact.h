// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An artefact in a temporary folder, made of FakeCode.cpp, that tests may damage.

#ifndef LARIAT_UNITTESTS_RUNTIME_FAKEARTEFACT_H
#define LARIAT_UNITTESTS_RUNTIME_FAKEARTEFACT_H

#include "lariat/Runtime/Call/Model.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace lariat::runtime {

class FakeArtefact {
public:
  FakeArtefact();
  ~FakeArtefact();

  std::string path() const { return folder.string(); }
  std::string read(const std::string &file) const;
  void write(const std::string &file, const std::string &bytes) const;
  /// Writes manifest.json from `manifest`.
  void writeManifest() const;
  /// Size and checksum of a file that has been written, into `manifest`.
  void list(const std::string &file);
  /// Opens, with two threads; fails the test and gives null if that is an error.
  std::unique_ptr<Model> open(OpenOptions options = {.threads = 2}) const;
  /// The message of opening it; empty if it opens.
  std::string openError(OpenOptions options = {.threads = 1}) const;

  std::filesystem::path folder;
  nlohmann::json manifest;
};

/// The function with that name; fails the test if there is none.
const Function *find(const Model &model, const std::string &name);

/// One call over rows of caches: see `lariat_cache` of FakeCode.cpp.
struct CacheCall {
  std::vector<Row> rows;
  std::vector<int64_t> slots;
  std::vector<float> values;
  int64_t lookUp = 0, ahead = 0, filled = 0, cache = 0, loops = 1;

  // Results.
  std::vector<int64_t> counts = {};
  std::vector<float> sums = {};

  Status run(Model &model, std::vector<Sequence *> sequences);
};

} // namespace lariat::runtime

#endif // LARIAT_UNITTESTS_RUNTIME_FAKEARTEFACT_H
