// RUN: lariat-opt %s --split-input-file --lariat-name-entries | FileCheck %s
// RUN: lariat-opt %s --split-input-file --lariat-name-entries="generate missing=skip" | FileCheck %s --check-prefix=GENERATE

// Public functions get the prefix of what an object exports, and keep their name as an attribute.
// CHECK: func.func @lariat_forward() attributes {kernel.entry = "forward"}
// GENERATE: func.func @lariat_forward_generate_skip() attributes {kernel.entry = "forward"}
func.func @forward() {
  func.call @helper() : () -> ()
  return
}
// CHECK: func.func private @helper() {
func.func private @helper() {
  return
}
