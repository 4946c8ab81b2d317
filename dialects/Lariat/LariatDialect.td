// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model-level dialect: rows, a loop over depth, caches, routing, attention, weights. Arithmetic on row tensors is
// upstream `arith`, `math`, `linalg` and `tensor`; see README.md beside this file for what is left out and why.

#ifndef LARIAT_DIALECT_TD
#define LARIAT_DIALECT_TD

include "mlir/IR/OpBase.td"

def Lariat_Dialect : Dialect {
  let name = "lariat";
  let cppNamespace = "::lariat";
  let summary = "transformers whose depth is a loop";
  let description = [{
    Everything is rows: a *row* is one token at one position of one sequence, and a *row tensor* has one entry of its
    leading, dynamic dimension per row. Depth belongs to the row, never to the loop: there is no depth value in a loop
    body, and operations that index by depth take the rows.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // LARIAT_DIALECT_TD
