// RUN: lariat-opt %s --split-input-file --verify-diagnostics
// One rule per case.

// expected-error @+1 {{'kernel.packed' op of kind panels has a shape of rank 1, expected 2}}
kernel.packed @w panels ["q"] shape [32] : f32

// -----

// expected-error @+1 {{'kernel.packed' op has panels of 24 columns, expected 16 times a power of two}}
kernel.packed @w panels ["q"] shape [32, 16] panel_columns(24) : f32

// -----

// expected-error @+1 {{'kernel.packed' op expected either sources or a value}}
kernel.packed @w vector [] shape [32] : f32

// -----

// expected-error @+1 {{'f64' is no format of panels}}
kernel.packed @w panels ["q"] shape [32, 16] : f64

// -----

// expected-error @+1 {{'kernel.packed' op of kind panels has the format f32, expected a format of panels}}
"kernel.packed"() <{sym_name = "w", kind = #kernel<pack_kind panels>, sources = ["q"], shape = array<i64: 32, 16>, format = f32}> : () -> ()

// -----

// expected-error @+1 {{'kernel.packed' op of kind vector has the format bf16, expected f32}}
kernel.packed @w vector ["q"] shape [32] : bf16

// -----

func.func @columns(%x: memref<?x32xf32>) {
  // expected-error @+1 {{starts at column 8, expected a multiple of 16}}
  %c = kernel.columns %x from 8 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  return
}

// -----

func.func @columns(%x: memref<?x32xf32>) {
  // expected-error @+1 {{takes columns 32 to 48 of 32}}
  %c = kernel.columns %x from 32 : memref<?x32xf32> to memref<?x16xf32, strided<[32, 1]>>
  return
}

// -----

func.func @columns(%x: memref<?x32xf32>) {
  // expected-error @+1 {{has lines of 16 elements, expected those of the source, 32}}
  %c = kernel.columns %x from 16 : memref<?x32xf32> to memref<?x16xf32>
  return
}

// -----

func.func @divergent(%c: i1) {
  // expected-error @+1 {{holds 'scf.if', expected kernels and barriers: what some threads may not reach has no place here}}
  kernel.parallel {
    scf.if %c {
    }
  }
  return
}

// -----

func.func @barrier() {
  // expected-error @+1 {{expects parent op 'kernel.parallel'}}
  kernel.barrier
  return
}

// -----

func.func @arguments(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{body takes 0 arguments, expected 1}}
  kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [] outs(%x : memref<?x16xf32>)
      gather [-1] scatter [-1] {
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}

// -----

func.func @yield(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{body yields 'i32' as value 0, expected 'f32'}}
  kernel.rowwise rows(%n) width(16) vectors [] outs(%x : memref<?x16xf32>) gather [] scatter [-1] {
    %c = arith.constant 0 : i32
    kernel.yield %c : i32
  }
  return
}

// -----

func.func @gather(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{gather names index list 0, expected -1 to -1}}
  kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [] outs(%x : memref<?x16xf32>)
      gather [0] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  return
}

// -----

func.func @width(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{an out has 16 columns, expected 32}}
  kernel.rowwise rows(%n) width(32) vectors [] outs(%x : memref<?x16xf32>) gather [] scatter [-1] {
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}

// -----

func.func @epilogue(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{epilogue reduces over columns, which a tile does not have all of}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] epilogue_vectors []
      outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: f32):
    %r = kernel.reduce sum %sum : f32
    kernel.yield %r : f32
  }
  return
}

// -----

func.func @weights(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{has no weights}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [] epilogue_vectors []
      outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}

// -----

// The sums of products and of attention are of different kinds.
func.func @sum_of_products(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{'kernel.gemm' op declares #kernel.sum<segments, size = 64>, expected chain}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] sum(<segments, size = 64>)
      epilogue_vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  }
  return
}

// -----

func.func @sum_of_attention(%n: index, %t: memref<?x6xindex>, %v: memref<?x4xindex>, %x: memref<?x16xf32>) {
  // expected-error @+1 {{'kernel.attend' op declares #kernel.sum<chain>, expected segments}}
  kernel.attend rows(%n) at %t views %v %x to %x from @kv[1] heads(1) scale(0.25) <causal> sum(<chain>)
      : memref<?x6xindex>, memref<?x4xindex>, memref<?x16xf32>, memref<?x16xf32>
  return
}

// -----

// expected-error @+1 {{sum 'chain' has size 4, expected none}}
func.func private @sized_chain() attributes {a = #kernel.sum<chain, size = 4>}

// -----

// expected-error @+1 {{sum 'segments' has size 0, expected at least 1}}
func.func private @endless_segments() attributes {a = #kernel.sum<segments>}

// -----

func.func @low_rank_lists(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{low_rank has 1 buffers, 2 weights and numbers of 1 sums, expected as many of each}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] low_rank(%x : memref<?x16xf32>) weights [@b, @b] of [0]
      epilogue_vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  }
  return
}

// -----

