// RUN: lariat-opt %s --split-input-file --verify-diagnostics

// What caches, states and the ops that use them refuse. A function or symbol is named by the constraint that it breaks.

// expected-error@below {{'lariat.cache' op attribute 'layers' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.cache @cache_c1_layers layers(0) heads(2) dim(16) : f32 policy(#lariat.first)

// -----

// expected-error@below {{'lariat.cache' op attribute 'heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.cache @cache_c1_heads layers(1) heads(-2) dim(16) : f32 policy(#lariat.first)

// -----

// expected-error@below {{'lariat.cache' op attribute 'dim' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.cache @cache_c1_dim layers(1) heads(2) dim(0) : f32 policy(#lariat.first)

// -----

// expected-error@below {{'lariat.cache' op attribute 'depths' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.cache @cache_c1_depths layers(1) heads(2) dim(1) depths(0) : f32 policy(#lariat.first)

// -----

// expected-error@below {{'lariat.cache' op attribute 'policy' failed to satisfy constraint: KV policy}}
lariat.cache @cache_policy layers(1) heads(2) dim(16) : f32 policy(#lariat.mask<full>)

// -----

// expected-error@below {{'lariat.cache' op attribute 'type' failed to satisfy constraint: type attribute of floating-point}}
lariat.cache @cache_type layers(1) heads(2) dim(16) : i32 policy(#lariat.first)

// -----

// expected-error@below {{'lariat.state' op attribute 'width' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
lariat.state @state_width layers(1) width(0) : f32

// -----

func.func @attention_c1_multiple(%q: tensor<?x48xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"a">>,
                                 %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op has 3 heads and 2 KV heads, expected a multiple}}
  %o = lariat.attention %q, %k, %k at %a heads(3, 2) mask(<full>)
      : tensor<?x48xf32, #lariat.of<"a">>, tensor<?x32xf32, #lariat.of<"a">>
  return
}

// -----

func.func @attention_c1_width(%q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x64xf32, #lariat.of<"a">>,
                              %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op has queries 'tensor<?x64xf32, #lariat.of<"a">>' and keys 'tensor<?x64xf32, #lariat.of<"a">>' for heads (4, 2), expected one head width}}
  %o = lariat.attention %q, %k, %k at %a heads(4, 2) mask(<full>)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @attention_c1_rank(%q: tensor<?xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op has queries 'tensor<?xf32, #lariat.of<"a">>' and keys 'tensor<?xf32, #lariat.of<"a">>' for heads (1, 1), expected one head width}}
  %o = lariat.attention %q, %q, %q at %a heads(1, 1) mask(<full>)
      : tensor<?xf32, #lariat.of<"a">>, tensor<?xf32, #lariat.of<"a">>
  return
}

// -----

func.func @attention_keys_of_other_rows(%q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"b">>,
                                        %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op has keys of '!lariat.rows<"b">', but its rows are '!lariat.rows<"a">'}}
  %o = lariat.attention %q, %k, %k at %a heads(4, 2) mask(<full>)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x32xf32, #lariat.of<"b">>
  return
}

// -----

func.func @attention_at_other_rows(%q: tensor<?x64xf32, #lariat.of<"a">>, %b: !lariat.rows<"b">) {
  // expected-error@below {{'lariat.attention' op failed to verify that 'at' is the row set of 'query'}}
  %o = "lariat.attention"(%q, %q, %q, %b) <{query_heads = 1, kv_heads = 1, mask = #lariat.mask<full>}>
      : (tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>,
         !lariat.rows<"b">) -> tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @attention_c2_no_weight(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op uses @s, which is not a weight}}
  %o = lariat.attention %q, %q, %q at %a heads(4, 4) mask(<full>) sinks(@s)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @s : tensor<3xf32> from <"s">
func.func @attention_c2_sinks(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op uses @s of type 'tensor<3xf32>', expected rank 1 and 4 heads without depths}}
  %o = lariat.attention %q, %q, %q at %a heads(4, 4) mask(<full>) sinks(@s)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @b : tensor<4xf32> from <"b">
func.func @attention_c2_distance_bias(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op uses @b of type 'tensor<4xf32>', expected rank 2 and 4 heads without depths}}
  %o = lariat.attention %q, %q, %q at %a heads(4, 4) mask(<full>) distance_bias(@b)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.weight @s : tensor<4xf32> depths(1) from <"s">
