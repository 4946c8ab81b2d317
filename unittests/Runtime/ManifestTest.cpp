// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The schema of manifest.json against itself: what is written is read, and every key in turn is left out, given a wrong
// type or joined by one that nobody knows. None of that is read as a manifest, and each is a sentence that names the
// key.

#include "lariat/Artefact/Manifest.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace lariat;
using namespace lariat::manifest;
using nlohmann::json;

static Port value(lariat::abi::ElementType type, int64_t width = 0) {
  return {.name = "x", .type = type, .width = width, .rowSet = 0};
}

static Function makePrelude() {
  Function prelude;
  prelude.name = prelude.symbol = "prelude";
  prelude.missing = lariat::abi::MissingMode::Compute;
  prelude.derived = true;
  prelude.inputs = {value(lariat::abi::ElementType::I32), {.name = "rows", .isRows = true}};
  prelude.inputs[0].rowSet = 1;
  prelude.outputs = {value(lariat::abi::ElementType::I1), value(lariat::abi::ElementType::F32, 8),
                     value(lariat::abi::ElementType::Index)};
  prelude.record = {lariat::abi::RecordPart::Entered, lariat::abi::RecordPart::Carried, lariat::abi::RecordPart::Max};
  prelude.cells = 8;
  return prelude;
}

/// A manifest that has every key of the schema.
static Manifest makeFull() {
  Manifest manifest;
  manifest.dtype = manifest.kvDtype = "f32";
  manifest.targets = {"avx2"};
  manifest.modes = {"score"};
  manifest.model = {.family = "m", .vocab = 320, .context = 64, .eos = {1, 2}, .shape = "one block"};
  manifest.loops = {.defaultSteps = 4, .minSteps = 1, .maxSteps = 8, .stepsWithExit = 6};
  manifest.exit = {.rule = "r", .never = 1, .low = 0, .high = 1, .declared = 0.5, .usual = 0.25};
  manifest.traits = {.computeRefusal = "no", .cutReason = "so", .depthWeights = {{"w", 3}}};
  Cache cache;
  cache.name = "kv";
  cache.layers = cache.heads = cache.dim = 2;
  cache.depths = cache.slotsAtMost = 4;
  cache.declared = "#lariat.first";
  cache.missing = lariat::abi::MissingMode::Skip;
  cache.allowed = {lariat::abi::MissingMode::Skip, lariat::abi::MissingMode::Propagate};
  cache.filling = {lariat::abi::MissingMode::Propagate};
  manifest.caches = {cache};
  manifest.states = {{.name = "s", .layers = 1, .width = 8}};
  CodeSection &code = manifest.code.emplace();
  code.objects = {{"avx2", "cpu", "code/avx2.so", {"avx2"}}};
  code.layouts = {{{}, {"weights.bin", 64}}};
  code.sums = {"#kernel.sum<segments, size = 64>", "#kernel.sum<chain>"};
  code.callCaches = {{"call", 1, 1, 2}};
  code.ropeTables = {{.lineBytes = 64, .positions = 64, .pairs = 4}};
  code.functions = {makePrelude()};
  code.refused = {{.missing = lariat::abi::MissingMode::Skip, .error = "no"}};
  for (const char *file : {"code/avx2.so", "weights.bin"})
    manifest.files[file] = {64, std::string(64, 'a')};
  return manifest;
}

static std::string problemOf(const json &manifest) {
  std::string problem;
  bool isRead = parse(manifest.dump(), "m.json", problem).has_value();
  EXPECT_EQ(isRead, problem.empty()) << problem;
  return problem;
}

/// The first value of a manifest that a place of the schema, as "caches[].name", speaks of, and the object it is in.
struct Found {
  json *object;
  std::string key;
};

static Found find(json &manifest, std::string place) {
  json *object = &manifest;
  for (size_t end = place.find('.'); end != std::string::npos; end = place.find('.')) {
    std::string part = place.substr(0, end);
    place = place.substr(end + 1);
    if (part == "*") {
      object = &object->begin().value();
    } else if (part.ends_with("[]")) {
      object = &object->at(part.substr(0, part.size() - 2)).at(0);
    } else {
      object = &object->at(part);
    }
  }
  return {object, place};
}

TEST(Manifest, readsWhatIsWritten) {
  std::string text = print(makeFull()), problem;
  std::optional<Manifest> read = parse(text, "m.json", problem);
  ASSERT_TRUE(read) << problem;
  EXPECT_EQ(print(*read), text);
}

TEST(Manifest, everyKeyIsInTheFullOne) {
  json full = json::parse(print(makeFull()));
  for (const Key &key : listKeys()) {
    Found found = find(full, key.place);
    EXPECT_TRUE(found.object->contains(found.key) && !found.object->at(found.key).is_null()) << key.place;
  }
}

