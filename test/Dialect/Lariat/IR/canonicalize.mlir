// RUN: lariat-opt %s --canonicalize --split-input-file | FileCheck %s

// Folders of take and put, and the composition of takes. What is kept comes first.

// `put ... by add` changes the tensor, even where it puts all rows.
// CHECK-LABEL: @keep_put_add
func.func @keep_put_add(%x: tensor<?x4xf32, #lariat.of<"a">>, %y: tensor<?x4xf32, #lariat.of<"a">>,
                        %a: !lariat.rows<"a">) -> tensor<?x4xf32, #lariat.of<"a">> {
  // CHECK: %[[p:.+]] = lariat.put {{.*}} by add
  // CHECK: return %[[p]]
  %p = lariat.put %y of %a into %x of %a by add : tensor<?x4xf32, #lariat.of<"a">> into tensor<?x4xf32, #lariat.of<"a">>
  return %p : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// Taking back after `put ... by add` gives sums.
// CHECK-LABEL: @keep_take_of_put_add
func.func @keep_take_of_put_add(%v: tensor<?x4xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">,
                                %x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
    -> tensor<?x4xf32, #lariat.of<"k">> {
  // CHECK: lariat.put
  // CHECK: %[[t:.+]] = lariat.take
  // CHECK: return %[[t]]
  %p = lariat.put %v of %k into %x of %a by add : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  %t = lariat.take %p of %a at %k : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"k">
  return %t : tensor<?x4xf32, #lariat.of<"k">>
}

// -----

// Taking other rows than those that were put needs the whole tensor.
// CHECK-LABEL: @keep_take_of_other_rows
func.func @keep_take_of_other_rows(%v: tensor<?x4xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">,
                                   %x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">, %j: !lariat.rows<"j">)
    -> tensor<?x4xf32, #lariat.of<"j">> {
  // CHECK: lariat.put
  // CHECK: %[[t:.+]] = lariat.take
  // CHECK: return %[[t]]
  %p = lariat.put %v of %k into %x of %a : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  %t = lariat.take %p of %a at %j : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"j">
  return %t : tensor<?x4xf32, #lariat.of<"j">>
}

// -----

// Two sets of equal type are not one set: without labels only the SSA value says that they are.
// CHECK-LABEL: @keep_take_of_another_set
func.func @keep_take_of_another_set(%x: tensor<?x4xf32>, %a: !lariat.rows, %k: !lariat.rows) -> tensor<?x4xf32> {
  // CHECK: %[[t:.+]] = lariat.take
  // CHECK: return %[[t]]
  %t = lariat.take %x of %a at %k : tensor<?x4xf32> at !lariat.rows
  return %t : tensor<?x4xf32>
}

// -----

// A take inside a loop of a take outside of it stays: the outer one has fewer rows to read.
// CHECK-LABEL: @keep_take_outside_of_the_loop
func.func @keep_take_outside_of_the_loop(%e: tensor<?x4xf32, #lariat.of<"all">>, %all: !lariat.rows<"all">,
                                         %b: !lariat.rows<"b">, %x0: tensor<?x4xf32, #lariat.of<"b">>, %max: index)
    -> tensor<?x4xf32, #lariat.of<"b">> {
  // CHECK: %[[eb:.+]] = lariat.take
  %eb = lariat.take %e of %all at %b : tensor<?x4xf32, #lariat.of<"all">> at !lariat.rows<"b">
  // CHECK: lariat.recur
  %x, %steps = lariat.recur max(%max : index) over %b : !lariat.rows<"b"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x4xf32, #lariat.of<"b">>) {
    // CHECK: lariat.take %[[eb]]
    %i = lariat.take %eb of %b at %a : tensor<?x4xf32, #lariat.of<"b">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%i : tensor<?x4xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x4xf32, #lariat.of<"b">>
}

// -----

// Taking all rows of a set is the identity.
// CHECK-LABEL: @take_all_rows
// CHECK-SAME:    %[[x:[^:]+]]: tensor
func.func @take_all_rows(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
    -> tensor<?x4xf32, #lariat.of<"a">> {
  // CHECK-NEXT: return %[[x]]
  %t = lariat.take %x of %a at %a : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"a">
  return %t : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// Taking back the rows just put gives what was put.
// CHECK-LABEL: @take_of_put
// CHECK-SAME:    %[[v:[^:]+]]: tensor
func.func @take_of_put(%v: tensor<?x4xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">,
                       %x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">)
    -> tensor<?x4xf32, #lariat.of<"k">> {
  // CHECK-NEXT: return %[[v]]
  %p = lariat.put %v of %k into %x of %a : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  %t = lariat.take %p of %a at %k : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"k">
  return %t : tensor<?x4xf32, #lariat.of<"k">>
}

// -----

// Replacing all rows leaves the new values.
// CHECK-LABEL: @put_all_rows
// CHECK-SAME:    %[[v:[^:]+]]: tensor
func.func @put_all_rows(%v: tensor<?x4xf32, #lariat.of<"a">>, %x: tensor<?x4xf32, #lariat.of<"a">>,
                        %a: !lariat.rows<"a">) -> tensor<?x4xf32, #lariat.of<"a">> {
  // CHECK-NEXT: return %[[v]]
  %p = lariat.put %v of %a into %x of %a : tensor<?x4xf32, #lariat.of<"a">> into tensor<?x4xf32, #lariat.of<"a">>
  return %p : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// A take of a take reads the first tensor.
// CHECK-LABEL: @compose_takes
// CHECK-SAME:    %[[x:[^:]+]]: tensor<{{[^%]+}}, %[[a:[^:]+]]: !lariat.rows<"a">, %[[b:[^:]+]]: !lariat.rows<"b">, %[[c:[^:]+]]: !lariat.rows<"c">
func.func @compose_takes(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">, %b: !lariat.rows<"b">,
                         %c: !lariat.rows<"c">) -> tensor<?x4xf32, #lariat.of<"c">> {
  // CHECK-NEXT: %[[t:.+]] = lariat.take %[[x]] of %[[a]] at %[[c]]
  // CHECK-NEXT: return %[[t]]
  %y = lariat.take %x of %a at %b : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"b">
  %z = lariat.take %y of %b at %c : tensor<?x4xf32, #lariat.of<"b">> at !lariat.rows<"c">
  return %z : tensor<?x4xf32, #lariat.of<"c">>
}

// -----

// A loop that only computes goes when nobody wants its results; one that appends stays.
lariat.cache @kv layers(1) heads(1) dim(4) : f32 policy(#lariat.first)
// CHECK-LABEL: @dead_loop
func.func @dead_loop(%all: !lariat.rows<"all">, %x0: tensor<?x4xf32, #lariat.of<"all">>, %max: index) {
  // CHECK:     lariat.recur
  // CHECK:       lariat.append
  // CHECK-NOT: lariat.recur
  // CHECK:     return
  %x, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x4xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x4xf32, #lariat.of<"a">>)
  }
  %y, %t = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x4xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x4xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x4xf32, #lariat.of<"a">>)
  }
  return
}
