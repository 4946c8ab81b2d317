// RUN: lariat-opt %s --split-input-file --verify-diagnostics --lariat-inline-helpers

// Recursion, named with all functions on the circle.
func.func private @f(%p: i32) -> i32 {
  %q = call @g(%p) : (i32) -> i32
  return %q : i32
}
func.func private @g(%p: i32) -> i32 {
  // expected-error@below {{functions call each other in a circle: @f -> @g -> @f}}
  %q = call @f(%p) : (i32) -> i32
  return %q : i32
}
func.func @forward(%p: i32) -> i32 {
  %q = call @f(%p) : (i32) -> i32
  return %q : i32
}

// -----

// The entry function is no helper.
func.func @forward(%p: i32) -> i32 {
  // expected-error@below {{functions call each other in a circle: @forward -> @forward}}
  %q = call @forward(%p) : (i32) -> i32
  return %q : i32
}

// -----

// A declaration: a model calls nothing from outside.
func.func private @outside(i32) -> i32
func.func @forward(%p: i32) -> i32 {
  // expected-error@below {{function @outside is only declared, but a model calls nothing from outside}}
  %q = call @outside(%p) : (i32) -> i32
  return %q : i32
}

// -----

// Several blocks.
func.func private @branches(%p: i32) -> i32 {
  cf.br ^next(%p : i32)
^next(%q: i32):
  return %q : i32
}
func.func @forward(%p: i32) -> i32 {
  // expected-error@below {{function @branches has 2 blocks, expected 1: branch with 'scf.if'}}
  %q = call @branches(%p) : (i32) -> i32
  return %q : i32
}
