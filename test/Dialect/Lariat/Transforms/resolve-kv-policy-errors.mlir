// RUN: lariat-opt %s --lariat-resolve-kv-policy=missing=propagate --split-input-file --verify-diagnostics
// RUN: not lariat-opt --lariat-resolve-kv-policy=missing=last %s --split-input-file 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not lariat-opt --lariat-resolve-kv-policy=missing=compute %s --split-input-file 2>&1 | FileCheck %s --check-prefix=COMPUTE

// MODE: error: unknown missing mode 'last', expected skip, slot0, copy_last, propagate or compute

// A mode that the cache does not allow is refused, and the allowed ones are listed.
// expected-error@below {{cache @kv does not allow missing = propagate, expected one of skip, copy_last, compute}}
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = copy_last, allowed = [skip]>)

// COMPUTE: error: cannot apply missing = compute: no loop that appends to a cache with missing entries stops rows
func.func @not_allowed(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// Nothing would fill the slots of the depths that a stopped row does not reach.
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = propagate>)
func.func @no_fill(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  // expected-note@below {{the loop starts here}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    // expected-error@below {{cannot use missing = propagate: no fill region appends to layer 0 of @kv}}
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// Rows that run one by one are not there yet for the rows before them.
lariat.cache @ring layers(1) heads(1) dim(8) depths(8) : f32 policy(#lariat.ring<4, order = sequential>)
func.func @ahead(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @ring[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    // expected-error@below {{cannot look ahead in cache @ring: its order is sequential, so a row runs before later ones are there}}
    %o = lariat.attend @ring[0] %h at %a heads(1) mask(<full>) : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%o : tensor<?x8xf32, #lariat.of<"a">>)
  }
  return
}

// -----

// A router drops rows of the prompt, which the exit scope keeps in the loop.
// expected-note@below {{the cache is declared here}}
lariat.cache @scoped layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip, exit_scope = generated>)
func.func @scope_and_router(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                            %bits: tensor<?xi1, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %go = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %hk = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    lariat.append @scoped[0] %hk, %hk at %k : tensor<?x8xf32, #lariat.of<"k">>
    // expected-error@below {{cannot keep rows of the prompt in the loop of cache @scoped: its exit scope is generated rows, but the loop drops rows}}
    lariat.next keep %k : !lariat.rows<"k"> carry(%hk : tensor<?x8xf32, #lariat.of<"k">>)
  }
  return
}

// -----

// Rows of one loop exit for all its caches.
// expected-note@below {{the other cache is declared here}}
lariat.cache @scoped layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip, exit_scope = generated>)
// expected-error@below {{cache @all lets all rows exit, but @scoped of the same loop only generated ones}}
lariat.cache @all layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
func.func @scopes(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                  %bits: tensor<?xi1, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    lariat.append @scoped[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.append @all[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    %stop = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>) stop(%stop)
  }
  return
}

// -----

// A phased policy gives callers no choice.
// expected-error@below {{cannot apply missing = propagate: no cache of a loop distinguishes what is missing}}
module {
  lariat.cache @phased layers(1) heads(1) dim(8) : f32
      policy(#lariat.phased<prompt = #lariat.own<missing = skip>, generated = #lariat.own<missing = slot0>>)
  func.func @phased_choice(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index) {
    %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
        carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
      lariat.append @phased[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
      lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>)
    }
    return
  }
}

// -----

// A mode makes a difference to caches of a loop only.
// expected-error@below {{cannot apply missing = propagate: no cache of a loop distinguishes what is missing}}
module {
  lariat.cache @kv layers(1) heads(1) dim(8) depths(1) : f32 policy(#lariat.own<missing = skip>)
}

// -----

// Rows that the router drops are looked up in their deepest slot; running stopped rows on would change that.
// COMPUTE: error: cannot run rows on for cache @drops: the loop also drops rows, for which the cache declares missing = copy_last
// expected-error@below {{cache @drops does not allow missing = propagate, expected one of copy_last, compute}}
lariat.cache @drops layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = copy_last>)
func.func @drop_rows(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                 %bits: tensor<?xi1, #lariat.of<"all">>) {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %go = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    %k = lariat.select %a where %go : !lariat.rows<"a"> to !lariat.rows<"k">
    %hk = lariat.take %h of %a at %k : tensor<?x8xf32, #lariat.of<"a">> at !lariat.rows<"k">
    %stop = lariat.take %bits of %all at %k : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"k">
    lariat.append @drops[0] %hk, %hk at %k : tensor<?x8xf32, #lariat.of<"k">>
    lariat.next keep %k : !lariat.rows<"k"> carry(%hk : tensor<?x8xf32, #lariat.of<"k">>) stop(%stop)
  }
  return
}

// -----

// Running on is what a caller may ask for; a model declares what it was trained with.
// expected-error@below {{cache @kv declares missing = compute, which is a choice of the caller: declare another mode}}
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = compute>)
func.func @declared(%all: !lariat.rows<"all">, %x0: tensor<?x8xf32, #lariat.of<"all">>, %max: index,
                    %bits: tensor<?xi1, #lariat.of<"all">>) {
  // expected-note@below {{this loop stops rows}}
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x8xf32, #lariat.of<"all">>) {
    %stop = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.append @kv[0] %h, %h at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x8xf32, #lariat.of<"a">>) stop(%stop)
  }
  return
}

// -----

// A latch chooses whole rows by one bit, which spreads over one dimension of columns.
// COMPUTE: error: cannot latch carried value 0 of type 'tensor<?x2x4xf32, #lariat.of<"all">>', expected rank 1 or 2
// expected-error@below {{cache @kv does not allow missing = propagate, expected one of skip, compute}}
lariat.cache @kv layers(1) heads(1) dim(8) : f32 policy(#lariat.own<missing = skip>)
func.func @rank(%all: !lariat.rows<"all">, %x0: tensor<?x2x4xf32, #lariat.of<"all">>, %k: tensor<?x8xf32, #lariat.of<"all">>,
                %max: index, %bits: tensor<?xi1, #lariat.of<"all">>) -> tensor<?x2x4xf32, #lariat.of<"all">> {
  %x, %steps = lariat.recur max(%max : index) over %all : !lariat.rows<"all"> as %a : !lariat.rows<"a">
      carry(%h = %x0 : tensor<?x2x4xf32, #lariat.of<"all">>) {
    %ka = lariat.take %k of %all at %a : tensor<?x8xf32, #lariat.of<"all">> at !lariat.rows<"a">
    %stop = lariat.take %bits of %all at %a : tensor<?xi1, #lariat.of<"all">> at !lariat.rows<"a">
    lariat.append @kv[0] %ka, %ka at %a : tensor<?x8xf32, #lariat.of<"a">>
    lariat.next keep %a : !lariat.rows<"a"> carry(%h : tensor<?x2x4xf32, #lariat.of<"a">>) stop(%stop)
  }
  return %x : tensor<?x2x4xf32, #lariat.of<"all">>
}
