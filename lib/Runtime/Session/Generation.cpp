// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feeds the prompts, then one row of each unfinished sequence per step. The logits of a row choose the token of the next
// position.

#include "lariat/Runtime/Session/Plan.h"
#include "lariat/Runtime/Session/Session.h"

#include <algorithm>

using namespace lariat;
using namespace lariat::runtime;

Generation::Generation(SessionFacts facts, GenerateRequest asked, std::unique_ptr<BatchRunner> runner)
    : facts(std::move(facts)), request(std::move(asked)), runner(std::move(runner)),
      samplers(request.sequences.size(), Sampler(request.sampling)), results(request.sequences.size()) {
  for (size_t sequence = 0; sequence < samplers.size(); ++sequence)
    samplers[sequence].addPrompt(request.sequences[sequence]);
  for (size_t sequence = 0; sequence < results.size() && request.maxNewTokens == 0; ++sequence)
    finish(static_cast<int64_t>(sequence), Finish::Length);
}

Generation::~Generation() = default;

void Generation::finish(int64_t sequence, Finish how) {
  SequenceTokens &result = results[sequence];
  if (result.finish != Finish::Unfinished)
    return;
  result.finish = how;
  result.caches = runner->countSlots(sequence);
  runner->release(sequence);
}

Status Generation::stop(int64_t sequence) {
  if (sequence < 0 || sequence >= static_cast<int64_t>(results.size()))
    return makeError("sequence ", sequence, " is not one of the ", results.size(), " of the request");
  finish(sequence, Finish::Stopped);
  return Status::success();
}

Status Generation::choose(const BatchRow &row, std::span<const float> logits, int32_t steps) {
  std::optional<Choice> choice = samplers[row.sequence].choose(logits, row.position);
  if (!choice)
    return makeError("the logits of position ", row.position, " of sequence ", row.sequence, " are not numbers");
  int64_t token = choice->token;
  samplers[row.sequence].addGenerated(token);
  SequenceTokens &result = results[row.sequence];
  result.tokens.push_back(token);
  result.steps.push_back(steps);
  tokens.push_back({row.sequence, std::move(*choice), steps});
  bool isEos = !request.ignoreEos && std::ranges::find(facts.eos, token) != facts.eos.end();
  bool ends = isEos || std::ranges::find(request.stopTokens, token) != request.stopTokens.end();
  if (ends)
    finish(row.sequence, Finish::Eos);
  else if (static_cast<int64_t>(result.tokens.size()) == request.maxNewTokens)
    finish(row.sequence, Finish::Length);
  return Status::success();
}

Status Generation::feed(std::span<const BatchRow> rows) {
  if (request.wantsStop && request.wantsStop())
    return makeError(kStoppedMessage);
  Expected<RowResults> fed = runner->feed(rows);
  if (!fed)
    return fed.takeError();
  int64_t wanted = 0;
  for (size_t index = 0; index < rows.size(); ++index)
    if (rows[index].flags & abi::kWanted)
      if (Status status = choose(rows[index], fed->logits.line(wanted++), fed->steps[index]))
        return status;
  return Status::success();
}

Status Generation::advance() {
  if (!started) {
    started = true;
    for (const CallPlan &plan : std::exchange(prompts, {})) {
      CallPlan running;
      std::ranges::copy_if(plan, std::back_inserter(running),
                           [&](const RowSpan &span) { return results[span.sequence].finish == Finish::Unfinished; });
      std::vector<BatchRow> rows =
          listPromptRows(request, running, [](int64_t position, int64_t length) { return position + 1 == length; });
      if (rows.empty())
        continue;
      if (Status status = feed(rows))
        return status;
    }
    return Status::success();
  }
  std::vector<BatchRow> rows;
  for (size_t sequence = 0; sequence < results.size(); ++sequence) {
    const SequenceTokens &result = results[sequence];
    if (result.finish != Finish::Unfinished)
      continue;
    size_t position = request.sequences[sequence].size() + result.tokens.size() - 1;
    rows.push_back({static_cast<int64_t>(sequence), static_cast<int64_t>(position),
                    static_cast<int32_t>(result.tokens.back()), abi::kGenerated | abi::kWanted});
  }
  for (size_t begin = 0; begin < rows.size(); begin += maxRows) {
    size_t count = std::min(rows.size() - begin, static_cast<size_t>(maxRows));
    if (Status status = feed(std::span(rows).subspan(begin, count)))
      return status;
  }
  return Status::success();
}

Expected<std::span<const NewToken>> Generation::next() {
  tokens.clear();
  if (failure.empty())
    if (Status status = advance())
      failure = status.text();
  if (!failure.empty())
    return makeError(failure);
  std::ranges::sort(tokens, {}, &NewToken::sequence);
  return std::span<const NewToken>(tokens);
}
