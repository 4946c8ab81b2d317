// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. What an engine did, to do it again: plans in order, with their calls and what became of them. An engine whose
// options name a schedule to replay takes plans, mail, cancelled requests and calls that were given up from it, so that
// neither time nor other threads decide anything. Requests have to be those of the recording, submitted in the same
// order before the plans that receive them, and the model has to have as many pages, which nobody else takes: a call
// that lacked some has to lack them again. Anything else ends the replay with a sentence, which all requests fail with.

#ifndef LARIAT_RUNTIME_ENGINE_SCHEDULE_H
#define LARIAT_RUNTIME_ENGINE_SCHEDULE_H

#include "lariat/Runtime/Base/Status.h"
#include "lariat/Runtime/Engine/Plan.h"
#include "lariat/Runtime/Engine/Profile.h"

namespace lariat::runtime {

struct EngineRequest;

/// How a call ended.
struct CallEnd {
  enum class Kind {
    Done,
    LacksPages,
    Cancelled, ///< given up, as all of its requests were cancelled
    Failed,
  };
  Kind kind = Kind::Done;
  std::string why; ///< unless Done

  bool operator==(const CallEnd &) const = default;
};

struct RecordedCall {
  CalledFunction called = CalledFunction::Core;
  std::vector<ScheduledRow> rows; ///< in the order of the call; progress is not recorded
  CallEnd end;

  bool operator==(const RecordedCall &) const = default;
};

/// A plan and the calls that executed it.
struct RecordedPlan {
  TickPlan plan;
  bool endsAtStarts = false; ///< a request began with fewer rows than were planned, so nothing else was executed
  std::vector<RecordedCall> calls = {};

  bool operator==(const RecordedPlan &) const = default;
};

struct Schedule {
  std::string model; ///< Manifest::digest
  std::string mode;
  std::optional<std::string> missing;
  bool splitsLoop = false;
  std::vector<std::string> requests = {}; ///< digestRequest of each, by number
  std::vector<RecordedPlan> plans = {};

  bool operator==(const Schedule &) const = default;

  /// As JSON.
  std::string write() const;
  static Expected<Schedule> read(std::string_view text);
};

/// A checksum of a request's options and of the bounds of its loop steps, which tells it from others.
std::string digestRequest(const EngineRequest &request, std::span<const int64_t> stepBounds);

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_SCHEDULE_H
