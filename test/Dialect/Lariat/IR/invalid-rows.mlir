// RUN: lariat-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect

// What the ops on row sets refuse. A function is named by the constraint that it breaks.

func.func @select_c1_same_label(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.select' op gives its rows the label "a" of the rows it selects from}}
  %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"a">
  return
}

// -----

func.func @select_c1_no_label(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.select' op selects '!lariat.rows' from '!lariat.rows<"a">', expected both or neither with a label}}
  %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows
  return
}

// -----

// The bits belong to the rows.
func.func @select_where(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"b">>) {
  // expected-error@below {{'lariat.select' op failed to verify that 'where' has one bit per row of 'from'}}
  %k = "lariat.select"(%a, %m) : (!lariat.rows<"a">, tensor<?xi1, #lariat.of<"b">>) -> !lariat.rows<"k">
  return
}

// -----

func.func @select_from_no_rows(%a: index, %m: tensor<?xi1>) {
  // expected-error@below {{'lariat.select' op operand #0 must be row set, but got 'index'}}
  %k = "lariat.select"(%a, %m) : (index, tensor<?xi1>) -> !lariat.rows
  return
}

// -----

func.func @last_c1_same_label(%a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.last' op gives its rows the label "a" of the rows it selects from}}
  %k = lariat.last %a : !lariat.rows<"a"> to !lariat.rows<"a">
  return
}

// -----

func.func @last_c1_new_label(%a: !lariat.rows) {
  // expected-error@below {{'lariat.last' op selects '!lariat.rows<"k">' from '!lariat.rows', expected both or neither with a label}}
  %k = lariat.last %a : !lariat.rows to !lariat.rows<"k">
  return
}

// -----

func.func @top_k_c1(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.top_k' op gives its rows the label "a" of the rows it selects from}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"a">
  return
}

// -----

func.func @top_k_c2(%a: !lariat.rows<"a">, %z: tensor<?x2xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.top_k' op has scores of type 'tensor<?x2xf32, #lariat.of<"a">>', expected one float per row}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?x2xf32, #lariat.of<"a">> to !lariat.rows<"k">
  return
}

// -----

func.func @top_k_c2_bits(%a: !lariat.rows<"a">, %z: tensor<?xi1, #lariat.of<"a">>) {
  // expected-error@below {{'scores' must be row tensor of floats, but got 'tensor<?xi1, #lariat.of<"a">>'}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xi1, #lariat.of<"a">> to !lariat.rows<"k">
  return
}

// -----

func.func @top_k_c4(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>, %c: tensor<?x3xi32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.top_k' op has counts of type 'tensor<?x3xi32, #lariat.of<"a">>', expected 'tensor<?x2xi32, #lariat.of<"a">>'}}
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) counts(%c : tensor<?x3xi32, #lariat.of<"a">>)
      : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  return
}

// -----

func.func @top_k_c4_of_other_rows(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>,
                                  %c: tensor<?x2xi32, #lariat.of<"b">>) {
  // expected-error@below {{'lariat.top_k' op has counts of type 'tensor<?x2xi32, #lariat.of<"b">>', expected 'tensor<?x2xi32, #lariat.of<"a">>'}}
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) counts(%c : tensor<?x2xi32, #lariat.of<"b">>)
      : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  return
}

// -----

func.func @top_k_c3_arguments(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.top_k' op decode region takes ('!lariat.rows<"a">', 'tensor<?xf32, #lariat.of<"a">>'), expected ('!lariat.rows<"a">', 'tensor<?xi1, #lariat.of<"a">>', 'tensor<?xf32, #lariat.of<"a">>')}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %s: tensor<?xf32, #lariat.of<"a">>):
    %go = arith.cmpf ogt, %s, %s : tensor<?xf32, #lariat.of<"a">>
    lariat.end %go : tensor<?xi1, #lariat.of<"a">>
  }
  return
}

// -----

func.func @top_k_c3_end(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.top_k' op decode region does not end with one bit per row of '!lariat.rows<"a">'}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    lariat.end
  }
  return
}

// -----

