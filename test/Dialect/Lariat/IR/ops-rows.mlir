// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --mlir-print-op-generic | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --emit-bytecode | lariat-opt | FileCheck %s

// The ops of LariatRowOps.td: printed, generic and bytecode form read back the same.

// CHECK-LABEL: @sets
// CHECK-SAME:    %[[a:[^:]+]]: !lariat.rows<"a">, %[[m:[^:]+]]: tensor<?xi1, #of_a>, %[[d:[^:]+]]: index
func.func @sets(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>, %d: index) -> index {
  // CHECK: %[[k:.+]] = lariat.select %[[a]] where %[[m]] : {{.*}}<"a"> to {{.*}}<"k">
  %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
  // CHECK: %[[w:.+]] = lariat.last %[[k]] : {{.*}}<"k"> to {{.*}}<"wanted">
  %w = lariat.last %k : !lariat.rows<"k"> to !lariat.rows<"wanted">
  // CHECK: %[[b:.+]] = lariat.advance %[[w]] : {{.*}}<"wanted">
  %b = lariat.advance %w : !lariat.rows<"wanted">
  // CHECK: %[[c:.+]] = lariat.advance %[[b]] to %[[d]] : {{.*}}<"wanted">
  %c = lariat.advance %b to %d : !lariat.rows<"wanted">
  // CHECK: lariat.count %[[c]] : {{.*}}<"wanted">
  %n = lariat.count %c : !lariat.rows<"wanted">
  return %n : index
}

// Labels are strings, so any text may name a set.
// CHECK-LABEL: @labels
// CHECK-SAME:    !lariat.rows<"all of them">
// CHECK-SAME:    !lariat.rows<"\22"> {{.*}}!lariat.rows<"">
func.func private @labels(!lariat.rows<"all of them">, !lariat.rows<"\""> {lariat.input = "rows"}, !lariat.rows<"">)

// Sets whose labels differ only in characters that an alias cannot have stay apart.
// CHECK-LABEL: @aliases
// CHECK-SAME:    tensor<?xf32, #[[space:of_a.+]]>, {{.*}}tensor<?xf32, #{{.+}}>
func.func @aliases(%x: tensor<?xf32, #lariat.of<"a b">>, %y: tensor<?xf32, #lariat.of<"a_b">>) {
  // CHECK: arith.addf %{{.+}}, %{{.+}} : tensor<?xf32, #[[space]]>
  %s = arith.addf %x, %x : tensor<?xf32, #lariat.of<"a b">>
  return
}

// CHECK-LABEL: @top_k
func.func @top_k(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"j"> {
  // CHECK:      %[[k:.+]] = lariat.top_k %{{.+}} of %{{.+}} capacity(<[2, 1] over 3>) : tensor<?xf32, #of_a> to {{.*}}<"k">
  // CHECK-SAME:   decode {
  // CHECK-NEXT: ^bb0(%{{.+}}: !lariat.rows<"a">, %[[first:.+]]: tensor<?xi1, #of_a>, %{{.+}}: tensor<?xf32, #of_a>):
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 3>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    // CHECK-NEXT: lariat.end %[[first]] : tensor<?xi1, #of_a>
    lariat.end %first : tensor<?xi1, #lariat.of<"a">>
  }
  %zk = lariat.take %z of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
  // CHECK:      lariat.top_k %{{.+}} of %[[k]] capacity(<[1] over 2>) : tensor<?xf32, #of_k> to {{.*}}<"j">
  // CHECK-NEXT: return
  %j = lariat.top_k %zk of %k capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"k">> to !lariat.rows<"j">
  return %j : !lariat.rows<"j">
}

