// RUN: lariat-opt %s --kernel-form-parallel --split-input-file | FileCheck %s

// A kernel that reads what another wrote comes after a barrier; one that does not stands beside it.
// CHECK-LABEL: func.func @dependent
// CHECK: kernel.parallel {
// CHECK-NEXT: kernel.rowwise {{.*}} outs(%arg2
// CHECK: kernel.rowwise {{.*}} outs(%arg3
// CHECK: kernel.barrier
// CHECK-NEXT: kernel.rowwise {{.*}} ins(%arg2
// CHECK-NOT: kernel.parallel
func.func @dependent(%n: index, %a: memref<?x16xf32>, %b: memref<?x16xf32>, %c: memref<?x16xf32>, %d: memref<?x16xf32>) {
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%b : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%c : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  kernel.rowwise rows(%n) width(16) ins(%b : memref<?x16xf32>) vectors [] outs(%d : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  return
}

// -----

// Columns of one buffer that do not overlap do not depend on each other.
// CHECK-LABEL: func.func @columns
// CHECK: kernel.parallel {
// CHECK-NOT: kernel.barrier
// CHECK: return
func.func @columns(%n: index, %a: memref<?x16xf32>, %b: memref<?x32xf32>) {
  %l = kernel.columns %b from 0 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  %r = kernel.columns %b from 16 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%l : memref<?x16xf32, strided<[32, 1]>>)
      gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  kernel.rowwise rows(%n) width(16) ins(%a : memref<?x16xf32>) vectors [] outs(%r : memref<?x16xf32, strided<[32, 1]>>)
      gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  return
}

// -----

// Attention waits for the entries that other threads append.
// CHECK-LABEL: func.func @caches
// CHECK: kernel.append
// CHECK-NEXT: kernel.barrier
// CHECK-NEXT: kernel.attend
kernel.cache @kv number(0) layers(1) heads(1) dim(16) : f32
func.func @caches(%n: index, %table: memref<?x6xindex>, %p: memref<?x2xindex>, %v: memref<?x4xindex>, %a: memref<?x16xf32>,
                  %b: memref<?x16xf32>) {
  kernel.append rows(%n) at %table entries %p %a, %a into @kv[0]
      : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
  kernel.attend rows(%n) at %table views %v %a to %b from @kv[0] heads(1) scale(0.25) <causal>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  return
}

// -----

// A service that needs nothing of the kernels goes before them; one that reads what they write ends the run.
// CHECK-LABEL: func.func @services
// CHECK: kernel.advance
// CHECK: kernel.parallel {
// CHECK: kernel.rowwise {{.*}} outs(%arg2
// CHECK: kernel.rowwise {{.*}} outs(%arg3
// CHECK: kernel.compact
// CHECK: kernel.parallel {
func.func @services(%n: index, %table: memref<?x6xindex>, %b: memref<?xi1>, %c: memref<?xi1>, %out: memref<?x6xindex>) {
  kernel.rowwise rows(%n) width(1) vectors [] outs(%b : memref<?xi1>) gather [] scatter [-1] {
    %t = arith.constant true
    kernel.yield %t : i1
  }
  %zero = arith.constant 0 : index
  kernel.advance rows(%n) %table depth(%zero) to %out : memref<?x6xindex>, memref<?x6xindex>
  kernel.rowwise rows(%n) width(1) vectors [] outs(%c : memref<?xi1>) gather [] scatter [-1] {
    %t = arith.constant true
    kernel.yield %t : i1
  }
  %m = kernel.compact rows(%n) %table where %b to %out : memref<?x6xindex>, memref<?xi1>, memref<?x6xindex>
  kernel.rowwise rows(%m) width(1) vectors [] outs(%c : memref<?xi1>) gather [] scatter [-1] {
    %t = arith.constant true
    kernel.yield %t : i1
  }
  return
}

// -----

// Entries of a cache move when others are added, so that reserve does not go before attention to the same cache; a view of it
// and places in another one do.
// CHECK-LABEL: func.func @moving
// CHECK: kernel.reserve {{.*}} of @other
// CHECK: kernel.view {{.*}} of @kv
// CHECK: kernel.parallel {
// CHECK-NEXT: kernel.attend
// CHECK-NEXT: }
// CHECK-NEXT: kernel.reserve {{.*}} of @kv
// CHECK: kernel.parallel {
// CHECK-NEXT: kernel.attend
kernel.cache @kv number(0) layers(1) heads(1) dim(16) : f32
kernel.cache @other number(1) layers(1) heads(1) dim(16) : f32
func.func @moving(%n: index, %table: memref<?x6xindex>, %s: memref<?xindex>, %p: memref<?x2xindex>, %v: memref<?x4xindex>,
                  %w: memref<?x4xindex>, %a: memref<?x16xf32>, %b: memref<?x16xf32>) {
  kernel.attend rows(%n) at %table views %v %a to %b from @kv[0] heads(1) scale(0.25) <causal>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  kernel.reserve rows(%n) at %table slots %s of @other filled false to %p
      : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
  kernel.view rows(%n) at %table slots %s of @kv exact ahead false to %w
      : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
  kernel.reserve rows(%n) at %table slots %s of @kv filled false to %p
      : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
  kernel.attend rows(%n) at %table views %w %a to %b from @kv[0] heads(1) scale(0.25) <causal>
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  return
}

// -----

// Appends to one cache stand side by side: they write different entries.
// CHECK-LABEL: func.func @appends
// CHECK: kernel.append
// CHECK-NEXT: kernel.append
kernel.cache @kv number(0) layers(2) heads(1) dim(16) : f32
func.func @appends(%n: index, %table: memref<?x6xindex>, %p: memref<?x2xindex>, %a: memref<?x16xf32>) {
  kernel.append rows(%n) at %table entries %p %a, %a into @kv[0]
      : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
  kernel.append rows(%n) at %table entries %p %a, %a into @kv[1]
      : memref<?x6xindex>, memref<?x2xindex>, memref<?x16xf32>, memref<?x16xf32>
  return
}

// -----

// What may touch anything ends the region.
// CHECK-LABEL: func.func @unknown
// CHECK: kernel.parallel {
// CHECK: call @anything
// CHECK: kernel.parallel {
func.func private @anything()
func.func @unknown(%n: index, %a: memref<?x16xf32>) {
  kernel.rowwise rows(%n) width(16) vectors [] outs(%a : memref<?x16xf32>) gather [] scatter [-1] {
    %e = arith.constant 1.0 : f32
    kernel.yield %e : f32
  }
  func.call @anything() : () -> ()
  kernel.rowwise rows(%n) width(16) vectors [] outs(%a : memref<?x16xf32>) gather [] scatter [-1] {
    %e = arith.constant 2.0 : f32
    kernel.yield %e : f32
  }
  return
}
