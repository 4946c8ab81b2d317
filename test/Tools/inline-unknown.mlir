// RUN: not lariat-opt --allow-unregistered-dialect --inline %s 2>&1 | FileCheck %s
// RUN: not lariat-opt --allow-unregistered-dialect --pass-pipeline="builtin.module(cse,inline)" %s 2>&1 | FileCheck %s
// RUN: lariat-opt --allow-unregistered-dialect --cse %s

// The inliner of MLIR reads a block of such an op that is not there; other passes do not mind.
// CHECK: error: 'a.b' has regions, but no dialect registers it: cannot inline around it
func.func @f() {
  "a.b"() ({}) : () -> ()
  return
}
