// RUN: lariat-opt %s --cse | FileCheck %s --check-prefix=CSE
// RUN: lariat-opt %s --loop-invariant-code-motion | FileCheck %s --check-prefix=LICM

// What upstream passes may do around caches and loops: a cache is memory behind its symbol, everything else is pure.

lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.first)
lariat.state @s layers(1) width(4) : f32

// An append between two attends changes what the second one sees.
// CSE-LABEL: @keep_attends_around_append
func.func @keep_attends_around_append(%q: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
    -> (tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) {
  // CSE-NEXT: %[[before:.+]] = lariat.attend
  // CSE-NEXT: lariat.append
  // CSE-NEXT: %[[after:.+]] = lariat.attend
  // CSE-NEXT: return %[[before]], %[[after]]
  %0 = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
  lariat.append @kv[0] %q, %q at %a : tensor<?x4xf32, #lariat.of<"a">>
  %1 = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
  return %0, %1 : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>
}

// Each shift and scan moves its state on.
// CSE-LABEL: @keep_state
func.func @keep_state(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // CSE-NEXT: lariat.shift
  // CSE-NEXT: lariat.shift
  // CSE-NEXT: lariat.scan
  // CSE-NEXT: lariat.scan
  // CSE-NEXT: return
  %0 = lariat.shift @s[0] %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  %1 = lariat.shift @s[0] %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  %2 = lariat.scan @s[0] %x, %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  %3 = lariat.scan @s[0] %x, %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  return
}

// The same rows at another depth are another value.
// CSE-LABEL: @keep_depths_apart
func.func @keep_depths_apart(%a: !lariat.rows<"a">)
    -> (tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>) {
  // CSE: lariat.depth_of
  // CSE: lariat.depth_of
  %b = lariat.advance %a : !lariat.rows<"a">
  %0 = lariat.depth_of %a : !lariat.rows<"a">
  %1 = lariat.depth_of %b : !lariat.rows<"a">
  return %0, %1 : tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>
}

// Without a write in between two equal attends are one.
// CSE-LABEL: @merge_attends
func.func @merge_attends(%q: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
    -> (tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) {
  // CSE-NEXT: %[[o:.+]] = lariat.attend
  // CSE-NEXT: return %[[o]], %[[o]]
  %0 = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
  %1 = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
  return %0, %1 : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>
}

// Append and attend stay in their loop, although nothing but their rows ties them to it; a scalar computed from outside
// leaves it.
// LICM-LABEL: @hoist_scalars_only
// LICM-SAME:    %[[t:[^:]+]]: f32
func.func @hoist_scalars_only(%t: f32, %all: !lariat.rows<"all">, %x0: tensor<?x4xf32, #lariat.of<"all">>, %max: index)
    -> tensor<?x4xf32, #lariat.of<"all">> {
  // LICM-NEXT: %[[half:.+]] = arith.constant
  // LICM-NEXT: %[[scaled:.+]] = arith.mulf %[[t]], %[[half]]
  // LICM-NEXT: lariat.recur
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x4xf32, #lariat.of<"all">>) {
    %half = arith.constant 0.5 : f32
    %scaled = arith.mulf %t, %half : f32
    // LICM-NEXT: lariat.append
    lariat.append @kv[0] %h, %h at %a : tensor<?x4xf32, #lariat.of<"a">>
    // LICM-NEXT: lariat.attend
    %o = lariat.attend @kv[0] %h at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
    // LICM-NEXT: lariat.spread %[[scaled]]
    %f = lariat.spread %scaled at %a : f32 at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
    %y = arith.mulf %o, %f : tensor<?x4xf32, #lariat.of<"a">>
    // LICM: lariat.next
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x4xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x4xf32, #lariat.of<"all">>
}

// A cache whose rows and values all come from outside an `scf.for` stays inside it too: each turn may write and read.
// LICM-LABEL: @keep_attend_in_counted_loop
func.func @keep_attend_in_counted_loop(%n: index, %a: !lariat.rows<"a">, %q: tensor<?x4xf32, #lariat.of<"a">>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  // LICM:      scf.for
  // LICM-NEXT:   lariat.append
  // LICM-NEXT:   lariat.attend
  // LICM-NEXT: }
  scf.for %i = %zero to %n step %one {
    lariat.append @kv[0] %q, %q at %a : tensor<?x4xf32, #lariat.of<"a">>
    %o = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
  }
  return
}
