// RUN: lariat-opt %s --lariat-apply-decode-rule --verify-diagnostics

// Without a rule the model needs whole sequences.
func.func @no_rule(%a: !lariat.rows<"a">, %z: tensor<?xf32, #lariat.of<"a">>) -> !lariat.rows<"k"> {
  // expected-error@below {{cannot generate: 'lariat.top_k' scores whole sequences and declares no decode rule}}
  %k = lariat.top_k %z of %a capacity(<[2, 1] over 2>) : tensor<?xf32, #lariat.of<"a">> to !lariat.rows<"k">
  return %k : !lariat.rows<"k">
}
