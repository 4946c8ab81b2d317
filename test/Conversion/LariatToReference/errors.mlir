// RUN: lariat-opt %s --convert-lariat-to-reference --split-input-file --verify-diagnostics

func.func @labelled(%x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"a">> {
  // expected-error@below {{cannot lower a value of type 'tensor<?xf32, #lariat.of<"a">>': row sets still have labels, run lariat-erase-row-sets first}}
  %y = arith.addf %x, %x : tensor<?xf32, #lariat.of<"a">>
  return %y : tensor<?xf32, #lariat.of<"a">>
}
