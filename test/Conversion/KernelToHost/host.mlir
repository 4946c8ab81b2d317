// RUN: lariat-opt %s --split-input-file --convert-kernel-to-llvm --canonicalize | FileCheck %s

// A parallel region is a constant table and one launch. A record: number of the kernel, flags (a barrier behind it), words,
// then operands: a cell for the rows (that of port 0), two words per buffer (base and bytes per row; bytes), the place of
// packed data. Kernels are functions of their own, whose addresses by number are all that the object exports of them, and
// the object is bound to services before anything is called.
// CHECK:         module attributes {kernel.num_kernels = 2 : i64}
// CHECK:         llvm.mlir.global internal constant @kernels() {{.*}}: !llvm.array<2 x ptr>
// CHECK-DAG:       %[[ROWWISE:.+]] = llvm.mlir.addressof @kernel_rowwise_0
// CHECK-DAG:       %[[GEMM:.+]] = llvm.mlir.addressof @kernel_gemm_1
// CHECK-DAG:       llvm.insertvalue %[[ROWWISE]], %{{.+}}[0]
// CHECK-DAG:       llvm.insertvalue %[[GEMM]], %{{.+}}[1]
// CHECK:         llvm.mlir.global external constant @lariat_kernels() {{.*}}: !llvm.struct<(i64, ptr)>
// CHECK-DAG:       %[[COUNT:.+]] = llvm.mlir.constant(2 : i64)
// CHECK-DAG:       %[[KERNELS:.+]] = llvm.mlir.addressof @kernels
// CHECK-DAG:       llvm.insertvalue %[[COUNT]], %{{.+}}[0]
// CHECK-DAG:       llvm.insertvalue %[[KERNELS]], %{{.+}}[1]
// CHECK:         llvm.mlir.global internal constant @lariat_records_records_0(
// CHECK-SAME:      dense<[0, 1, 8, 0, 3, 0, 16384, 64, 1, 0, 9, 0, 16384, 64, 4, 0, 4096]> : tensor<17xi64>)
// CHECK:         llvm.mlir.global internal @services
// CHECK:         llvm.func @lariat_bind(%[[S:.+]]: !llvm.ptr)
// CHECK:           %[[G:.+]] = llvm.mlir.addressof @services
// CHECK:           llvm.store %[[S]], %[[G]]
// CHECK-LABEL: func.func @lariat_records(
// CHECK-SAME:      %[[CALL:.+]]: !llvm.ptr)
// CHECK-SAME:      kernel.cells = 2 : i64, kernel.scratch_bytes = {{[0-9]+}} : i64
// CHECK:           %[[TABLE:.+]] = llvm.mlir.addressof @lariat_records_records_0
// CHECK:           %[[P:.+]] = llvm.getelementptr %[[CALL]][16]
// CHECK:           %[[CELLS:.+]] = llvm.load %[[P]]
// CHECK:           %[[N:.+]] = llvm.load %[[CELLS]] : !llvm.ptr -> i64
// CHECK:           %[[L:.+]] = llvm.getelementptr %{{.+}}[8]
// CHECK:           %[[LAUNCH:.+]] = llvm.load %[[L]]
// CHECK:           llvm.call %[[LAUNCH]](%[[CALL]], %[[TABLE]], %c2_i64)
// CHECK:           %[[Q:.+]] = llvm.getelementptr %[[CELLS]][8]
// CHECK:           llvm.store %[[N]], %[[Q]]
// CHECK:           return
// CHECK:         llvm.func internal @kernel_rowwise_0(%{{.+}}: !llvm.ptr, %{{.+}}: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64)
// CHECK:         llvm.func internal @kernel_gemm_1(
// CHECK-NOT:   kernel.packed
kernel.packed @w panels ["w"] shape [32, 16] offset(4096) : f32
func.func @lariat_records() {
  %n = kernel.port_rows 0
  %x = kernel.port 0 : memref<?x16xf32>
  %y = kernel.port 1 : memref<?x32xf32>
  %t = kernel.buffer offset(64) : memref<?x32xf32>
  %c = kernel.columns %t from 16 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  kernel.parallel {
    kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors []
        outs(%c : memref<?x16xf32, strided<[32, 1]>>) gather [-1] scatter [-1] {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    }
    kernel.barrier
    kernel.gemm rows(%n) k(16) n(32) ins(%c : memref<?x16xf32, strided<[32, 1]>>) vectors [] weights [@w]
        epilogue_vectors [] outs(%y : memref<?x32xf32>) gather [-1] scatter [-1] prologue {
    ^bb0(%e: f32):
      kernel.yield %e : f32
    } epilogue {
    ^bb0(%s: f32):
      kernel.yield %s : f32
    }
  }
  kernel.set_port_rows 1, %n
  return
}

// -----

