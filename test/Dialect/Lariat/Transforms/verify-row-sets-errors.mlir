// RUN: lariat-opt %s --lariat-verify-row-sets --split-input-file --verify-diagnostics

// Two selections are two sets.
func.func @same_label(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>) {
  // expected-note@below {{it is introduced here}}
  %k0 = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
  // expected-error@below {{label "k" names two row sets}}
  %k1 = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
  return
}

// -----

// The rows of a step are not all rows that entered.
// expected-note@below {{it is introduced here}}
func.func @step_label(%a: !lariat.rows<"a">, %max: index) {
  // expected-error@below {{label "a" names two row sets}}
  %steps = lariat.recur max(%max : index) over %a : !lariat.rows<"a"> as %b : !lariat.rows<"a"> {
    lariat.next keep %b : !lariat.rows<"a">
  }
  return
}

// -----

// Upstream casts encodings silently.
func.func @cast(%x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"b">> {
  // expected-error-re@below {{'tensor.cast' turns {{.*}}"a"{{.*}} into {{.*}}"b"{{.*}}, a tensor of another row set}}
  %y = tensor.cast %x : tensor<?xf32, #lariat.of<"a">> to tensor<?xf32, #lariat.of<"b">>
  return %y : tensor<?xf32, #lariat.of<"b">>
}

// -----

// Rows are taken from the set they were selected from.
func.func @take(%a: !lariat.rows<"a">, %b: !lariat.rows<"b">, %m: tensor<?xi1, #lariat.of<"b">>,
                %x: tensor<?xf32, #lariat.of<"a">>) -> tensor<?xf32, #lariat.of<"k">> {
  // expected-note@below {{the rows come from here}}
  %k = lariat.select %b where %m : !lariat.rows<"b"> to !lariat.rows<"k">
  // expected-error@below {{'lariat.take' takes the rows '!lariat.rows<"k">' of '!lariat.rows<"a">', but they were not selected from it}}
  %y = lariat.take %x of %a at %k : tensor<?xf32, #lariat.of<"a">> at !lariat.rows<"k">
  return %y : tensor<?xf32, #lariat.of<"k">>
}

// -----

// And put into it, not the other way round.
// expected-note@below {{the rows come from here}}
func.func @put(%a: !lariat.rows<"a">, %m: tensor<?xi1, #lariat.of<"a">>, %x: tensor<?xf32, #lariat.of<"a">>,
               %y: tensor<?xf32, #lariat.of<"k">>) -> tensor<?xf32, #lariat.of<"k">> {
  %k = lariat.select %a where %m : !lariat.rows<"a"> to !lariat.rows<"k">
  // expected-error@below {{'lariat.put' puts the rows '!lariat.rows<"a">' into '!lariat.rows<"k">', but they were not selected from it}}
  %z = lariat.put %x of %a into %y of %k : tensor<?xf32, #lariat.of<"a">> into tensor<?xf32, #lariat.of<"k">>
  return %z : tensor<?xf32, #lariat.of<"k">>
}
