// RUN: lariat-opt %s --split-input-file --verify-diagnostics

// What attributes and types refuse, and where attributes of the dialect may stand.

// expected-error@below {{row tensor of set "a" needs a dynamic leading dimension, which runs over its rows}}
func.func private @of_static(tensor<4x8xf32, #lariat.of<"a">>)

// -----

// expected-error@below {{row tensor of set "a" needs a dynamic leading dimension, which runs over its rows}}
func.func private @of_rank_0(tensor<f32, #lariat.of<"a">>)

// -----

// expected-error@below {{source names 0 tensors, expected at least one}}
func.func private @source_keys() attributes {x = #lariat.source<stack = []>}

// -----

// expected-error@below {{source takes rows 4 to 4, expected a non-empty range}}
func.func private @source_rows() attributes {x = #lariat.source<"a", rows = 4 to 4>}

// -----

// expected-error@below {{source takes rows -1 to 4, expected a non-empty range}}
func.func private @source_negative_rows() attributes {x = #lariat.source<"a", rows = -1 to 4>}

// -----

// expected-error@below {{source reorders the rows of -1 heads, expected at least 1}}
func.func private @source_halves() attributes {x = #lariat.source<"a", halves(-1)>}

// -----

// expected-error@below {{unknown word 'columns' in a source, expected rows, halves, reshape or scale}}
func.func private @source_word() attributes {x = #lariat.source<"a", columns = 1 to 2>}

// -----

// expected-error@below {{mask 'window' has size 0, expected at least 1}}
func.func private @mask_window() attributes {x = #lariat.mask<window>}

// -----

// expected-error@below {{mask 'chunk' has size -4, expected at least 1}}
func.func private @mask_chunk() attributes {x = #lariat.mask<chunk(-4)>}

// -----

// expected-error@below {{mask 'causal' has size 4, expected none}}
func.func private @mask_causal() attributes {x = #lariat.mask<causal(4)>}

// -----

// expected-error@below {{rope scaling has factor 0.000000e+00, expected a positive one}}
func.func private @rope_scaling_factor() attributes {x = #lariat.rope_scaling<linear, factor = 0.0>}

// -----

// expected-error@below {{rope scaling has factor nan, expected a positive one}}
func.func private @rope_scaling_nan() attributes {x = #lariat.rope_scaling<linear, factor = 0x7FF8000000000000 : f64>}

// -----

// expected-error@below {{rope scaling 'llama3' needs low < high and a positive original context}}
func.func private @rope_scaling_llama3() attributes {x = #lariat.rope_scaling<llama3, factor = 8.0>}

// -----

func.func private @rope_scaling_order() attributes {
  // expected-error@below {{rope scaling 'llama3' needs low < high and a positive original context}}
  x = #lariat.rope_scaling<llama3, factor = 8.0, low = 4.0, high = 4.0, original = 8192>}

// -----

// expected-error@below {{capacity has 1 numerators over 0, expected at least one over a positive denominator}}
func.func private @capacity_denominator() attributes {x = #lariat.capacity<[0] over 0>}

// -----

// expected-error@below {{capacity keeps 3 of 2 rows, expected 0 to 2}}
func.func private @capacity_above() attributes {x = #lariat.capacity<[1, 3] over 2>}

// -----

// expected-error@below {{capacity keeps -1 of 2 rows, expected 0 to 2}}
func.func private @capacity_below() attributes {x = #lariat.capacity<[-1] over 2>}

// -----

// expected-error@below {{KV policy 'first_then_shared' has 0 slots, expected at least 1}}
func.func private @first_then_shared_slots() attributes {x = #lariat.first_then_shared<0, order = sequential>}

// -----

// expected-error@below {{KV policy 'first_then_shared' overwrites entries, so its order is atomic or sequential, not free}}
func.func private @first_then_shared_order() attributes {x = #lariat.first_then_shared<2, order = free>}

// -----

// expected-error@below {{a part of KV policy 'phased' is phased itself, expected a policy that is the same for all rows}}
func.func private @phased_twice() attributes {x = #lariat.phased<prompt = #lariat.first, generated = #lariat.phased<prompt = #lariat.first, generated = #lariat.latest>>}

// -----

// expected-error@below {{a part of KV policy 'phased' says missing = compute, which is a choice of the caller}}
func.func private @phased_compute() attributes {x = #lariat.phased<prompt = #lariat.own<missing = compute>, generated = #lariat.first>}

// -----

// expected-error@below {{a part of KV policy 'phased' allows missing modes, but callers have no choice there}}
func.func private @phased_allows() attributes {x = #lariat.phased<prompt = #lariat.first, generated = #lariat.own<missing = skip, allowed = [slot0]>>}

// -----

// expected-error@below {{the generated part of KV policy 'phased' has an exit scope, which belongs to the prompt part}}
func.func private @phased_scope() attributes {x = #lariat.phased<prompt = #lariat.first, generated = #lariat.own<missing = skip, exit_scope = generated>>}

// -----

// expected-error@below {{KV policy 'ring' has -1 slots, expected at least 1}}
func.func private @ring_slots() attributes {x = #lariat.ring<-1, order = sequential>}

// -----

// expected-error@below {{KV policy 'ring' overwrites entries, so its order is atomic or sequential, not free}}
func.func private @ring_order() attributes {x = #lariat.ring<2, order = free>}

// -----

// expected-error@below {{KV policy 'last' overwrites entries, so its order is atomic or sequential, not free}}
func.func private @last_order() attributes {x = #lariat.last<order = free>}

// -----

// expected-error@below {{loops range from 4 to 2, expected an ascending range}}
module attributes {lariat.loops = #lariat.loops<default = 4, min = 4, max = 2>} {}

// -----

// expected-error@below {{loops range from -1 to 2, expected an ascending range}}
module attributes {lariat.loops = #lariat.loops<default = 1, min = -1, max = 2>} {}

// -----

// expected-error@below {{loops default to 9 (with an exit 0), outside the range 1 to 8}}
module attributes {lariat.loops = #lariat.loops<default = 9, min = 1, max = 8>} {}

// -----

// expected-error@below {{loops default to 4 (with an exit 9), outside the range 1 to 8}}
module attributes {lariat.loops = #lariat.loops<default = 4, min = 1, max = 8, with_exit = 9>} {}

// -----

// expected-error@below {{exit thresholds range from 1.000000e+00 to 0.000000e+00, expected an ascending range}}
module attributes {lariat.exit = #lariat.exit<"h", never = 1.0, low = 1.0, high = 0.0>} {}

// -----

// expected-error@below {{exit thresholds range from nan to 1.000000e+00, expected an ascending range}}
module attributes {lariat.exit = #lariat.exit<"h", never = 1.0, low = 0x7FF8000000000000 : f64, high = 1.0>} {}

// -----

// expected-error@below {{exit threshold outside the range 0.000000e+00 to 1.000000e+00}}
module attributes {lariat.exit = #lariat.exit<"h", never = 2.0, low = 0.0, high = 1.0>} {}

// -----

// expected-error@below {{exit threshold outside the range 0.000000e+00 to 1.000000e+00}}
module attributes {lariat.exit = #lariat.exit<"h", never = 1.0, low = 0.0, high = 1.0, default = -1.0>} {}

// -----

// expected-error@below {{model kind is "both", expected decoder or encoder}}
module attributes {lariat.model = #lariat.model<"m", kind = "both", vocab = 320, context = 512>} {}

// -----

// expected-error@below {{model has vocabulary 0 and context 512, expected positive ones}}
module attributes {lariat.model = #lariat.model<"m", kind = "decoder", vocab = 0, context = 512>} {}

// -----

// expected-error@below {{model has vocabulary 320 and context -1, expected positive ones}}
module attributes {lariat.model = #lariat.model<"m", kind = "decoder", vocab = 320, context = -1>} {}

// -----

// expected-error@below {{model has eos id 320, expected 0 to 319}}
module attributes {lariat.model = #lariat.model<"m", kind = "decoder", vocab = 320, context = 512, eos = [1, 320]>} {}

// -----

// expected-error@below {{has lariat.record = ["entered", "carry", "max"], expected a list of entered, carried, invariant, max or coda in this order, with entered and max once each}}
func.func private @unknown_part() attributes {lariat.record = ["entered", "carry", "max"]}

// -----

// expected-error@below {{has lariat.record = ["entered", "max", "carried"], expected a list of}}
func.func private @parts_out_of_order() attributes {lariat.record = ["entered", "max", "carried"]}

// -----

// expected-error@below {{has lariat.record = 3 : i64, expected a list of}}
func.func private @no_list() attributes {lariat.record = 3}

// -----

// expected-error@below {{'builtin.module' op attribute 'lariat.model' is "ouro", expected a #lariat.model}}
module attributes {lariat.model = "ouro"} {}

// -----

// expected-error@below {{'builtin.module' op attribute 'lariat.loops' is 4 : i64, expected a #lariat.loops}}
module attributes {lariat.loops = 4} {}

// -----

// expected-error@below {{'builtin.module' op attribute 'lariat.exit' is #lariat.loops<default = 1, min = 1, max = 1>, expected a #lariat.exit}}
module attributes {lariat.exit = #lariat.loops<default = 1, min = 1, max = 1>} {}

// -----

// expected-error@below {{'builtin.module' op has unknown attribute 'lariat.modle'}}
module attributes {lariat.modle = 1} {}

// -----

// expected-error@below {{'func.func' op argument 0 has unknown attribute 'lariat.output'}}
func.func private @input_name(index {lariat.output = "logits"})

// -----

// expected-error@below {{'func.func' op argument 1 has 'lariat.input' "tokens", expected one of "rows", "ids", "loops", "threshold", "capacity", "initial_state"}}
func.func private @input_role(index, index {lariat.input = "tokens"})

// -----

// expected-error@below {{'func.func' op argument 0 has 'lariat.input' 1 : i64, expected one of "rows", "ids", "loops", "threshold", "capacity", "initial_state"}}
func.func private @input_kind(index {lariat.input = 1})

// -----

// expected-error@below {{'func.func' op result 0 has unknown attribute 'lariat.input'}}
func.func private @output_name() -> (index {lariat.input = "rows"})

// -----

// expected-error@below {{'func.func' op result 0 has 'lariat.output' "probabilities", expected one of "logits", "hidden", "steps"}}
func.func private @output_role() -> (index {lariat.output = "probabilities"})

// -----

// expected-error@below {{exit threshold outside the range 0.000000e+00 to 1.000000e+00}}
module attributes {lariat.exit = #lariat.exit<"h", never = 1.0, low = 0.0, high = 1.0, usual = 2.0>} {}

// -----

// expected-error@below {{a threshold is there twice}}
module attributes {lariat.exit = #lariat.exit<"h", never = 1.0, low = 0.0, high = 1.0, usual = 0.1, usual = 0.2>} {}
