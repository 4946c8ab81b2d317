// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// Angles of a base are a table of frequencies, of as many as half the columns that rotate.
// CHECK: kernel.rope_table @"rope:0" [1.000000e+00, 1.000000e-02]
// CHECK-LABEL: func.func @rotate
// CHECK: kernel.rotate {{.*}} <@"rope:0", dims = 4, interleaved = true> heads(2)
func.func @rotate(%a: !lariat.rows, %x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %r = lariat.rope %x at %a heads(2) theta(10000.0) dims(4) style(interleaved) : tensor<?x64xf32>
  return %r : tensor<?x64xf32>
}

// -----

// Equal angles are one table.
// CHECK: kernel.rope_table @"rope:0"
// CHECK: kernel.rope_table @"rope:1"
// CHECK-NOT: kernel.rope_table
// CHECK-LABEL: func.func @equal_tables
// CHECK: kernel.rotate {{.*}} <@"rope:0"
// CHECK: kernel.rotate {{.*}} <@"rope:0"
// CHECK: kernel.rotate {{.*}} <@"rope:1"
func.func @equal_tables(%a: !lariat.rows, %x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %r = lariat.rope %x at %a heads(2) theta(10000.0) : tensor<?x64xf32>
  %s = lariat.rope %r at %a heads(2) theta(10000.0) : tensor<?x64xf32>
  %t = lariat.rope %s at %a heads(2) theta(500.0) : tensor<?x64xf32>
  return %r, %s, %t : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Queries that something else reads too are rotated into a buffer.
// CHECK-LABEL: func.func @two_readers
// CHECK: kernel.rotate {{.*}} to %[[R:.*]] :
// CHECK: kernel.attend {{.*}} %[[R]] to %{{.*}} from @kv[0] heads(2) scale(2.500000e-01) <causal> :
lariat.cache @kv layers(1) heads(2) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @two_readers(%a: !lariat.rows, %q: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %r = lariat.rope %q at %a heads(2) theta(10000.0) : tensor<?x32xf32>
  %o = lariat.attend @kv[0] %r at %a heads(2) mask(<causal>) : tensor<?x32xf32>
  return %o, %r : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// So are those that rotate by other heads than attend by.
// CHECK-LABEL: func.func @other_heads
// CHECK: kernel.rotate {{.*}} heads(2) {{.*}} to %[[R:.*]] :
// CHECK: kernel.attend {{.*}} %[[R]] to %{{.*}} from @kv[0] heads(4) scale(2.500000e-01) <causal> :
lariat.cache @kv layers(1) heads(2) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @other_heads(%a: !lariat.rows, %q: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %r = lariat.rope %q at %a heads(2) theta(10000.0) : tensor<?x64xf32>
  %o = lariat.attend @kv[0] %r at %a heads(4) mask(<causal>) : tensor<?x64xf32>
  return %o : tensor<?x64xf32>
}
