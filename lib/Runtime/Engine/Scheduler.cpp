// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows are tried in the order asked for. A row whose earlier rows must go first is tried again after them, so sequences
// are gone through from their first row on.

#include "lariat/Runtime/Engine/Scheduler.h"

#include <algorithm>

using namespace lariat::runtime;

void Scheduler::add(int64_t sequence, int64_t position, int64_t count, bool atomic) {
  Flight &flight = flights[sequence];
  flight.atomic = atomic;
  for (int64_t row = 0; row < count; ++row)
    flight.rows.push_back({.position = position + row, .created = time, .ready = time});
  numRows += count;
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

bool Scheduler::mayRun(const Flight &flight, size_t place) {
  const FlightRow &row = flight.rows[place];
  if (row.phase == Phase::Settled || row.chosen)
    return false;
  for (size_t earlier = place; earlier-- > 0;) {
    const FlightRow &other = flight.rows[earlier];
    if (other.phase == Phase::Settled)
      continue;
    // Depths never rise from one unsettled row to the next, so the nearest one decides.
    return other.depth > row.depth || (other.chosen && other.depth == row.depth);
  }
  return true;
}

bool Scheduler::isBefore(const FlightRow &one, const FlightRow &other) const {
  switch (order) {
  case Order::Oldest:
    return one.created != other.created ? one.created < other.created : one.depth > other.depth;
  case Order::Fifo:
    return one.ready < other.ready;
  case Order::Deepest:
    return one.depth != other.depth ? one.depth > other.depth : one.created < other.created;
  }
  return false;
}

std::vector<ScheduledRow> Scheduler::choose() {
  // A row that does not rest, found once: it is looked at several times.
  struct Candidate {
    ScheduledRow row;
    Flight *flight;
    FlightRow *flown;
  };
  // The first unsettled row of a sequence is always before the others in age, and in depth.
  std::vector<Candidate> tried;
  for (auto &[sequence, flight] : flights)
    for (size_t place = 0; place < flight.rows.size(); ++place)
      if (FlightRow &row = flight.rows[place]; row.phase != Phase::Settled)
        tried.push_back({{sequence, place}, &flight, &row});
  auto standing = [](const ScheduledRow &row) { return std::pair(row.sequence, row.place); };
  std::ranges::sort(tried, [&](const Candidate &one, const Candidate &other) {
    if (isBefore(*one.flown, *other.flown))
      return true;
    return !isBefore(*other.flown, *one.flown) && standing(one.row) < standing(other.row);
  });
  std::vector<ScheduledRow> chosen;
  int64_t left = maxRows;
  auto take = [&](const ScheduledRow &row, FlightRow &flown) {
    flown.chosen = true;
    chosen.push_back(row);
    --left;
  };
  for (const auto &[row, flight, flown] : tried) {
    if (left <= 0 && !(flight->atomic && chosen.empty()))
      break;
    if (!mayRun(*flight, row.place))
      continue;
    if (!flight->atomic) {
      take(row, *flown);
      continue;
    }
    // All rows of the group at this depth that still run, or none.
    std::vector<size_t> group;
    for (size_t place = row.place; place < flight->rows.size(); ++place)
      if (flight->rows[place].phase != Phase::Settled && flight->rows[place].depth == flown->depth)
        group.push_back(place);
    if (static_cast<int64_t>(group.size()) > left && !chosen.empty())
      continue;
    for (size_t place : group)
      take({row.sequence, place}, flight->rows[place]);
  }
  std::ranges::sort(chosen, {}, standing);
  return chosen;
}

void Scheduler::advance(const ScheduledRow &row, int64_t depth, Phase phase) {
  FlightRow &flown = flights.at(row.sequence).rows[row.place];
  flown.depth = depth;
  flown.phase = phase;
  flown.ready = time + 1;
}

void Scheduler::release() {
  for (auto &[sequence, flight] : flights)
    for (FlightRow &row : flight.rows)
      row.chosen = false;
}
