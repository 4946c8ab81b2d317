// RUN: lariat-opt %s --lariat-name-entries --verify-diagnostics

// expected-error @+1 {{cannot export @forward as @lariat_forward, which the module has}}
func.func @forward() {
  return
}
func.func private @lariat_forward() {
  return
}
