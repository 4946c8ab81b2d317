// RUN: lariat-opt %s --lariat-set-target=target=neon | FileCheck %s
// RUN: not lariat-opt %s --lariat-set-target=target=z80 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// The module has the triple, a function with a body its processor.
// CHECK: module attributes {llvm.target_triple = "aarch64-unknown-linux-gnu"}
// CHECK: llvm.func @callee()
// CHECK-NOT: target_cpu
// CHECK: llvm.func @entry() attributes {target_cpu = "generic", target_features = #llvm.target_features<["+neon"]>}
// UNKNOWN: error: target is 'z80', which is not in the table of targets
llvm.func @callee()
llvm.func @entry() {
  llvm.return
}
