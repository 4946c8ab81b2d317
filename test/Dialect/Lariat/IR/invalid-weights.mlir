// RUN: lariat-opt %s --split-input-file --verify-diagnostics

// What weights and the ops that use them refuse. A function or weight is named by the constraint that it breaks.

// expected-error@below {{'lariat.weight' op attribute 'type' failed to satisfy constraint: type attribute of statically shaped tensor of any type values}}
lariat.weight @weight_c1 : tensor<?x8xf32> from <"w">

// -----

// expected-error@below {{'lariat.weight' op attribute 'type' failed to satisfy constraint: type attribute of statically shaped tensor of any type values}}
lariat.weight @weight_c1_no_tensor : memref<8xf32> from <"w">

// -----

// expected-error@below {{'lariat.weight' op has neither a source and an inline value, expected one}}
lariat.weight @weight_c2_neither : tensor<8xf32>

// -----

// expected-error@below {{'lariat.weight' op has both a source and an inline value, expected one}}
lariat.weight @weight_c2_both : tensor<2xf32> from <"w"> value dense<1.0> : tensor<2xf32>

// -----

// expected-error@below {{'lariat.weight' op has an inline value of type 'tensor<3xf32>', expected shape (2) of 'f32'}}
lariat.weight @weight_c2_shape : tensor<2xf32> value dense<1.0> : tensor<3xf32>

// -----

// expected-error@below {{'lariat.weight' op has an inline value of type 'tensor<2xf16>', expected shape (2) of 'f32'}}
lariat.weight @weight_c2_element : tensor<2xf32> value dense<1.0> : tensor<2xf16>

// -----

// expected-error@below {{'lariat.weight' op has an inline value of type 'tensor<2xf32>', expected shape (3, 2) of 'f32'}}
lariat.weight @weight_c2_depths : tensor<2xf32> depths(3) value dense<1.0> : tensor<2xf32>

// -----

// expected-error@below {{'lariat.weight' op stacks 2 tensors, but has 3 depths}}
lariat.weight @weight_c3 : tensor<2xf32> depths(3) from <stack = ["a", "b"]>

// -----

// expected-error@below {{'lariat.weight' op stacks 1 tensors, but has 0 depths}}
lariat.weight @weight_c3_no_depths : tensor<2xf32> from <stack = ["a"]>

// -----

// expected-error@below {{'lariat.weight' op is stored as bf16, but has elements of type 'f16', expected f32}}
lariat.weight @weight_c4 : tensor<2xf16> stored <bf16> from <"a">

// -----

// expected-error@below {{'lariat.weight' op has 3 depths, but its source is not stacked}}
lariat.weight @weight_c3_not_stacked : tensor<2xf32> depths(3) from <"a">

// -----

// expected-error@below {{'lariat.weight' op attribute 'depths' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.weight @weight_depths : tensor<2xf32> depths(0) from <"a">

// -----

func.func @value_of_c1_no_weight() {
  // expected-error@below {{'lariat.value_of' op uses @z, which is not a weight}}
  %z = lariat.value_of @z : tensor<8xf32>
  return
}

// -----

lariat.weight @z : tensor<2xf32> depths(1) from <"z">
func.func @value_of_c2_depths() {
  // expected-error@below {{'lariat.value_of' op uses a depth-indexed weight without rows, expected 'by' and its rows}}
  %z = lariat.value_of @z : tensor<2xf32>
  return
}

// -----

lariat.weight @z : tensor<2xf32> from <"z">
func.func @value_of_c1_type() {
  // expected-error@below {{'lariat.value_of' op gives 'tensor<3xf32>', but @z is 'tensor<2xf32>'}}
  %z = lariat.value_of @z : tensor<3xf32>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c1_rank(%x: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op has an operand of type 'tensor<?xf32, #lariat.of<"a">>', expected rank 2}}
  %y = lariat.linear %x, @w : tensor<?xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c1_inputs(%x: tensor<?x4xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op multiplies rows of 4 columns by @w of shape (16, 8), expected (N, 4) or (4)}}
  %y = lariat.linear %x, @w : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @w : tensor<f32> from <"w">
func.func @linear_c1_scalar(%x: tensor<?x4xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op multiplies rows of 4 columns by @w of shape (), expected (N, 4) or (4)}}
  %y = lariat.linear %x, @w : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c1_outputs(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op gives 'tensor<?x8xf32, #lariat.of<"a">>', expected 1 column dimension of size (16) for the rows of 'tensor<?x8xf32, #lariat.of<"a">>'}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<8xf32> from <"w">
