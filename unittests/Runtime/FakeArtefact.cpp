// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the artefact and calls its functions.

#include "FakeArtefact.h"

#include "lariat/Artefact/Sha256.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace lariat;
using namespace lariat::runtime;
using nlohmann::json;

static Port values(const char *name, ElementType type, int64_t width) {
  return {.name = name, .type = type, .width = width, .rowSet = 0};
}

static Port rows(const char *name) { return {.name = name, .isRows = true}; }

static Function function(const char *name, std::vector<Port> inputs, std::vector<Port> outputs) {
  Function function;
  function.name = name;
  function.symbol = std::string("lariat_") + name;
  function.cells = static_cast<int64_t>(inputs.size() + outputs.size()) + 2;
  function.inputs = std::move(inputs);
  function.outputs = std::move(outputs);
  function.scratchBytes = 72;
  function.arenaBytesPerRow = 128;
  return function;
}

static Cache cache(const char *name, int64_t layers, ElementType type) {
  Cache cache;
  cache.name = name;
  cache.layers = layers;
  cache.heads = 1;
  cache.dim = 2;
  cache.type = type;
  return cache;
}

/// What a compiler would say of FakeCode.cpp.
static Manifest describe() {
  Manifest manifest;
  manifest.dtype = manifest.kvDtype = "f32";
  manifest.targets = {"future", "none"};
  manifest.modes = {"score"};
  Cache kv = cache("kv", 1, ElementType::F32);
  kv.looped = true;
  kv.depths = kv.slotsAtMost = 4;
  kv.missing = lariat::abi::MissingMode::Skip;
  manifest.caches = {kv, cache("outer", 2, ElementType::BF16)};
  manifest.states = {{.name = "s", .layers = 2, .width = 3}};
  constexpr ElementType f32 = ElementType::F32, index = ElementType::Index;
  manifest::CodeSection &code = manifest.code.emplace();
  code.objects = {{"future", "cpu", "code/future.so", {"a-feature-of-the-future"}, 3},
                  {"none", "cpu", "code/none.so", {}, 3}};
  code.layouts = {{{}, {"weights.bin", 4096}}};
  code.callCaches = {{"call", 1, 1, 2}};
  code.functions = {
      function("double", {rows("rows"), values("ids", ElementType::I32, 0), values("x", f32, 5)},
               {values("y", f32, 5), rows("kept"), rows("wanted")}),
      function("cache",
               {rows("rows"), values("slots", index, 0), values("values", f32, 0), values("options", index, 0)},
               {values("count", index, 0), values("sum", f32, 0)}),
      function("state", {rows("rows")}, {values("sum", f32, 0)}),
      function("mode", {rows("rows")}, {values("modes", index, 0)}),
      function("weights", {rows("rows")}, {values("byte", index, 0)}),
      function("too_many", {rows("rows")}, {values("byte", index, 0)})};
  code.refused = {
      {.mode = lariat::abi::RunMode::Generate, .missing = std::nullopt, .error = "the router is not causal"}};
  return manifest;
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
  manifest = json::parse(manifest::print(describe()));
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
