// RUN: lariat-opt %s --lariat-erase-row-sets | FileCheck %s

// Labels go from row sets, row tensors and block arguments; the ops stay.
// CHECK-LABEL: @erase
// CHECK-SAME:    !lariat.rows, %{{.+}}: tensor<?x4xf32>, %{{.+}}: index) -> tensor<?x4xf32>
// CHECK-NOT:     lariat.of
// CHECK:         lariat.recur {{.*}} as %[[step:.+]]: !lariat.rows carry(%{{.+}} = %{{.+}} : tensor<?x4xf32>)
// CHECK:           lariat.next keep %[[step]] : !lariat.rows
func.func @erase(%all: !lariat.rows<"all">, %x0: tensor<?x4xf32, #lariat.of<"all">>,
                 %max: index) -> tensor<?x4xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x4xf32, #lariat.of<"all">>) {
    %y = arith.addf %h, %h : tensor<?x4xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%y : tensor<?x4xf32, #lariat.of<"a">>)
  }
  return %x : tensor<?x4xf32, #lariat.of<"all">>
}

// A type inside another type or an attribute is erased as well.
// CHECK-LABEL: func private @declared
// CHECK-SAME:    (tensor<?xi1>) -> !lariat.rows
func.func private @declared(tensor<?xi1, #lariat.of<"a">>) -> !lariat.rows<"a">

// An encoding that is not ours stays.
// CHECK-LABEL: @keep_other_encoding
// CHECK-SAME:    tensor<?xf32, "sparse">
func.func @keep_other_encoding(%x: tensor<?xf32, "sparse">) {
  return
}
