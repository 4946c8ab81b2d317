// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JSON from outside: duplicate keys and deep nesting are refused, ordinary text is not.

#include "lariat/Support/Json.h"
#include "gtest/gtest.h"

using namespace lariat;

static std::string errorOf(llvm::StringRef text) {
  llvm::Expected<llvm::json::Value> value = parseJson(text);
  return value ? std::string() : toString(value.takeError());
}

TEST(Json, AcceptsOrdinaryText) { EXPECT_EQ(errorOf(R"({"a": {"a": [1, "a:b", "\"a\":"]}, "b": {"a": 2}})"), ""); }

TEST(Json, RefusesDuplicateKeys) {
  EXPECT_EQ(errorOf(R"({"a": 1, "a": 2})"), "key 'a' is there twice");
  EXPECT_EQ(errorOf(R"({"x": {"b": 1, "\u0062" : 2}})"), "key 'b' is there twice");
}

TEST(Json, RefusesDeepNesting) {
  EXPECT_EQ(errorOf(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_NE(errorOf(std::string(65, '[') + std::string(65, ']')).find("nested more than 64"), std::string::npos);
  EXPECT_NE(errorOf(std::string(1000000, '[')), "");
}

TEST(Json, RefusesBrokenText) {
  for (llvm::StringRef text : {"", "{", "\"", "\"\\", "{\"a\"", "{\"a\":}", "]", "[1,]", "{\"a\\\": 1}", "\xff"})
    EXPECT_NE(errorOf(text), "") << text.str();
}
