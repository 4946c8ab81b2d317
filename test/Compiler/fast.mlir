// The fast pipeline end to end: which files an artefact has, what its manifest says, and what its code needs.

// RUN: rm -rf %t && mkdir -p %t
// RUN: lariat-compile %s -o %t/m.lariat --pipeline fast --target all --report %t/report.json --print-memory=all \
// RUN:   | FileCheck %s --check-prefix=MEMORY
// RUN: FileCheck %s --check-prefix=MANIFEST < %t/m.lariat/manifest.json
// RUN: FileCheck %s --check-prefix=REPORT < %t/report.json
// RUN: ls %t/m.lariat %t/m.lariat/code | FileCheck %s --check-prefix=FILES
// RUN: FileCheck %s --check-prefix=MODULE < %t/m.lariat/model.mlir

// Compiling twice gives the same bytes.
// RUN: lariat-compile %s -o %t/again.lariat --pipeline fast --target all
// RUN: diff -r %t/m.lariat %t/again.lariat

// Code needs nothing of other objects, the sanitizer of a build with it aside, and shows its entries only.
// RUN: llvm-nm -D --undefined-only %t/m.lariat/code/*.so | sed /asan/d | FileCheck %s --check-prefix=NEEDS --allow-empty
// NEEDS-NOT: U
// RUN: llvm-nm -D --defined-only %t/m.lariat/code/*.so | FileCheck %s --check-prefix=SHOWS --implicit-check-not=kernel_
// SHOWS: T lariat_bind
// SHOWS: T lariat_coda
// SHOWS: T lariat_core
// SHOWS: T lariat_core_slot0
// SHOWS: T lariat_forward
// SHOWS: T lariat_forward_slot0
// SHOWS: D lariat_kernels
// SHOWS: T lariat_prelude

// It is compiled again from the IR it holds, and depends on no number of loop steps.
// RUN: lariat-compile %t/m.lariat/model.mlir -o %t/third.lariat --pipeline fast --target all
// RUN: diff -r %t/m.lariat/code %t/third.lariat/code
// RUN: sed 's/default = 4, min = 1, max = 4/default = 64, min = 1, max = 64/; s/depths(4)/depths(64)/' %s > %t/deep.mlir
// RUN: lariat-compile %t/deep.mlir -o %t/deep.lariat --pipeline fast --target all
// RUN: diff -r %t/m.lariat/code %t/deep.lariat/code

// An artefact that is there stays; the reference path does not read one of the fast pipeline.
// RUN: not lariat-compile %s -o %t/m.lariat --pipeline fast 2>&1 | FileCheck %s --check-prefix=THERE
// THERE: error: {{.*}}m.lariat exists already; --force replaces it
// RUN: echo '{"call": "info"}' | not lariat-reference %t/m.lariat 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: m.lariat was compiled by the fast pipeline, and the reference path reads artefacts of its own

// MEMORY: cache kv: 1 layers * (sum over d < R of n(d)) * 32 bytes (f32); 128 bytes per token, 4096 for 32 tokens
// MEMORY: pages of cache kv: 2048 bytes for 64 entries of a slot; at most one that is not full in each of 4 slots of a sequence, 12288 bytes for 32 tokens
// MEMORY: page pool: at most 12288 bytes for a sequence of 32 tokens
// MEMORY: weights: 4096 bytes, mapped from weights.bin
// MEMORY: call of core: at most {{[1-9][0-9]*}} bytes per row, rows rounded up to 16
// MEMORY: call of forward (score): {{[1-9][0-9]*}} bytes per row, rows rounded up to 16; {{[0-9]+}} bytes of cells; {{[0-9]+}} bytes of scratch per thread
// MEMORY: call of core (score, derived):

