// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// What an attend says of its scores goes to the kernel; sinks are a vector, a bias by distance one per head.
// CHECK: kernel.packed @"vector:sinks" vector ["sinks"] shape [4] : f32
// CHECK: kernel.packed @"vectors:bias" vectors ["bias"] shape [4, 128] : f32
// CHECK-LABEL: func.func @options
// CHECK: kernel.attend {{.*}} from @kv[0] heads(4) scale(1.000000e+00) softcap(3.000000e+01) <chunk, size = 4> sinks @"vector:sinks" distance_bias @"vectors:bias"
lariat.weight @sinks : tensor<4xf32> from <"sinks">
lariat.weight @bias : tensor<4x128xf32> from <"bias">
lariat.cache @kv layers(1) heads(2) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @options(%a: !lariat.rows, %q: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<chunk(4)>) scale(1.0) softcap(30.0) sinks(@sinks)
      distance_bias(@bias) : tensor<?x64xf32>
  return %o : tensor<?x64xf32>
}

// -----

// A mask that shows later positions needs a view that has them. Scores are scaled by the root of a head's columns.
// CHECK-LABEL: func.func @later_positions
// CHECK: kernel.view {{.*}} ahead true to %[[VIEWS:.*]] :
// CHECK: kernel.attend {{.*}} views %[[VIEWS]] {{.*}} scale(2.500000e-01) <full>
lariat.cache @kv layers(1) heads(2) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @later_positions(%a: !lariat.rows, %q: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<full>) : tensor<?x64xf32>
  return %o : tensor<?x64xf32>
}

// -----

// Attention among the rows of a call keeps keys and values in a cache that holds them for that long. The next one writes
// the same entries again, and sees them by the same views. Queries are rotated where they are read.
// CHECK: kernel.cache @[[CALL:call.2x16]] number(0) layers(1) heads(2) dim(16) transient : f32
// CHECK-LABEL: func.func @among_rows
// CHECK-NOT: kernel.rotate
// CHECK: kernel.reserve {{.*}} of @[[CALL]] filled false to %[[ENTRIES:.*]] :
// CHECK: kernel.view {{.*}} of @[[CALL]] exact ahead true to %[[VIEWS:.*]] :
// CHECK: kernel.append {{.*}} entries %[[ENTRIES]] {{.*}} into @[[CALL]][0]
// CHECK: kernel.attend {{.*}} views %[[VIEWS]] {{.*}} from @[[CALL]][0] heads(4) {{.*}} rope <@"rope:0"
// CHECK: kernel.append {{.*}} entries %[[ENTRIES]] {{.*}} into @[[CALL]][0]
// CHECK: kernel.attend {{.*}} views %[[VIEWS]] {{.*}} from @[[CALL]][0] heads(4) scale(2.500000e-01) <full> :
func.func @among_rows(%a: !lariat.rows, %q: tensor<?x64xf32>, %k: tensor<?x32xf32>) -> tensor<?x64xf32> {
  %r = lariat.rope %q at %a heads(4) theta(10000.0) : tensor<?x64xf32>
  %o = lariat.attention %r, %k, %k at %a heads(4, 2) mask(<full>) : tensor<?x64xf32>, tensor<?x32xf32>
  %p = lariat.attention %o, %k, %k at %a heads(4, 2) mask(<full>) : tensor<?x64xf32>, tensor<?x32xf32>
  return %p : tensor<?x64xf32>
}
