// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.attend: rows that follow each other and share a view make a tile; tiles times kv heads are dealt out to
// threads in turn, so that the long rows at the end of a prompt are, too.

#include "AttendTile.h"
#include "KernelCode.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

/// The layer's place in a page, so that layers share a function.
static SmallVector<int64_t> getLiterals(kernel::AttendOp op) {
  CachePage page{lookUp<kernel::CacheOp>(op, op.getCacheAttr())};
  return {page.getLayerOffset(op.getLayer())};
}

/// The end of the tile that begins with row `first`.
static Value findEnd(KernelWriter &w, AttendTile &tile, Value first, Value rows) {
  Value next = w.add(first, 1);
  if (tile.getMaxRows() == 1)
    return next;
  Value limit = w.minimum(w.add(first, tile.getMaxRows()), rows);
  auto goesOn = [&](ValueRange at) -> Value {
    Value isInside = w.compare(arith::CmpIPredicate::slt, at[0], limit);
    return w.bitAnd(isInside, tile.sharesView(first, w.minimum(at[0], w.add(limit, -1))));
  };
  return w.whileLoop({next}, goesOn, [&](ValueRange at) -> CodeWriter::Values { return {w.add(at[0], 1)}; })[0];
}

static void writeKernel(kernel::AttendOp op, KernelWriter &w) {
  AttendTile tile(w, op);
  Value rows = w.field(0), zero = w.constantI64(0), one = w.constantI64(1);
  int64_t kvHeads = lookUp<kernel::CacheOp>(op, op.getCacheAttr()).getHeads();
  // Heads outside: a thread reads the same pages for neighbouring tiles.
  w.forLoop(zero, w.constantI64(kvHeads), one, {zero}, [&](Value head, ValueRange dealt) -> CodeWriter::Values {
    auto goesOn = [&](ValueRange at) -> Value { return w.compare(arith::CmpIPredicate::slt, at[0], rows); };
    CodeWriter::Values ends = w.whileLoop({zero, dealt[0]}, goesOn, [&](ValueRange at) -> CodeWriter::Values {
      Value end = findEnd(w, tile, at[0], rows);
      Value isOurs = w.compare(arith::CmpIPredicate::eq, at[1], w.getThread());
      w.ifThen(isOurs, [&] { tile.write(at[0], end, head); });
      // The number of the next tile, counted round the threads.
      Value next = w.add(at[1], 1);
      return {end, w.select(w.compare(arith::CmpIPredicate::eq, next, w.getNumThreads()), zero, next)};
    });
    return {ends[1]};
  });
}

void vectors::populateAttendCode(KernelCodes &codes) { codes.add(writeKernel, getLiterals); }
