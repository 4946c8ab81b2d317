// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=embed=bf16 | FileCheck %s --check-prefix=EMBED
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=attention=bf16 | FileCheck %s --check-prefix=ATTENTION
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=ffn=bf16 | FileCheck %s --check-prefix=FFN
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=norm=bf16 | FileCheck %s --check-prefix=NORM
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=head=bf16 | FileCheck %s --check-prefix=HEAD
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=other=bf16 | FileCheck %s --check-prefix=OTHER
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=bf16 | FileCheck %s --check-prefix=ALL
// RUN: lariat-opt %s --split-input-file --lariat-choose-weight-formats=rules=*=bf16,norm=f32,@o=f32,@q*=f32 | FileCheck %s --check-prefix=MIXED

// Each class by how weights are used, whatever their names.

// EMBED:     @e : tensor<32x8xf32> stored <bf16> from
// EMBED-NOT: stored
// EMBED:     func.func

// Projections of queries, keys and values, of what attention gives, a gate on it, and both factors of a projection.
// ATTENTION-NOT: stored
// ATTENTION:      @q : tensor<8x4xf32> stored <bf16>
// ATTENTION-NEXT: @q_first : tensor<4x8xf32> stored <bf16>
// ATTENTION-NEXT: @k : tensor<8x8xf32> stored <bf16>
// ATTENTION-NEXT: @v : tensor<8x8xf32> stored <bf16>
// ATTENTION-NEXT: @v_bias : tensor<8xf32> stored <bf16>
// ATTENTION-NEXT: @gate : tensor<8x8xf32> stored <bf16>
// ATTENTION-NEXT: @o : tensor<8x8xf32> stored <bf16>
// ATTENTION-NOT: stored
// ATTENTION:     func.func

// Both ways into the hidden columns and the way back, with a low-rank pair.
// FFN-NOT: stored
// FFN:      @up : tensor<24x8xf32> stored <bf16>
// FFN-NEXT: @wide : tensor<24x8xf32> stored <bf16>
// FFN-NEXT: @down : tensor<8x24xf32> stored <bf16>
// FFN-NEXT: @down_a : tensor<2x24xf32> stored <bf16>
// FFN-NEXT: @down_b : tensor<8x2xf32> stored <bf16>
// FFN-NOT: stored
// FFN:     func.func

// NORM-NOT: stored
// NORM:     @n : tensor<8xf32> stored <bf16>
// NORM-NOT: stored
// NORM:     func.func

// The product behind logits, and one whose result goes nowhere else.
// HEAD-NOT: stored
// HEAD:      @transform : tensor<8x8xf32> stored <bf16>
// HEAD-NEXT: @h : tensor<32x8xf32> stored <bf16>
// HEAD-NOT: stored
// HEAD:     func.func

// An adapter whose result is the residual itself, and what enters arithmetic.
// OTHER-NOT: stored
// OTHER:      @adapter : tensor<8x8xf32> stored <bf16>
// OTHER-NEXT: @bias : tensor<8xf32> stored <bf16>
// OTHER-NOT: stored
// OTHER:     func.func

// All weights but rotary frequencies and those of other elements.
// ALL:      @e : tensor<32x8xf32> stored <bf16>
// ALL:      @bias : tensor<8xf32> stored <bf16>
// ALL-NEXT: @frequencies : tensor<4xf32> from
// ALL-NEXT: @half : tensor<8xf16> from
// ALL:      func.func

// A name is stronger than a class, a class than `*`, wherever they stand.
// MIXED:      @e : tensor<32x8xf32> stored <bf16>
// MIXED-NEXT: @n : tensor<8xf32> from
// MIXED-NEXT: @q : tensor<8x4xf32> from
// MIXED-NEXT: @q_first : tensor<4x8xf32> from
// MIXED-NEXT: @k : tensor<8x8xf32> stored <bf16>
// MIXED:      @o : tensor<8x8xf32> from
// MIXED-NEXT: @up : tensor<24x8xf32> stored <bf16>

!x = tensor<?x8xf32, #lariat.of<"a">>
!y = tensor<?x24xf32, #lariat.of<"a">>

lariat.weight @e : tensor<32x8xf32> from <"e">
lariat.weight @n : tensor<8xf32> from <"n">
lariat.weight @q : tensor<8x4xf32> from <"q">
lariat.weight @q_first : tensor<4x8xf32> from <"q_first">
lariat.weight @k : tensor<8x8xf32> from <"k">
lariat.weight @v : tensor<8x8xf32> from <"v">
lariat.weight @v_bias : tensor<8xf32> from <"v_bias">
lariat.weight @gate : tensor<8x8xf32> from <"gate">
lariat.weight @o : tensor<8x8xf32> from <"o">
lariat.weight @up : tensor<24x8xf32> from <"up">
lariat.weight @wide : tensor<24x8xf32> from <"wide">
lariat.weight @down : tensor<8x24xf32> from <"down">
lariat.weight @down_a : tensor<2x24xf32> from <"down_a">
lariat.weight @down_b : tensor<8x2xf32> from <"down_b">
lariat.weight @transform : tensor<8x8xf32> from <"transform">
lariat.weight @h : tensor<32x8xf32> from <"h">
lariat.weight @adapter : tensor<8x8xf32> from <"adapter">
lariat.weight @bias : tensor<8xf32> from <"bias">
lariat.weight @frequencies : tensor<4xf32> from <"frequencies">
lariat.weight @half : tensor<8xf16> from <"half">
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
func.func @forward(%a: !lariat.rows<"a">, %ids: tensor<?xi32, #lariat.of<"a">>)
    -> (tensor<?x32xf32, #lariat.of<"a">> {lariat.output = "logits"}) {
  %embedded = lariat.embed %ids, @e : tensor<?xi32, #lariat.of<"a">> to !x
  %adapted = lariat.linear %embedded, @adapter : !x to !x
  %b = lariat.value_of @bias : tensor<8xf32>
  %bs = lariat.spread %b at %a : tensor<8xf32> at !lariat.rows<"a"> to !x
  %x = arith.addf %adapted, %bs : !x
  %n = lariat.norm rms %x weight(@n) eps(1.0e-05) : !x
  %q0 = lariat.linear %n, @q_first : !x to tensor<?x4xf32, #lariat.of<"a">>
  %q1 = lariat.linear %q0, @q : tensor<?x4xf32, #lariat.of<"a">> to !x
  %q = lariat.rope %q1 at %a heads(1) frequencies(@frequencies) : !x
  %k = lariat.linear %n, @k : !x to !x
  %v = lariat.linear %n, @v bias(@v_bias) : !x to !x
  lariat.append @kv[0] %k, %v at %a : !x
  %seen = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : !x
  %g = lariat.linear %n, @gate : !x to !x
  %gated = arith.mulf %seen, %g : !x
  %o = lariat.linear %gated, @o : !x to !x
  %x1 = arith.addf %x, %o : !x
  %up = lariat.linear %x1, @up : !x to !y
  %wide = lariat.linear %x1, @wide : !x to !y
  %square = arith.mulf %up, %up : !y
  %bent = arith.addf %up, %square : !y
  %inner = arith.mulf %bent, %wide : !y
  %down = lariat.linear %inner, @down low_rank(@down_a, @down_b) scale(1.0) : !y to !x
  %x2 = arith.addf %x1, %down : !x
  %last = lariat.linear %x2, @transform : !x to !x
  %logits = lariat.linear %last, @h : !x to tensor<?x32xf32, #lariat.of<"a">>
  return %logits : tensor<?x32xf32, #lariat.of<"a">>
}
