// RUN: lariat-opt %s --convert-lariat-to-reference --split-input-file --verify-diagnostics

func.func @labelled(%x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  // expected-error@below {{cannot lower a value of type 'tensor<?xf32, #lariat.of<"a">>': row sets still have labels, run lariat-erase-row-sets first}}
  %y = arith.addf %x, %x : tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}

// -----

// Two depths and one slot: which entry a row sees depends on the order of rows.
// expected-error@below {{cannot compile cache 'kv': KV policy 'last' with fewer slots than depths is not built yet}}
lariat.cache @kv layers(1) heads(1) dim(4) depths(2) : f32 policy(#lariat.last<order = sequential>)

// -----

// expected-error@below {{cannot compile cache 'kv': KV policy 'phased' is not built yet}}
lariat.cache @kv layers(1) heads(1) dim(4) depths(2) : f32 policy(#lariat.phased<prompt = #lariat.first, generated = #lariat.latest>)