// CHECK-LABEL: @top_k_counts
// CHECK-SAME:    %[[a:[^:]+]]: !lariat.rows<"a">, %[[z:[^:]+]]: tensor<?xf32, #of_a>, %[[c:[^:]+]]: tensor<?x2xi32, #of_a>
func.func @top_k_counts(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>,
                        %c: tensor<?x2xi32, #lariat.of<"a">>) {
  // CHECK: lariat.top_k %[[z]] of %[[a]] capacity(<[2, 1] over 3>) counts(%[[c]] : tensor<?x2xi32, #of_a>) : tensor<?xf32, #of_a> to {{.*}}<"k">
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 3>) counts(%c : tensor<?x2xi32, #lariat.of<"a">>)
      : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  return
}

// CHECK-LABEL: @movement
// CHECK-SAME:    %[[x:[^:]+]]: tensor<?x4xf32, #of_a>, %[[a:[^:]+]]: !lariat.rows<"a">, %[[k:[^:]+]]: !lariat.rows<"k">
func.func @movement(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">, %k: !lariat.rows<"k">) {
  // CHECK: %[[y:.+]] = lariat.take %[[x]] of %[[a]] at %[[k]] : tensor<?x4xf32, #of_a> at {{.*}}<"k">
  %y = lariat.take %x of %a at %k : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"k">
  // `replace` is the default and is not printed.
  // CHECK: %[[p:.+]] = lariat.put %[[y]] of %[[k]] into %[[x]] of %[[a]] : tensor<?x4xf32, #of_k> into tensor<?x4xf32, #of_a>
  %p = lariat.put %y of %k into %x of %a by replace
      : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  // CHECK: lariat.put %[[y]] of %[[k]] into %[[p]] of %[[a]] by add : tensor<?x4xf32, #of_k> into tensor<?x4xf32, #of_a>
  %q = lariat.put %y of %k into %p of %a by add
      : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  return
}

// A scalar, the value of one row, one value per row, and a bit.
// CHECK-LABEL: @spread
func.func @spread(%a: !lariat.rows<"a">, %s: f32, %v: tensor<4xf32>, %m: tensor<2x3xf16>,
                  %g: tensor<?xf32, #lariat.of<"a">>, %b: i1) {
  // CHECK: lariat.spread %{{.+}} at %{{.+}} : f32 at {{.*}}<"a"> to tensor<?x4xf32, #of_a>
  %0 = lariat.spread %s at %a : f32 at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  // CHECK: lariat.spread %{{.+}} at %{{.+}} : tensor<4xf32> at {{.*}}<"a"> to tensor<?x4xf32, #of_a>
  %1 = lariat.spread %v at %a : tensor<4xf32> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  // CHECK: lariat.spread %{{.+}} at %{{.+}} : tensor<2x3xf16> at {{.*}}<"a"> to tensor<?x2x3xf16, #of_a>
  %2 = lariat.spread %m at %a : tensor<2x3xf16> at !lariat.rows<"a"> to tensor<?x2x3xf16, #lariat.of<"a">>
  // CHECK: lariat.spread %{{.+}} at %{{.+}} : tensor<?xf32, #of_a> at {{.*}}<"a"> to tensor<?x4xf32, #of_a>
  %3 = lariat.spread %g at %a : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  // CHECK: lariat.spread %{{.+}} at %{{.+}} : i1 at {{.*}}<"a"> to tensor<?xi1, #of_a>
  %4 = lariat.spread %b at %a : i1 at !lariat.rows<"a"> to tensor<?xi1, #lariat.of<"a">>
  return
}

// CHECK-LABEL: @concat
func.func @concat(%x: tensor<?x4xf32, #lariat.of<"a">>, %y: tensor<?x2xf32, #lariat.of<"a">>, %h: tensor<?x1xbf16>) {
  // CHECK: lariat.concat %{{.+}}, %{{.+}}, %{{.+}} : tensor<?x4xf32, #of_a>, tensor<?x2xf32, #of_a>, tensor<?x4xf32, #of_a> to tensor<?x10xf32, #of_a>
  %0 = lariat.concat %x, %y, %x : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x2xf32, #lariat.of<"a">>,
      tensor<?x4xf32, #lariat.of<"a">> to tensor<?x10xf32, #lariat.of<"a">>
  // CHECK: lariat.concat %{{.+}} : tensor<?x1xbf16> to tensor<?x1xbf16>
  %1 = lariat.concat %h : tensor<?x1xbf16> to tensor<?x1xbf16>
  return
}

