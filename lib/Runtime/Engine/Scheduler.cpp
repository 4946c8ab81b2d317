// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows are tried in the order asked for. A row whose earlier rows must go first is tried again after them, so sequences
// are gone through from their first row on.

#include "lariat/Runtime/Engine/Scheduler.h"

#include <algorithm>
#include <numeric>
#include <utility>

using namespace lariat::runtime;

//===----------------------------------------------------------------------===//
// Orders
//===----------------------------------------------------------------------===//

static bool isOlder(const FlightRow &one, const FlightRow &other) {
  return one.created != other.created ? one.created < other.created : one.depth > other.depth;
}

static bool isReadyBefore(const FlightRow &one, const FlightRow &other) { return one.ready < other.ready; }

static bool isDeeper(const FlightRow &one, const FlightRow &other) {
  return one.depth != other.depth ? one.depth > other.depth : one.created < other.created;
}

RowOrdering lariat::runtime::getOrdering(Order order) {
  switch (order) {
  case Order::Oldest:
    return isOlder;
  case Order::Fifo:
    return isReadyBefore;
  case Order::Deepest:
    break;
  }
  return isDeeper;
}

//===----------------------------------------------------------------------===//
// Rows in flight
//===----------------------------------------------------------------------===//

void Scheduler::add(const RowChunk &chunk) {
  Flight &flight = flights[chunk.sequence];
  flight.isAtomic = chunk.isAtomic;
  for (int64_t row = 0; row < chunk.count; ++row)
    flight.rows.push_back({.position = chunk.position + row, .created = time, .ready = time});
  numRows += chunk.count;
}

void Scheduler::drop(int64_t sequence) {
  auto it = flights.find(sequence);
  if (it == flights.end())
    return;
  numRows -= static_cast<int64_t>(it->second.rows.size());
  flights.erase(it);
}

void Scheduler::leave(int64_t sequence, size_t count) {
  auto it = flights.find(sequence);
  it->second.rows.erase(it->second.rows.begin(), it->second.rows.begin() + static_cast<int64_t>(count));
  numRows -= static_cast<int64_t>(count);
  if (it->second.rows.empty())
    flights.erase(it);
}

void Scheduler::truncate(int64_t sequence, size_t count) {
  auto it = flights.find(sequence);
  if (it == flights.end() || it->second.rows.size() <= count)
    return;
  numRows -= static_cast<int64_t>(it->second.rows.size() - count);
  it->second.rows.resize(count);
  if (count == 0)
    flights.erase(it);
}

std::span<const FlightRow> Scheduler::getRows(int64_t sequence) const {
  auto it = flights.find(sequence);
  return it == flights.end() ? std::span<const FlightRow>() : it->second.rows;
}

const FlightRow &Scheduler::getRow(int64_t sequence, int64_t position) const {
  const std::vector<FlightRow> &rows = flights.at(sequence).rows;
  return rows[position - rows.front().position];
}

void Scheduler::advance(int64_t sequence, int64_t position, int64_t depth, RowProgress progress) {
  std::vector<FlightRow> &rows = flights.at(sequence).rows;
  FlightRow &row = rows[position - rows.front().position];
  row.depth = depth;
  row.progress = progress;
  row.ready = time + 1;
}

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

/// Visits the candidates that run with one or not at all (L3), itself the first.
template <typename Candidates, typename Visitor>
static void forGroup(Candidates &candidates, size_t index, Visitor visit) {
  const auto &first = candidates[index];
  visit(candidates[index]);
  for (size_t next = index + 1; first.isAtomic && next < candidates.size(); ++next) {
    if (candidates[next].sequence != first.sequence)
      break;
    if (candidates[next].row.depth == first.row.depth)
      visit(candidates[next]);
  }
}

