// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JSON from outside: duplicate keys and deep nesting are refused, ordinary text is not.

#include "lariat/Support/Json.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
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

TEST(Json, FilesMayHoldWhatPythonWrites) {
  llvm::SmallString<256> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-json", "json", path));
  std::error_code code;
  llvm::raw_fd_ostream(path, code) << "\xef\xbb\xbf"
                                      R"({"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity"})";
  llvm::Expected<llvm::json::Value> value = parseJsonFile(path);
  llvm::sys::fs::remove(path);
  ASSERT_TRUE(static_cast<bool>(value)) << toString(value.takeError());
  EXPECT_EQ(*value, llvm::json::Value(llvm::json::Object{
                        {"a", nullptr}, {"b", llvm::json::Array{nullptr, nullptr}}, {"c", "NaN \" Infinity"}}));
}

TEST(Json, NamesGitLfsPointers) {
  llvm::SmallString<256> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("lariat-json", "json", path));
  std::error_code code;
  llvm::raw_fd_ostream(path, code) << "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  llvm::Expected<llvm::json::Value> value = parseJsonFile(path);
  llvm::sys::fs::remove(path);
  ASSERT_FALSE(static_cast<bool>(value));
  EXPECT_NE(toString(value.takeError()).find("is a git-lfs pointer, not the file itself"), std::string::npos);
}