TEST(Manifest, aKeyThatIsLeftOut) {
  for (const Key &key : listKeys()) {
    json changed = json::parse(print(makeFull()));
    Found found = find(changed, key.place);
    found.object->erase(found.key);
    std::string problem = problemOf(changed);
    if (!key.isOptional || !problem.empty())
      EXPECT_NE(problem.find("'" + found.key + "'"), std::string::npos) << key.place << ": " << problem;
  }
}

TEST(Manifest, aKeyOfAWrongType) {
  for (const Key &key : listKeys()) {
    json changed = json::parse(print(makeFull()));
    Found found = find(changed, key.place);
    json &value = found.object->at(found.key);
    value = value.is_structured() ? json(3) : json::object();
    std::string problem = problemOf(changed);
    EXPECT_NE(problem.find("'" + found.key + "'"), std::string::npos) << key.place << ": " << problem;
  }
}

TEST(Manifest, aKeyThatNobodyKnows) {
  for (const Key &key : listKeys()) {
    if (key.place.find(".*") != std::string::npos)
      continue;
    json changed = json::parse(print(makeFull()));
    Found found = find(changed, key.place);
    (*found.object)[found.key + "_more"] = 1;
    EXPECT_NE(problemOf(changed).find("'" + found.key + "_more' is no key of this version"), std::string::npos)
        << key.place;
  }
}

TEST(Manifest, aKeyThatIsThereTwice) {
  std::string problem, text = print(makeFull());
  EXPECT_FALSE(parse(text.insert(1, "\"dtype\": \"bf16\","), "m.json", problem));
  EXPECT_EQ(problem, "m.json: key 'dtype' is there twice");
}

TEST(Manifest, wordsOfAnEnumerationAreItsNames) {
  json changed = json::parse(print(makeFull()));
  changed["caches"][0]["prompt"]["slot"] = "latest";
  EXPECT_EQ(problemOf(changed),
            "m.json: 'caches[0]': 'prompt': 'slot': expected own, first, shared or ring, found \"latest\"");
}

TEST(Manifest, sharedSlotsAreSome) {
  json changed = json::parse(print(makeFull()));
  changed["caches"][0]["generated"]["slot"] = "ring";
  EXPECT_EQ(problemOf(changed), "m.json: 'caches[0]': 'generated': 'slots': expected at least 1 of a rule that shares "
                                "slots, found 0");
}

TEST(Manifest, theRecordIsThatOfTheOutputs) {
  auto errorWith = [](json record) {
    json changed = json::parse(print(makeFull()));
    changed["code"]["functions"][0]["record"] = std::move(record);
    return problemOf(changed);
  };
  EXPECT_EQ(errorWith({"entered", "carried", "max"}), "");
  EXPECT_EQ(errorWith(json::array()), "");
  for (const json &record : {json{"entered", "max"}, json{"entered", "carried", "max", "coda"},
                             json{"carried", "entered", "max"}, json{"entered", "max", "coda"}})
    EXPECT_NE(errorWith(record).find("'record': expected the part of each output"), std::string::npos) << record;
}

TEST(Manifest, numbersThatFollowFromOthers) {
  json changed = json::parse(print(makeFull()));
  changed["caches"][0]["page_bytes"] = 64;
  EXPECT_EQ(problemOf(changed), "m.json: 'caches[0]': 'page_bytes': expected 4096, as other keys say, found 64");
}

TEST(Manifest, layoutsHaveNamesOfTheirOwn) {
  json changed = json::parse(print(makeFull()));
  json &layouts = changed["code"]["layouts"];
  layouts.push_back(layouts[0]);
  EXPECT_EQ(problemOf(changed), "m.json: 'code': 'layouts': 'cpu' is there twice");
}

TEST(Manifest, theDocumentHasEveryKey) {
  std::ifstream file(LARIAT_SOURCE_DIR "/docs/artefact.md");
  std::stringstream document;
  document << file.rdbuf();
  std::string text = document.str();
  size_t numLines = 0;
  for (size_t at = text.find("\n| `", text.find("\n## manifest.json")); at != std::string::npos;
       at = text.find("\n| `", at + 1))
    ++numLines;
  std::vector<Key> keys = listKeys();
  for (const Key &key : keys) {
    std::string line = "\n| `" + key.place + "` | " + key.kind + (key.isOptional ? ", or nothing" : "") + " | ";
    EXPECT_NE(text.find(line), std::string::npos) << "docs/artefact.md lacks" << line;
  }
  EXPECT_EQ(numLines, keys.size()) << "docs/artefact.md has lines for what is no key";
}
