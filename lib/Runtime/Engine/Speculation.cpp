// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafts: what they cost, how they are made and taken back. A row that drafts is like any other row, and so is the
// row of the token that it drafted, so laws and results stay: an accepted token is the one that the row chose in the
// end, by the same logits, noise and penalties.

#include "lariat/Runtime/Engine/Speculation.h"

#include "RequestState.h"

#include <algorithm>
#include <cmath>
#include <iterator>

using namespace lariat;
using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// How far ahead
//===----------------------------------------------------------------------===//

void Acceptance::add(bool isAccepted) {
  constexpr double most = 64;
  accepted += isAccepted;
  if (++drafted > most) {
    accepted /= 2;
    drafted /= 2;
  }
}

void CallCosts::add(int64_t rows, double seconds) {
  double &known = least.try_emplace(rows, least.empty() ? seconds : get(static_cast<double>(rows))).first->second;
  known = std::min(seconds, 1.05 * known); // a call that was interrupted or first in its place says little
}

double CallCosts::get(double rows) const {
  auto after = least.lower_bound(static_cast<int64_t>(std::ceil(rows)));
  if (after == least.end())
    return least.empty() ? 0 : least.rbegin()->second;
  auto count = static_cast<double>(after->first);
  if (after == least.begin())
    return after->second * rows / count;
  auto before = std::prev(after);
  double share = (rows - static_cast<double>(before->first)) / (count - static_cast<double>(before->first));
  return before->second + share * (after->second - before->second);
}

int64_t StepCosts::chooseRows(double acceptance, int64_t most, int64_t others, DraftSteps draft) const {
  auto loops = static_cast<double>(draft.loops), beside = static_cast<double>(others);
  double counted = beside, chance = 1, least = 0;
  int64_t best = 1;
  for (int64_t rows = 1; rows <= most; ++rows, chance *= acceptance) {
    double before = static_cast<double>(rows - 1), share = std::clamp(draft.getRows() - before, 0.0, 1.0);
    counted += share * chance; // the last row runs in that share of the ticks
    double held = before + share, drafts = rows > 1 ? held / loops : 0;
    double apart = drafts * (share < 1 ? 1 : 1 - acceptance);
    double calls = std::min(1.0, (beside + held) / loops + apart);
    double seconds = share * core.get(beside + before + 1) + (1 - share) * core.get(beside + before) +
                     calls * coda.get((counted / loops + drafts) / calls);
    if (rows == 1 || seconds / counted < least) {
      least = seconds / counted;
      best = rows;
    }
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Making and verifying
//===----------------------------------------------------------------------===//

void Engine::draft(RequestState &one, std::span<const float> logits) {
  auto drafted = std::span(one.tokens).last(one.numDrafted);
  for (int64_t token : drafted)
    one.sampler.addGenerated(token);
  std::optional<Choice> choice = one.sampler.choose(logits, static_cast<int64_t>(one.tokens.size()) - 1);
  for (int64_t token : drafted)
    one.sampler.removeGenerated(token);
  if (!choice)
    return; // later steps may give numbers
  one.tokens.push_back(choice->token);
  ++one.numDrafted;
  ++counts.drafted;
}

void Engine::verify(RequestState &one, int64_t token) {
  bool isAccepted = one.tokens[one.tokens.size() - one.numDrafted] == token;
  one.acceptance.add(isAccepted);
  counts.accepted += isAccepted;
  if (!isAccepted) {
    dropDrafts(one);
    one.tokens.push_back(token);
    return;
  }
  --one.numDrafted;
}

void Engine::dropDrafts(RequestState &one) {
  if (one.numDrafted == 0)
    return;
  one.tokens.resize(one.tokens.size() - one.numDrafted);
  one.numDrafted = 0;
  auto end = static_cast<int64_t>(one.tokens.size());
  std::span<const FlightRow> flight = scheduler.getRows(one.number);
  size_t kept = std::ranges::lower_bound(flight, end, {}, &FlightRow::position) - flight.begin();
  freeSeats.insert(freeSeats.end(), one.seats.begin() + static_cast<int64_t>(kept), one.seats.end());
  one.seats.resize(kept);
  one.numDone = std::min(one.numDone, kept);
  one.next = std::min(one.next, end);
  scheduler.truncate(one.number, kept);
  if (Status status = one.sequence->truncate(end))
    finish(one, Finish::Failed, status.text());
}

void Engine::dropAllDrafts() {
  for (auto &[number, one] : running) {
    waitsForEnd |= one->numDrafted > 0;
    dropDrafts(*one);
  }
}
