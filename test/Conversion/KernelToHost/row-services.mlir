// RUN: lariat-opt %s --split-input-file --convert-kernel-to-llvm --canonicalize | FileCheck %s

// Each row service is a call through abi::Services, at the place that its member has there. It gets the call, then what the op
// names: addresses of row tables and buffers, the number of rows, literals.

// The number of kept rows is what the service returns.
// CHECK-LABEL: func.func @compact(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[B:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[16]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           %{{.+}} = llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %[[B]], %[[T]])
func.func @compact() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %b = kernel.port 1 : memref<?xi1>
  %m = kernel.compact rows(%n) %t where %b to %t : memref<?x6xindex>, memref<?xi1>, memref<?x6xindex>
  return
}

// -----

// CHECK-LABEL: func.func @last(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[U:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %[[U]])
func.func @last() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %u = kernel.port 1 : memref<?x6xindex>
  %m = kernel.last rows(%n) %t to %u : memref<?x6xindex>, memref<?x6xindex>
  return
}

// -----

// Each row at the depth behind its own.
// CHECK-LABEL: func.func @next_depth(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %c0_i64, %c1_i64, %[[T]])
func.func @next_depth() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  kernel.advance rows(%n) %t to %t : memref<?x6xindex>, memref<?x6xindex>
  return
}

// -----

// All rows at one depth.
// CHECK-LABEL: func.func @given_depth(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %c3_i64, %c0_i64, %[[T]])
func.func @given_depth() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %d = arith.constant 3 : index
  kernel.advance rows(%n) %t depth(%d) to %t : memref<?x6xindex>, memref<?x6xindex>
  return
}

// -----

// CHECK-LABEL: func.func @check_depths(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[40]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %c1_i64, %c4_i64)
func.func @check_depths() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  kernel.check_depths rows(%n) at %t weight(1) end(4) : memref<?x6xindex>
  return
}

// -----

// CHECK-LABEL: func.func @lines(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[U:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[40]
// CHECK:           %[[O:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[48]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %[[U]], %[[N]], %[[O]])
func.func @lines() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %u = kernel.port 1 : memref<?x6xindex>
  %o = kernel.port 2 : memref<?xindex>
  kernel.lines rows(%n) %u in %t rows(%n) to %o : memref<?x6xindex>, memref<?x6xindex>, memref<?xindex>
  return
}

// -----

// CHECK-LABEL: func.func @copy_rows(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[U:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[56]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %[[U]])
func.func @copy_rows() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %u = kernel.port 1 : memref<?x6xindex>
  kernel.copy_rows rows(%n) %t to %u : memref<?x6xindex>, memref<?x6xindex>
  return
}

// -----

// A rule without an end has the largest number for it; without one for generated rows they follow the same.
// CHECK-LABEL: func.func @slots(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[64]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %c3_i64, %c2_i64, %c9223372036854775807_i64, %c3_i64, %c2_i64, %c9223372036854775807_i64, %[[S]])
func.func @slots() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.port 1 : memref<?xindex>
  kernel.slots rows(%n) at %t <ring of 2> to %s : memref<?x6xindex>, memref<?xindex>
  return
}

// -----

// CHECK-LABEL: func.func @slots_of_generated(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[64]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[T]], %[[N]], %c3_i64, %c2_i64, %c9223372036854775807_i64, %c0_i64, %c1_i64, %c0_i64, %[[S]])
func.func @slots_of_generated() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.port 1 : memref<?xindex>
  kernel.slots rows(%n) at %t <ring of 2> generated <own below 0> to %s : memref<?x6xindex>, memref<?xindex>
  return
}

// -----

// CHECK-LABEL: func.func @fill(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[72]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %[[N]], %c3_i64, %[[S]])
func.func @fill() {
  %n = kernel.port_rows 0
  %s = kernel.port 1 : memref<?xindex>
  %d = arith.constant 3 : index
  kernel.fill rows(%n) %d to %s : memref<?xindex>
  return
}

// -----

// A cache is a number; flags say that rows had stopped before.
// CHECK-LABEL: func.func @reserve(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[40]
// CHECK:           %[[E:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[80]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %c5_i64, %[[T]], %[[N]], %[[S]], %c1_i64, %[[E]])
kernel.cache @kv number(5) layers(1) heads(1) dim(16) : f32
func.func @reserve() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.port 1 : memref<?xindex>
  %e = kernel.port 2 : memref<?x2xindex>
  kernel.reserve rows(%n) at %t slots %s of @kv filled true to %e
      : memref<?x6xindex>, memref<?xindex>, memref<?x2xindex>
  return
}

// -----

// Where generated rows look up as those of the prompt do, their slots are a null address.
// CHECK-LABEL: func.func @view(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[NULL:.+]] = llvm.mlir.zero : !llvm.ptr
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[40]
// CHECK:           %[[V:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[88]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %c5_i64, %[[T]], %[[N]], %[[S]], %c2_i64, %[[NULL]], %c0_i64, %c0_i64, %[[V]])
kernel.cache @kv number(5) layers(1) heads(1) dim(16) : f32
func.func @view() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.port 1 : memref<?xindex>
  %v = kernel.port 2 : memref<?x4xindex>
  kernel.view rows(%n) at %t slots %s of @kv newest_at_most ahead false to %v
      : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
  return
}

// -----

// CHECK-LABEL: func.func @view_of_generated(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK:           %[[N:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[24]
// CHECK:           %[[T:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[32]
// CHECK:           %[[S:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[40]
// CHECK:           %[[V:.+]] = llvm.load %[[A]]
// CHECK:           %[[A:.+]] = llvm.getelementptr %{{.+}}[88]
// CHECK:           %[[SERVICE:.+]] = llvm.load %[[A]]
// CHECK:           llvm.call %[[SERVICE]](%[[CALL]], %c5_i64, %[[T]], %[[N]], %[[S]], %c0_i64, %[[S]], %c3_i64, %c1_i64, %[[V]])
kernel.cache @kv number(5) layers(1) heads(1) dim(16) : f32
func.func @view_of_generated() {
  %n = kernel.port_rows 0
  %t = kernel.port 0 : memref<?x6xindex>
  %s = kernel.port 1 : memref<?xindex>
  %v = kernel.port 2 : memref<?x4xindex>
  kernel.view rows(%n) at %t slots %s of @kv exact generated(%s
      : memref<?xindex>, first) ahead true to %v : memref<?x6xindex>, memref<?xindex>, memref<?x4xindex>
  return
}
