// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel | FileCheck %s

// put changes lines of a copy where something still reads the old tensor; `add` reads the lines that it writes.
// CHECK-LABEL: func.func @added
// CHECK: kernel.lines {{.*}} to %[[LINES:.*]] :
// CHECK: kernel.rowwise {{.*}} outs(%[[NEW:.*]] : memref<?x16xf32>) gather [-1] scatter [-1]
// CHECK: kernel.rowwise {{.*}} ins(%{{.*}}, %[[NEW]] : {{.*}}) {{.*}} outs(%[[NEW]] : memref<?x16xf32>) indices(%[[LINES]] : memref<?xindex>) gather [0, 0] scatter [0]
// CHECK-NEXT: ^bb0(%[[Y:.*]]: f32, %[[OLD:.*]]: f32):
// CHECK-NEXT: arith.addf %[[OLD]], %[[Y]]
func.func @added(%a: !lariat.rows, %x: tensor<?x16xf32>, %y: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %t = lariat.take %y of %a at %w : tensor<?x16xf32> at !lariat.rows
  %z = lariat.put %t of %w into %x of %a by add : tensor<?x16xf32> into tensor<?x16xf32>
  return %z, %x : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// put changes lines in place where nothing reads the old tensor any more.
// CHECK-LABEL: func.func @in_place
// CHECK: kernel.embed {{.*}} out(%[[X:.*]] : memref<?x16xf32>)
// CHECK: kernel.rowwise {{.*}} outs(%[[X]] : memref<?x16xf32>) indices(%{{.*}}) gather [0] scatter [0]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: kernel.yield
lariat.weight @e : tensor<320x16xf32> from <"e">
func.func @in_place(%a: !lariat.rows, %ids: tensor<?xi32>, %y: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %x = lariat.embed %ids, @e : tensor<?xi32> to tensor<?x16xf32>
  %w = lariat.last %a : !lariat.rows to !lariat.rows
  %t = lariat.take %y of %a at %w : tensor<?x16xf32> at !lariat.rows
  %z = lariat.put %t of %w into %x of %a : tensor<?x16xf32> into tensor<?x16xf32>
  %n = arith.negf %z : tensor<?x16xf32>
  return %n : tensor<?x16xf32>
}

// -----

// Parts that start at panels are copied beside each other.
// CHECK-LABEL: func.func @concat
// CHECK: %[[LEFT:.*]] = kernel.columns %[[WHOLE:.*]] from 0 :
// CHECK: kernel.rowwise {{.*}} width(16) {{.*}} outs(%[[LEFT]] :
// CHECK: %[[RIGHT:.*]] = kernel.columns %[[WHOLE]] from 16 :
// CHECK: kernel.rowwise {{.*}} width(8) {{.*}} outs(%[[RIGHT]] :
func.func @concat(%a: !lariat.rows, %x: tensor<?x16xf32>, %y: tensor<?x8xf32>) -> tensor<?x24xf32> {
  %c = lariat.concat %x, %y : tensor<?x16xf32>, tensor<?x8xf32> to tensor<?x24xf32>
  return %c : tensor<?x24xf32>
}

// -----

// A structured op that copies columns from a panel on reads them where they are.
// CHECK-LABEL: func.func @columns
// CHECK: %[[PART:.*]] = kernel.columns %{{.*}} from 16 :
// CHECK: kernel.rowwise {{.*}} ins(%[[PART]] :
// CHECK-NOT: kernel.generic
#shifted = affine_map<(r, c) -> (r, c + 16)>
#same = affine_map<(r, c) -> (r, c)>
func.func @columns(%a: !lariat.rows, %x: tensor<?x48xf32>) -> tensor<?x16xf32> {
  %n = lariat.count %a : !lariat.rows
  %e = tensor.empty(%n) : tensor<?x16xf32>
  %y = linalg.generic {indexing_maps = [#shifted, #same], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x48xf32>) outs(%e : tensor<?x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// What a function returns as it got it is copied to the caller's memory.
// CHECK-LABEL: func.func @argument
// CHECK: %[[IN:.*]] = kernel.port 1
// CHECK: %[[OUT:.*]] = kernel.port 2
// CHECK: kernel.rowwise {{.*}} ins(%[[IN]] : memref<?x16xf32>) vectors [] outs(%[[OUT]] : memref<?x16xf32>)
// CHECK: kernel.set_port_rows 2
func.func @argument(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  return %x : tensor<?x16xf32>
}