func.func @low_rank_sum(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{low_rank names sum 1, expected 0 to 0}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] low_rank(%x : memref<?x16xf32>) weights [@b] of [1]
      epilogue_vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  }
  return
}

// -----

func.func @low_rank_buffer(%n: index, %x: memref<?x16xf32>, %v: memref<?xf32>) {
  // expected-error @+1 {{low_rank has 'memref<?xf32>', expected rows of rank columns}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] low_rank(%v : memref<?xf32>) weights [@b] of [0]
      epilogue_vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  }
  return
}

// -----

func.func @top_k_numerators(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>) {
  // expected-error @+1 {{has 0 numerators over 2, expected at least one over a positive number}}
  kernel.top_k rows(%n) at %t scores %s capacity [] over 2 to %b : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
  return
}

// -----

func.func @no_slots(%n: index, %t: memref<?x6xindex>, %o: memref<?xindex>) {
  // expected-error @+1 {{slot_rule has 0 slots, expected at least 1}}
  kernel.slots rows(%n) at %t <ring of 0> to %o : memref<?x6xindex>, memref<?xindex>
  return
}

// -----

func.func @top_k_denominator(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>) {
  // expected-error @+1 {{has 1 numerators over 0, expected at least one over a positive number}}
  kernel.top_k rows(%n) at %t scores %s capacity [1] over 0 to %b : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
  return
}

// -----

func.func @top_k_scores(%n: index, %t: memref<?x6xindex>, %s: memref<?xf64>, %b: memref<?xi1>) {
  // expected-error @+1 {{has scores of 'memref<?xf64>', expected f32, bf16 or f16 per row}}
  kernel.top_k rows(%n) at %t scores %s capacity [1] over 2 to %b : memref<?x6xindex>, memref<?xf64>, memref<?xi1>
  return
}

// -----

func.func @top_k_bits(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>) {
  // expected-error @+1 {{writes to 'memref<?xf32>', expected a bit per row}}
  kernel.top_k rows(%n) at %t scores %s capacity [1] over 2 to %s : memref<?x6xindex>, memref<?xf32>, memref<?xf32>
  return
}

// -----

func.func @top_k_counts(%n: index, %t: memref<?x6xindex>, %s: memref<?xf32>, %b: memref<?xi1>, %c: memref<?x3xi32, strided<[16, 1]>>) {
  // expected-error @+1 {{has counts of 'memref<?x3xi32, strided<[16, 1]>>', expected i32 in 1 columns}}
  kernel.top_k rows(%n) at %t scores %s capacity [1] over 2 counts(%c : memref<?x3xi32, strided<[16, 1]>>) to %b : memref<?x6xindex>, memref<?xf32>, memref<?xi1>
  return
}

// -----

func.func @below_nothing(%n: index, %t: memref<?x6xindex>, %o: memref<?xindex>) {
  // expected-error @+1 {{slot_rule has rows below depth -1, expected at least 0}}
  kernel.slots rows(%n) at %t <own below -1> to %o : memref<?x6xindex>, memref<?xindex>
  return
}

// -----

func.func @columns_rank(%x: memref<?xf32>) {
  // expected-error @+1 {{takes columns of rank 1, expected 2}}
  %c = kernel.columns %x from 0 : memref<?xf32> to memref<?xf32>
  return
}

// -----

func.func @yield_count(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{body yields 0 values, expected 1}}
  kernel.rowwise rows(%n) width(16) vectors [] outs(%x : memref<?x16xf32>) gather [] scatter [-1] {
    kernel.yield
  }
  return
}

// -----

func.func @scatter_count(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{scatter has 0 entries, expected 1}}
  kernel.rowwise rows(%n) width(16) vectors [] outs(%x : memref<?x16xf32>) gather [] scatter [] {
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}

// -----

func.func @input_width(%n: index, %x: memref<?x16xf32>, %y: memref<?x32xf32>) {
  // expected-error @+1 {{an input has 16 columns, expected 32}}
  kernel.rowwise rows(%n) width(32) ins(%x : memref<?x16xf32>) vectors [] outs(%y : memref<?x32xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  }
  return
}

// -----

func.func @argument_type(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{body argument 0 has type 'i32', expected 'f32'}}
  kernel.rowwise rows(%n) width(16) ins(%x : memref<?x16xf32>) vectors [] outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] {
  ^bb0(%e: i32):
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}

// -----

// A tile gets the sums of all weights, in f32, before its extras.
func.func @epilogue_sum(%n: index, %x: memref<?x16xf32>) {
  // expected-error @+1 {{epilogue argument 0 has type 'i32', expected 'f32'}}
  kernel.gemm rows(%n) k(16) n(16) ins(%x : memref<?x16xf32>) vectors [] weights [@w] epilogue_vectors []
      outs(%x : memref<?x16xf32>) gather [-1] scatter [-1] prologue {
  ^bb0(%e: f32):
    kernel.yield %e : f32
  } epilogue {
  ^bb0(%sum: i32):
    %c = arith.constant 0.0 : f32
    kernel.yield %c : f32
  }
  return
}
