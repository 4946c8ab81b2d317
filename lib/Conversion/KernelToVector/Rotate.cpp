// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.rotate: each thread does some of the heads of all rows.

#include "KernelCode.h"
#include "RotateHead.h"

#include "lariat/Artefact/Abi.h"

using namespace mlir;
using namespace lariat;
using namespace lariat::vectors;

// Fields of the record.
enum { kRows, kTable, kInput, kOut, kAngles };

static void writeKernel(kernel::RotateOp op, KernelWriter &w) {
  auto tableType = cast<MemRefType>(op.getTable().getType()), inputType = cast<MemRefType>(op.getInput().getType()),
       outType = cast<MemRefType>(op.getOut().getType());
  int64_t heads = op.getHeads(), width = inputType.getDimSize(1) / heads;
  Rope rope = Rope::get(op, op.getRope(), w.field(kAngles));
  auto [begin, end] = w.share(w.multiply(w.field(kRows), heads));
  w.forLoop(begin, end, [&](Value number) {
    Value row = w.divide(number, w.constantI64(heads)), head = w.remainder(number, w.constantI64(heads));
    Value position = w.loadI64(w.line(w.field(kTable), tableType, row), abi::kPosition);
    Value column = w.multiply(head, width);
    ColumnRange in{inputType.getElementType(), w.line(w.field(kInput), inputType, row)},
        out{outType.getElementType(), w.line(w.field(kOut), outType, row)};
    writeHead(w, rope, rope.getLine(w, position), skipColumns(w, in, column), skipColumns(w, out, column), width);
  });
}

void vectors::populateRotateCode(KernelCodes &codes) { codes.add(writeKernel); }
