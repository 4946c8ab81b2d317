// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the artefact and calls its functions.

#include "FakeArtefact.h"

#include "lariat/Artefact/Sha256.h"
#include "lariat/Artefact/Version.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace lariat;
using namespace lariat::runtime;
using nlohmann::json;

static json values(const char *name, const char *type, int64_t width) {
  return {{"name", name}, {"kind", "values"}, {"type", type}, {"width", width}, {"rows", 0}};
}

static json rows(const char *name) { return {{"name", name}, {"kind", "rows"}}; }

static json function(const char *name, json inputs, json outputs) {
  int64_t numPorts = inputs.size() + outputs.size();
  return {{"name", name},
          {"mode", "score"},
          {"missing", nullptr},
          {"derived", false},
          {"inputs", inputs},
          {"outputs", outputs},
          {"cells", numPorts + 2},
          {"scratch_bytes", 72},
          {"arena_bytes_per_row", 128},
          {"symbol", std::string("lariat_") + name}};
}

FakeArtefact::FakeArtefact() {
  std::string pattern = (std::filesystem::temp_directory_path() / "lariat-test-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  folder = pattern;
  std::filesystem::create_directory(folder / "code");
  std::filesystem::copy_file(LARIAT_FAKE_CODE, folder / "code/none.so");
  std::filesystem::copy_file(LARIAT_FAKE_CODE, folder / "code/future.so");
  std::string weights(4096, 0);
  for (size_t index = 0; index < weights.size(); ++index)
    weights[index] = static_cast<char>(index * 7);
  write("weights.bin", weights);
  json ids = values("ids", "i32", 0);
  manifest = {
      {"format_version", lariat::kArtefactFormatVersion},
      {"lariat_version", lariat::kLariatVersion},
      {"pipeline", "fast"},
      {"caches", {{{"name", "kv"}, {"missing", "skip"}}}},
      {"files", json::object()},
      {"code",
       {{"abi_version", lariat::abi::kAbiVersion},
        {"objects",
         {{{"isa", "future"}, {"file", "code/future.so"}, {"requires", {"a-feature-of-the-future"}}},
          {{"isa", "none"}, {"file", "code/none.so"}, {"requires", json::array()}}}},
        {"weights", {{"file", "weights.bin"}, {"bytes", 4096}}},
        {"caches",
         {{{"name", "kv"},
           {"layers", 1},
           {"heads", 1},
           {"dim", 2},
           {"type", "f32"},
           {"looped", true},
           {"slots_at_most", 4}},
          {{"name", "outer"},
           {"layers", 2},
           {"heads", 1},
           {"dim", 2},
           {"type", "bf16"},
           {"looped", false},
           {"slots_at_most", nullptr}}}},
        {"call_caches",
         {{{"name", "call"},
           {"layers", 1},
           {"heads", 1},
           {"dim", 2},
           {"type", "f32"},
           {"looped", false},
           {"slots_at_most", 1}}}},
        {"states", {{{"name", "s"}, {"layers", 2}, {"width", 3}, {"type", "f32"}}}},
        {"functions",
         {function("double", {rows("rows"), ids, values("x", "f32", 5)},
                   {values("y", "f32", 5), rows("kept"), rows("wanted")}),
          function(
              "cache",
              {rows("rows"), values("slots", "index", 0), values("values", "f32", 0), values("options", "index", 0)},
              {values("count", "index", 0), values("sum", "f32", 0)}),
          function("state", {rows("rows")}, {values("sum", "f32", 0)}),
          function("mode", {rows("rows")}, {values("modes", "index", 0)}),
          function("weights", {rows("rows")}, {values("byte", "index", 0)}),
          function("too_many", {rows("rows")}, {values("byte", "index", 0)})}},
        {"refused",
         {{{"mode", "generate"}, {"missing", nullptr}, {"derived", false}, {"error", "the router is not causal"}}}}}}};
  for (const char *file : {"code/none.so", "code/future.so", "weights.bin"})
    list(file);
  writeManifest();
}

FakeArtefact::~FakeArtefact() {
  std::error_code code;
  std::filesystem::remove_all(folder, code);
}

std::string FakeArtefact::read(const std::string &file) const {
  std::ifstream stream(folder / file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void FakeArtefact::write(const std::string &file, const std::string &bytes) const {
  std::ofstream stream(folder / file, std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void FakeArtefact::writeManifest() const { write("manifest.json", manifest.dump(2)); }

void FakeArtefact::list(const std::string &file) {
  std::string bytes = read(file);
  std::optional<std::string> sum = computeSha256(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(sum);
  manifest["files"][file] = {{"bytes", bytes.size()}, {"sha256", *sum}};
}

std::unique_ptr<Model> FakeArtefact::open(OpenOptions options) const {
  Expected<std::unique_ptr<Model>> model = Model::open(path(), options);
  EXPECT_TRUE(model) << (model ? "" : model.text());
  return model ? std::move(*model) : nullptr;
}

std::string FakeArtefact::openError(OpenOptions options) const {
  Expected<std::unique_ptr<Model>> model = Model::open(path(), options);
  return model ? "" : model.text();
}

const Function *lariat::runtime::find(const Model &model, const std::string &name) {
  Expected<const Function *> function = model.findFunction({.name = name});
  EXPECT_TRUE(function) << (function ? "" : function.text());
  return function ? *function : nullptr;
}

Status CacheCall::run(Model &model, std::vector<Sequence *> sequences) {
  auto numRows = static_cast<int64_t>(rows.size());
  std::vector<int64_t> options(numRows, lookUp | ahead << 8 | filled << 16 | cache << 24);
  CallRequest request{.function = find(model, "cache"),
                      .sequences = sequences,
                      .rows = rows,
                      .inputs = {{}, {slots.data(), numRows}, {values.data(), numRows}, {options.data(), numRows}},
                      .loops = loops};
  CallResult result;
  if (Status status = model.call(request, result))
    return status;
  counts.assign(result.outputs[0].line<int64_t>(0), result.outputs[0].line<int64_t>(0) + result.outputs[0].numRows);
  sums.assign(result.outputs[1].line<float>(0), result.outputs[1].line<float>(0) + result.outputs[1].numRows);
  return Status::success();
}
