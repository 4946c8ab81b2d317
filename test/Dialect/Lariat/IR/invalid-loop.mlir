// RUN: lariat-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

// What recur, next and end refuse. A function is named by the constraint that it breaks.

func.func @recur_c1_results(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-error@below {{'lariat.recur' op carries 1 values, but has 0 results besides steps}}
  %s = "lariat.recur"(%max, %all, %x) <{operandSegmentSizes = array<i32: 1, 0, 1, 1>}> ({
  ^bb0(%a: !lariat.rows<"a">, %h: tensor<?xf32, #lariat.of<"a">>):
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xf32, #lariat.of<"a">>)
  }, {}) : (index, !lariat.rows<"all">, tensor<?xf32, #lariat.of<"all">>) -> tensor<?xi32, #lariat.of<"all">>
  return
}

// -----

func.func @recur_c1_result_type(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-error@below {{'lariat.recur' op carried value 0 enters as 'tensor<?xf32, #lariat.of<"all">>' and leaves as 'tensor<?xf16, #lariat.of<"all">>'}}
  %y, %s = "lariat.recur"(%max, %all, %x) <{operandSegmentSizes = array<i32: 1, 0, 1, 1>}> ({
  ^bb0(%a: !lariat.rows<"a">, %h: tensor<?xf32, #lariat.of<"a">>):
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xf32, #lariat.of<"a">>)
  }, {}) : (index, !lariat.rows<"all">, tensor<?xf32, #lariat.of<"all">>)
      -> (tensor<?xf16, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>)
  return
}

// -----

func.func @recur_c1_steps(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op steps belong to '!lariat.rows<"b">', but the rows that enter are '!lariat.rows<"all">'}}
  %s = "lariat.recur"(%max, %all) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>}> ({
  ^bb0(%a: !lariat.rows<"a">):
    lariat.next keep %a : !lariat.rows<"a">
  }, {}) : (index, !lariat.rows<"all">) -> tensor<?xi32, #lariat.of<"b">>
  return
}

// -----

func.func @recur_c1_max(%all: !lariat.rows<"all">, %max: tensor<?xindex, #lariat.of<"b">>) {
  // expected-error@below {{'lariat.recur' op max has one value per row of '!lariat.rows<"b">', but the rows that enter are '!lariat.rows<"all">'}}
  %s = lariat.recur max(%max : tensor<?xindex, #lariat.of<"b">>) over %all : !lariat.rows<"all">
      as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c1_body_arguments(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-error@below {{'lariat.recur' op body takes 1 arguments, expected the rows and 1 carried values}}
  %y, %s = "lariat.recur"(%max, %all, %x) <{operandSegmentSizes = array<i32: 1, 0, 1, 1>}> ({
  ^bb0(%a: !lariat.rows<"a">):
    lariat.next keep %a : !lariat.rows<"a">
  }, {}) : (index, !lariat.rows<"all">, tensor<?xf32, #lariat.of<"all">>)
      -> (tensor<?xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>)
  return
}

// -----

func.func @recur_c1_body_without_rows(%all: !lariat.rows<"all">, %max: index, %k: !lariat.rows<"k">) {
  // expected-error@below {{'lariat.recur' op first argument of body has type 'index', expected a row set}}
  %s = "lariat.recur"(%max, %all) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>}> ({
  ^bb0(%a: index):
    lariat.next keep %k : !lariat.rows<"k">
  }, {}) : (index, !lariat.rows<"all">) -> tensor<?xi32, #lariat.of<"all">>
  return
}

// -----

func.func @recur_c1_body_type(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  // expected-error@below {{'lariat.recur' op carried value 0 is 'tensor<?xf32, #lariat.of<"all">>' in body, expected 'tensor<?xf32, #lariat.of<"a">>'}}
  %y, %s = "lariat.recur"(%max, %all, %x) <{operandSegmentSizes = array<i32: 1, 0, 1, 1>}> ({
  ^bb0(%a: !lariat.rows<"a">, %h: tensor<?xf32, #lariat.of<"all">>):
    lariat.next keep %a : !lariat.rows<"a">
  }, {}) : (index, !lariat.rows<"all">, tensor<?xf32, #lariat.of<"all">>)
      -> (tensor<?xf32, #lariat.of<"all">>, tensor<?xi32, #lariat.of<"all">>)
  return
}

// -----

func.func @recur_c1_fill_arguments(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op fill takes 0 arguments, expected the rows and 0 carried values}}
  %s = "lariat.recur"(%max, %all) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>}> ({
  ^bb0(%a: !lariat.rows<"a">):
    lariat.next keep %a : !lariat.rows<"a">
  }, {
    lariat.end
  }) : (index, !lariat.rows<"all">) -> tensor<?xi32, #lariat.of<"all">>
  return
}

// -----

// In the text a fill region names one argument per carried value.
func.func @recur_c1_fill_text(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xf32, #lariat.of<"a">>)
  // expected-error@below {{expected ','}}
  } fill(%r : !lariat.rows<"s">) {
    lariat.end
  }
  return
}

// -----

func.func @recur_c1_next(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xf32, #lariat.of<"all">>) {
    // expected-error@below {{'lariat.next' op carries 0 values, but the enclosing 'lariat.recur' carries 1}}
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c1_next_type(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xf32, #lariat.of<"all">>) {
    %g = arith.truncf %h : tensor<?xf32, #lariat.of<"a">> to tensor<?xf16, #lariat.of<"a">>
    // expected-error@below {{'lariat.next' op carried value 0 is 'tensor<?xf16, #lariat.of<"a">>', expected 'tensor<?xf32, #lariat.of<"a">>'}}
    lariat.next keep %a : !lariat.rows<"a"> carry(%g : tensor<?xf16, #lariat.of<"a">>)
  }
  return
}

// -----

// Rows that were kept have values of their own set.
func.func @recur_c1_next_set(%all: !lariat.rows<"all">, %x: tensor<?xi1, #lariat.of<"all">>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xi1, #lariat.of<"all">>) {
    %k = lariat.select %a where %h : !lariat.rows<"a"> to !lariat.rows<"k">
    // expected-error@below {{'lariat.next' op carried value 0 is 'tensor<?xi1, #lariat.of<"a">>', expected 'tensor<?xi1, #lariat.of<"k">>'}}
    lariat.next keep %k : !lariat.rows<"k"> carry(%h : tensor<?xi1, #lariat.of<"a">>)
  }
  return
}

// -----

func.func @recur_without_next(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op body does not end with 'lariat.next'}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.end
  }
  return
}

// -----

func.func @recur_empty_body(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{empty block: expect at least a terminator}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
  }
  return
}

