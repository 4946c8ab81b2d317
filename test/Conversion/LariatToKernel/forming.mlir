// RUN: lariat-opt %s --split-input-file --lariat-erase-row-sets --convert-lariat-to-kernel --canonicalize | FileCheck %s

// A norm that only products read is their prologue; products of one input without arithmetic of their own lie side by side.
// CHECK: kernel.packed @"panels:q+k" panels ["q", "k"] shape [48, 16] : f32
// CHECK-LABEL: func.func @side_by_side
// CHECK: kernel.gemm {{.*}} k(16) n(48) {{.*}} vectors [@"vector:n"] weights [@"panels:q+k"]
// CHECK: kernel.reduce sum
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: kernel.yield %[[SUM]]
lariat.weight @n : tensor<16xf32> from <"n">
lariat.weight @q : tensor<32x16xf32> from <"q">
lariat.weight @k : tensor<16x16xf32> from <"k">
func.func @side_by_side(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>)
    -> (tensor<?x32xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>) {
  %h = lariat.norm rms %x weight(@n) eps(1.0e-05) : tensor<?x16xf32, #lariat.of<"a">>
  %q = lariat.linear %h, @q : tensor<?x16xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
  %k = lariat.linear %h, @k : tensor<?x16xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return %q, %k : tensor<?x32xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>
}

// -----

// A of a low-rank pair is a product of its own, scaled; the product of the shared weight goes on with B.
// CHECK-LABEL: func.func @low_rank
// CHECK: %[[INNER:.*]] = kernel.buffer : memref<?x4xf32, strided<[16, 1]>>
// CHECK: kernel.gemm rows(%{{.*}}) k(16) n(4) at %[[TABLE:[^ ]*]] {{.*}} weights [@"panels:a"] epilogue_vectors [] outs(%[[INNER]] :
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: %[[SCALE:.*]] = arith.constant 2.0
// CHECK-NEXT: %[[SCALED:.*]] = arith.mulf %[[SUM]], %[[SCALE]]
// CHECK-NEXT: kernel.yield %[[SCALED]]
// CHECK: kernel.gemm rows(%{{.*}}) k(16) n(32) at %[[TABLE]] {{.*}} weights [@"panels:w"] low_rank(%[[INNER]] : memref<?x4xf32, strided<[16, 1]>>) weights [@"panels:b"] of [0]
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32):
// CHECK-NEXT: kernel.yield %[[SUM]]
lariat.weight @w : tensor<32x16xf32> from <"w">
lariat.weight @a : tensor<4x16xf32> depths(2) from <stack = ["a0", "a1"]>
lariat.weight @b : tensor<32x4xf32> depths(2) from <stack = ["b0", "b1"]>
func.func @low_rank(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x32xf32, #lariat.of<"a">> {
  %y = lariat.linear %x, @w low_rank(@a, @b) scale(2.0) : tensor<?x16xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">> by %a : !lariat.rows<"a">
  return %y : tensor<?x32xf32, #lariat.of<"a">>
}

// -----

// Gate and up meet in arithmetic: one kernel with two sums per column and an epilogue.
// CHECK-LABEL: func.func @paired
// CHECK: kernel.gemm {{.*}} weights [@"panels:g", @"panels:u"]
// CHECK: } epilogue {
// CHECK-NEXT: ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[G]]
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[T]], %[[U]]
// CHECK-NEXT: kernel.yield %[[Y]]
// CHECK-NOT: kernel.rowwise
lariat.weight @g : tensor<32x16xf32> from <"g">
lariat.weight @u : tensor<32x16xf32> from <"u">
func.func @paired(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x32xf32, #lariat.of<"a">> {
  %g = lariat.linear %x, @g : tensor<?x16xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
  %u = lariat.linear %x, @u : tensor<?x16xf32, #lariat.of<"a">> to tensor<?x32xf32, #lariat.of<"a">>
  %t = math.tanh %g : tensor<?x32xf32, #lariat.of<"a">>
  %y = arith.mulf %t, %u : tensor<?x32xf32, #lariat.of<"a">>
  return %y : tensor<?x32xf32, #lariat.of<"a">>
}

// -----

