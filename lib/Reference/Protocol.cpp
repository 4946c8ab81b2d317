// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes requests apart and puts answers together. Refused: unknown keys, missing ones, values of another type.

#include "lariat/Reference/Protocol.h"

#include "lariat/Support/Error.h"
#include "lariat/Support/Json.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace lariat;
using namespace lariat::reference;
using namespace lariat::requests;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

namespace {

/// Reads the keys of a request; the first thing wrong is kept, later reads give defaults.
class Reader {
public:
  explicit Reader(const json::Object &object) : object(object) { known.insert("call"); }

  template <typename T>
  void read(StringRef key, std::optional<T> &value) {
    if (const json::Value *found = get(key)) {
      T read{};
      if (convert(*found, read))
        value = std::move(read);
      else
        fail("'" + key + "' of the request is not " + describe(read));
    }
  }
  template <typename T>
  void read(StringRef key, T &value) {
    std::optional<T> read;
    this->read(key, read);
    if (read)
      value = std::move(*read);
  }
  template <typename T>
  void require(StringRef key, T &value) {
    if (!get(key))
      fail("the request has no '" + key + "'");
    read(key, value);
  }
  /// Marks a key that the caller reads itself.
  void acknowledge(StringRef key) { known.insert(key); }
  void fail(const Twine &text) {
    if (message.empty())
      message = text.str();
  }
  /// Success if everything was read and nothing is left.
  llvm::Error finish();

private:
  /// The value of a key; null counts as absent.
  const json::Value *get(StringRef key) {
    known.insert(key);
    const json::Value *value = object.get(key);
    return value && value->kind() != json::Value::Null ? value : nullptr;
  }
  static bool convert(const json::Value &value, int64_t &result);
  static bool convert(const json::Value &value, uint64_t &result);
  static bool convert(const json::Value &value, double &result);
  static bool convert(const json::Value &value, bool &result);
  static bool convert(const json::Value &value, std::string &result);
  static bool convert(const json::Value &value, std::vector<std::vector<int64_t>> &result);
  static bool convert(const json::Value &value, std::vector<Share> &result);
  static StringRef describe(int64_t) { return "an integer"; }
  static StringRef describe(uint64_t) { return "a non-negative integer"; }
  static StringRef describe(double) { return "a number"; }
  static StringRef describe(bool) { return "true or false"; }
  static StringRef describe(const std::string &) { return "a string"; }
  static StringRef describe(const std::vector<std::vector<int64_t>> &) { return "a list of lists of token ids"; }
  static StringRef describe(const std::vector<Share> &) { return "a list of pairs of integers"; }

  const json::Object &object;
  llvm::StringSet<> known;
  std::string message;
};

} // namespace

bool Reader::convert(const json::Value &value, int64_t &result) {
  std::optional<int64_t> integer = value.getAsInteger();
  result = integer.value_or(0);
  return integer.has_value();
}

bool Reader::convert(const json::Value &value, uint64_t &result) {
  std::optional<uint64_t> integer = value.getAsUINT64();
  result = integer.value_or(0);
  return integer.has_value();
}

bool Reader::convert(const json::Value &value, double &result) {
  std::optional<double> number = value.getAsNumber();
  result = number.value_or(0);
  return number && std::isfinite(*number);
}

bool Reader::convert(const json::Value &value, bool &result) {
  std::optional<bool> boolean = value.getAsBoolean();
  result = boolean.value_or(false);
  return boolean.has_value();
}

bool Reader::convert(const json::Value &value, std::string &result) {
  std::optional<StringRef> string = value.getAsString();
  result = string.value_or("").str();
  return string.has_value();
}

bool Reader::convert(const json::Value &value, std::vector<std::vector<int64_t>> &result) {
  const json::Array *sequences = value.getAsArray();
  if (!sequences)
    return false;
  for (const json::Value &sequence : *sequences) {
    const json::Array *ids = sequence.getAsArray();
    if (!ids)
      return false;
    std::vector<int64_t> &row = result.emplace_back();
    for (const json::Value &id : *ids) {
      std::optional<int64_t> integer = id.getAsInteger();
      if (!integer)
        return false;
      row.push_back(*integer);
    }
  }
  return true;
}

bool Reader::convert(const json::Value &value, std::vector<Share> &result) {
  std::vector<std::vector<int64_t>> pairs;
  if (!convert(value, pairs) || llvm::any_of(pairs, [](const auto &pair) { return pair.size() != 2; }))
    return false;
  for (const std::vector<int64_t> &pair : pairs)
    result.push_back({pair[0], pair[1]});
  return true;
}