// -----

func.func @recur_no_body(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op region #0 ('body') failed to verify constraint: region with 1 blocks}}
  %s = "lariat.recur"(%max, %all) <{operandSegmentSizes = array<i32: 1, 0, 1, 0>}> ({}, {})
      : (index, !lariat.rows<"all">) -> tensor<?xi32, #lariat.of<"all">>
  return
}

// -----

func.func @recur_empty_fill(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{empty block: expect at least a terminator}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  } fill(%r : !lariat.rows<"s">) {
  }
  return
}

// -----

func.func @recur_two_blocks(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op region #0 ('body') failed to verify constraint: region with 1 blocks}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  ^more:
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_operands(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op operand count (2) does not match with the total size (11) specified in attribute 'operandSegmentSizes'}}
  %s = "lariat.recur"(%max, %all) <{operandSegmentSizes = array<i32: 1, 1, 2, 7>}> ({
  ^bb0(%a: !lariat.rows<"a">):
    lariat.next keep %a : !lariat.rows<"a">
  }, {}) : (index, !lariat.rows<"all">) -> tensor<?xi32, #lariat.of<"all">>
  return
}

// -----

func.func @recur_c2(%all: !lariat.rows<"all">, %max: index, %k: !lariat.rows<"k">) {
  // expected-note@below {{the loop starts here}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    // expected-error@below {{'lariat.next' op keeps rows that are not a selection from this step's rows}}
    lariat.next keep %k : !lariat.rows<"k">
  }
  return
}

// -----

// `last` asks for logits; it is no router.
func.func @recur_c2_last(%all: !lariat.rows<"all">, %max: index) {
  // expected-note@below {{the loop starts here}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %k = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"k">
    // expected-error@below {{'lariat.next' op keeps rows that are not a selection from this step's rows}}
    lariat.next keep %k : !lariat.rows<"k">
  }
  return
}

// -----

// Two selections of each other come from nowhere.
func.func @recur_c2_circle(%all: !lariat.rows<"all">, %max: index, %m: tensor<?xi1, #lariat.of<"k">>) {
  // expected-note@below {{the loop starts here}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %k = lariat.select %j where %n : !lariat.rows<"j"> to !lariat.rows<"k">
    %j = lariat.select %k where %m : !lariat.rows<"k"> to !lariat.rows<"j">
    %n = "test.bits"() : () -> tensor<?xi1, #lariat.of<"j">>
    // expected-error@below {{'lariat.next' op keeps rows that are not a selection from this step's rows}}
    lariat.next keep %k : !lariat.rows<"k">
  }
  return
}

