// RUN: lariat-opt %s --split-input-file --verify-diagnostics --kernel-inline-generic | FileCheck %s

// A definition takes the place of a declaration, whichever side has it; nothing else of the nested module is left out.
// CHECK:      llvm.func @expf(f32) -> f32
// CHECK-NOT:  llvm.func @expf
// CHECK:      llvm.func @kernel() {
// CHECK:      llvm.func @body() {
// CHECK:      llvm.mlir.global private constant @table
// CHECK-NOT:  module @generic
module {
  llvm.func @expf(f32) -> f32
  llvm.func @body()
  llvm.func @kernel() {
    llvm.return
  }
  module @generic {
    llvm.func @expf(f32) -> f32
    llvm.func @kernel()
    llvm.func @body() {
      llvm.return
    }
    llvm.mlir.global private constant @table(1 : i64) : i64
  }
}

// -----

module {
  // expected-error @+1 {{the generic path and the kernels both have a symbol 'body'}}
  llvm.func @body() {
    llvm.return
  }
  module @generic {
    llvm.func @body() {
      llvm.return
    }
  }
}