func.func @top_k_c3_end_of_other_rows(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>,
                                      %m: tensor<?xi1, #lariat.of<"b">>) {
  // expected-error@below {{'lariat.top_k' op decode region does not end with one bit per row of '!lariat.rows<"a">'}}
  %k = lariat.top_k %z of %a capacity(<[1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  decode {
  ^bb0(%r: !lariat.rows<"a">, %first: tensor<?xi1, #lariat.of<"a">>, %s: tensor<?xf32, #lariat.of<"a">>):
    lariat.end %m : tensor<?xi1, #lariat.of<"b">>
  }
  return
}

// -----

func.func @advance_type(%a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.advance' op failed to verify that all of {from, result} have same type}}
  %b = "lariat.advance"(%a) : (!lariat.rows<"a">) -> !lariat.rows<"b">
  return
}

// -----

func.func @take_c1(%x: tensor<?x4xf32, #lariat.of<"a">>, %b: !lariat.rows<"b">, %k: !lariat.rows<"k">) {
  // expected-error@below {{'lariat.take' op failed to verify that 'from' is the row set of 'value'}}
  %y = "lariat.take"(%x, %b, %k) : (tensor<?x4xf32, #lariat.of<"a">>, !lariat.rows<"b">, !lariat.rows<"k">)
      -> tensor<?x4xf32, #lariat.of<"k">>
  return
}

// -----

// In the text the type of `of` follows from the tensor.
func.func @take_c1_text(%x: tensor<?x4xf32, #lariat.of<"a">>,
                        // expected-note@below {{prior use here}}
                        %b: !lariat.rows<"b">, %k: !lariat.rows<"k">) {
  // expected-error@below {{use of value '%b' expects different type than prior uses: '!lariat.rows<"a">' vs '!lariat.rows<"b">'}}
  %y = lariat.take %x of %b at %k : tensor<?x4xf32, #lariat.of<"a">> at !lariat.rows<"k">
  return
}

// -----

func.func @take_result(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">, %k: !lariat.rows<"k">) {
  // expected-error@below {{'lariat.take' op failed to infer returned types}}
  // expected-error@below {{'lariat.take' op inferred type(s) 'tensor<?x4xf32, #lariat.of<"k">>' are incompatible with return type(s) of operation 'tensor<?x4xf32, #lariat.of<"j">>'}}
  %y = "lariat.take"(%x, %a, %k) : (tensor<?x4xf32, #lariat.of<"a">>, !lariat.rows<"a">, !lariat.rows<"k">)
      -> tensor<?x4xf32, #lariat.of<"j">>
  return
}

// -----

func.func @take_static(%x: tensor<4xf32>, %a: !lariat.rows, %k: !lariat.rows) {
  // expected-error@below {{'value' must be row tensor, but got 'tensor<4xf32>'}}
  %y = lariat.take %x of %a at %k : tensor<4xf32> at !lariat.rows
  return
}

// -----

func.func @put_c1_columns(%v: tensor<?x4xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">,
                          %x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.put' op puts 'tensor<?x4xf32, #lariat.of<"k">>' into 'tensor<?x8xf32, #lariat.of<"a">>', expected the same columns and element type}}
  %y = lariat.put %v of %k into %x of %a : tensor<?x4xf32, #lariat.of<"k">> into tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @put_c1_element(%v: tensor<?x4xf16, #lariat.of<"k">>, %k: !lariat.rows<"k">,
                          %x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.put' op puts 'tensor<?x4xf16, #lariat.of<"k">>' into 'tensor<?x4xf32, #lariat.of<"a">>', expected the same columns and element type}}
  %y = lariat.put %v of %k into %x of %a : tensor<?x4xf16, #lariat.of<"k">> into tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @put_c1_sets(%v: tensor<?xf32, #lariat.of<"k">>, %k: !lariat.rows<"k">, %x: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.put' op failed to verify that 'of' is the row set of 'into'}}
  %y = "lariat.put"(%v, %k, %x, %k) : (tensor<?xf32, #lariat.of<"k">>, !lariat.rows<"k">,
      tensor<?xf32, #lariat.of<"a">>, !lariat.rows<"k">) -> tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @put_add_bits(%v: tensor<?xi1, #lariat.of<"k">>, %k: !lariat.rows<"k">, %x: tensor<?xi1, #lariat.of<"a">>,
                        %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.put' op adds values of type 'i1', expected floats}}
  %y = lariat.put %v of %k into %x of %a by add : tensor<?xi1, #lariat.of<"k">> into tensor<?xi1, #lariat.of<"a">>
  return
}

// -----

func.func @spread_c1_rows(%v: f32, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op gives a row tensor of '!lariat.rows<"b">', but its rows are '!lariat.rows<"a">'}}
  %s = lariat.spread %v at %a : f32 at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"b">>
  return
}

// -----

func.func @spread_c1_element(%v: f32, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op spreads 'f32' to elements of type 'f16'}}
  %s = lariat.spread %v at %a : f32 at !lariat.rows<"a"> to tensor<?xf16, #lariat.of<"a">>
  return
}

// -----

func.func @spread_c1_rows_as_value(%a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op spreads '!lariat.rows<"a">' to elements of type 'f32'}}
  %s = lariat.spread %a at %a : !lariat.rows<"a"> at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @spread_c2_shape(%v: tensor<3xf32>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op cannot spread 'tensor<3xf32>' to 'tensor<?x4xf32, #lariat.of<"a">>': expected the shape of one row, or one value per row}}
  %s = lariat.spread %v at %a : tensor<3xf32> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @spread_c2_rank(%v: tensor<?xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op cannot spread 'tensor<?xf32, #lariat.of<"a">>' to 'tensor<?xf32, #lariat.of<"a">>': expected the shape of one row, or one value per row}}
  %s = lariat.spread %v at %a : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"a"> to tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @spread_c2_other_rows(%v: tensor<?xf32, #lariat.of<"b">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.spread' op cannot spread 'tensor<?xf32, #lariat.of<"b">>' to 'tensor<?x4xf32, #lariat.of<"a">>': expected the shape of one row, or one value per row}}
  %s = lariat.spread %v at %a : tensor<?xf32, #lariat.of<"b">> at !lariat.rows<"a"> to tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c1_empty() {
  // expected-error@below {{'lariat.concat' op joins 0 operands to 'tensor<?x4xf32, #lariat.of<"a">>', expected at least one operand and a result of rank 2}}
  %y = "lariat.concat"() : () -> tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c1_rank(%x: tensor<?x4xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.concat' op joins 1 operands to 'tensor<?xf32, #lariat.of<"a">>', expected at least one operand and a result of rank 2}}
  %y = lariat.concat %x : tensor<?x4xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c1_operand_rank(%x: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.concat' op joins 'tensor<?xf32, #lariat.of<"a">>' to 'tensor<?x1xf32, #lariat.of<"a">>', expected rank 2, one set and one element type}}
  %y = lariat.concat %x : tensor<?xf32, #lariat.of<"a">> to tensor<?x1xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c1_sets(%x: tensor<?x4xf32, #lariat.of<"a">>, %z: tensor<?x4xf32, #lariat.of<"b">>) {
  // expected-error@below {{'lariat.concat' op joins 'tensor<?x4xf32, #lariat.of<"b">>' to 'tensor<?x8xf32, #lariat.of<"a">>', expected rank 2, one set and one element type}}
  %y = lariat.concat %x, %z : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"b">> to
      tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c1_element(%x: tensor<?x4xf16, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.concat' op joins 'tensor<?x4xf16, #lariat.of<"a">>' to 'tensor<?x4xf32, #lariat.of<"a">>', expected rank 2, one set and one element type}}
  %y = lariat.concat %x : tensor<?x4xf16, #lariat.of<"a">> to tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @concat_c2(%x: tensor<?x4xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.concat' op joins 8 columns to a result of 7}}
  %y = lariat.concat %x, %x : tensor<?x4xf32, #lariat.of<"a">>, tensor<?x4xf32, #lariat.of<"a">> to
      tensor<?x7xf32, #lariat.of<"a">>
  return
}

// -----

// Columns that no number counts.
func.func @concat_c2_overflow(%x: tensor<?x9223372036854775807xf32>, %y: tensor<?x4xf32>) {
  // expected-error@below {{'lariat.concat' op joins 18446744073709551615 columns to a result of 2}}
  %z = lariat.concat %x, %x, %y : tensor<?x9223372036854775807xf32>, tensor<?x9223372036854775807xf32>,
      tensor<?x4xf32> to tensor<?x2xf32>
  return
}

// -----

func.func @row_reduce_c1(%x: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.row_reduce' op reduces 'tensor<?xf32, #lariat.of<"a">>', expected columns in dimension 1}}
  %m = lariat.row_reduce sum %x : tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @row_reduce_c1_result(%x: tensor<?x2xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.row_reduce' op failed to verify that 'result' has one value per row of 'value'}}
  %m = "lariat.row_reduce"(%x) <{kind = #lariat<reduce_kind sum>}> : (tensor<?x2xf32, #lariat.of<"a">>)
      -> tensor<?xf32, #lariat.of<"b">>
  return
}

// -----

func.func @argmax_c1(%x: tensor<?x2x3xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.argmax' op reduces 'tensor<?x2x3xf32, #lariat.of<"a">>', expected columns in dimension 1}}
  %m = lariat.argmax %x : tensor<?x2x3xf32, #lariat.of<"a">>
  return
}

// -----

func.func @argmax_c1_result(%x: tensor<?x2xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.argmax' op failed to verify that 'result' has one value per row of 'value'}}
  %m = "lariat.argmax"(%x) : (tensor<?x2xf32, #lariat.of<"a">>) -> tensor<?xi32>
  return
}

// -----

func.func @seq_reduce_c1_floats(%x: tensor<?xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.seq_reduce' op reduces 'tensor<?xf32, #lariat.of<"a">>' by 'any', expected one bit per row}}
  %m = lariat.seq_reduce any %x at %a : tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @seq_reduce_c1_bits(%x: tensor<?xi1, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.seq_reduce' op reduces 'tensor<?xi1, #lariat.of<"a">>' by 'mean', expected one float per row}}
  %m = lariat.seq_reduce mean %x at %a : tensor<?xi1, #lariat.of<"a">>
  return
}

// -----

func.func @seq_reduce_c1_rank(%x: tensor<?x4xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.seq_reduce' op reduces 'tensor<?x4xf32, #lariat.of<"a">>' by 'mean', expected one float per row}}
  %m = lariat.seq_reduce mean %x at %a : tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @seq_reduce_rows(%x: tensor<?xf32, #lariat.of<"a">>, %b: !lariat.rows<"b">) {
  // expected-error@below {{'lariat.seq_reduce' op failed to verify that 'at' is the row set of 'value'}}
  %m = "lariat.seq_reduce"(%x, %b) <{kind = #lariat<seq_reduce_kind mean>}> : (tensor<?xf32, #lariat.of<"a">>,
      !lariat.rows<"b">) -> tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @reduce_kind(%x: tensor<?x4xf32>) {
  // expected-error@below {{expected one of [sum, max, second_max] for how the columns of one row are reduced, got: product}}
  %m = lariat.row_reduce product %x : tensor<?x4xf32>
  return
}

// -----

// Upstream ops on tensors of two sets do not meet.
func.func @sets_do_not_mix(%x: tensor<?xf32, #lariat.of<"a">>,
                           // expected-note@below {{prior use here}}
                           %y: tensor<?xf32, #lariat.of<"b">>) {
  // expected-error@below {{use of value '%y' expects different type than prior uses: 'tensor<?xf32, #lariat.of<"a">>' vs 'tensor<?xf32, #lariat.of<"b">>'}}
  %z = arith.addf %x, %y : tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @advance_c1_negative(%a: !lariat.rows<"a">) {
  %to = arith.constant -1 : index
  // expected-error@below {{'lariat.advance' op advances rows to depth -1, expected 0 to 1048576}}
  %b = lariat.advance %a to %to : !lariat.rows<"a">
  return
}

// -----

func.func @advance_c1_deep(%a: !lariat.rows<"a">) {
  %to = arith.constant 1048577 : index
  // expected-error@below {{'lariat.advance' op advances rows to depth 1048577, expected 0 to 1048576}}
  %b = lariat.advance %a to %to : !lariat.rows<"a">
  return
}
