// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What tests of the C interface share: batches, calls whose texts are freed, a session of the counting model.

#ifndef LARIAT_UNITTESTS_RUNTIME_SESSION_CINTERFACE_H
#define LARIAT_UNITTESTS_RUNTIME_SESSION_CINTERFACE_H

#include "lariat-c/Experimental.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

inline const std::string kCounting = LARIAT_ARTEFACTS "/counting.lariat";

/// What a function came to, with its text freed.
struct Outcome {
  lariat_status status;
  std::string text;
};

/// A request of some sequences.
struct Batch {
  explicit Batch(const std::vector<std::vector<int64_t>> &sequences) {
    for (const std::vector<int64_t> &ids : sequences) {
      tokens.insert(tokens.end(), ids.begin(), ids.end());
      lengths.push_back(static_cast<int64_t>(ids.size()));
    }
    lariat_batch_init(&value, sizeof value);
    value.tokens = tokens.data();
    value.lengths = lengths.data();
    value.num_sequences = static_cast<int64_t>(lengths.size());
  }
  std::vector<int64_t> tokens, lengths;
  lariat_batch value;
};

class CInterface : public testing::Test {
protected:
  void SetUp() override {
    lariat_session_options options;
    lariat_session_options_init(&options, sizeof options);
    options.threads = 2;
    char *error = nullptr;
    ASSERT_EQ(lariat_session_open(kCounting.c_str(), &options, &session, &error), LARIAT_STATUS_OK) << error;
  }
  void TearDown() override { lariat_session_destroy(session); }

  lariat_session *session = nullptr;
};

template <typename Function, typename... Arguments>
Outcome call(Function function, Arguments... arguments) {
  char *error = nullptr;
  lariat_status status = function(arguments..., &error);
  Outcome outcome{status, error ? error : ""};
  lariat_text_destroy(error);
  return outcome;
}

/// Options of a generation: its length, and more members of the object.
inline std::string generateOptions(int64_t count, const std::string &more = "") {
  return "{\"max_new_tokens\": " + std::to_string(count) + more + "}";
}

inline constexpr const char *kNoOptions = nullptr;

#define EXPECT_OK(outcome) EXPECT_EQ((outcome).text, "")
#define EXPECT_FAILS(outcome, expected, message)                                                                       \
  do {                                                                                                                 \
    Outcome found = (outcome);                                                                                         \
    EXPECT_EQ(found.status, expected);                                                                                 \
    EXPECT_NE(found.text.find(message), std::string::npos) << found.text;                                              \
  } while (false)

#endif // LARIAT_UNITTESTS_RUNTIME_SESSION_CINTERFACE_H