// take is read through: the lines of the chosen rows are read where they are. The result goes straight to the caller.
// CHECK-LABEL: func.func @chosen
// CHECK: %[[OUT:.*]] = kernel.port 2 : memref<?x16xf32>
// CHECK: %[[M:.*]] = kernel.last rows(%[[N:.*]]) %[[TABLE:.*]] to %[[PART:.*]] :
// CHECK: kernel.lines rows(%[[M]]) %[[PART]] in %[[TABLE]] rows(%[[N]]) to %[[LINES:.*]] :
// CHECK: kernel.rowwise rows(%[[M]]) width(16) {{.*}} outs(%[[OUT]] : memref<?x16xf32>) indices(%[[LINES]] : memref<?xindex>) gather [0] scatter [-1]
// CHECK: kernel.set_port_rows 2, %[[M]]
func.func @chosen(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"w">> {
  %w = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"w">
  %t = lariat.take %x of %a at %w : tensor<?x16xf32, #lariat.of<"a">> at !lariat.rows<"w">
  %y = arith.negf %t : tensor<?x16xf32, #lariat.of<"w">>
  return %y : tensor<?x16xf32, #lariat.of<"w">>
}

// -----

// put changes lines in place where nothing reads the old tensor, and in a copy where something does.
// CHECK-LABEL: func.func @changed
// CHECK: kernel.rowwise {{.*}} outs(%[[NEW:.*]] : memref<?x16xf32>) gather [-1] scatter [-1]
// CHECK: kernel.rowwise {{.*}} outs(%[[NEW]] : memref<?x16xf32>) indices(%{{.*}} : memref<?xindex>) gather [{{.*}}] scatter [0]
func.func @changed(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>)
    -> (tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>) {
  %w = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"w">
  %t = lariat.take %x of %a at %w : tensor<?x16xf32, #lariat.of<"a">> at !lariat.rows<"w">
  %y = arith.negf %t : tensor<?x16xf32, #lariat.of<"w">>
  %z = lariat.put %y of %w into %x of %a : tensor<?x16xf32, #lariat.of<"w">> into tensor<?x16xf32, #lariat.of<"a">>
  return %z, %x : tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>
}

// -----

// Keys are rotated by append and queries by attend; entries and views are made once for the rows.
// CHECK-LABEL: func.func @attention
// CHECK: kernel.reserve
// CHECK: kernel.view {{.*}} exact ahead false
// CHECK-NOT: kernel.rotate
// CHECK: kernel.append {{.*}} into @kv[0] rope <@"rope:
// CHECK: kernel.attend {{.*}} from @kv[0] heads(4) scale(2.500000e-01) <causal> rope <@"rope:
lariat.cache @kv layers(1) heads(2) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @attention(%a: !lariat.rows<"a">, %q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"a">>)
    -> tensor<?x64xf32, #lariat.of<"a">> {
  %r = lariat.rope %k at %a heads(2) theta(10000.0) : tensor<?x32xf32, #lariat.of<"a">>
  lariat.append @kv[0] %r, %k at %a : tensor<?x32xf32, #lariat.of<"a">>
  %s = lariat.rope %q at %a heads(4) theta(10000.0) : tensor<?x64xf32, #lariat.of<"a">>
  %o = lariat.attend @kv[0] %s at %a heads(4) mask(<causal>) : tensor<?x64xf32, #lariat.of<"a">>
  return %o : tensor<?x64xf32, #lariat.of<"a">>
}

// -----

// A row writes as its own policy says, by its flags, and looks up rows of the prompt and generated ones apart.
// CHECK-LABEL: func.func @phased
// CHECK: %[[FLAGS:.*]] = memref.load %{{.*}}[%{{.*}}, %c4]
// CHECK: %[[BIT:.*]] = arith.andi %[[FLAGS]], %c1
// CHECK: %[[GENERATED:.*]] = arith.cmpi eq, %[[BIT]], %c1
// CHECK: arith.select %[[GENERATED]], %c0, %{{.*}} : index
// CHECK: kernel.reserve
// CHECK: kernel.view {{.*}} newest_at_most generated(%{{.*}} : memref<?xindex>, first) ahead false
lariat.cache @kv layers(1) heads(2) dim(16) depths(4) : f32
    policy(#lariat.phased<prompt = #lariat.latest, generated = #lariat.last<order = atomic>>)
func.func @phased(%a: !lariat.rows<"a">, %q: tensor<?x32xf32, #lariat.of<"a">>) -> tensor<?x32xf32, #lariat.of<"a">> {
  lariat.append @kv[0] %q, %q at %a : tensor<?x32xf32, #lariat.of<"a">>
  %o = lariat.attend @kv[0] %q at %a heads(2) mask(<causal>) : tensor<?x32xf32, #lariat.of<"a">>
  return %o : tensor<?x32xf32, #lariat.of<"a">>
}

// -----

// What has no kernel takes the slow road: a function on tensors.
// CHECK-LABEL: func.func @slow
// CHECK: kernel.generic @generic_0
// CHECK: func.func private @generic_0(%{{.*}}: tensor<?xf32>, %{{.*}}: !lariat.rows) -> tensor<?xf32> attributes {kernel.generic_body}
// CHECK-NEXT: lariat.seq_reduce mean
func.func @slow(%a: !lariat.rows<"a">, %x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  %y = lariat.seq_reduce mean %x at %a : tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}

// -----

// Places are reserved and views made where rows are defined, for all layers at once, but not before an attend that must not
// see the entries, nor before an append that the attend must see.
// CHECK-LABEL: func.func @late
// CHECK:         kernel.reserve {{.*}} filled false
// CHECK:         kernel.advance
// CHECK:         kernel.advance
// CHECK:         kernel.view
// CHECK:         kernel.append {{.*}} @kv
// CHECK:         kernel.attend {{.*}} @kv
// CHECK:         kernel.reserve {{.*}} filled false
// CHECK:         kernel.append {{.*}} @kv
// CHECK:         kernel.view
// CHECK:         kernel.attend {{.*}} @kv
lariat.cache @kv layers(1) heads(1) dim(16) depths(2) : f32 policy(#lariat.union)
func.func @late(%a: !lariat.rows<"a">, %x: tensor<?x16xf32, #lariat.of<"a">>)
    -> (tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>) {
  %deep = lariat.advance %a : !lariat.rows<"a">
  %also = lariat.advance %deep : !lariat.rows<"a">
  lariat.append @kv[0] %x, %x at %a : tensor<?x16xf32, #lariat.of<"a">>
  %y = lariat.attend @kv[0] %x at %also heads(1) mask(<causal>) : tensor<?x16xf32, #lariat.of<"a">>
  lariat.append @kv[0] %y, %x at %deep : tensor<?x16xf32, #lariat.of<"a">>
  %z = lariat.attend @kv[0] %x at %also heads(1) mask(<causal>) : tensor<?x16xf32, #lariat.of<"a">>
  return %y, %z : tensor<?x16xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>
}