// MANIFEST:      "caches": [
// MANIFEST-NEXT:   {
// MANIFEST-NEXT:     "allowed": [
// MANIFEST-NEXT:       "skip",
// MANIFEST-NEXT:       "slot0"
// MANIFEST-NEXT:     ],
// MANIFEST-NEXT:     "any_slot": false,
// MANIFEST-NEXT:     "bytes_per_entry": 32,
// MANIFEST-NEXT:     "bytes_per_token": 128,
// MANIFEST-NEXT:     "declared_policy": null,
// MANIFEST-NEXT:     "depth_factor": 1,
// MANIFEST-NEXT:     "depths": 4,
// MANIFEST-NEXT:     "dim": 4,
// MANIFEST-NEXT:     "filling": [],
// MANIFEST-NEXT:     "formula": "sum over d < R of n(d)",
// MANIFEST-NEXT:     "generated": {
// MANIFEST-NEXT:       "order": "free",
// MANIFEST-NEXT:       "slot": "own",
// MANIFEST-NEXT:       "slots": 1
// MANIFEST-NEXT:     },
// MANIFEST-NEXT:     "generated_order": "free",
// MANIFEST-NEXT:     "heads": 1,
// MANIFEST-NEXT:     "layers": 1,
// MANIFEST-NEXT:     "looped": true,
// MANIFEST-NEXT:     "missing": "skip",
// MANIFEST-NEXT:     "name": "kv",
// MANIFEST-NEXT:     "order": "free",
// MANIFEST-NEXT:     "page_bytes": 2048,
// MANIFEST-NEXT:     "policy": "#lariat.own<missing = skip, allowed = [slot0]>",
// MANIFEST-NEXT:     "prompt": {
// MANIFEST-NEXT:       "order": "free",
// MANIFEST-NEXT:       "slot": "own",
// MANIFEST-NEXT:       "slots": 1
// MANIFEST-NEXT:     },
// MANIFEST-NEXT:     "slots": 4,
// MANIFEST-NEXT:     "slots_at_most": 4,
// MANIFEST-NEXT:     "type": "f32"
// MANIFEST:      "code": {
// MANIFEST-NEXT:   "abi_version": 5,
// MANIFEST-NEXT:   "call_caches": [],
// MANIFEST-NEXT:   "functions": [
// MANIFEST:          "arena_bytes_per_row": {{[1-9]}}
// MANIFEST:          "derived": false,
// MANIFEST:              "kind": "rows",
// MANIFEST-NEXT:         "name": "rows"
// MANIFEST:              "name": "ids",
// MANIFEST-NEXT:         "rows": 0,
// MANIFEST-NEXT:         "type": "i32",
// MANIFEST-NEXT:         "width": 0
// MANIFEST:          "missing": null,
// MANIFEST-NEXT:     "mode": "score",
// MANIFEST-NEXT:     "name": "forward",
// MANIFEST-NEXT:     "outputs": [
// MANIFEST:              "name": "logits",
// MANIFEST-NEXT:         "rows": -1,
// MANIFEST-NEXT:         "type": "f32",
// MANIFEST-NEXT:         "width": 8
// MANIFEST:          "record": [],
// MANIFEST:          "symbol": "lariat_forward"
// The declared mode by its name is the same code.
// MANIFEST:          "missing": "skip",
// MANIFEST:          "symbol": "lariat_forward"
// MANIFEST:          "missing": "slot0",
// MANIFEST:          "symbol": "lariat_forward_slot0"
// MANIFEST:          "derived": true,
// MANIFEST:          "name": "prelude",
// MANIFEST:          "record": [
// MANIFEST-NEXT:       "entered",
// MANIFEST-NEXT:       "carried",
// MANIFEST:            "max"
// MANIFEST:          "symbol": "lariat_prelude"
// MANIFEST:        "layouts": [
// MANIFEST-NEXT:     {
// MANIFEST-NEXT:       "keys": "columns",
// MANIFEST-NEXT:       "name": "cpu",
// MANIFEST-NEXT:       "panel_columns": 16,
// MANIFEST-NEXT:       "weights": {
// MANIFEST-NEXT:         "bytes": 4096,
// MANIFEST-NEXT:         "file": "weights.bin"
// MANIFEST:        "objects": [
// MANIFEST:            "layout": "cpu",
// MANIFEST:        "refused": [],
// MANIFEST:      "pipeline": "fast",
// MANIFEST:      "targets": [

// REPORT: "seconds": {
// REPORT:   "form kernels":
// REPORT:   "write weights":
// REPORT: "targets": {
// REPORT:   "code_bytes": {{[1-9]}}
// REPORT:   "generate":

// FILES: code
// FILES: manifest.json
// FILES: model.mlir
// FILES: weights.bin
// FILES: .so
// MODULE-NOT: lariat.weights
// MODULE: lariat.recur

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