std::vector<Scheduler::Candidate> Scheduler::listCandidates(std::span<const RowChunk> added) const {
  std::vector<RowChunk> chunks(added.begin(), added.end());
  std::ranges::sort(chunks, {}, &RowChunk::sequence);
  std::vector<Candidate> candidates;
  auto chunk = chunks.begin();
  auto addChunk = [&] {
    for (int64_t row = 0; row < chunk->count; ++row)
      candidates.push_back({.sequence = chunk->sequence,
                            .row = {.position = chunk->position + row, .created = time, .ready = time},
                            .isAtomic = chunk->isAtomic});
    ++chunk;
  };
  for (const auto &[sequence, flight] : flights) {
    while (chunk != chunks.end() && chunk->sequence < sequence)
      addChunk();
    bool isJoined = chunk != chunks.end() && chunk->sequence == sequence;
    bool isAtomic = isJoined ? chunk->isAtomic : flight.isAtomic;
    for (const FlightRow &row : flight.rows)
      if (row.progress != RowProgress::Settled)
        candidates.push_back({.sequence = sequence, .row = row, .isAtomic = isAtomic});
    if (isJoined)
      addChunk();
  }
  while (chunk != chunks.end())
    addChunk();
  return candidates;
}

bool Scheduler::mayRun(const std::vector<Candidate> &candidates, size_t index) {
  const Candidate &one = candidates[index];
  if (index == 0 || candidates[index - 1].sequence != one.sequence)
    return true;
  // Depths never rise from one unsettled row to the next, so the nearest one decides.
  const Candidate &earlier = candidates[index - 1];
  return earlier.row.depth > one.row.depth || (earlier.isChosen && earlier.row.depth == one.row.depth);
}

std::vector<ScheduledRow> Scheduler::listChosen(const std::vector<Candidate> &candidates) {
  std::vector<ScheduledRow> chosen;
  for (const Candidate &one : candidates)
    if (one.isChosen)
      chosen.push_back({one.sequence, one.row.position, one.row.depth, one.row.progress});
  return chosen;
}

std::vector<ScheduledRow> Scheduler::choose(RowOrdering isBefore, std::span<const RowChunk> added) const {
  std::vector<Candidate> candidates = listCandidates(added);
  std::vector<size_t> tried(candidates.size());
  std::iota(tried.begin(), tried.end(), 0);
  // The first unsettled row of a sequence is always before the others in age, and in depth.
  std::ranges::sort(tried, [&](size_t one, size_t other) {
    if (isBefore(candidates[one].row, candidates[other].row))
      return true;
    return !isBefore(candidates[other].row, candidates[one].row) && one < other;
  });
  int64_t left = maxRows;
  for (size_t index : tried) {
    if (left <= 0)
      break;
    if (candidates[index].isChosen || !mayRun(candidates, index))
      continue;
    int64_t count = 0;
    forGroup(candidates, index, [&](const Candidate &) { ++count; });
    if (count > left && left != maxRows)
      continue;
    forGroup(candidates, index, [](Candidate &one) { one.isChosen = true; });
    left -= count;
  }
  return listChosen(candidates);
}

std::optional<std::vector<ScheduledRow>> Scheduler::find(std::span<const ScheduledRow> rows,
                                                         std::span<const RowChunk> added) const {
  std::vector<Candidate> candidates = listCandidates(added);
  auto standing = [](const Candidate &one) { return std::pair(one.sequence, one.row.position); };
  for (const ScheduledRow &row : rows) {
    auto one = std::ranges::lower_bound(candidates, std::pair(row.sequence, row.position), {}, standing);
    if (one == candidates.end() || standing(*one) != std::pair(row.sequence, row.position) ||
        one->row.depth != row.depth || one->isChosen)
      return std::nullopt;
    one->isChosen = true;
  }
  bool isAllowed = true;
  for (size_t index = 0; index < candidates.size(); ++index) {
    if (!candidates[index].isChosen)
      continue;
    isAllowed &= mayRun(candidates, index);
    forGroup(candidates, index, [&](const Candidate &one) { isAllowed &= one.isChosen; });
  }
  if (!isAllowed)
    return std::nullopt;
  return listChosen(candidates);
}
