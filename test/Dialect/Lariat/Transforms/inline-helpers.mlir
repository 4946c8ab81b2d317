// RUN: lariat-opt %s --split-input-file --lariat-inline-helpers | FileCheck %s
// RUN: lariat-opt %s --split-input-file --inline | FileCheck %s --check-prefix=UPSTREAM

// A helper that calls another, twice; nothing but the entry function is left.
// CHECK-LABEL: func.func @forward
// CHECK-NEXT: %[[A:.*]] = math.tanh %arg0
// CHECK-NEXT: %[[B:.*]] = math.tanh %[[A]]
// CHECK-NEXT: return %[[B]]
// CHECK-NOT: func.func
// UPSTREAM-LABEL: func.func @forward
// UPSTREAM-NOT: call
// UPSTREAM: return
func.func private @tanh(%p: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %t = math.tanh %p : tensor<?x4xf32, #lariat.of<"a">>
  return %t : tensor<?x4xf32, #lariat.of<"a">>
}
func.func @twice(%p: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %t = call @tanh(%p) : (tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  %u = call @tanh(%t) : (tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  return %u : tensor<?x4xf32, #lariat.of<"a">>
}
func.func @unused(%p: i32) -> i32 {
  return %p : i32
}
func.func @forward(%x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %y = call @twice(%x) : (tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// In the body of a loop, and ops of the dialect in the helper.
// CHECK-LABEL: func.func @forward
// CHECK: lariat.recur
// CHECK: lariat.row_reduce max
// CHECK: lariat.next
// UPSTREAM-LABEL: func.func @forward
// UPSTREAM-NOT: call
// UPSTREAM: lariat.row_reduce max
func.func private @largest(%p: tensor<?x4xf32, #lariat.of<"s">>, %s: !lariat.rows<"s">) -> tensor<?x4xf32, #lariat.of<"s">> {
  %m = lariat.row_reduce max %p : tensor<?x4xf32, #lariat.of<"s">>
  %b = lariat.spread %m at %s : tensor<?xf32, #lariat.of<"s">> at !lariat.rows<"s"> to tensor<?x4xf32, #lariat.of<"s">>
  return %b : tensor<?x4xf32, #lariat.of<"s">>
}
func.func @forward(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %max: index) -> tensor<?x4xf32, #lariat.of<"a">> {
  %y, %steps = lariat.recur max(%max : index) over %a : !lariat.rows<"a"> as %s : !lariat.rows<"s">
      carry(%h = %x : tensor<?x4xf32, #lariat.of<"a">>) {
    %n = func.call @largest(%h, %s) : (tensor<?x4xf32, #lariat.of<"s">>, !lariat.rows<"s">) -> tensor<?x4xf32, #lariat.of<"s">>
    lariat.next keep %s : !lariat.rows<"s"> carry(%n : tensor<?x4xf32, #lariat.of<"s">>)
  }
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// A label that the helper introduces is another one in each copy.
// CHECK-LABEL: func.func @forward
// CHECK: lariat.last %{{.*}} : <"a"> to <"w_1">
// CHECK: lariat.last %{{.*}} : <"a"> to <"w_2">
// UPSTREAM-LABEL: func.func @forward
func.func private @negate_last(%a: !lariat.rows<"a">, %x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  %w = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"w">
  %t = lariat.take %x of %a at %w : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"w">
  %n = arith.negf %t : tensor<?xf32, #lariat.of<"w">>
  %y = lariat.put %n of %w into %x of %a : tensor<?xf32, #lariat.of<"w">> into tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}
func.func @forward(%a: !lariat.rows<"a">, %x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  %y = call @negate_last(%a, %x) : (!lariat.rows<"a">, tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">>
  %z = call @negate_last(%a, %y) : (!lariat.rows<"a">, tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">>
  return %z : tensor<?xf32, #lariat.of<"a">>
}

// -----

// Without an entry function there is nothing to keep, so everything is.
// CHECK: func.func private @helper
// CHECK: func.func @other
// UPSTREAM: func.func @other
func.func private @helper(%p: i32) -> i32 {
  return %p : i32
}
func.func @other(%p: i32) -> i32 {
  %q = call @helper(%p) : (i32) -> i32
  return %q : i32
}
