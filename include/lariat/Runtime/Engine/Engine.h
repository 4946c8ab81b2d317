// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Continuous depth-wise batching: requests come at any time, and each tick runs rows of any mix of sequences,
// depths, of prompts and generated. A tick has three steps:
//   1. mail: requests that were submitted or cancelled by any thread become known
//   2. decide: a TickPlan (Plan.h) of which requests start, while pages last; which rows join, prompts in chunks,
//      generated tokens as rows of their own; which function each row runs; how far ahead requests may draft. Order and
//      drafts are the policy's (Policy.h). Deciding runs nothing and changes nothing.
//   3. execute: what the plan says, without a choice of its own: @prelude for rows that enter, @fill for those that
//      have entries to store, @core for those in the loop, then @coda for chunks whose rows have all left the loop. The
//      logits of the last row of a sequence choose its next token.
// Whether a row leaves is known when its step has run, so no decision is ever late. With `missing = compute` a row
// leaves at its exit and has keys and values to store, for which it runs on with @core, beside the row of the token
// that it chose. A request's results are those it has alone, bit for bit. A row alone in the model runs @forward, all
// steps at once, and so does every row of a model whose loop cannot be split.
//
// A request begins with the rows that another one under its key (KV/PrefixKey.h) has computed, and waits for those that
// another one is about to. Sequences of requests that ended are retained for it while pages last.
//
// A request may speculate: a row drafts its token after a few of its loop steps and runs on, and that token's row
// starts at once. What the row chooses in the end is what counts: a draft that differs is taken back with all rows
// behind it. So results are the same, and come sooner where drafts are often right (Speculation.h).
//
// A call that fails has changed nothing. Without pages for one the next plan of the same tick takes drafts back;
// without drafts, the request that started last is preempted and later computes again what is lost of its rows. A
// request that needs more pages than there are fails; so does one whose logits are no numbers. Others go on.
//
// Plans can be recorded and executed again (Schedule.h): the same requests then run the same calls in the same order.
//
// submit, cancel and getNumUnfinished may be called from any thread, the rest from one thread at a time. Other threads
// reach an engine by its mail alone, behind one lock; a plan is decided without it, from what the thread that ticks
// owns. Only retained rows are shared beyond that, with other engines of the model: where fewer are left than a plan
// counts on, it ends once its requests have started, and another one is decided.

#ifndef LARIAT_RUNTIME_ENGINE_ENGINE_H
#define LARIAT_RUNTIME_ENGINE_ENGINE_H

#include "lariat/Runtime/Engine/Plan.h"
#include "lariat/Runtime/Engine/Policy.h"
#include "lariat/Runtime/Engine/Schedule.h"
#include "lariat/Runtime/Engine/StepFunctions.h"
#include "lariat/Runtime/Sample/Sampler.h"

#include <deque>
#include <mutex>