// The result type of a fact follows from the row set.
// CHECK-LABEL: @facts
func.func @facts(%a: !lariat.rows<"a">)
    -> (tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>) {
  // CHECK: %[[p:.+]] = lariat.position_of %{{.+}} : {{.*}}<"a">
  %p = lariat.position_of %a : !lariat.rows<"a">
  // CHECK: %[[d:.+]] = lariat.depth_of %{{.+}} : {{.*}}<"a">
  %d = lariat.depth_of %a : !lariat.rows<"a">
  // CHECK: %[[g:.+]] = lariat.generated_of %{{.+}} : {{.*}}<"a">
  %g = lariat.generated_of %a : !lariat.rows<"a">
  // CHECK: return %[[p]], %[[d]], %[[g]] : tensor<?xindex, #of_a>, tensor<?xindex, #of_a>, tensor<?xindex, #of_a>
  return %p, %d, %g : tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>, tensor<?xindex, #lariat.of<"a">>
}

// CHECK-LABEL: @reductions
func.func @reductions(%p: tensor<?x9xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>,
                      %h: tensor<?x2xbf16>) {
  // CHECK: lariat.row_reduce sum %{{.+}} : tensor<?x9xf32, #of_a>
  %0 = lariat.row_reduce sum %p : tensor<?x9xf32, #lariat.of<"a">>
  // CHECK: lariat.row_reduce max %{{.+}} : tensor<?x9xf32, #of_a>
  %1 = lariat.row_reduce max %p : tensor<?x9xf32, #lariat.of<"a">>
  // CHECK: lariat.row_reduce second_max %{{.+}} : tensor<?x2xbf16>
  %2 = lariat.row_reduce second_max %h : tensor<?x2xbf16>
  // CHECK: lariat.argmax %{{.+}} : tensor<?x9xf32, #of_a>
  %3 = lariat.argmax %p : tensor<?x9xf32, #lariat.of<"a">>
  // CHECK: lariat.seq_reduce any %{{.+}} at %{{.+}} : tensor<?xi1, #of_a>
  %4 = lariat.seq_reduce any %m at %a : tensor<?xi1, #lariat.of<"a">>
  // CHECK: lariat.seq_reduce all %{{.+}} at %{{.+}} : tensor<?xi1, #of_a>
  %5 = lariat.seq_reduce all %m at %a : tensor<?xi1, #lariat.of<"a">>
  // CHECK: lariat.seq_reduce mean %{{.+}} at %{{.+}} : tensor<?xf32, #of_a>
  %6 = lariat.seq_reduce mean %0 at %a : tensor<?xf32, #lariat.of<"a">>
  return
}

// Every op of the file without labels.
// CHECK-LABEL: @erased
func.func @erased(%a: !lariat.rows, %k: !lariat.rows, %m: tensor<?xi1>, %x: tensor<?x4xf32>) {
  // CHECK: lariat.select %{{.+}} where %{{.+}} : {{(!lariat.rows)?}} to
  %0 = lariat.select %a where %m : !lariat.rows to !lariat.rows
  // CHECK: lariat.last
  %1 = lariat.last %a : !lariat.rows to !lariat.rows
  // CHECK: lariat.take %{{.+}} of %{{.+}} at %{{.+}} : tensor<?x4xf32> at
  %2 = lariat.take %x of %a at %k : tensor<?x4xf32> at !lariat.rows
  // CHECK: lariat.put %{{.+}} : tensor<?x4xf32> into tensor<?x4xf32>
  %3 = lariat.put %2 of %k into %x of %a : tensor<?x4xf32> into tensor<?x4xf32>
  // CHECK: lariat.depth_of
  %4 = lariat.depth_of %a : !lariat.rows
  return
}
