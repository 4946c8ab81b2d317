// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Words of manifests are those of the IR.

#include "lariat/Artefact/ElementType.h"
#include "lariat/Dialect/Kernel/IR/Kernel.h"
#include "lariat/Dialect/Lariat/IR/LariatEnums.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

namespace lariat::test {

TEST(Names, RowOrdersAreKeywordsOfTheDialect) {
  for (auto [order, name] : abi::kNames<abi::RowOrder>)
    EXPECT_EQ(stringifyRowOrder(fromArtefact(order)).str(), name);
}

TEST(Names, MissingModesAreKeywordsOfTheDialect) {
  for (auto [mode, name] : abi::kNames<abi::MissingMode>)
    EXPECT_EQ(stringifyMissingMode(static_cast<MissingMode>(mode)).str(), name);
}

TEST(Names, ElementTypesAreTypesOfMLIR) {
  mlir::MLIRContext context;
  for (auto [type, name] : abi::kNames<abi::ElementType>) {
    mlir::Type parsed = mlir::parseType(name, &context);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(kernel::getElementBytes(parsed), getElementBytes(type)) << name;
  }
}

TEST(Names, AreListedForMessages) {
  EXPECT_EQ(abi::listNames<abi::RowOrder>(), "free, atomic or sequential");
  EXPECT_EQ(abi::listNames<abi::RunMode>(), "score or generate");
}

} // namespace lariat::test
