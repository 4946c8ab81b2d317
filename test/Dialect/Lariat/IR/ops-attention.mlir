// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --mlir-print-op-generic | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --emit-bytecode | lariat-opt | FileCheck %s

// The ops of LariatAttentionOps.td: printed, generic and bytecode form read back the same.

// CHECK: lariat.cache @kv layers(4) heads(2) dim(16) depths(3) : f32 policy(#lariat.own<missing = skip>)
lariat.cache @kv layers(4) heads(2) dim(16) depths(3) : f32 policy(#lariat.own<missing = skip>)
// CHECK: lariat.cache @open layers(1) heads(2) dim(16) : bf16 policy(#lariat.first)
lariat.cache @open layers(1) heads(2) dim(16) : bf16 policy(#lariat.first)
// CHECK: lariat.state @s layers(2) width(64) : f32
lariat.state @s layers(2) width(64) : f32
lariat.weight @sinks : tensor<4xf32> from <"sinks">
lariat.weight @bias : tensor<4x128xf32> from <"rel_bias">

// CHECK-LABEL: @attention
func.func @attention(%q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"a">>,
                     %a: !lariat.rows<"a">) {
  // CHECK: lariat.attention %{{.+}}, %{{.+}}, %{{.+}} at %{{.+}} heads(4, 2) mask(<full>) : tensor<?x64xf32, #of_a>, tensor<?x32xf32, #of_a>
  %0 = lariat.attention %q, %k, %k at %a heads(4, 2) mask(<full>)
      : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x32xf32, #lariat.of<"a">>
  // CHECK:      lariat.attention %{{.+}}, %{{.+}}, %{{.+}} at %{{.+}} heads(4, 2) mask(<window(8)>) scale(1.250000e-01)
  // CHECK-SAME:   softcap(5.000000e+01) sinks(@sinks) distance_bias(@bias) : tensor<?x64xf32, #of_a>, tensor<?x32xf32, #of_a>
  %1 = lariat.attention %q, %k, %k at %a heads(4, 2) mask(<window(8)>) scale(0.125) softcap(50.0) sinks(@sinks)
      distance_bias(@bias) : tensor<?x64xf32, #lariat.of<"a">>, tensor<?x32xf32, #lariat.of<"a">>
  return
}

// CHECK-LABEL: @cache
func.func @cache(%q: tensor<?x64xf32, #lariat.of<"a">>, %k: tensor<?x32xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">,
                 %slot: index) {
  // CHECK: lariat.append @kv[3] %{{.+}}, %{{.+}} at %{{.+}} : tensor<?x32xf32, #of_a>
  lariat.append @kv[3] %k, %k at %a : tensor<?x32xf32, #lariat.of<"a">>
  // CHECK: lariat.append @kv[0] %{{.+}}, %{{.+}} at %{{.+}} slot(%{{.+}}) : tensor<?x32xf32, #of_a>
  lariat.append @kv[0] %k, %k at %a slot(%slot) : tensor<?x32xf32, #lariat.of<"a">>
  // CHECK: lariat.append @kv[1] %{{.+}}, %{{.+}} at %{{.+}} filled : tensor<?x32xf32, #of_a>
  lariat.append @kv[1] %k, %k at %a filled : tensor<?x32xf32, #lariat.of<"a">>
  // CHECK: lariat.attend @kv[3] %{{.+}} at %{{.+}} heads(4) mask(<causal>) : tensor<?x64xf32, #of_a>
  %0 = lariat.attend @kv[3] %q at %a heads(4) mask(<causal>) : tensor<?x64xf32, #lariat.of<"a">>
  // CHECK:      lariat.attend @kv[0] %{{.+}} at %{{.+}} heads(4) mask(<chunk(4)>) scale(1.000000e+00) softcap(3.000000e+01)
  // CHECK-SAME:   sinks(@sinks) distance_bias(@bias) slot(%{{.+}}) : tensor<?x64xf32, #of_a>
  %1 = lariat.attend @kv[0] %q at %a heads(4) mask(<chunk(4)>) scale(1.0) softcap(30.0) sinks(@sinks)
      distance_bias(@bias) slot(%slot) : tensor<?x64xf32, #lariat.of<"a">>
  return
}

// CHECK-LABEL: @state
func.func @state(%x: tensor<?x64xf32, #lariat.of<"a">>, %a: !lariat.rows<"a">) -> tensor<?x64xf32, #lariat.of<"a">> {
  // CHECK: lariat.shift @s[0] %{{.+}} at %{{.+}} : tensor<?x64xf32, #of_a>
  %0 = lariat.shift @s[0] %x at %a : tensor<?x64xf32, #lariat.of<"a">>
  // CHECK: lariat.scan @s[1] %{{.+}}, %{{.+}} at %{{.+}} : tensor<?x64xf32, #of_a>
  %1 = lariat.scan @s[1] %0, %x at %a : tensor<?x64xf32, #lariat.of<"a">>
  return %1 : tensor<?x64xf32, #lariat.of<"a">>
}
