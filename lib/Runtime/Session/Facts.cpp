// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads what a session needs of a manifest. Refused: a field that is missing or out of its range. Bounds are those that
// the compiler sets.

#include "lariat/Runtime/Session/Facts.h"

#include "../Load/JsonReader.h"

#include <algorithm>
#include <limits>

using namespace lariat;
using namespace lariat::runtime;

static constexpr int64_t kMostIndex = std::numeric_limits<int32_t>::max();
static constexpr int64_t kMostSteps = int64_t(1) << 20;

int64_t SessionFacts::getNumSlots(size_t cache, int64_t loops) const {
  const requests::CacheRule &rule = caches[cache];
  std::optional<int64_t> most = cacheShapes[cache].slotsAtMost;
  int64_t reached = loops * rule.depthFactor;
  int64_t slots = rule.depths ? most.value_or(*rule.depths) : std::min(reached, most.value_or(reached));
  return std::max<int64_t>(slots, 1);
}

/// A field that may be a whole number or a fraction.
static double readNumber(const JsonReader &reader, const nlohmann::json &object, const char *key) {
  auto it = object.find(key);
  if (it != object.end() && it->is_number())
    return it->get<double>();
  reader.fail(makeError(reader.getPlace(), ": '", key, "': expected a number"));
  return 0;
}

/// Whole numbers of a list.
static std::vector<int64_t> readIds(const JsonReader &reader, const nlohmann::json &object, const char *key) {
  std::vector<int64_t> ids;
  auto it = object.find(key);
  bool right = it != object.end() && it->is_array() &&
               std::ranges::all_of(*it, [](const nlohmann::json &id) { return id.is_number_integer(); });
  if (!right)
    reader.fail(makeError(reader.getPlace(), ": '", key, "': expected a list of token ids"));
  else
    for (const nlohmann::json &id : *it)
      ids.push_back(id.get<int64_t>());
  return ids;
}

static void readModel(const JsonReader &top, const nlohmann::json &json, SessionFacts &facts) {
  JsonReader model = top.object("model"), loops = top.object("loops");
  facts.kind = model.string("kind");
  facts.vocab = model.integer("vocab", 1, kMostIndex);
  facts.context = model.integer("context", 1, kMostIndex);
  if (model.has("eos"))
    facts.eos = readIds(model, json["model"], "eos");
  facts.loops = {loops.integer("default", 0, kMostSteps), loops.integer("min", 0, kMostSteps),
                 loops.integer("max", 0, kMostSteps), loops.optionalInteger("with_exit", 0, kMostSteps).value_or(0)};
  std::vector<std::string> modes = top.strings("modes");
  facts.lacksDecodeRule = facts.isDecoder() && std::ranges::find(modes, "generate") == modes.end();
}

static void readExit(const JsonReader &top, const nlohmann::json &json, SessionFacts &facts) {
  auto it = json.find("exit");
  if (it == json.end() || it->is_null())
    return;
  JsonReader exit = top.object("exit");
  if (!it->is_object())
    return;
  if (!exit.has("never")) {
    facts.exit = {.rule = exit.string("rule"), .hasThreshold = false};
    return;
  }
  facts.exit = {.rule = exit.string("rule"),
                .never = readNumber(exit, *it, "never"),
                .low = readNumber(exit, *it, "low"),
                .high = readNumber(exit, *it, "high")};
  if (exit.has("default"))
    facts.exit->declared = readNumber(exit, *it, "default");
}

static requests::SlotOrder getSlotOrder(const SlotRule &rule) {
  bool shares = rule.kind == SlotRule::Shared || rule.kind == SlotRule::Ring;
  return shares ? requests::SlotOrder{rule.slots, rule.order} : requests::SlotOrder();
}

static void readCaches(const JsonReader &top, const Manifest &manifest, SessionFacts &facts) {
  for (const JsonReader &cache : top.objects("caches"))
    if (std::vector<std::string> allowed = cache.strings("allowed"); !allowed.empty())
      facts.allowedMissing = std::move(allowed);
  for (const JsonReader &cache : top.object("code").objects("caches")) {
    const Cache &rules = manifest.caches[facts.caches.size()];
    facts.caches.push_back({.name = cache.string("name"),
                            .looped = cache.boolean("looped"),
                            .depthFactor = rules.depthFactor,
                            .depths = cache.optionalInteger("depths", 1, kMostSteps),
                            .prompt = getSlotOrder(rules.prompt),
                            .generated = getSlotOrder(rules.generated)});
    facts.cacheShapes.push_back(
        {cache.integer("layers", 1, kMostSteps), cache.optionalInteger("slots_at_most", 1, kMostSteps)});
  }
}

static void readTraits(const JsonReader &traits, SessionFacts &facts) {
  facts.computeRefusal = traits.optionalString("compute_refused").value_or("");
  facts.cutReason = traits.optionalString("cuts").value_or("");
  facts.mixesCallRows = traits.boolean("mixes_call_rows");
  facts.hasTopK = traits.boolean("top_k");
  facts.hasPrefixMask = traits.boolean("prefix_mask");
  for (const JsonReader &weight : traits.objects("depth_weights"))
    facts.depthWeights.push_back({weight.string("name"), weight.integer("depths", 1, kMostSteps)});
}

Expected<SessionFacts> lariat::runtime::readSessionFacts(const Manifest &manifest, const std::string &place) {
  SessionFacts facts;
  Status status;
  JsonReader top(manifest.json, place, status);
  readModel(top, manifest.json, facts);
  readExit(top, manifest.json, facts);
  readCaches(top, manifest, facts);
  readTraits(top.object("code").object("traits"), facts);
  facts.hasStates = !manifest.states.empty();
  if (!status.ok())
    return status.takeError();
  if (facts.kind != "decoder" && facts.kind != "encoder")
    return makeError(place, ": 'model': kind '", facts.kind, "', expected decoder or encoder");
  return facts;
}