func.func @linear_c1_one_value(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op gives 'tensor<?x1xf32, #lariat.of<"a">>', expected 0 column dimensions of size () for the rows of 'tensor<?x8xf32, #lariat.of<"a">>'}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x1xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c1_rows(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op gives 'tensor<?x16xf32, #lariat.of<"b">>', expected 1 column dimension of size (16) for the rows of 'tensor<?x8xf32, #lariat.of<"a">>'}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"b">>
  return
}

// -----

lariat.cache @w layers(1) heads(1) dim(1) : f32 policy(#lariat.first)
func.func @linear_c1_no_weight(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @w, which is not a weight}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
// expected-note@below {{the weight is declared here}}
lariat.weight @b : tensor<8xf32> from <"b">
func.func @linear_c2(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @b of shape (8), expected (16)}}
  %y = lariat.linear %x, @w bias(@b) : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c2_no_weight(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @b, which is not a weight}}
  %y = lariat.linear %x, @w bias(@b) : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

func.func @linear_c3_no_scale(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op has an incomplete low-rank pair, expected A, B and scale}}
  %y = "lariat.linear"(%x) <{weight = @w, low_rank_a = @a, low_rank_b = @b}>
      : (tensor<?x8xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

func.func @linear_c3_no_a(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op has an incomplete low-rank pair, expected A, B and scale}}
  %y = "lariat.linear"(%x) <{weight = @w, scale = 1.0}>
      : (tensor<?x8xf32, #lariat.of<"a">>) -> tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
// expected-note@below {{the weight is declared here}}
lariat.weight @a : tensor<2x4xf32> from <"a">
lariat.weight @b : tensor<16x2xf32> from <"b">
func.func @linear_c3_a(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @a of shape (2, 4), expected (2, 8)}}
  %y = lariat.linear %x, @w low_rank(@a, @b) scale(1.0) : tensor<?x8xf32, #lariat.of<"a">> to
      tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
lariat.weight @a : tensor<2x8xf32> from <"a">
// expected-note@below {{the weight is declared here}}
lariat.weight @b : tensor<16x4xf32> from <"b">
func.func @linear_c3_b(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @b of shape (16, 4), expected (16, 2)}}
  %y = lariat.linear %x, @w low_rank(@a, @b) scale(1.0) : tensor<?x8xf32, #lariat.of<"a">> to
      tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<16x8xf32> from <"w">
func.func @linear_c3_no_weight(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses @a, which is not a weight}}
  %y = lariat.linear %x, @w low_rank(@a, @b) scale(1.0) : tensor<?x8xf32, #lariat.of<"a">> to
      tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<8xf32> depths(2) from <stack = ["w0", "w1"]>
