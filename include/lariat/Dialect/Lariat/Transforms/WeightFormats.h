// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rules that say in which format weights are stored, and the uses of weights by which rules name them.

#ifndef LARIAT_DIALECT_LARIAT_TRANSFORMS_WEIGHTFORMATS_H
#define LARIAT_DIALECT_LARIAT_TRANSFORMS_WEIGHTFORMATS_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"

#include <optional>

namespace lariat {

/// What a weight is used for. `lariat-choose-weight-formats` describes each.
enum class WeightClass { Embed, Head, Attention, FFN, Norm, Other };

llvm::StringRef stringifyWeightClass(WeightClass weightClass);

/// Classes of the weights that a format may be chosen for: those of f32 elements but for rotary frequencies, which are
/// exact. One weight has several classes if it is used in several ways.
llvm::MapVector<mlir::Operation *, llvm::SmallSet<WeightClass, 2>> classifyWeights(mlir::ModuleOp module);

/// SELECTOR=FORMAT, where SELECTOR is a class, `@` and a pattern of names, or `*` for every weight.
struct WeightFormatRule {
  std::string text;
  std::optional<WeightClass> weightClass;
  std::optional<llvm::GlobPattern> name;
  StoredFormat format = StoredFormat::F32;

  /// Of `*`, which no other rule is weaker than.
  bool isForAll() const { return !weightClass && !name; }
};

/// Names of all formats, as a phrase.
std::string listWeightFormats();

/// Reads rules separated by commas; a format alone stands for `*=FORMAT`. Errors name the part that is none.
llvm::Expected<llvm::SmallVector<WeightFormatRule>> parseWeightFormats(llvm::StringRef rules);

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_TRANSFORMS_WEIGHTFORMATS_H
