// RUN: lariat-opt %s | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --mlir-print-op-generic | lariat-opt | FileCheck %s
// RUN: lariat-opt %s --emit-bytecode | lariat-opt | FileCheck %s

// Every attribute and type of the dialect: printed, generic and bytecode form read back the same.

// The facts of a model. `never` may be infinite, hints are anything.
// CHECK:      lariat.exit = #lariat.exit<"cumulative-hazard", never = 1.000000e+00 : f64, low = 0.000000e+00 : f64, high = 1.000000e+00 : f64, default = 5.000000e-01 : f64, usual = 9.000000e-01 : f64>
// CHECK-SAME: lariat.hint.note = 1 : i64
// CHECK-SAME: lariat.loops = #lariat.loops<default = 4, min = 1, max = 8, with_exit = 8>
// CHECK-SAME: lariat.model = #lariat.model<"ouro", kind = "decoder", vocab = 320, context = 512, eos = [257, 258], shape = "4 layers x 4 loops">
// CHECK-SAME: lariat.weights = "test/models/ouro"
module attributes {
  lariat.model = #lariat.model<"ouro", kind = "decoder", vocab = 320, context = 512, eos = [257, 258],
                               shape = "4 layers x 4 loops">,
  lariat.loops = #lariat.loops<default = 4, min = 1, max = 8, with_exit = 8>,
  lariat.exit = #lariat.exit<"cumulative-hazard", never = 1.0, low = 0.0, high = 1.0, default = 0.5, usual = 0.9>,
  lariat.weights = "test/models/ouro", lariat.hint.note = 1} {
}

// What may be left out is not printed.
// CHECK:      lariat.exit = #lariat.exit<"kl", never = 0.000000e+00 : f64, low = 0.000000e+00 : f64, high = 0x7FF0000000000000 : f64>
// CHECK-SAME: lariat.loops = #lariat.loops<default = 0, min = 0, max = 0>
// CHECK-SAME: lariat.model = #lariat.model<"albert", kind = "encoder", vocab = 1, context = 1, shape = "1 layer x 12">
module attributes {
  lariat.model = #lariat.model<"albert", kind = "encoder", vocab = 1, context = 1, shape = "1 layer x 12">,
  lariat.loops = #lariat.loops<default = 0, min = 0, max = 0, with_exit = 0>,
  lariat.exit = #lariat.exit<"kl", never = 0.0, low = 0.0, high = 0x7FF0000000000000 : f64>} {
}