func.func @linear_c4_without_by(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.linear' op uses a depth-indexed weight without rows, expected 'by' and its rows}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @w : tensor<8xf32> from <"w">
func.func @linear_c4_with_by(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.linear' op names rows with 'by', but none of its weights is depth-indexed}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">> by %a
      : !lariat.rows<"a">
  return
}

// -----

func.func @linear_c4_other_rows(%x: tensor<?x8xf32, #lariat.of<"a">>, %b: !lariat.rows<"b">) {
  // expected-error@below {{'lariat.linear' op is indexed by '!lariat.rows<"b">', but its operand belongs to '!lariat.rows<"a">'}}
  %y = lariat.linear %x, @w : tensor<?x8xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"a">> by %b
      : !lariat.rows<"b">
  return
}

// -----

func.func @embed_c1_no_weight(%ids: tensor<?xi32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.embed' op uses @e, which is not a weight}}
  %h = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @e : tensor<8xf32> from <"e">
func.func @embed_c1_weight(%ids: tensor<?xi32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.embed' op looks up 'tensor<?xi32, #lariat.of<"a">>' in @e of shape (8), expected one index per row and a weight (V, D) without depths}}
  %h = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @e : tensor<4x8xf32> from <"e">
func.func @embed_c1_ids(%ids: tensor<?x2xi32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.embed' op looks up 'tensor<?x2xi32, #lariat.of<"a">>' in @e of shape (4, 8), expected one index per row and a weight (V, D) without depths}}
  %h = lariat.embed %ids, @e : tensor<?x2xi32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @e : tensor<4x8xf32> from <"e">
func.func @embed_c1_columns(%ids: tensor<?xi32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.embed' op gives 'tensor<?x4xf32, #lariat.of<"a">>', expected 1 column dimension of size (8) for the rows of 'tensor<?xi32, #lariat.of<"a">>'}}
  %h = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to tensor<?x4xf32, #lariat.of<"a">>
  return
}

// -----

func.func @norm_c1_rank(%x: tensor<?xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op normalises 'tensor<?xf32, #lariat.of<"a">>' in 1 groups, expected rank 2 and columns in equal groups}}
  %y = lariat.norm rms %x eps(1.0e-05) : tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @norm_c1_groups(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op normalises 'tensor<?x8xf32, #lariat.of<"a">>' in 3 groups, expected rank 2 and columns in equal groups}}
  %y = lariat.norm rms %x eps(1.0e-05) groups(3) : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @norm_c2_bias(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op has a bias without a weight}}
  %y = lariat.norm layer %x bias(@b) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @n : tensor<8xf32> from <"n">
func.func @norm_c2_shape(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op uses @n of shape (8), expected (4)}}
  %y = lariat.norm rms %x weight(@n) eps(1.0e-05) groups(2) : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @norm_eps(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op has eps -1.000000e+00, expected a non-negative one}}
  %y = lariat.norm rms %x eps(-1.0) : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @norm_c3_without_by(%x: tensor<?x8xf32, #lariat.of<"a">>) {
  // expected-error@below {{'lariat.norm' op uses a depth-indexed weight without rows, expected 'by' and its rows}}
  %y = lariat.norm rms %x weight(@n) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">>
  return
}
lariat.weight @n : tensor<8xf32> depths(1) from <"n">

// -----

func.func @norm_c3_with_by(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.norm' op names rows with 'by', but none of its weights is depth-indexed}}
  %y = lariat.norm rms %x eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">> by %a : !lariat.rows<"a">
  return
}

// -----

func.func @norm_c3_other_rows(%x: tensor<?x8xf32, #lariat.of<"a">>, %b: !lariat.rows<"b">) {
  // expected-error@below {{'lariat.norm' op is indexed by '!lariat.rows<"b">', but its operand belongs to '!lariat.rows<"a">'}}
  %y = lariat.norm rms %x eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">> by %b : !lariat.rows<"b">
  return
}

// -----