namespace lariat::runtime {

/// How rows run a loop that can be split.
enum class LoopRun {
  Auto,  ///< a row alone in one call, others step by step
  Steps, ///< step by step
};

struct EngineOptions {
  std::string mode = "generate";
  std::optional<std::string> missing = {};
  int64_t maxRows = 512;                     ///< most rows of a tick
  int64_t chunkRows = 256;                   ///< most rows of a prompt that enter together while others generate
  Order order = Order::Oldest;               ///< of rows that do not all fit a tick, where no policy is given
  std::shared_ptr<EnginePolicy> policy = {}; ///< none: a MeasuredPolicy
  LoopRun loop = LoopRun::Auto;
  bool prefixCache = true; ///< whether requests share rows; without effect where their order is not free
  bool keepsProfile = false;
  std::shared_ptr<Schedule> record = {};       ///< where plans and calls are recorded; null: nowhere
  std::shared_ptr<const Schedule> replay = {}; ///< executed instead of plans of the engine's own; null: those
};

/// One request, which the caller has checked against the model (lariat/Requests/Checks.h).
struct EngineRequest {
  std::vector<int64_t> prompt;
  int64_t loops = 1;
  float threshold = 0;
  /// The order of rows of the prompt decides how it runs: free, in chunks; atomic, whole; sequential, row by row.
  /// Generated rows run one by one; unless their order is free, also when they are computed again.
  RowOrder promptOrder = RowOrder::Free, generatedOrder = RowOrder::Free;
  int64_t prefix = 0;
  int64_t maxNewTokens = 0;
  requests::SamplingOptions sampling;
  std::vector<int64_t> endTokens;     ///< ids that end it, eos and others
  int64_t draftSteps = 0;             ///< loop steps after which a row drafts, below `loops`; 0: it does not
  std::optional<int64_t> drafts = {}; ///< most tokens ahead of verified ones; none: as many as pay
};

enum class Finish { Unfinished, Eos, Length, Stopped, Failed };

/// A token that a request got.
struct EngineToken {
  int64_t request = 0;
  Choice choice;
  int32_t steps = 0; ///< loop steps that the row ran which chose it
};

/// How a request ended.
struct EngineEnd {
  int64_t request = 0;
  Finish finish = Finish::Unfinished;
  std::string error;         ///< one sentence if it failed
  std::vector<CacheUse> use; ///< memory that it had in each cache
};

/// Calls of one function.
struct Timing {
  int64_t calls = 0, rows = 0;
  int64_t promptRows = 0; ///< rows of prompts among them
  double seconds = 0;
};

/// What an engine did since it began.
struct EngineCounts {
  int64_t ticks = 0, preemptions = 0;
  int64_t reusedRows = 0; ///< rows that requests took over from others, at their start and after they were preempted
  int64_t drafted = 0, accepted = 0; ///< tokens; those that are taken back for other reasons are not accepted
  Timing prelude, core, fill, coda, whole;
  int64_t peakPageBytes = 0;
};

class Engine {
public:
  static Expected<std::unique_ptr<Engine>> create(std::shared_ptr<Model> model, EngineOptions options);
  ~Engine();

  /// Queues a request and returns its number, ascending from 0.
  int64_t submit(EngineRequest request);
  /// Queues requests with consecutive numbers; returns the first.
  int64_t submit(std::vector<EngineRequest> requests);
  /// Ends a request as `Stopped` before the next tick; nothing where it has ended. A call of compiled code that runs
  /// for such requests only is given up. An error for a number that was never given, and in a replay, which cancels
  /// what was cancelled when it was recorded.
  Status cancel(int64_t request);
  /// Whether rows run step by step; false also where the loop cannot be split.
  bool runsSteps() const { return steps.has_value(); }
  /// Requests that have been submitted and have not ended.
  int64_t getNumUnfinished() const;

  /// Runs one tick; without requests it does nothing. `stop` is asked while code runs: with yes the tick ends soon, and
  /// the requests of the call that was given up fail with kStoppedMessage. Null: never.
  void tick(StopPoll *stop = nullptr);
  /// Receives requests that were submitted or cancelled, as every tick does first. A replay takes them from its plans.
  void receiveRequests();
  /// The plan that a tick would begin with as things stand, without mail. `startsRequests`: else those that wait do.
  TickPlan decide(bool startsRequests = true) const;
  /// Tokens and ends that the last tick or receiveRequests brought, by ascending request.
  const std::vector<EngineToken> &getTokens() const { return tokens; }
  const std::vector<EngineEnd> &getEnds() const { return ends; }
  const EngineCounts &getCounts() const { return counts; }
  /// Nothing unless EngineOptions::keepsProfile.
  std::optional<EngineProfile> getProfile() const;
  /// Whether requests wait to start.
  bool hasWaiting() const { return !waiting.empty(); }
  /// Drops sequences that are retained. A replay drops them when they were dropped as it was recorded, and does nothing
  /// here until its plans are at their end.
  void clearPrefixes();

private:
  struct RequestState;
  /// Rows of a call, by sequence, with their seats and inputs.
  struct Batch {
    std::vector<Row> rows;
    std::vector<Sequence *> sequences;
    std::vector<RequestState *> owners; ///< of the sequences
    std::vector<ScheduledRow> scheduled;
    std::vector<int64_t> seats;
    std::vector<RowInput> inputs;
  };
  /// `Replan`: the plan could not be executed to its end, so that another one has to be decided.
  enum class Outcome { Done, Replan };