// A rule that takes no threshold.
// CHECK:      lariat.exit = #lariat.exit<"stop-bit">
module attributes {lariat.exit = #lariat.exit<"stop-bit">} {}

// Roles of inputs and results.
// CHECK-LABEL: @forward
// CHECK-SAME:    {lariat.input = "rows"}
// CHECK-SAME:    {lariat.input = "ids"}
// CHECK-SAME:    {lariat.input = "loops"}
// CHECK-SAME:    {lariat.input = "threshold"}
// CHECK-SAME:    {lariat.input = "capacity"}
// CHECK-SAME:    {lariat.input = "initial_state"}
// CHECK-SAME:    {lariat.output = "logits"}
// CHECK-SAME:    {lariat.output = "hidden"}
// CHECK-SAME:    {lariat.output = "steps"}
func.func private @forward(!lariat.rows<"all"> {lariat.input = "rows"},
    tensor<?xi32, #lariat.of<"all">> {lariat.input = "ids"},
    tensor<?xindex, #lariat.of<"all">> {lariat.input = "loops"},
    tensor<?xf32, #lariat.of<"all">> {lariat.input = "threshold"},
    tensor<?x2xi32, #lariat.of<"all">> {lariat.input = "capacity"},
    tensor<?x8xf32, #lariat.of<"all">> {lariat.input = "initial_state"})
    -> (tensor<?x320xf32, #lariat.of<"wanted">> {lariat.output = "logits"},
        tensor<?x8xf32, #lariat.of<"all">> {lariat.output = "hidden"},
        tensor<?xi32, #lariat.of<"all">> {lariat.output = "steps"})
    attributes {lariat.record = ["entered", "carried", "max"]}

// CHECK-LABEL: @policies
module @policies {
  // CHECK-NEXT: @own_skip {{.*}} policy(#lariat.own<missing = skip>)
  lariat.cache @own_skip layers(1) heads(1) dim(1) : f32 policy(#lariat.own<missing = skip>)
  // CHECK-NEXT: policy(#lariat.own<missing = slot0>)
  lariat.cache @own_slot0 layers(1) heads(1) dim(1) : f32 policy(#lariat.own<missing = slot0>)
  // CHECK-NEXT: policy(#lariat.own<missing = copy_last, allowed = [propagate, slot0]>)
  lariat.cache @own_copy_last layers(1) heads(1) dim(1) : f32
      policy(#lariat.own<missing = copy_last, allowed = [propagate, slot0]>)
  // CHECK-NEXT: policy(#lariat.own<missing = propagate, allowed = [compute], exit_scope = generated>)
  lariat.cache @own_propagate layers(1) heads(1) dim(1) : f32
      policy(#lariat.own<missing = propagate, allowed = [compute], exit_scope = generated>)
  // `exit_scope = all` is the default.
  // CHECK-NEXT: policy(#lariat.own<missing = skip>)
  lariat.cache @own_all layers(1) heads(1) dim(1) : f32 policy(#lariat.own<missing = skip, exit_scope = all>)
  // One optional part does not need the other.
  // CHECK-NEXT: policy(#lariat.own<missing = skip, exit_scope = generated>)
  lariat.cache @own_generated layers(1) heads(1) dim(1) : f32
      policy(#lariat.own<missing = skip, exit_scope = generated>)
  // CHECK-NEXT: policy(#lariat.first)
  lariat.cache @first layers(1) heads(1) dim(1) : f32 policy(#lariat.first)
  // CHECK-NEXT: policy(#lariat.first_then_shared<2, order = sequential>)
  lariat.cache @first_then_shared layers(1) heads(1) dim(1) : f32
      policy(#lariat.first_then_shared<2, order = sequential>)
  // CHECK-NEXT: policy(#lariat.ring<4, order = atomic>)
  lariat.cache @ring layers(1) heads(1) dim(1) : f32 policy(#lariat.ring<4, order = atomic>)
  // CHECK-NEXT: policy(#lariat.last<order = sequential>)
  lariat.cache @last layers(1) heads(1) dim(1) : f32 policy(#lariat.last<order = sequential>)
  // CHECK-NEXT: policy(#lariat.latest)
  lariat.cache @latest layers(1) heads(1) dim(1) : f32 policy(#lariat.latest)
  // CHECK-NEXT: policy(#lariat.union)
  lariat.cache @union layers(1) heads(1) dim(1) : f32 policy(#lariat.union)
  // CHECK-NEXT: policy(#lariat.phased<prompt = #lariat.own<missing = skip>, generated = #lariat.first>)
  lariat.cache @phased layers(1) heads(1) dim(1) : f32
      policy(#lariat.phased<prompt = #lariat.own<missing = skip>, generated = #lariat.first>)
}

// CHECK-LABEL: @sources
module @sources {
  // CHECK-NEXT: from <"plain">
  lariat.weight @plain : tensor<4xf32> from <"plain">
  // CHECK-NEXT: from <"all", rows = 4 to 8, halves(2), reshape, scale = 5.000000e-01>
  lariat.weight @all : tensor<4xf32> from <"all", scale = 0.5, reshape, halves(2), rows = 4 to 8>
  // CHECK-NEXT: from <stack = ["a", "b\22c"], rows = 0 to 4>
  lariat.weight @stack : tensor<4xf32> depths(2) from <stack = ["a", "b\"c"], rows = 0 to 4>
}

// CHECK-LABEL: @masks
// CHECK-SAME:    causal = #lariat.mask<causal>
// CHECK-SAME:    chunk = #lariat.mask<chunk(4)>
// CHECK-SAME:    full = #lariat.mask<full>
// CHECK-SAME:    prefix = #lariat.mask<prefix>
// CHECK-SAME:    window = #lariat.mask<window(64)>
func.func private @masks() attributes {causal = #lariat.mask<causal>, full = #lariat.mask<full>,
  prefix = #lariat.mask<prefix>, window = #lariat.mask<window(64)>, chunk = #lariat.mask<chunk(4)>}

// CHECK-LABEL: @numbers
// CHECK-SAME:    capacity = #lariat.capacity<[3, 2, 0] over 3>
// CHECK-SAME:    extra = #lariat.rope_scaling<linear, factor = 2.000000e+00 : f64, original = 512>
// CHECK-SAME:    linear = #lariat.rope_scaling<linear, factor = 4.000000e+00 : f64>
// CHECK-SAME:    llama3 = #lariat.rope_scaling<llama3, factor = 8.000000e+00 : f64, low = 1.000000e+00 : f64, high = 4.000000e+00 : f64, original = 8192>
func.func private @numbers() attributes {capacity = #lariat.capacity<[3, 2, 0] over 3>,
  extra = #lariat.rope_scaling<linear, factor = 2.0, original = 512>,
  linear = #lariat.rope_scaling<linear, factor = 4.0>,
  llama3 = #lariat.rope_scaling<llama3, factor = 8.0, low = 1.0, high = 4.0, original = 8192>}

// Enumerations have attributes of their own in the generic form.
// CHECK-LABEL: @enumerations
// CHECK-SAME:    beyond = #lariat<beyond clamp>
// CHECK-SAME:    norm = #lariat<norm_kind rms>
// CHECK-SAME:    order = #lariat<weight_order before_cast>
// CHECK-SAME:    put = #lariat<put_kind add>
// CHECK-SAME:    reduce = #lariat<reduce_kind second_max>
// CHECK-SAME:    seq = #lariat<seq_reduce_kind mean>
// CHECK-SAME:    style = #lariat<rope_style interleaved>
func.func private @enumerations() attributes {beyond = #lariat<beyond clamp>, norm = #lariat<norm_kind rms>,
  order = #lariat<weight_order before_cast>, put = #lariat<put_kind add>, reduce = #lariat<reduce_kind second_max>,
  seq = #lariat<seq_reduce_kind mean>, style = #lariat<rope_style interleaved>}

// CHECK-LABEL: @types
// CHECK-SAME:    !lariat.rows, !lariat.rows<"a">, tensor<?xf32, #of_a>
func.func private @types(!lariat.rows, !lariat.rows<"a">, tensor<?xf32, #lariat.of<"a">>)
