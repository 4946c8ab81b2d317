// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Public. Continuous depth-wise batching: requests come at any time, and each tick runs rows of any mix of sequences,
// depths and phases. One tick:
//   1. requests that wait start while pages last; prompts enter in chunks, generated tokens as rows of their own
//   2. the scheduler chooses rows
//   3. @prelude for those that enter, @fill for those that owe entries, @core for those in the loop
//   4. @coda for chunks whose rows have all left the loop; the logits of the last row of a sequence choose its next token
// Whether a row leaves is known when its step has run, so no decision is ever late. With `missing = compute` a row leaves at
// its exit and owes keys and values, for which it runs on with @core, beside the row of the token that it chose.
// A request's results are those it has alone, bit for bit. A row alone in the model runs @forward, all steps at once, and so
// does every row of a model whose loop cannot be split.
//
// A request begins with the rows that another one under its key (KV/PrefixKey.h) has computed, and waits for those that
// another one is about to. Sequences of requests that ended are retained for it while pages last.
//
// A request may speculate: a row drafts its token after a few of its loop steps and runs on, and that token's row starts at
// once. What the row chooses in the end is what counts: a draft that differs is taken back with all rows behind it. So
// results are the same, and come sooner where drafts are often right (Speculation.h).
//
// Without pages for a call, drafts are taken back; without drafts, the request that started last gives way and later
// computes again what is lost of its rows. A request that needs more pages than there are fails; so does one whose logits
// are no numbers. Others go on.
//
// submit, cancel and getNumUnfinished may be called from any thread, the rest from one thread at a time.

#ifndef LARIAT_RUNTIME_ENGINE_ENGINE_H
#define LARIAT_RUNTIME_ENGINE_ENGINE_H

#include "lariat/Runtime/Engine/Profile.h"
#include "lariat/Runtime/Engine/Scheduler.h"
#include "lariat/Runtime/Engine/Speculation.h"
#include "lariat/Runtime/Engine/StepFunctions.h"
#include "lariat/Runtime/Sample/Sampler.h"

#include <deque>
#include <functional>
#include <mutex>

namespace lariat::runtime {

/// How rows run the loop.
enum class LoopRun {
  Auto,  ///< a row alone in one call, others step by step
  Steps, ///< step by step
  Whole, ///< all rows that enter together in one call, so that each waits for the deepest
};

struct EngineOptions {
  std::string mode = "generate";
  std::optional<std::string> missing = {};
  int64_t maxRows = 512;   ///< of a tick
  int64_t chunkRows = 256; ///< of a prompt that enter together while others generate
  Order order = Order::Oldest;
  bool refills = true; ///< false: rows enter only when the loop is empty, as in engines that batch by token
  LoopRun loop = LoopRun::Auto;
  bool prefixCache = true; ///< whether requests share rows; without effect where their order is not free
  bool keepsProfile = false;
};

/// What one request asks for. The caller has checked it against the model.
struct EngineRequest {
  std::vector<int64_t> prompt;
  int64_t loops = 1;
  float threshold = 0;
  /// Of rows of the prompt: free, it may be run in chunks; atomic, it runs whole; sequential, row by row. Of generated
  /// rows: unless free, they run row by row too when they are computed again.
  RowOrder promptOrder = RowOrder::Free, generatedOrder = RowOrder::Free;
  int64_t prefix = 0;
  int64_t maxNewTokens = 0;
  requests::SamplingOptions sampling;
  std::vector<int64_t> endTokens; ///< that end it, eos and others
  /// Loop steps that a row at a position runs at most, beside what the model says; empty: no bound. It changes the
  /// function, so it is for measurements.
  std::function<int64_t(int64_t position)> depthAt;
  int64_t draftSteps = 0;             ///< loop steps after which a row drafts, below `loops`; 0: it does not
  std::optional<int64_t> drafts = {}; ///< most tokens ahead of verified ones; none: as many as pay
};

enum class Finish { Unfinished, Eos, Length, Stopped, Failed };

/// A token that a request got.
struct EngineToken {
  int64_t request = 0;
  Choice choice;
  int32_t steps = 0; ///< of the row that chose it
};

/// How a request ended.
struct EngineEnd {
  int64_t request = 0;
  Finish finish = Finish::Unfinished;
  std::string error; ///< where it failed
  std::vector<CacheUse> use;
};

/// Calls of one function.
struct Timing {
  int64_t calls = 0, rows = 0;
  int64_t promptRows = 0; ///< of the rows
  double seconds = 0;
};

/// Since the engine began.
struct EngineCounts {
  int64_t ticks = 0, preemptions = 0;
  int64_t reusedRows = 0;            ///< that requests began with, at their start and after they gave way
  int64_t drafted = 0, accepted = 0; ///< tokens; those that are taken back for other reasons are not accepted
  Timing prelude, core, fill, coda, whole;
  int64_t pageBytesAtMost = 0;
};

class Engine {
public:
  static Expected<std::unique_ptr<Engine>> create(std::shared_ptr<Model> model, EngineOptions options);
  ~Engine();

  /// Queues a request and returns its number, ascending from 0.
  int64_t submit(EngineRequest request);
  /// Queues requests with consecutive numbers; returns the first.
  int64_t submit(std::vector<EngineRequest> requests);
  /// Ends a request as `Stopped` before the next tick; nothing where it has ended. A call of compiled code that runs for
  /// such requests only is given up. An error for a number that was never given.
  Status cancel(int64_t request);
  /// Whether rows run step by step; false also where the loop cannot be split.
  bool runsSteps() const { return steps.has_value(); }
  /// Requests that have been submitted and have not ended.
  int64_t getNumUnfinished() const;