// -----

func.func @recur_c3(%all: !lariat.rows<"all">, %e: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    // expected-error@below {{'arith.addf' op uses the outer value of type 'tensor<?xf32, #lariat.of<"all">>' inside a loop, expected a 'lariat.take' of it at this step's rows}}
    %f = arith.addf %e, %e : tensor<?xf32, #lariat.of<"all">>
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// Rows to take at are this step's.
func.func @recur_c3_take_at(%all: !lariat.rows<"all">, %e: tensor<?xf32, #lariat.of<"all">>, %b: !lariat.rows<"b">,
                            %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    // expected-error@below {{'lariat.take' op uses the outer value of type '!lariat.rows<"b">' inside a loop, expected a 'lariat.take' of it at this step's rows}}
    %f = lariat.take %e of %all at %b : tensor<?xf32, #lariat.of<"all">> at !lariat.rows<"b">
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// What is put is of this step; only where it goes may be outside.
func.func @recur_c3_put(%all: !lariat.rows<"all">, %e: tensor<?xf32, #lariat.of<"all">>,
                        %x: tensor<?xf32, #lariat.of<"b">>, %b: !lariat.rows<"b">, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    // expected-error@below {{'lariat.put' op uses the outer value of type 'tensor<?xf32, #lariat.of<"b">>' inside a loop, expected a 'lariat.take' of it at this step's rows}}
    %f = lariat.put %x of %b into %e of %all : tensor<?xf32, #lariat.of<"b">> into tensor<?xf32, #lariat.of<"all">>
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// The same holds in a region inside the body.
func.func @recur_c3_nested(%all: !lariat.rows<"all">, %max: index, %c: i1) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    scf.if %c {
      // expected-error@below {{'lariat.count' op uses the outer value of type '!lariat.rows<"all">' inside a loop, expected a 'lariat.take' of it at this step's rows}}
      %n = lariat.count %all : !lariat.rows<"all">
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c3_fill(%all: !lariat.rows<"all">, %e: tensor<?xf32, #lariat.of<"all">>, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  } fill(%r : !lariat.rows<"s">) {
    // expected-error@below {{'arith.negf' op uses the outer value of type 'tensor<?xf32, #lariat.of<"all">>' inside a loop, expected a 'lariat.take' of it at this step's rows}}
    %f = arith.negf %e : tensor<?xf32, #lariat.of<"all">>
    lariat.end
  }
  return
}

// -----

func.func @recur_c4_if(%all: !lariat.rows<"all">, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %zero = arith.constant 0 : index
    %depths = lariat.depth_of %a : !lariat.rows<"a">
    %depth = tensor.extract %depths[%zero] : tensor<?xindex, #lariat.of<"a">>
    %first = arith.cmpi eq, %depth, %zero : index
    // expected-error@below {{'scf.if' op depends on 'lariat.depth_of', but rows of any depths share a step: split them with 'lariat.select' and 'lariat.put'}}
    scf.if %first {
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c4_while(%all: !lariat.rows<"all">, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %zero = arith.constant 0 : index
    %depths = lariat.depth_of %a : !lariat.rows<"a">
    %depth = tensor.extract %depths[%zero] : tensor<?xindex, #lariat.of<"a">>
    scf.while : () -> () {
      %more = arith.cmpi ult, %zero, %depth : index
      // expected-error@below {{'scf.condition' op depends on 'lariat.depth_of', but rows of any depths share a step: split them with 'lariat.select' and 'lariat.put'}}
      scf.condition(%more)
    } do {
      scf.yield
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c4_for(%all: !lariat.rows<"all">, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %depths = lariat.depth_of %a : !lariat.rows<"a">
    %depth = tensor.extract %depths[%zero] : tensor<?xindex, #lariat.of<"a">>
    // expected-error@below {{'scf.for' op depends on 'lariat.depth_of', but rows of any depths share a step: split them with 'lariat.select' and 'lariat.put'}}
    scf.for %i = %zero to %depth step %one {
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c4_switch(%all: !lariat.rows<"all">, %max: index) {
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    %zero = arith.constant 0 : index
    %depths = lariat.depth_of %a : !lariat.rows<"a">
    %depth = tensor.extract %depths[%zero] : tensor<?xindex, #lariat.of<"a">>
    // expected-error@below {{'scf.index_switch' op depends on 'lariat.depth_of', but rows of any depths share a step: split them with 'lariat.select' and 'lariat.put'}}
    scf.index_switch %depth
    default {
    }
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// row-local.mlir has every kind of op that a fill region accepts or refuses.
func.func @recur_c5(%all: !lariat.rows<"all">, %max: index) {
  // expected-note@below {{the loop starts here}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  } fill(%r : !lariat.rows<"s">) {
    // expected-error@below {{'test.effect' op in a fill region, expected row-local ops and 'lariat.append' only}}
    "test.effect"() : () -> ()
    lariat.end
  }
  return
}

// -----

func.func @recur_c5_end(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op fill region does not end with 'lariat.end' without operand}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  } fill(%r : !lariat.rows<"s">) {
    lariat.next keep %r : !lariat.rows<"s">
  }
  return
}

// -----

func.func @recur_c5_end_with_bits(%all: !lariat.rows<"all">, %max: index) {
  // expected-error@below {{'lariat.recur' op fill region does not end with 'lariat.end' without operand}}
  %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a"> {
    lariat.next keep %a : !lariat.rows<"a">
  } fill(%r : !lariat.rows<"s">) {
    %true = arith.constant true
    %go = lariat.spread %true at %r : i1 at !lariat.rows<"s"> to tensor<?xi1, #lariat.of<"s">>
    lariat.end %go : tensor<?xi1, #lariat.of<"s">>
  }
  return
}

// -----

func.func @recur_c6(%all: !lariat.rows<"all">, %x: tensor<?xf32, #lariat.of<"b">>, %max: index) {
  // expected-error@below {{'lariat.recur' op carried value 0 is a row tensor of '!lariat.rows<"b">', but the rows that enter are '!lariat.rows<"all">'}}
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xf32, #lariat.of<"b">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?xf32, #lariat.of<"a">>)
  }
  return
}

// -----

func.func @recur_c6_scalar(%all: !lariat.rows<"all">, %x: f32, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      // expected-error@below {{carried value has type 'f32', expected a row tensor}}
      carry(%h = %x : f32) {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c6_static(%all: !lariat.rows<"all">, %x: tensor<4xf32>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      // expected-error@below {{carried value has type 'tensor<4xf32>', expected a row tensor}}
      carry(%h = %x : tensor<4xf32>) {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

func.func @recur_c6_rank_0(%all: !lariat.rows<"all">, %x: tensor<f32>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      // expected-error@below {{carried value has type 'tensor<f32>', expected a row tensor}}
      carry(%h = %x : tensor<f32>) {
    lariat.next keep %a : !lariat.rows<"a">
  }
  return
}

// -----

// The columns of a row tensor are known.
func.func @recur_c6_dynamic_columns(%all: !lariat.rows<"all">, %x: tensor<?x?xf32, #lariat.of<"all">>, %max: index) {
  // expected-error@below {{'lariat.recur' op operand #2 must be variadic of row tensor, but got 'tensor<?x?xf32, #lariat.of<"all">>'}}
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?x?xf32, #lariat.of<"all">>) {
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x?xf32, #lariat.of<"a">>)
  }
  return
}

// -----

func.func @next_c1(%all: !lariat.rows<"all">, %x: tensor<?xi1, #lariat.of<"all">>, %max: index) {
  %y, %s = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x : tensor<?xi1, #lariat.of<"all">>) {
    %k = lariat.select %a where %h : !lariat.rows<"a"> to !lariat.rows<"k">
    %g = lariat.take %h of %a at %k : tensor<?xi1, #lariat.of<"a">> at !lariat.rows<"k">
    // expected-error@below {{'lariat.next' op stop has one bit per row of '!lariat.rows<"a">', but the kept rows are '!lariat.rows<"k">'}}
    "lariat.next"(%k, %g, %h) <{operandSegmentSizes = array<i32: 1, 1, 1>}>
        : (!lariat.rows<"k">, tensor<?xi1, #lariat.of<"k">>, tensor<?xi1, #lariat.of<"a">>) -> ()
  }
  return
}

// -----

func.func @next_outside(%a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.next' op expects parent op 'lariat.recur'}}
  lariat.next keep %a : !lariat.rows<"a">
}

// -----

func.func @end_outside() {
  // expected-error@below {{'lariat.end' op expects parent op to be one of 'lariat.recur, lariat.top_k'}}
  lariat.end
}