  Engine(std::shared_ptr<Model> model, EngineOptions options, std::optional<StepFunctions> steps,
         const Function *forward);

  // Mail: Engine.cpp.
  std::optional<PrefixKey> makeKey(const EngineRequest &request, bool isBound) const;
  void receive(int64_t number, EngineRequest request);
  void stopRequest(int64_t number);
  /// The next plan, decided or replayed; none where a replay has none.
  std::optional<TickPlan> makePlan(bool continuesTick);

  // Deciding: Decide.cpp. `active`: requests that run or that the plan starts, by number.
  struct ActiveRequest;
  void planStarts(TickPlan &plan, std::vector<ActiveRequest> &active) const;
  /// Whether a request should wait for rows that an active one is about to have in common with it. Else `sharedRows`
  /// are those that it begins with.
  std::optional<PlannedWait> findWait(const RequestState &one, std::span<const ActiveRequest> active,
                                      int64_t &sharedRows) const;
  /// The next rows of a request, from a position on, of `numActive` requests.
  RowChunk makeChunk(const RequestState &one, int64_t position, size_t numActive) const;
  bool mayAddChunk(const RequestState &one) const;
  void planCalls(TickPlan &plan, std::span<const ActiveRequest> active) const;
  /// Gives rows to the functions of a loop that is split.
  void splitRows(const std::vector<ScheduledRow> &rows, TickPlan &plan) const;
  bool runsWhole(const TickPlan &plan, const std::vector<ScheduledRow> &rows,
                 std::span<const ActiveRequest> active) const;
  void planDrafts(TickPlan &plan, std::span<const ActiveRequest> active) const;
  /// Whether the last row of a request is one that drafts, once it has run as many steps as it takes.
  bool mayDraft(const RequestState &one, const TickPlan &plan) const;
  /// Tokens that it may then have ahead of verified ones, with `numAdded` rows that join by the plan.
  int64_t getMaxDrafts(const RequestState &one, const TickPlan &plan, int64_t numAdded) const;
  Remedy chooseRemedy() const;

  // Executing: Execute.cpp.
  Outcome execute(const TickPlan &plan);
  void apply(const Remedy &remedy);
  Outcome startRequests(const TickPlan &plan);
  /// Whether the rest of a plan goes on, where requests that started have the rows that were planned or not.
  Outcome agreeOnStarts(bool isAsPlanned);
  /// Has a free seat for each row of chunks; without memory for them their requests fail.
  Outcome addSeats(std::span<const RowChunk> chunks);
  void addChunk(const RowChunk &chunk);
  Outcome runCalls(const TickPlan &plan);
  Outcome runWhole(const std::vector<ScheduledRow> &rows);
  Outcome runPrelude(const std::vector<ScheduledRow> &rows);
  Outcome runFill(const std::vector<ScheduledRow> &rows);
  Outcome runCore(const std::vector<ScheduledRow> &rows);
  /// Runs @coda for all rows that have left the loop with their chunk, and for those that draft.
  Outcome runCoda(std::span<const DraftLimit> drafts);
  /// `atDepth`: rows at their depths, else at 0.
  Batch buildBatch(std::span<const ScheduledRow> rows, bool atDepth);
  Outcome call(CalledFunction called, const Function &function, const Batch &batch, std::vector<InputArray> inputs,
               int64_t loopSteps);
  /// Runs compiled code. `givesUp`: it ends with its first kernels, so what is left is that it took pages and spoilt
  /// its sequences.
  CallEnd runCode(CalledFunction called, const Function &function, const Batch &batch, std::vector<InputArray> inputs,
                  int64_t loopSteps, bool givesUp);
  void countCall(CalledFunction called, const Batch &batch, double seconds, const LaunchCounts &launches);
  Outcome fail(const Batch &batch, const std::string &why);
  /// Whether every request of a call was cancelled.
  bool areCancelled(const Batch &batch) const;
  Outcome takeResults(const Function &function, const Batch &batch, CalledFunction called);
  void choose(RequestState &one, std::span<const float> logits, int32_t rowSteps);
  /// Its first rows whose @coda has run or may run.
  size_t countFinal(const RequestState &one) const;