llvm::Error Reader::finish() {
  if (!message.empty())
    return makeError(message);
  std::vector<StringRef> keys;
  for (const auto &[key, value] : object)
    keys.push_back(key);
  llvm::sort(keys);
  for (StringRef key : keys)
    if (!known.contains(key))
      return makeError("the request has the unknown key '" + key + "'");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

static void readCommon(Reader &reader, const json::Object &object, Request &request) {
  reader.require("sequences", request.sequences);
  reader.read("loops", request.loops);
  request.noExit = object.getString("threshold") == "off";
  if (request.noExit)
    reader.acknowledge("threshold");
  else
    reader.read("threshold", request.threshold);
  reader.read("missing", request.missing);
  reader.read("prefix", request.prefix);
}

/// `derived`: false, "lockstep" or "staggered".
static Form readForm(Reader &reader, const json::Object &object) {
  const json::Value *value = object.get("derived");
  reader.acknowledge("derived");
  if (!value || value->getAsNull() || value->getAsBoolean() == false)
    return Form::Forward;
  StringRef word = value->getAsString().value_or("");
  if (word != "lockstep" && word != "staggered")
    reader.fail("'derived' of the request is not false, \"lockstep\" or \"staggered\"");
  return word == "staggered" ? Form::Staggered : Form::Lockstep;
}

static std::vector<float> copyFloats(const HostTensor &tensor) {
  size_t count = tensor.getNumRows() * tensor.getRowBytes() / sizeof(float);
  return {tensor.data<float>(), tensor.data<float>() + count};
}

/// Writes tensors and gives the part of the answer that tells of them.
static llvm::Expected<json::Object> writeScores(std::vector<SequenceScores> scores, StringRef output, bool withSteps) {
  SafetensorsWriter writer;
  json::Array steps, slots;
  for (auto [sequence, score] : llvm::enumerate(scores)) {
    std::string suffix = "." + std::to_string(sequence);
    if (!score.logits.getShape().empty())
      writer.addFloats("logits" + suffix, score.logits.getShape(), copyFloats(score.logits));
    if (!score.hidden.getShape().empty())
      writer.addFloats("hidden" + suffix, score.hidden.getShape(), copyFloats(score.hidden));
    if (withSteps)
      writer.addInts("steps" + suffix, {static_cast<int64_t>(score.steps.size())}, score.steps);
    steps.push_back(json::Array(score.steps));
    slots.push_back(std::move(score.slots));
  }
  if (llvm::Error error = writer.write(output))
    return std::move(error);
  json::Object answer{{"ok", true}};
  if (withSteps) {
    answer["steps"] = std::move(steps);
    answer["slots"] = std::move(slots);
  }
  return answer;
}

static llvm::Expected<json::Object> answerScore(Session &session, const json::Object &object) {
  Reader reader(object);
  ScoreRequest request;
  std::string output, initialState;
  readCommon(reader, object, request);
  reader.require("output", output);
  reader.read("mode", request.mode);
  reader.read("initial_state", initialState);
  reader.read("chunk", request.chunk);
  reader.read("capacity", request.capacity);
  request.form = readForm(reader, object);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  llvm::Expected<std::vector<SequenceScores>> scores = session.score(request, initialState);
  if (!scores)
    return scores.takeError();
  return writeScores(std::move(*scores), output, /*withSteps=*/true);
}

static llvm::Expected<json::Object> answerEncode(Session &session, const json::Object &object) {
  Reader reader(object);
  Request request;
  std::string output;
  reader.require("sequences", request.sequences);
  reader.require("output", output);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  llvm::Expected<std::vector<SequenceScores>> scores = session.encode(request);
  if (!scores)
    return scores.takeError();
  return writeScores(std::move(*scores), output, /*withSteps=*/false);
}

static llvm::Expected<json::Object> answerGenerate(Session &session, const json::Object &object, LineCallback write) {
  Reader reader(object);
  GenerateRequest request;
  readCommon(reader, object, request);
  reader.require("max_new_tokens", request.maxNewTokens);
  reader.read("temperature", request.sampling.temperature);
  reader.read("seed", request.sampling.seed);
  reader.read("ignore_eos", request.ignoreEos);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  auto onToken = [&](int64_t sequence, int64_t token, int32_t steps) {
    write(json::Object{{"sequence", sequence}, {"token", token}, {"steps", steps}});
  };
  llvm::Expected<std::vector<SequenceTokens>> sequences = session.generate(request, onToken);
  if (!sequences)
    return sequences.takeError();
  json::Array results, slots;
  for (SequenceTokens &sequence : *sequences) {
    results.push_back(json::Object{{"tokens", json::Array(sequence.tokens)},
                                   {"steps", json::Array(sequence.steps)},
                                   {"finish", sequence.ended ? "eos" : "length"}});
    slots.push_back(std::move(sequence.slots));
  }
  return json::Object{{"ok", true}, {"results", std::move(results)}, {"slots", std::move(slots)}};
}

static llvm::Expected<json::Object> answer(Session &session, StringRef line, LineCallback write) {
  llvm::Expected<json::Value> value = parseJson(line);
  if (!value)
    return makeError("the request is not valid JSON: " + toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return makeError("the request is not a JSON object");
  std::optional<StringRef> call = object->getString("call");
  if (!call)
    return makeError("the request has no string 'call'");
  if (*call == "score")
    return answerScore(session, *object);
  if (*call == "encode")
    return answerEncode(session, *object);
  if (*call == "generate")
    return answerGenerate(session, *object, write);
  if (*call != "info")
    return makeError("the call '" + *call + "' is not known, expected info, score, encode or generate");
  Reader reader(*object);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  llvm::Expected<json::Value> manifest = parseJson(manifest::print(session.getManifest()));
  if (!manifest)
    return manifest.takeError();
  return json::Object{{"ok", true}, {"manifest", std::move(*manifest)}};
}

void lariat::reference::answerLine(Session &session, StringRef line, LineCallback write) {
  llvm::Expected<json::Object> result = answer(session, line, write);
  if (result)
    return write(std::move(*result));
  write(json::Object{{"error", json::fixUTF8(toString(result.takeError()))}});
}
