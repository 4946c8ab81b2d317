// RUN: lariat-opt %s --kernel-outline-generic | FileCheck %s --check-prefix=OUTLINE
// RUN: lariat-opt %s --lariat-keep-arguments | FileCheck %s --check-prefix=KEEP
// RUN: lariat-opt %s --lariat-stage-generic | FileCheck %s --check-prefix=STAGE

// Bodies and states go into a module of their own, public there; what kernels need of a state stays as an attribute.
// OUTLINE:      module attributes {kernel.states = [array<i64: 2, 4>]}
// OUTLINE-NEXT:   func.func private @other
// OUTLINE:        module @generic {
// OUTLINE-NEXT:     lariat.state @s
// OUTLINE-NEXT:     func.func @body(

// A public function's tensors are not written; a private one is left alone.
// KEEP: func.func private @other(%{{.*}}: tensor<4xf32>)
// KEEP: func.func @entry(%{{.*}}: tensor<4xf32> {bufferization.writable = false}, %{{.*}}: index)

// STAGE: module @generic
// STAGE: llvm.func @body(
module {
  lariat.state @s layers(2) width(4) : f32
  func.func private @other(%x: tensor<4xf32>) {
    return
  }
  func.func private @body(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {kernel.generic_body} {
    %y = arith.negf %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
  func.func @entry(%x: tensor<4xf32>, %n: index) {
    return
  }
}