  // Start and end: Engine.cpp.
  /// Gives the sequence of a request away, for others to begin with.
  void retain(RequestState &one);
  /// Takes all rows of a request from the scheduler.
  void takeRows(RequestState &one);
  void finish(RequestState &one, Finish how, std::string error);
  /// A request gives its pages back and waits again.
  void preempt(int64_t request);
  /// Forgets requests that ended and rows that are settled.
  void releaseFinished();
  /// What the sequences of this engine hold in each cache.
  std::vector<CacheUse> sumUse() const;

  // Drafts: Speculation.cpp.
  void draft(RequestState &one, std::span<const float> logits);
  /// The token that was drafted first is, in the end, `token`.
  void verify(RequestState &one, int64_t token);
  /// Takes back what is not verified, with its rows and their entries.
  void dropDrafts(RequestState &one);
  /// Drops the drafts of all requests. None drafts again before a request ends.
  void dropAllDrafts();

  // Replaying: Replay.cpp.
  /// Whether plans are left, and nothing was refused.
  bool isReplaying() const;
  /// The next plan of the schedule; none where the tick is over, or it cannot go on: see `refusal`.
  std::optional<TickPlan> replayPlan(bool continuesTick);
  Status replayMail(const Mail &given);
  /// An error where a plan does not fit what is there; else gives its rows their progress.
  Status completePlan(TickPlan &plan) const;
  Status completeCalls(TickPlan &plan, std::span<const ActiveRequest> active) const;
  /// `active` becomes what it is when a plan is decided.
  Status verifyStarts(const TickPlan &plan, std::vector<ActiveRequest> &active) const;
  Status verifyChunks(const TickPlan &plan, std::span<const ActiveRequest> active) const;
  /// What became of the next call of the schedule, which must be this one.
  Expected<CallEnd> replayCall(CalledFunction called, const Batch &batch);
  /// Ends the replay: all requests fail, those to come as well.
  Outcome refuseReplay(const std::string &why);

  std::shared_ptr<Model> model;
  EngineOptions options;
  std::shared_ptr<EnginePolicy> policy;
  std::optional<StepFunctions> steps;
  const Function *forward;
  Scheduler scheduler;
  ForwardInputs forwardInputs;
  SeatRecords records;
  std::vector<int64_t> freeSeats;
  CallResult result;
  std::map<int64_t, std::unique_ptr<RequestState>> running;
  std::deque<std::unique_ptr<RequestState>> waiting;
  std::vector<EngineToken> tokens;
  std::vector<EngineEnd> ends;
  EngineCounts counts;
  std::optional<Profiler> profiler;
  int64_t numStarted = 0;
  StopPoll *stop = nullptr;              ///< of the tick that runs
  bool waitsForEnd = false;              ///< pages ran out: nobody starts or drafts before somebody ends
  bool startsAgain = false;              ///< the last plan ended once its requests had started
  std::optional<std::string> lacksPages; ///< what the last call said, until a remedy
  Mail mail;                             ///< taken since the last plan
  size_t numReplayed = 0, numReplayedCalls = 0;
  std::string refusal; ///< why a replay cannot go on

  mutable std::mutex mutex; ///< of what follows
  std::deque<std::pair<int64_t, EngineRequest>> submitted;
  std::vector<int64_t> cancelled;
  int64_t numSubmitted = 0, numUnfinished = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_ENGINE_H
