// RUN: lariat-opt %s --split-input-file --verify-diagnostics --lariat-normalize-row-ops --lariat-verify-row-mixing

// Ops of the dialect relate rows, upstream ops keep them apart, tensors without rows are free.
func.func @allowed(%a: !lariat.rows<"a">, %x: tensor<?x4xf32, #lariat.of<"a">>, %max: index) -> tensor<?x4xf32, #lariat.of<"a">> {
  %n = lariat.count %a : !lariat.rows<"a">
  %w = arith.constant dense<1.0> : tensor<4x4xf32>
  %i = tensor.empty() : tensor<4x4xf32>
  %t = linalg.transpose ins(%w : tensor<4x4xf32>) outs(%i : tensor<4x4xf32>) permutation = [1, 0]
  %o = tensor.empty(%n) : tensor<?x4xf32, #lariat.of<"a">>
  %p = linalg.matmul ins(%x, %t : tensor<?x4xf32, #lariat.of<"a">>, tensor<4x4xf32>) outs(%o : tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  %y = arith.addf %p, %x : tensor<?x4xf32, #lariat.of<"a">>
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// The number of rows as a value: rows of other sequences would change it.
func.func @count(%a: !lariat.rows<"a">) -> tensor<?xindex, #lariat.of<"a">> {
  // expected-error@below {{'lariat.count' is used by 'lariat.spread': the number of rows depends on what else is in a call, so it may only be the size of a tensor of these rows}}
  %n = lariat.count %a : !lariat.rows<"a">
  // expected-note@below {{it is used here}}
  %y = lariat.spread %n at %a : index at !lariat.rows<"a"> to tensor<?xindex, #lariat.of<"a">>
  return %y : tensor<?xindex, #lariat.of<"a">>
}

// -----

func.func @dim(%a: !lariat.rows<"a">, %x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xindex, #lariat.of<"a">> {
  %c = arith.constant 0 : index
  // expected-error@below {{'tensor.dim' is used by 'arith.addi'}}
  %n = tensor.dim %x, %c : tensor<?xf32, #lariat.of<"a">>
  // expected-note@below {{it is used here}}
  %m = arith.addi %n, %n : index
  %y = lariat.spread %m at %a : index at !lariat.rows<"a"> to tensor<?xindex, #lariat.of<"a">>
  return %y : tensor<?xindex, #lariat.of<"a">>
}

// -----

// A size that is not that of the rows.
func.func @size(%a: !lariat.rows<"a">) -> tensor<?xf32, #lariat.of<"a">> {
  %c = arith.constant 7 : index
  // expected-error@below {{'tensor.empty' mixes rows, or does not say that it keeps them apart}}
  %y = tensor.empty(%c) : tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}

// -----