func.func @rope_c1_heads(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op rotates 'tensor<?x64xf32, #lariat.of<"a">>' in 3 heads, expected columns in equal heads}}
  %y = lariat.rope %q at %r heads(3) theta(10000.0) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c1_rank(%q: tensor<?xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op rotates 'tensor<?xf32, #lariat.of<"a">>' in 1 heads, expected columns in equal heads}}
  %y = lariat.rope %q at %r heads(1) theta(10000.0) : tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c1_odd(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op rotates 15 columns of a head of 32, expected an even number that fits}}
  %y = lariat.rope %q at %r heads(2) theta(10000.0) dims(15) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c1_fits(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op rotates 64 columns of a head of 32, expected an even number that fits}}
  %y = lariat.rope %q at %r heads(2) theta(10000.0) dims(64) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c1_dynamic(%q: tensor<?x?xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'input' must be row tensor of floats, but got 'tensor<?x?xf32, #lariat.of<"a">>'}}
  %y = lariat.rope %q at %r heads(2) theta(10000.0) : tensor<?x?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c2(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op has theta 0.000000e+00, expected a positive one}}
  %y = lariat.rope %q at %r heads(2) theta(0.0) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_heads(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op attribute 'heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %y = lariat.rope %q at %r heads(0) theta(1.0) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @g : tensor<8xf32> from <"g">
func.func @value_of_c2_by(%r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.value_of' op names rows with 'by', but none of its weights is depth-indexed}}
  %y = lariat.value_of @g : tensor<?x8xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
  return
}

// -----

lariat.weight @g : tensor<4x8xf32> depths(2) from <stack = ["g0", "g1"]>
func.func @value_of_c2_rank(%r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.value_of' op chooses by depth from @g of shape (4, 8), expected rank 1}}
  %y = lariat.value_of @g : tensor<?x8xf32, #lariat.of<"a">> by %r : !lariat.rows<"a">
  return
}

// -----

lariat.weight @g : tensor<8xf32> depths(2) from <stack = ["g0", "g1"]>
func.func @value_of_c2_type(%r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.value_of' op gives 'tensor<?x8xf32, #lariat.of<"b">>', expected 'tensor<?x8xf32, #lariat.of<"a">>'}}
  %y = lariat.value_of @g : tensor<?x8xf32, #lariat.of<"b">> by %r : !lariat.rows<"a">
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @g : tensor<8xf32> depths(2) from <stack = ["g0", "g1"]>
func.func @value_of_c3(%r: !lariat.rows<"a">) {
  %two = arith.constant 2 : index
  %d = lariat.advance %r to %two : !lariat.rows<"a">
  // expected-error@below {{'lariat.value_of' op uses @g at depth 2, but it has 2 depths}}
  %y = lariat.value_of @g : tensor<?x8xf32, #lariat.of<"a">> by %d : !lariat.rows<"a">
  return
}

// -----

lariat.weight @w : tensor<8x8xf32> from <"w">
// expected-note@below {{the weight is declared here}}
lariat.weight @b : tensor<8xf32> depths(2) from <stack = ["b0", "b1"]>
func.func @linear_c5(%x: tensor<?x8xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  %one = arith.constant 1 : index
  %d = lariat.advance %r to %one : !lariat.rows<"a">
  %e = lariat.advance %d : !lariat.rows<"a">
  // expected-error@below {{'lariat.linear' op uses @b at depth 2, but it has 2 depths}}
  %y = lariat.linear %x, @w bias(@b) : tensor<?x8xf32, #lariat.of<"a">> to tensor<?x8xf32, #lariat.of<"a">> by %e : !lariat.rows<"a">
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @n : tensor<8xf32> depths(2) from <stack = ["n0", "n1"]>
lariat.weight @last : tensor<8xf32> depths(2, beyond = clamp) from <stack = ["n0", "n1"]>
func.func @norm_c4(%x: tensor<?x8xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  %nine = arith.constant 9 : index
  %d = lariat.advance %r to %nine : !lariat.rows<"a">
  %z = lariat.norm rms %x weight(@last) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">> by %d : !lariat.rows<"a">
  // expected-error@below {{'lariat.norm' op uses @n at depth 9, but it has 2 depths}}
  %y = lariat.norm rms %x weight(@n) eps(1.0e-05) : tensor<?x8xf32, #lariat.of<"a">> by %d : !lariat.rows<"a">
  return
}

// -----

func.func @rope_c2_magnitude(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op has magnitude INF, expected a finite one}}
  %y = lariat.rope %q at %r heads(2) theta(1.0) magnitude(0x7FF0000000000000) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c3_neither(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op has neither theta and frequencies, expected one of them}}
  %y = lariat.rope %q at %r heads(2) dims(2) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c3_both(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op has both theta and frequencies, expected one of them}}
  %y = lariat.rope %q at %r heads(2) theta(1.0) frequencies(array<f64: 1.0>) dims(2) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c3_scaling(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op has scaling without theta: frequencies are given as they are}}
  %y = lariat.rope %q at %r heads(2) frequencies(array<f64: 1.0>) dims(2) scaling(<linear, factor = 4.0>) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c3_count(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op lists 2 frequencies for 1 pairs}}
  %y = lariat.rope %q at %r heads(2) frequencies(array<f64: 1.0, 0.5>) dims(2) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c4_no_weight(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op uses @f, which is not a weight}}
  %y = lariat.rope %q at %r heads(2) frequencies(@f) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{the weight is declared here}}
lariat.weight @f : tensor<32xf32> from <"f">
func.func @rope_c4_shape(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op uses @f of shape (32), expected (16)}}
  %y = lariat.rope %q at %r heads(2) frequencies(@f) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @f : tensor<16xf32> stored <bf16> from <"f">
func.func @rope_c4_stored(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op takes its frequencies from @f, which is stored as bf16, expected f32}}
  %y = lariat.rope %q at %r heads(2) frequencies(@f) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @f : tensor<16xf32> depths(1) from <"f">
func.func @rope_c4_depths(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op uses the depth-indexed weight @f, expected one without depths}}
  %y = lariat.rope %q at %r heads(2) frequencies(@f) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @rope_c2_frequency(%q: tensor<?x64xf32, #lariat.of<"a">>, %r: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.rope' op lists the frequency INF, expected finite ones}}
  %y = lariat.rope %q at %r heads(2) frequencies(array<f64: 0x7FF0000000000000>) dims(2) : tensor<?x64xf32, #lariat.of<"a">>
  return
}
