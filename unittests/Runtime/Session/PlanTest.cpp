// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How requests are cut into calls.

#include "lariat/Requests/Plan.h"

#include <gtest/gtest.h>
#include <sstream>

using namespace lariat::requests;

/// "0:0-4 1:0-2 | 1:2-5": calls separated by bars.
static std::string plan(std::vector<size_t> lengths, PlanOptions options, int64_t prefix = 0) {
  Request request;
  request.prefix = prefix;
  for (size_t length : lengths)
    request.sequences.emplace_back(length, 1);
  std::ostringstream text;
  for (const CallPlan &call : planCalls(request, options)) {
    text << (text.tellp() > 0 ? " |" : "");
    for (const RowSpan &span : call)
      text << (text.tellp() > 0 ? " " : "") << span.sequence << ':' << span.first << '-' << span.last;
  }
  return text.str();
}

TEST(Plan, CutsWhereACallIsFull) {
  EXPECT_EQ(plan({3, 4}, {.maxRows = 10, .chunk = {}, .mayCut = true}), "0:0-3 1:0-4");
  EXPECT_EQ(plan({3, 4}, {.maxRows = 4, .chunk = {}, .mayCut = true}), "0:0-3 1:0-1 | 1:1-4");
  EXPECT_EQ(plan({9}, {.maxRows = 4, .chunk = {}, .mayCut = true}), "0:0-4 | 0:4-8 | 0:8-9");
  EXPECT_EQ(plan({1, 1, 1}, {.maxRows = 1, .chunk = {}, .mayCut = true}), "0:0-1 | 1:0-1 | 2:0-1");
}

TEST(Plan, KeepsSequencesWholeWhereTheyMustBe) {
  EXPECT_EQ(plan({9, 2, 1}, {.maxRows = 4, .chunk = {}, .mayCut = false}), "0:0-9 | 1:0-2 2:0-1");
}

TEST(Plan, NeverCutsAPrefix) {
  EXPECT_EQ(plan({3, 6}, {.maxRows = 4, .chunk = {}, .mayCut = true}, 2), "0:0-3 | 1:0-4 | 1:4-6");
  EXPECT_EQ(plan({9}, {.maxRows = 4, .chunk = {}, .mayCut = true}, 6), "0:0-6 | 0:6-9");
  EXPECT_EQ(plan({3}, {.maxRows = 2, .chunk = {}, .mayCut = true}, 100), "0:0-3");
}

TEST(Plan, ChunksAsAskedFor) {
  EXPECT_EQ(plan({3, 5}, {.maxRows = 512, .chunk = 2, .mayCut = true}), "0:0-2 1:0-2 | 0:2-3 1:2-4 | 1:4-5");
  EXPECT_EQ(plan({3, 5}, {.maxRows = 2, .chunk = 2, .mayCut = true}), "0:0-2 | 1:0-2 | 0:2-3 | 1:2-4 | 1:4-5");
  EXPECT_EQ(plan({3}, {.maxRows = 2, .chunk = INT64_MAX, .mayCut = true}), "0:0-3");
}
