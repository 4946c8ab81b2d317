// RUN: lariat-opt %s --convert-lariat-to-reference --split-input-file | FileCheck %s

// Layers of equal shape share one helper, which takes their weights as arguments: code does not grow with layers.
// CHECK-DAG:   memref.global @weightT_w0 : memref<8x4xf32>
// CHECK-DAG:   memref.global @weightT_w1 : memref<8x4xf32>
// CHECK-LABEL: @two_layers
// CHECK-SAME:    tensor<?x8xf32>
// CHECK:         %[[w0:.+]] = memref.get_global @weightT_w0
// CHECK:         call @[[linear:linear_[0-9]+]](%{{.+}}, %[[w0]])
// CHECK:         %[[w1:.+]] = memref.get_global @weightT_w1
// CHECK:         call @[[linear]](%{{.+}}, %[[w1]])
// CHECK:       func.func private @[[linear]]
// CHECK-NOT:   func.func private @linear
lariat.weight @w0 : tensor<4x8xf32> from <"w0">
lariat.weight @w1 : tensor<4x8xf32> from <"w1">
func.func @two_layers(%x: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %y = lariat.linear %x, @w0 : tensor<?x8xf32> to tensor<?x4xf32>
  %z = lariat.linear %x, @w1 : tensor<?x8xf32> to tensor<?x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// A row set becomes a table; every function receives keys, values and presence of each cache after
// its own arguments, and then the words of the first fault.
// CHECK-LABEL: @cache
// CHECK-SAME:    %[[rows:.+]]: tensor<?x6xindex>, %[[x:.+]]: tensor<?x4xf32>
// CHECK-SAME:    %[[keys:.+]]: memref<?x?x?x?x?xbf16>, %[[values:.+]]: memref<?x?x?x?x?xbf16>, %[[present:.+]]: memref<?x?x?x?xi8>, %[[faults:.+]]: memref<?xindex>
// CHECK-SAME:    llvm.emit_c_interface
// CHECK:         call @append_0(%[[x]], %[[x]], %[[rows]], %{{.+}}, %[[keys]], %[[values]], %[[present]], %[[faults]], %{{.+}})
// CHECK:         call @attend_0(%[[x]], %[[rows]], %{{.+}}, %[[keys]], %[[values]], %[[present]], %[[faults]], %{{.+}})
// CHECK-NOT:   lariat.
lariat.cache @kv layers(1) heads(1) dim(4) : bf16 policy(#lariat.own<missing = skip>)
func.func @cache(%rows: !lariat.rows, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  lariat.append @kv[0] %x, %x at %rows : tensor<?x4xf32>
  %o = lariat.attend @kv[0] %x at %rows heads(1) mask(<causal>) : tensor<?x4xf32>
  return %o : tensor<?x4xf32>
}

// -----

// A weight that is both looked up and multiplied by is there in both layouts.
// CHECK-DAG:   memref.global @weight_e : memref<16x4xf32>
// CHECK-DAG:   memref.global @weightT_e : memref<4x16xf32>
// CHECK-LABEL: @tied
lariat.weight @e : tensor<16x4xf32> from <"e">
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x16xf32> {
  %h = lariat.embed %ids, @e : tensor<?xi32> to tensor<?x4xf32>
  %y = lariat.linear %h, @e : tensor<?x4xf32> to tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
