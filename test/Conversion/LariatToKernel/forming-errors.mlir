// RUN: lariat-opt %s --split-input-file --convert-lariat-to-kernel --verify-diagnostics

// What goes into and out of an entry function are rows.
// expected-error@below {{@number takes or gives a value of type 'f32', expected row sets and row tensors}}
func.func @number(%a: !lariat.rows, %x: f32) -> !lariat.rows {
  return %a : !lariat.rows
}

// -----

// expected-error@below {{@constant takes or gives a value of type 'tensor<4xf32>', expected row sets and row tensors}}
func.func @constant(%a: !lariat.rows) -> tensor<4xf32> {
  %c = arith.constant dense<1.0> : tensor<4xf32>
  return %c : tensor<4xf32>
}

// -----

// expected-error@below {{@no_rows takes no row set}}
func.func @no_rows(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// expected-error@below {{@blocks has no body of one block, which an entry function of the kernel level has}}
func.func @blocks(%a: !lariat.rows) -> !lariat.rows {
  cf.br ^end
^end:
  return %a : !lariat.rows
}

// -----

func.func private @elsewhere(!lariat.rows) -> !lariat.rows
func.func @call(%a: !lariat.rows) -> !lariat.rows {
  // expected-error@below {{'func.call' has no form on the kernel level: run lariat-inline-helpers first}}
  %b = func.call @elsewhere(%a) : (!lariat.rows) -> !lariat.rows
  return %b : !lariat.rows
}

// -----

// A tensor of as many rows as a number says belongs to no row set.
func.func @rows_of_nothing(%a: !lariat.rows, %ids: tensor<?xindex>) -> tensor<?x4xf32> {
  %zero = arith.constant 0 : index
  %n = tensor.extract %ids[%zero] : tensor<?xindex>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  // expected-error@below {{'arith.negf' gives 'tensor<?x4xf32>', but no operand says of which rows}}
  %y = arith.negf %e : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Nor does it have lines that could be read.
lariat.cache @kv layers(1) heads(1) dim(4) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @nothing_written(%a: !lariat.rows, %ids: tensor<?xindex>) -> !lariat.rows {
  %zero = arith.constant 0 : index
  %n = tensor.extract %ids[%zero] : tensor<?xindex>
  // expected-error@below {{a value of type 'tensor<?x4xf32>' has no form on the kernel level}}
  %e = tensor.empty(%n) : tensor<?x4xf32>
  lariat.append @kv[0] %e, %e at %a : tensor<?x4xf32>
  return %a : !lariat.rows
}

// -----

// All layers of a cache share one list of entries.
lariat.cache @kv layers(2) heads(1) dim(16) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @layers_apart(%a: !lariat.rows, %x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  lariat.append @kv[1] %x, %x at %a : tensor<?x16xf32>
  // expected-error@below {{attends to layer 0 of cache @kv, which is not written together with the others: run lariat-split-caches first}}
  %y = lariat.attend @kv[0] %x at %a heads(1) mask(<causal>) : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

func.func @loop_without_rows(%a: !lariat.rows) -> !lariat.rows {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %c = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error@below {{'scf.for' gives 'tensor<4xf32>', a tensor without rows, which has no form on the kernel level}}
  %y = scf.for %i = %zero to %one step %one iter_args(%h = %c) -> tensor<4xf32> {
    scf.yield %h : tensor<4xf32>
  }
  return %a : !lariat.rows
}

// -----

func.func @branch_without_rows(%a: !lariat.rows) -> !lariat.rows {
  %true = arith.constant true
  %c = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error@below {{'scf.if' gives 'tensor<4xf32>', a tensor without rows, which has no form on the kernel level}}
  %y = scf.if %true -> tensor<4xf32> {
    scf.yield %c : tensor<4xf32>
  } else {
    scf.yield %c : tensor<4xf32>
  }
  return %a : !lariat.rows
}

// -----

func.func @while_without_rows(%a: !lariat.rows) -> !lariat.rows {
  %true = arith.constant true
  %c = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error@below {{'scf.while' gives 'tensor<4xf32>', a tensor without rows, which has no form on the kernel level}}
  %y = scf.while (%h = %c) : (tensor<4xf32>) -> tensor<4xf32> {
    scf.condition(%true) %h : tensor<4xf32>
  } do {
  ^bb0(%h: tensor<4xf32>):
    scf.yield %h : tensor<4xf32>
  }
  return %a : !lariat.rows
}

// -----

// The first region of a loop decides, and hands its values on as they are.
func.func @other_values(%a: !lariat.rows, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %true = arith.constant true
  // expected-error@below {{'scf.while' hands on other values than its own, which has no form on the kernel level}}
  %y = scf.while (%h = %x) : (tensor<?x4xf32>) -> tensor<?x4xf32> {
    %n = arith.negf %h : tensor<?x4xf32>
    scf.condition(%true) %n : tensor<?x4xf32>
  } do {
  ^bb0(%h: tensor<?x4xf32>):
    scf.yield %h : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// A function on tensors gives rows.
lariat.weight @v : tensor<4xf32> from <"v">
func.func @gives_a_number(%a: !lariat.rows) -> !lariat.rows {
  %zero = arith.constant 0 : index
  %v = lariat.value_of @v : tensor<4xf32>
  // expected-error@below {{'tensor.extract' gives 'f32', which has no form on the kernel level}}
  %x = tensor.extract %v[%zero] : tensor<4xf32>
  return %a : !lariat.rows
}

// -----

// It gives something.
func.func @gives_nothing(%a: !lariat.rows, %x: tensor<?x4xf32>) -> !lariat.rows {
  // expected-error@below {{'bufferization.dealloc_tensor' has no form on the kernel level}}
  bufferization.dealloc_tensor %x : tensor<?x4xf32>
  return %a : !lariat.rows
}

// -----

// Weights and caches are data of kernels alone.
lariat.weight @w : tensor<32x16xf32> from <"w">
func.func @weight_without_kernel(%a: !lariat.rows, %x: tensor<?x16xbf16>) -> tensor<?x32xbf16> {
  // expected-error@below {{'lariat.linear' has no kernel for 'tensor<?x32xbf16>', and nothing else reads @w on the kernel level}}
  %y = lariat.linear %x, @w : tensor<?x16xbf16> to tensor<?x32xbf16>
  return %y : tensor<?x32xbf16>
}