// A value that kernels read has one cell, behind those of the ports, and is stored there where it is made: once per loop step.
// Equal kernels share their function; a record is what differs.
// CHECK:         kernel.num_kernels = 1 : i64
// CHECK:         llvm.mlir.global internal constant @lariat_cells_records_1(dense<[0, 0, 7, 3, 2, 3, 0]>
// CHECK:         llvm.mlir.global internal constant @lariat_cells_records_0(dense<[0, 0, 7, 1, 2, 3, 0]>
// CHECK-LABEL: func.func @lariat_cells(
// CHECK-SAME:      kernel.cells = 4 : i64
// CHECK:           %[[HALF:.+]] = arith.constant 5.000000e-01 : f32
// CHECK:           %[[P:.+]] = llvm.getelementptr %[[CELLS:[0-9]+]][16] : (!llvm.ptr)
// CHECK-NEXT:      llvm.store %[[HALF]], %[[P]] : f32
// CHECK:           scf.for %[[I:.+]] =
// CHECK:             %[[Q:.+]] = llvm.getelementptr %[[CELLS]][8]
// CHECK:             %[[C:.+]] = arith.index_cast %[[I]] : index to i64
// CHECK:             llvm.store %[[C]], %[[Q]]
// CHECK:             llvm.call
// CHECK:             %[[R:.+]] = llvm.getelementptr %[[CELLS]][24]
// CHECK:             llvm.store %{{.+}}, %[[R]]
// CHECK:             llvm.call
func.func @lariat_cells() {
  %n = kernel.port_rows 0
  %x = kernel.port 0 : memref<?x16xf32>
  %half = arith.constant 0.5 : f32
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  scf.for %i = %zero to %n step %one {
    kernel.parallel {
      kernel.rowwise rows(%i) width(16) ins(%half : f32) vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        kernel.yield %e : f32
      }
    }
    %m = kernel.port_rows 0
    %j = arith.subi %m, %i : index
    kernel.parallel {
      kernel.rowwise rows(%j) width(16) ins(%half : f32) vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] {
      ^bb0(%e: f32):
        kernel.yield %e : f32
      }
    }
  }
  return
}

// -----

// A buffer's address is its bytes per row times the rows of the call; elements of i1 are bytes.
// CHECK-LABEL: func.func @lariat_elements(
// CHECK-DAG:       %[[ARENA:.+]] = llvm.load %{{.+}} : !llvm.ptr -> !llvm.ptr
// CHECK-DAG:       %[[ROWS:.+]] = llvm.load %{{.+}} : !llvm.ptr -> i64
// CHECK:           %[[BYTES:.+]] = arith.muli %[[ROWS]], %c96_i64
// CHECK:           %[[B:.+]] = llvm.getelementptr %{{.+}}[%[[BYTES]]]
// CHECK:           %[[PLACE:.+]] = llvm.getelementptr %[[B]][%{{.+}}]
// CHECK:           %[[BYTE:.+]] = llvm.load %[[PLACE]] : !llvm.ptr -> i8
// CHECK:           %[[BIT:.+]] = arith.trunci %[[BYTE]] : i8 to i1
// CHECK:           %[[DEPTH:.+]] = arith.select %[[BIT]]
// CHECK:           arith.muli %{{.+}}, %c48_i64
// CHECK:           %[[WORD:.+]] = arith.index_cast %[[DEPTH]] : index to i64
// CHECK:           llvm.store %[[WORD]], %{{.+}} : i64
func.func @lariat_elements() {
  %i = kernel.port_rows 0
  %table = kernel.port 0 : memref<?x6xindex>
  %bits = kernel.buffer offset(96) : memref<?xi1>
  %three = arith.constant 3 : index
  %bit = memref.load %bits[%i] : memref<?xi1>
  %depth = arith.select %bit, %i, %three : index
  memref.store %depth, %table[%i, %three] : memref<?x6xindex>
  return
}

// -----

// The generic path: lines without gaps are read where they are, others are copied; a descriptor each; memory goes at the end.
// CHECK-LABEL: func.func @lariat_generic(
// CHECK:           %[[PLACE:.+]] = llvm.getelementptr %{{.+}}[96]
// CHECK:           %[[ALLOCATE:.+]] = llvm.load %[[PLACE]]
// CHECK:           %[[PACKED:.+]] = llvm.call %[[ALLOCATE]](%{{.+}}) : !llvm.ptr, (i64) -> !llvm.ptr
// CHECK:           scf.for
// CHECK:             "llvm.intr.memcpy"(%{{.+}}, %{{.+}}, %c12_i64)
// CHECK:           llvm.call @_mlir_ciface_generic_0(%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
// CHECK:           scf.for
// CHECK:             "llvm.intr.memcpy"(%{{.+}}, %{{.+}}, %c12_i64)
// CHECK:           %[[PLACE2:.+]] = llvm.getelementptr %{{.+}}[104]
// CHECK:           %[[RELEASE:.+]] = llvm.load %[[PLACE2]]
// CHECK:           llvm.call %[[RELEASE]]() : !llvm.ptr, () -> ()
// CHECK:         llvm.func @_mlir_ciface_generic_0(!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, !llvm.ptr)
func.func private @generic_0(%x: tensor<?x3xf32>, %a: tensor<?x6xindex>, %d: index) -> tensor<?x3xf32> {
  return %x : tensor<?x3xf32>
}
func.func @lariat_generic() {
  %n = kernel.port_rows 0
  %table = kernel.port 0 : memref<?x6xindex>
  %x = kernel.port 1 : memref<?x3xf32, strided<[16, 1]>>
  %y = kernel.port 2 : memref<?x3xf32, strided<[16, 1]>>
  %m = kernel.generic @generic_0 ins(%x, %table, %n : memref<?x3xf32, strided<[16, 1]>>, memref<?x6xindex>, index)
      rows(%n, %n, %n) outs(%y : memref<?x3xf32, strided<[16, 1]>>) : index
  kernel.set_port_rows 2, %m
  return
}