func.func @attention_c2_depths(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attention' op uses @s of type 'tensor<4xf32>', expected rank 1 and 4 heads without depths}}
  %o = lariat.attention %q, %q, %q at %a heads(4, 4) mask(<full>) sinks(@s)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.state @kv layers(1) width(32) : f32
func.func @append_c1_no_cache(%k: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.append' op uses @kv, which is not a 'lariat.cache'}}
  lariat.append @kv[0] %k, %k at %a : tensor<?x32xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(2) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @append_c1_layer(%k: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.append' op uses layer 2 of @kv, which has 2}}
  lariat.append @kv[2] %k, %k at %a : tensor<?x32xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(2) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @append_c1_negative_layer(%k: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.append' op uses layer -1 of @kv, which has 2}}
  lariat.append @kv[-1] %k, %k at %a : tensor<?x32xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @append_c2(%k: tensor<?x16xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.append' op has keys of type 'tensor<?x16xf32, #lariat.of<"a">>', expected 32 columns}}
  lariat.append @kv[0] %k, %k at %a : tensor<?x16xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @append_c2_values(%k: tensor<?x32xf32, #lariat.of<"a">>, %v: tensor<?x16xf32, #lariat.of<"a">>,
                            %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.append' op failed to verify that all of {key, value} have same type}}
  "lariat.append"(%k, %v, %a) <{cache = @kv, layer = 0}>
      : (tensor<?x32xf32, #lariat.of<"a">>, tensor<?x16xf32, #lariat.of<"a">>, !lariat.rows<"a">) -> ()
  return
}

// -----

func.func @attend_c1_no_cache(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op uses @kv, which is not a 'lariat.cache'}}
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<causal>) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @attend_c1_layer(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op uses layer 1 of @kv, which has 1}}
  %o = lariat.attend @kv[1] %q at %a heads(4) mask(<causal>) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @attend_c2_heads(%q: tensor<?x48xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op has 3 heads, but @kv has 2, expected a multiple}}
  %o = lariat.attend @kv[0] %q at %a heads(3) mask(<causal>) : tensor<?x48xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
func.func @attend_c2_columns(%q: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op has queries of type 'tensor<?x32xf32, #lariat.of<"a">>', expected 64 columns}}
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<causal>) : tensor<?x32xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
lariat.weight @s : tensor<2xf32> from <"s">
func.func @attend_c3_sinks(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op uses @s of type 'tensor<2xf32>', expected rank 1 and 4 heads without depths}}
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<causal>) sinks(@s) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

lariat.cache @kv layers(1) heads(2) dim(16) : f32 policy(#lariat.first)
lariat.weight @b : tensor<2x128xf32> from <"b">
func.func @attend_c3_distance_bias(%q: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.attend' op uses @b of type 'tensor<2x128xf32>', expected rank 2 and 4 heads without depths}}
  %o = lariat.attend @kv[0] %q at %a heads(4) mask(<causal>) distance_bias(@b) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// -----

func.func @shift_c1_no_state(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.shift' op uses @s, which is not a 'lariat.state'}}
  %y = lariat.shift @s[0] %x at %a : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.state @s layers(1) width(4) : f32
func.func @shift_c1_columns(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.shift' op has values of type 'tensor<?x8xf32, #lariat.of<"a">>', expected 4 columns}}
  %y = lariat.shift @s[0] %x at %a : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.state @s layers(1) width(8) : f32
func.func @shift_c1_layer(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.shift' op uses layer 1 of @s, which has 1}}
  %y = lariat.shift @s[1] %x at %a : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

func.func @scan_c1_no_state(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.scan' op uses @s, which is not a 'lariat.state'}}
  %y = lariat.scan @s[0] %x, %x at %a : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

lariat.state @s layers(1) width(4) : f32
func.func @scan_c1_columns(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  // expected-error@below {{'lariat.scan' op has values of type 'tensor<?x8xf32, #lariat.of<"a">>', expected 4 columns}}
  %y = lariat.scan @s[0] %x, %x at %a : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(1) heads(1) dim(8) depths(1) : f32 policy(#lariat.own<missing = skip>)
func.func @append_c3_depth(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  %one = arith.constant 1 : index
  %d = lariat.advance %a to %one : !lariat.rows<"a">
  // expected-error@below {{'lariat.append' op uses slot 1 of @kv, which has 1}}
  lariat.append @kv[0] %x, %x at %d : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
func.func @append_c3_negative(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  %slot = arith.constant -1 : index
  // expected-error@below {{'lariat.append' op uses slot -1 of @kv, which has 1048577}}
  lariat.append @kv[0] %x, %x at %a slot(%slot) : tensor<?x8xf32, #lariat.of<"a">>
  return
}

// -----

// expected-note@below {{it is declared here}}
lariat.cache @kv layers(1) heads(1) dim(8) depths(4) : f32 policy(#lariat.ring<2, order = atomic>)
func.func @attend_c4_slot(%x: tensor<?x8xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) {
  %slot = arith.constant 2 : index
  // expected-error@below {{'lariat.attend' op uses slot 2 of @kv, which has 2}}
  %o = lariat.attend @kv[0] %x at %a heads(1) mask(<causal>) slot(%slot) : tensor<?x8xf32, #lariat.of<"a">>
  return
}