// Rows one after the other.
func.func @concat(%x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  // expected-error@below {{'tensor.concat' mixes rows}}
  %y = tensor.concat dim(0) %x, %x : (tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">>
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// A row in the place of columns.
func.func @collapse(%x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  // expected-error@below {{'tensor.collapse_shape' mixes rows}}
  %y = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32, #lariat.of<"a">> into tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}

// -----

// Rows as what a product sums over.
func.func @outer(%x: tensor<?x4xf32, #lariat.of<"a">>, %o: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error@below {{'linalg.generic' mixes rows}}
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %x : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">>) outs(%o : tensor<4x4xf32>) {
  ^bb0(%p: f32, %q: f32, %r: f32):
    %s = arith.mulf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

// A row of its own choice, read inside the body of an op that has no row operand.
func.func @capture(%x: tensor<?x4xf32, #lariat.of<"a">>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%o : tensor<4xf32>) {
  ^bb0(%p: f32):
    %k = linalg.index 0 : index
    // expected-error@below {{'tensor.extract' reads rows of its own choice inside 'linalg.generic'}}
    %s = tensor.extract %x[%k, %k] : tensor<?x4xf32, #lariat.of<"a">>
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Another set under the same number.
func.func @sets(%x: tensor<?x4xf32, #lariat.of<"a">>, %o: tensor<?x4xf32, #lariat.of<"b">>) -> tensor<?x4xf32, #lariat.of<"b">> {
  // expected-error@below {{'linalg.map' joins row tensors of several sets, expected 'lariat.take' or 'lariat.put' between them}}
  %y = linalg.map { math.tanh } ins(%x : tensor<?x4xf32, #lariat.of<"a">>) outs(%o : tensor<?x4xf32, #lariat.of<"b">>)
  return %y : tensor<?x4xf32, #lariat.of<"b">>
}

// -----

// Rows without a set.
func.func @unlabelled(%n: index) -> tensor<?x4xf32> {
  // expected-error@below {{'tensor.empty' has a value of type 'tensor<?x4xf32>', expected a tensor of static shape, or a row tensor, whose encoding names its row set}}
  %y = tensor.empty(%n) : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-error@below {{'func.func' has a value of type '!lariat.rows', expected a row set with a label}}
func.func @no_label(%a: !lariat.rows) {
  return
}

// -----

// Elements that no kernel knows.
func.func @element(%x: tensor<?x4xi32, #lariat.of<"a">>) -> tensor<?x4xi4, #lariat.of<"a">> {
  // expected-error@below {{'arith.trunci' has a value of type 'tensor<?x4xi4, #lariat.of<"a">>', expected elements that are index, i1, i8, i16, i32, i64, f16, bf16, f32 or f64}}
  %y = arith.trunci %x : tensor<?x4xi32, #lariat.of<"a">> to tensor<?x4xi4, #lariat.of<"a">>
  return %y : tensor<?x4xi4, #lariat.of<"a">>
}

// -----

// Memory.
func.func @memory() {
  // expected-error@below {{'memref.alloca' has no place in an entry function, expected ops of lariat, arith, math, tensor, linalg, and 'scf.if', 'scf.for' and 'scf.while'}}
  %m = memref.alloca() : memref<4xf32>
  %c = arith.constant 0 : index
  %f = arith.constant 0.0 : f32
  memref.store %f, %m[%c] : memref<4xf32>
  return
}

// -----

// expected-error@below {{'func.func' has a region of 2 blocks, expected 1}}
func.func @blocks() {
  cf.br ^next
^next:
  return
}

// -----

// expected-error@below {{'func.func' has a value of type 'i4', expected rows, tensors, or numbers of 1, 8, 16, 32 or 64 bits}}
func.func @number(%x: i4) {
  return
}

// -----

// expected-error@below {{'func.func' has a value of type 'tensor<?x0xf32, #lariat.of<"a">>', expected no dimension of size 0}}
func.func @no_columns(%x: tensor<?x0xf32, #lariat.of<"a">>) {
  return
}

// -----

// expected-error@below {{'func.func' has a value of type 'tensor<4xf32, "sparse">', expected no encoding but that of a row set}}
func.func @encoding(%x: tensor<4xf32, "sparse">) {
  return
}

// -----

// Places in what all rows share follow from no row.
func.func @computed_offset(%a: !lariat.rows<"a">, %i: index) -> tensor<1xf32> {
  %w = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error@below {{'tensor.extract_slice' starts at an offset or has a stride that is computed, expected numbers}}
  %y = tensor.extract_slice %w[%i] [1] [1] : tensor<4xf32> to tensor<1xf32>
  return %y : tensor<1xf32>
}

// -----

func.func @computed_place(%a: !lariat.rows<"a">, %i: index) -> f32 {
  %w = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error@below {{'tensor.extract' reads 'tensor<4xf32>' at a place that is computed or outside, expected constants inside}}
  %y = tensor.extract %w[%i] : tensor<4xf32>
  return %y : f32
}

// -----

func.func @place_outside(%a: !lariat.rows<"a">) -> f32 {
  %w = arith.constant dense<1.0> : tensor<4xf32>
  %i = arith.constant 4 : index
  // expected-error@below {{'tensor.extract' reads 'tensor<4xf32>' at a place that is computed or outside, expected constants inside}}
  %y = tensor.extract %w[%i] : tensor<4xf32>
  return %y : f32
}

// -----

// Columns behind the last one, which upstream sees only in tensors of static shape.
func.func @columns_outside(%x: tensor<?x4xf32, #lariat.of<"a">>, %o: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  // expected-error@below {{'linalg.generic' reads or writes operand 0 of type 'tensor<?x4xf32, #lariat.of<"a">>' at places that are not those of its loops}}
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1 + 1)>, affine_map<(d0, d1) -> (d0, d1)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x4xf32, #lariat.of<"a">>) outs(%o : tensor<?x4xf32, #lariat.of<"a">>) {
  ^bb0(%p: f32, %q: f32):
    linalg.yield %p : f32
  } -> tensor<?x4xf32, #lariat.of<"a">>
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// A body is scalar code.
func.func @tensor_in_body(%x: tensor<?x4xf32, #lariat.of<"a">>) -> tensor<?x4xf32, #lariat.of<"a">> {
  %c = arith.constant 0 : index
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x4xf32, #lariat.of<"a">>) outs(%x : tensor<?x4xf32, #lariat.of<"a">>) {
  ^bb0(%p: f32, %q: f32):
    // expected-error@below {{'tensor.from_elements' stands in 'linalg.generic', expected scalar ops of arith, math and scf}}
    %t = tensor.from_elements %p : tensor<1xf32>
    %s = tensor.extract %t[%c] : tensor<1xf32>
    linalg.yield %s : f32
  } -> tensor<?x4xf32, #lariat.of<"a">>
  return %y : tensor<?x4xf32, #lariat.of<"a">>
}

// -----

// expected-error@below {{'func.func' has a value of type 'tensor<?x?xf32, #lariat.of<"a">>', expected rows in dimension 0, and static dimensions behind it}}
func.func @dynamic_columns(%x: tensor<?x?xf32, #lariat.of<"a">>) {
  return
}
