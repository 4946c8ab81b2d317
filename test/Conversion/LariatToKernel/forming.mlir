// RUN: lariat-opt %s --split-input-file --lariat-erase-row-sets --convert-lariat-to-kernel --canonicalize | FileCheck %s

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
// CHECK: kernel.slots {{.*}} <own> generated <shared> to %[[WRITTEN:.*]] :
// CHECK: kernel.reserve {{.*}} slots %[[WRITTEN]]
// CHECK: kernel.view {{.*}} newest_at_most generated(%{{.*}} : memref<?xindex>, first) ahead false
lariat.cache @kv layers(1) heads(2) dim(16) depths(4) : f32
    policy(#lariat.phased<prompt = #lariat.latest, generated = #lariat.last<order = atomic>>)
func.func @phased(%a: !lariat.rows<"a">, %q: tensor<?x32xf32, #lariat.of<"a">>) -> tensor<?x32xf32, #lariat.of<"a">> {
  lariat.append @kv[0] %q, %q at %a : tensor<?x32xf32, #lariat.of<"a">>
  %o = lariat.attend @kv[0] %q at %a heads(2) mask(<causal>) : tensor<?x32xf32, #lariat.of<"a">>
  return %o : tensor<?x32xf32, #lariat.of<"a">>
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
