// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes requests apart and puts answers together. Refused: unknown keys, missing ones, values of another type.

#include "lariat/Reference/Protocol.h"

#include "lariat/Reference/Error.h"
#include "lariat/Requests/Options.h"
#include "lariat/Support/Error.h"
#include "lariat/Support/Json.h"
#include "llvm/ADT/STLExtras.h"

using namespace lariat;
using namespace lariat::reference;
using namespace lariat::requests;
using llvm::StringRef;
using llvm::Twine;
namespace json = llvm::json;

namespace {

/// The keys of a request that are no options; the first thing wrong is kept.
class Reader {
public:
  explicit Reader(const json::Object &object) : object(object) {}

  /// The sequences, and what else every call has.
  void read(Request &request);
  /// A text, empty where there is none. Null counts as absent.
  std::string readText(StringRef key, bool isRequired);
  /// Success if nothing was wrong.
  llvm::Error finish() { return message.empty() ? llvm::Error::success() : makeError(message); }

private:
  void fail(const Twine &text) {
    if (message.empty())
      message = text.str();
  }

  const json::Object &object;
  std::string message;
};

} // namespace

/// Lists of lists of ids.
static bool convert(const json::Value *value, std::vector<std::vector<int64_t>> &result) {
  const json::Array *sequences = value->getAsArray();
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

void Reader::read(Request &request) {
  const json::Value *value = object.get("sequences");
  if (!value || value->getAsNull())
    fail("the request has no 'sequences'");
  else if (!convert(value, request.sequences))
    fail("'sequences' of the request is not a list of lists of token ids");
}

std::string Reader::readText(StringRef key, bool isRequired) {
  const json::Value *value = object.get(key);
  bool isThere = value && !value->getAsNull();
  if (isThere && !value->getAsString())
    fail("'" + key + "' of the request is not a string");
  if (!isThere && isRequired)
    fail("the request has no '" + key + "'");
  return isThere ? value->getAsString().value_or("").str() : std::string();
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Success, or an error for a key that is not one of a call without options.
static llvm::Error verifyKeys(const json::Object &object, llvm::ArrayRef<StringRef> known) {
  std::vector<StringRef> keys;
  for (const auto &[key, value] : object)
    keys.push_back(key);
  llvm::sort(keys);
  for (StringRef key : keys)
    if (!llvm::is_contained(known, key))
      return makeError("the request has the unknown key '" + key + "'");
  return llvm::Error::success();
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

static llvm::Expected<json::Object> answerScore(Session &session, const json::Object &object, StringRef line) {
  Reader reader(object);
  ScoreRequest request;
  reader.read(request);
  std::string output = reader.readText("output", /*isRequired=*/true);
  std::string initialState = reader.readText("initial_state", /*isRequired=*/false);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  static constexpr std::string_view others[] = {"call", "sequences", "output", "initial_state"};
  if (runtime::Status status = readOptions(line, request, others))
    return toError(status.takeError());
  llvm::Expected<std::vector<SequenceScores>> scores = session.score(request, initialState);
  if (!scores)
    return scores.takeError();
  return writeScores(std::move(*scores), output, /*withSteps=*/true);
}

static llvm::Expected<json::Object> answerEncode(Session &session, const json::Object &object) {
  Reader reader(object);
  Request request;
  reader.read(request);
  std::string output = reader.readText("output", /*isRequired=*/true);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  if (llvm::Error error = verifyKeys(object, {"call", "sequences", "output"}))
    return std::move(error);
  llvm::Expected<std::vector<SequenceScores>> scores = session.encode(request);
  if (!scores)
    return scores.takeError();
  return writeScores(std::move(*scores), output, /*withSteps=*/false);
}

static llvm::Expected<json::Object> answerGenerate(Session &session, const json::Object &object, StringRef line,
                                                   LineCallback write) {
  Reader reader(object);
  GenerateRequest request;
  reader.read(request);
  if (llvm::Error error = reader.finish())
    return std::move(error);
  static constexpr std::string_view others[] = {"call", "sequences"};
  if (runtime::Status status = readOptions(line, request, others))
    return toError(status.takeError());
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
    return answerScore(session, *object, line);
  if (*call == "encode")
    return answerEncode(session, *object);
  if (*call == "generate")
    return answerGenerate(session, *object, line, write);
  if (*call != "info")
    return makeError("the call '" + *call + "' is not known, expected info, score, encode or generate");
  if (llvm::Error error = verifyKeys(*object, {"call"}))
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
