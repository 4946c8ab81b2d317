// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which ops write and read a cache, at which depths, and whether its layers are written together.

#ifndef LARIAT_DIALECT_LARIAT_IR_CACHEUSE_H
#define LARIAT_DIALECT_LARIAT_IR_CACHEUSE_H

#include "lariat/Dialect/Lariat/IR/Lariat.h"

namespace lariat {

/// The ops of one cache under an operation, in the order of a walk.
struct CacheUse {
  llvm::SmallVector<AppendOp> appends;
  llvm::SmallVector<AttendOp> attends;
};

/// The uses of every cache under `root`, by name.
llvm::StringMap<CacheUse> collectCacheUses(mlir::Operation *root);

/// The first attend that shows, under one memory for all layers, an entry that its own layer does not have yet or never
/// has; null where layers are written together: what one of them gets, every layer that is attended to gets in the same
/// block before it is attended to.
AttendOp findLayerApart(const CacheUse &use);

/// The depth from which appends under a policy write nothing; none if they write at all depths. `filled`: their rows
/// had stopped before.
std::optional<int64_t> getEndOfWrites(KVPolicyAttrInterface policy, bool filled);

} // namespace lariat

#endif // LARIAT_DIALECT_LARIAT_IR_CACHEUSE_H
