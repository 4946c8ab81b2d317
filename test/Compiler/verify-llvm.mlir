// RUN: lariat-opt %s --split-input-file --lariat-verify-llvm --verify-diagnostics

module {
  llvm.func @fine() {
    llvm.return
  }
}

// -----

llvm.func @wrong(%x: i32) {
  // expected-error @+1 {{'arith.addi' has no code on a CPU}}
  %y = arith.addi %x, %x : i32
  llvm.return
}
