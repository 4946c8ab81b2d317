// A small model whose loop has a cache: what fuzz-protocol asks.

module attributes {
  lariat.model = #lariat.model<"test", kind = "decoder", vocab = 8, context = 32>,
  lariat.loops = #lariat.loops<default = 4, min = 1, max = 4>
} {
  lariat.weight @embed : tensor<8x4xf32> value dense<0.5> : tensor<8x4xf32>
  lariat.weight @q : tensor<4x4xf32> value dense<0.25> : tensor<4x4xf32>
  lariat.weight @gain : tensor<4xf32> value dense<1.0> : tensor<4xf32>
  lariat.cache @kv layers(1) heads(1) dim(4) depths(4) : f32 policy(#lariat.own<missing = skip, allowed = [slot0]>)
  func.func @forward(%rows: !lariat.rows<"all"> {lariat.input = "rows"},
                     %ids: tensor<?xi32, #lariat.of<"all">> {lariat.input = "ids"},
                     %loops: tensor<?xindex, #lariat.of<"all">> {lariat.input = "loops"})
      -> (tensor<?x8xf32, #lariat.of<"wanted">> {lariat.output = "logits"},
          tensor<?xi32, #lariat.of<"all">> {lariat.output = "steps"}) {
    %x = lariat.embed %ids, @embed : tensor<?xi32, #lariat.of<"all">> to tensor<?x4xf32, #lariat.of<"all">>
    %h, %steps = lariat.recur max(%loops : tensor<?xindex, #lariat.of<"all">>) over %rows : !lariat.rows<"all"> as %a: !lariat.rows<"a">
        carry(%y = %x : tensor<?x4xf32, #lariat.of<"all">>) {
      %n = lariat.norm rms %y weight(@gain) eps(1.0e-05) : tensor<?x4xf32, #lariat.of<"a">>
      %q = lariat.linear %n, @q : tensor<?x4xf32, #lariat.of<"a">> to tensor<?x4xf32, #lariat.of<"a">>
      lariat.append @kv[0] %q, %q at %a : tensor<?x4xf32, #lariat.of<"a">>
      %v = lariat.attend @kv[0] %q at %a heads(1) mask(<causal>) : tensor<?x4xf32, #lariat.of<"a">>
      %z = arith.addf %y, %v : tensor<?x4xf32, #lariat.of<"a">>
      lariat.next keep %a : !lariat.rows<"a"> carry(%z : tensor<?x4xf32, #lariat.of<"a">>)
    }
    %w = lariat.last %rows : <"all"> to <"wanted">
    %last = lariat.take %h of %rows at %w : tensor<?x4xf32, #lariat.of<"all">> at <"wanted">
    %logits = lariat.linear %last, @embed : tensor<?x4xf32, #lariat.of<"wanted">> to tensor<?x8xf32, #lariat.of<"wanted">>
    return %logits, %steps : tensor<?x8xf32, #lariat.of<"wanted">>, tensor<?xi32, #lariat.of<"all">>
  }
}