  /// Runs one tick; without requests it does nothing. `stop` is asked while code runs: with yes the tick ends soon, and
  /// the requests of the call that was given up fail with kStoppedMessage. Null: never.
  void tick(StopPoll *stop = nullptr);
  /// What a tick begins with: learns of requests that were submitted or cancelled.
  void takeMail();
  /// What the last tick or takeMail brought, tokens by ascending request.
  const std::vector<EngineToken> &getTokens() const { return tokens; }
  const std::vector<EngineEnd> &getEnds() const { return ends; }
  const EngineCounts &getCounts() const { return counts; }
  /// Nothing unless EngineOptions::keepsProfile.
  std::optional<EngineProfile> getProfile() const;
  /// Whether requests wait to start.
  bool hasWaiting() const { return !waiting.empty(); }
  /// Drops sequences that are retained.
  void clearPrefixes();

private:
  struct Running;
  /// Rows of a call, by sequence, with their seats and inputs.
  struct Batch {
    std::vector<Row> rows;
    std::vector<Sequence *> sequences;
    std::vector<Running *> owners; ///< of the sequences
    std::vector<ScheduledRow> scheduled;
    std::vector<int64_t> seats;
    std::vector<RowInput> inputs;
  };
  /// `Again`: requests ended or gave their pages back, so rows have to be chosen anew.
  enum class Outcome { Done, Again };

  Engine(std::shared_ptr<Model> model, EngineOptions options, std::optional<StepFunctions> steps,
         const Function *forward);

  std::optional<PrefixKey> makeKey(const EngineRequest &request) const;
  void admit();
  /// Whether a request should wait for rows that one that runs is about to have in common with it.
  bool waitsForRows(Running &one) const;
  /// How many rows of a request may enter together.
  int64_t countChunk(const Running &one) const;
  bool mayAddChunk(const Running &one) const;
  /// The next rows of a request, to the scheduler.
  void addChunk(Running &one);
  /// Gives the sequence of a request away, for others to begin with.
  void retain(Running &one);
  /// Takes all rows of a request from the scheduler.
  void takeRows(Running &one);
  void finish(Running &one, Finish how, std::string error);
  /// The request that started last gives its pages back; the last one fails.
  void preempt(const std::string &why);
  /// Forgets requests that ended and rows that are settled.
  void reap();

  std::vector<ScheduledRow> chooseRows();
  bool runsWhole(const std::vector<ScheduledRow> &chosen) const;
  Outcome run(const std::vector<ScheduledRow> &chosen);
  Outcome runWhole(const std::vector<ScheduledRow> &chosen);
  Outcome runEntering(const std::vector<ScheduledRow> &chosen);
  Outcome runFill(const std::vector<ScheduledRow> &chosen);
  Outcome runCore(const std::vector<ScheduledRow> &chosen);
  /// Of all rows that have left the loop with their chunk.
  Outcome runCoda();
  /// `atDepth`: rows at their depths, else at 0.
  Batch buildBatch(std::span<const ScheduledRow> rows, bool atDepth);
  Outcome call(const Function &function, const Batch &batch, std::vector<InputArray> inputs, int64_t loopSteps,
               Called called);
  Outcome fail(const Batch &batch, const std::string &why);
  /// Whether every request of a call was cancelled.
  bool areCancelled(const Batch &batch) const;
  Outcome takeResults(const Function &function, const Batch &batch, Called called);
  /// What the sequences of this engine hold in each cache.
  std::vector<CacheUse> sumUse() const;
  void choose(Running &one, std::span<const float> logits, int32_t rowSteps);
  /// Its first rows whose @coda has run or may run.
  size_t countFinal(const Running &one) const;

  /// Tokens that may be ahead of verified ones.
  int64_t getMostDrafts(const Running &one) const;
  /// Whether the last row drafts once it has run as many steps as it takes.
  bool mayDraft(const Running &one) const;
  void draft(Running &one, std::span<const float> logits);
  /// The token that was drafted first is, in the end, `token`.
  void verify(Running &one, int64_t token);
  /// Takes back what is not verified, with its rows and their entries.
  void dropDrafts(Running &one);
  /// The same of all requests, none of which drafts before one ends; whether there were drafts.
  bool dropAllDrafts();

  std::shared_ptr<Model> model;
  EngineOptions options;
  std::optional<StepFunctions> steps;
  const Function *forward;
  Scheduler scheduler;
  ForwardInputs forwardInputs;
  SeatRecords records;
  std::vector<int64_t> freeSeats;
  CallResult result;
  std::map<int64_t, std::unique_ptr<Running>> running;
  std::deque<std::unique_ptr<Running>> waiting;
  std::vector<EngineToken> tokens;
  std::vector<EngineEnd> ends;
  EngineCounts counts;
  std::optional<Profiler> profiler;
  StepCosts costs;
  int64_t numStarted = 0;
  StopPoll *stop = nullptr; ///< of the tick that runs
  bool waitsForEnd = false; ///< pages ran out: nobody starts or drafts before somebody ends

  mutable std::mutex mutex; ///< of what follows
  std::vector<std::pair<int64_t, EngineRequest>> submitted;
  std::vector<int64_t> cancelled;
  int64_t numSubmitted = 0, numUnfinished = 0;
};

} // namespace lariat::runtime

#endif // LARIAT_RUNTIME_ENGINE_ENGINE_H
